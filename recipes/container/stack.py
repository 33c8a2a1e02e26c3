"""The seven packages that nvcr.io/nvidia/nemo:25.02.01 provides: the versions expected of it, and those found.

No GPU and no driver is there while an image is built, so nothing is imported: versions come from the files that an
import would read, else from the metadata of what is installed.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from recipes.settings.errors import SettingsProblem

BASE_IMAGE = "nvcr.io/nvidia/nemo:25.02.01"
ACCEPT = "ACCEPT_VERSIONS"
"""The build argument that lets another version pass."""


@dataclass(frozen=True, slots=True)
class Component:
    """One package of the stack."""

    name: str
    """As people write it, and as the build argument names it."""
    distribution: str
    """Its name in the metadata of installed packages."""
    package: str
    """Dotted name of the import package."""
    expected: str
    """One version (``2.2.1``), a prefix (``0.17.*``) or a range (``>=1.8,<2.1``); the part after ``+`` is left out."""
    certainty: Literal["seen", "inferred"]
    """``seen``: read in the sources that the container is made from. ``inferred``: follows from them."""
    evidence: str
    version_file: str | None = None
    """Below the import package: the file that says the version."""
    modules: tuple[str, ...] = ()
    """Compiled modules at the top level that a build with its extensions has."""


STACK = (
    Component(
        "nemo", "nemo-toolkit", "nemo", "2.2.1", "seen", "NeMo v2.2.1, the release of 25.02.01", "package_info.py"
    ),
    Component(
        "nemo_aligner",
        "nemo-aligner",
        "nemo_aligner",
        "0.7.*",
        "inferred",
        "0.7.0 is the last release, made for 25.02",
        "package_info.py",
    ),
    Component(
        "megatron-core",
        "megatron-core",
        "megatron.core",
        "0.11.1",
        "seen",
        "commit f62eb5b5 of NeMo v2.2.1's requirements/manifest.json",
        "package_info.py",
    ),
    Component(
        "tensorrt_llm",
        "tensorrt-llm",
        "tensorrt_llm",
        "0.17.*",
        "inferred",
        "what NeMo v2.3.0's manifest pins on the same base image",
        "version.py",
    ),
    Component(
        "transformer_engine",
        "transformer-engine",
        "transformer_engine",
        ">=1.8,<2.1",
        "inferred",
        "the manifest's commit 7d576ed is 1.8.0.dev0, the base image of 2025-01 is newer",
    ),
    Component(
        "apex",
        "apex",
        "apex",
        "0.1",
        "seen",
        "setup.py of the manifest's commit 810ffae; the version never changes, so its extensions are looked for too",
        modules=("amp_C", "fused_layer_norm_cuda", "fused_weight_gradient_mlp_cuda"),
    ),
    Component(
        "torch", "torch", "torch", "2.6.0a0", "seen", "pytorch:25.01-py3, the manifest's base image", "version.py"
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A component as it is here."""

    component: Component
    found: str | None
    """None where it is not installed."""
    missing_modules: tuple[str, ...]
    accepted: bool
    """Another version than the expected one, named by the build."""

    @property
    def fits(self) -> bool:
        """Whether the build may go on with it."""
        if self.found is None or self.missing_modules:
            return False
        return self.accepted or satisfies(self.found, self.component.expected)


def inspect(
    components: Sequence[Component] = STACK,
    accepted: Mapping[str, str] | None = None,
    *,
    version: Callable[[Component], str | None] | None = None,
    has_module: Callable[[str], bool] | None = None,
) -> list[Row]:
    """The components as they are in this Python; ``accepted`` is name -> the version that may be there instead."""
    version, has_module = version or find_version, has_module or _has_module
    rows = []
    for component in components:
        found = version(component)
        missing = () if found is None else tuple(name for name in component.modules if not has_module(name))
        instead = (accepted or {}).get(component.name)
        rows.append(Row(component, found, missing, found is not None and found == instead))
    return rows


def differences(rows: Iterable[Row]) -> list[SettingsProblem]:
    """What is wrong with the stack, with the build argument that accepts it where it can be accepted."""
    found = []
    for row in rows:
        if row.fits:
            continue
        component = row.component
        expected = f"{component.expected} ({component.certainty}: {component.evidence})"
        other_image = f"NEMO_IMAGE={BASE_IMAGE}"
        if row.found is None:
            found.append(SettingsProblem(component.name, "not installed", expected, other_image))
        elif row.missing_modules:
            text = f"{row.found} without {', '.join(row.missing_modules)}"
            fix = f"{other_image}; another package of this name is on PyPI" if component.name == "apex" else other_image
            found.append(SettingsProblem(component.name, text, expected, fix))
        else:
            fix = f'{other_image}, or --build-arg {ACCEPT}="{component.name}={row.found}" if this one is meant'
            found.append(SettingsProblem(component.name, row.found, expected, fix))
    return found


def parse_accepted(text: str, components: Sequence[Component] = STACK) -> dict[str, str]:
    """``"nemo=2.2.0 tensorrt_llm=0.18.2"`` -> name -> version; ValueError names a word that is none."""
    names = [component.name for component in components]
    accepted = {}
    for word in re.split(r"[\s,]+", text.strip()):
        if not word:
            continue
        name, equals, version = word.partition("=")
        if name not in names or not equals or not version:
            raise ValueError(f"{ACCEPT}: found {word!r}, expected NAME=VERSION with one of {', '.join(names)}")
        accepted[name] = version
    return accepted


def find_version(component: Component) -> str | None:
    """The version in the package's own file where an import would find it, else the installed metadata's, else None."""
    if component.version_file is not None:
        for directory in _directories(component.package):
            if (version := version_in(directory / component.version_file)) is not None:
                return version
    try:
        return metadata.version(component.distribution)
    except metadata.PackageNotFoundError:
        return None


def version_in(path: Path) -> str | None:
    """``__version__`` of a Python file, or MAJOR, MINOR, PATCH and PRE_RELEASE together; nothing of it is run."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
    values: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            values |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(values.get("__version__"), str):
        return str(values["__version__"])
    parts = [values.get(name) for name in ("MAJOR", "MINOR", "PATCH")]
    if None in parts:
        return None
    return ".".join(map(str, parts)) + str(values.get("PRE_RELEASE") or "")


def satisfies(found: str, expected: str) -> bool:
    """Whether a version is the expected one; of a range, the numbers of the release count and a ``.dev0`` does not."""
    public = found.partition("+")[0]
    if expected.endswith(".*"):
        wanted = _release(expected)
        return _release(public)[: len(wanted)] == wanted
    if expected.startswith(">="):
        low, _, high = expected.partition(",")
        return _release(low) <= _release(public) < _release(high)
    return public == expected


def _release(version: str) -> tuple[int, ...]:
    match = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _directories(package: str) -> list[Path]:
    """Where an import of ``package`` would look, in order; its parents are not imported."""
    top, *rest = package.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    return [Path(place, *rest) for place in places]


def _has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
