"""The versions of the stack: found without an import, compared, accepted; README and pyproject say the same ones."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from recipes.container.stack import (
    STACK,
    Component,
    differences,
    find_version,
    inspect,
    parse_accepted,
    satisfies,
    version_in,
)
from recipes.settings.errors import numbered

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[3]
GOOD = {
    "nemo": "2.2.1",
    "nemo_aligner": "0.7.0",
    "megatron-core": "0.11.1",
    "tensorrt_llm": "0.17.0.post1",
    "transformer_engine": "1.13.0+ab12",
    "apex": "0.1",
    "torch": "2.6.0a0+ecf3bae40a.nv25.01",
}


def problems(accepted: str = "", has_module: bool = True, **changed: str | None) -> str:
    found = {**GOOD, **{name.replace("megatron_core", "megatron-core"): version for name, version in changed.items()}}
    rows = inspect(
        STACK, parse_accepted(accepted), version=lambda part: found[part.name], has_module=lambda _: has_module
    )
    return "\n".join(numbered(differences(rows)))


def test_the_container_as_expected_passes() -> None:
    assert problems() == ""


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("nemo", "2.3.0", "2.2.1 (seen"),
        ("nemo_aligner", "0.6.0", "0.7.* (inferred"),
        ("megatron_core", "0.12.0", "0.11.1 (seen"),
        ("tensorrt_llm", "0.18.0", "0.17.* (inferred"),
        ("transformer_engine", "2.1.0", ">=1.8,<2.1 (inferred"),
        ("apex", "0.9.10.dev0", "0.1 (seen"),
        ("torch", "2.6.0", "2.6.0a0 (seen"),
    ],
)
def test_another_version_is_refused_until_the_build_accepts_it(name: str, version: str, expected: str) -> None:
    text = problems(**{name: version})
    written = name.replace("megatron_core", "megatron-core")
    for part in (f"1. {written}\n", f"found:    {version}", f"expected: {expected}", f'="{written}={version}"'):
        assert part in text
    assert "2. " not in text
    assert problems(f"{written}={version}", **{name: version}) == ""
    assert problems(f"{written}={version}1", **{name: version}) == text


def test_what_is_missing_cannot_be_accepted() -> None:
    assert "found:    not installed" in problems("tensorrt_llm=0.17.0", tensorrt_llm=None)
    without_extensions = problems("apex=0.1", has_module=False)
    assert "0.1 without amp_C, fused_layer_norm_cuda, fused_weight_gradient_mlp_cuda" in without_extensions


@pytest.mark.parametrize("text", ["nemo", "nemo=", "numpy=1.26.4", "nemo==2.2.0 torch"])
def test_words_that_accept_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"ACCEPT_VERSIONS: found .* expected NAME=VERSION with one of nemo, "):
        parse_accepted(text)
    assert parse_accepted(" nemo=2.2.0,apex=0.2  torch=2.7 ") == {"nemo": "2.2.0", "apex": "0.2", "torch": "2.7"}


@pytest.mark.parametrize(
    ("found", "expected", "fits"),
    [
        ("2.2.1", "2.2.1", True),
        ("2.2.1+local", "2.2.1", True),
        ("2.2.1rc0", "2.2.1", False),
        ("0.17.0.post1", "0.17.*", True),
        ("0.17", "0.17.*", True),
        ("0.170.0", "0.17.*", False),
        ("1.8.0.dev0+7d576ed", ">=1.8,<2.1", True),
        ("2.0.0", ">=1.8,<2.1", True),
        ("2.1", ">=1.8,<2.1", False),
        ("1.7.9", ">=1.8,<2.1", False),
        ("unknown", ">=1.8,<2.1", False),
    ],
)
def test_versions_compared(found: str, expected: str, fits: bool) -> None:
    assert satisfies(found, expected) is fits


def test_versions_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "version.py"
    assert version_in(path) is None
    for text, version in (
        ('import torch\n__version__ = "0.17.0"\n', "0.17.0"),
        ("MAJOR = 2\nMINOR = 2\nPATCH = 1\nPRE_RELEASE = 'rc0'\n__version__ = '.'.join(parts)\n", "2.2.1rc0"),
        ("__version__ = compute()\n", None),
        ("not Python", None),
    ):
        path.write_text(text)
        assert version_in(path) == version


def test_the_real_packages_version_files_are_where_they_are_looked_for() -> None:
    """Of the lock's NeMo, NeMo-Aligner and Megatron-core: the same files as in the container's."""
    found = {part.name: find_version(part) for part in STACK if part.name in ("nemo", "nemo_aligner", "megatron-core")}
    assert found == {"nemo": "2.2.1", "nemo_aligner": "0.7.0", "megatron-core": "0.11.0"}
    assert find_version(Component("x", "no-such", "no_such", "1", "seen", "", "version.py")) is None


def test_the_readme_has_the_same_table() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `([\w-]+)` \| `([^`]+)` \| (seen|inferred)\b.*\|$", readme, flags=re.MULTILINE)
    assert table == [(part.name, part.expected, part.certainty) for part in STACK]


def test_the_extra_of_pyproject_names_the_same_versions() -> None:
    """``gpu``: TensorRT-LLM and Transformer Engine as in the table, apex by the commit of the table."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    by_distribution = {part.distribution: part for part in STACK}
    seen = set()
    for line in project["optional-dependencies"]["gpu"]:
        name, rest = re.match(r"([\w-]+) ?(.*?) ?;", line).groups()  # type: ignore[union-attr]
        part = by_distribution[name]
        seen.add(part.name)
        if rest.startswith("@"):
            commit = re.search(r"@([0-9a-f]{40})$", rest)
            assert commit is not None and f"commit {commit[1][:7]}" in part.evidence
        else:
            assert rest.removeprefix("==") == part.expected
        assert "python_version == '3.12'" in line and "platform_machine == 'x86_64'" in line
    assert seen == {"apex", "tensorrt_llm", "transformer_engine"}
