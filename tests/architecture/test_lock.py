"""The lock is complete: `pip install --no-deps` of it leaves no requirement open, on every Python that we support."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from functools import cache
from importlib import metadata

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture.source import ROOT, report

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXCLUDED = {canonicalize_name(name) for name in PYPROJECT["tool"]["uv"]["exclude-dependencies"]}
PINNED = re.compile(r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^ ;\\\n]+)(?: ; (?P<marker>[^\\\n]+))?", re.MULTILINE)


def _pins(file: str) -> list[tuple[str, str, Marker | None]]:
    found: list[tuple[str, str, Marker | None]] = [
        (canonicalize_name(pin["name"]), pin["version"], Marker(pin["marker"]) if pin["marker"] else None)
        for pin in PINNED.finditer((ROOT / file).read_text(encoding="utf-8"))
    ]
    assert found, f"{file} pins nothing"
    return found


def _environment(python: str, machine: str) -> dict[str, str]:
    values: dict[str, str] = {**default_environment()}  # type: ignore[dict-item]
    return {**values, "python_version": python, "python_full_version": f"{python}.1", "platform_machine": machine}


@cache
def _locked_here() -> dict[str, str]:
    """Package -> version for this interpreter; the CUDA libraries only where the installed torch asks for them."""
    pins = _pins("requirements.lock") + [
        pin for pin in _pins("requirements-torch.lock") if pin[0] == "torch" or _cuda()
    ]
    return {name: version for name, version, marker in pins if marker is None or marker.evaluate()}


def _cuda() -> bool:
    return any("cuda" in line for line in metadata.requires("torch") or [])


def _direct() -> list[Requirement]:
    groups = PYPROJECT["dependency-groups"]
    return [Requirement(line) for line in (*PYPROJECT["project"]["dependencies"], *groups["dev"], *groups["build"])]


@cache
def _edges() -> dict[tuple[str, str], str]:
    """Every requirement that applies here, from the project's own on: ``(who asks, requirement) -> required name``."""
    edges: dict[tuple[str, str], str] = {}
    todo = [("pyproject.toml", requirement, "") for requirement in _direct()]
    seen: set[tuple[str, str]] = set()
    while todo:
        asker, requirement, extra = todo.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        edges[(asker, str(requirement))] = name
        if name in EXCLUDED:
            continue
        for wanted in ("", *requirement.extras):
            if (name, wanted) in seen:
                continue
            seen.add((name, wanted))
            try:
                lines = metadata.requires(name) or []
            except metadata.PackageNotFoundError:
                continue  # reported by test_what_is_installed_is_the_lock
            todo += [(name, Requirement(line), wanted) for line in lines]
    return edges


def test_what_is_installed_is_the_lock() -> None:
    violations = []
    for name, version in sorted(_locked_here().items()):
        try:
            found = metadata.version(name).split("+")[0]  # a local build of torch is 2.13.0+cpu
        except metadata.PackageNotFoundError:
            found = "nothing"
        if found != version:
            violations.append(f"{name}: found {found}, expected {version}")
    report(violations, "The environment differs from the lock; `make setup` brings .venv to it:")


def test_every_requirement_is_in_the_lock_at_a_version_that_it_accepts() -> None:
    locked = _locked_here()
    violations = []
    for (asker, text), name in sorted(_edges().items()):
        if name in EXCLUDED:
            continue
        requirement = Requirement(text)
        if name not in locked:
            violations.append(f"{asker} requires {text}: not in the lock")
        elif not requirement.specifier.contains(Version(locked[name]), prereleases=True):
            violations.append(f"{asker} requires {text}: the lock has {locked[name]}")
    report(
        violations,
        "Requirements that the lock does not meet; `make lock`, or exclude them in pyproject.toml with a reason:",
    )


def test_the_lock_holds_nothing_that_nobody_requires() -> None:
    needed = set(_edges().values())
    report(sorted(set(_locked_here()) - needed), "Locked, but required by nothing; `make lock` drops these:")


def test_exclusions_are_real() -> None:
    required = set(_edges().values())
    locked = {name for file in ("requirements.lock", "requirements-torch.lock") for name, _, _ in _pins(file)}
    report(sorted(EXCLUDED & locked), "Excluded in pyproject.toml and locked all the same:")
    report(sorted(EXCLUDED - required), "Excluded in pyproject.toml, but nothing asks for them (any more):")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12"])
def test_one_version_of_each_package_for_each_python(python: str, machine: str) -> None:
    environment = _environment(python, machine)
    versions: dict[str, list[str]] = defaultdict(list)
    pins = _pins("requirements.lock") + _pins("requirements-torch.lock")
    for name, version, marker in pins:
        if marker is None or marker.evaluate(environment):
            versions[name].append(version)
    twice = [f"{name}: {', '.join(found)}" for name, found in sorted(versions.items()) if len(found) > 1]
    report(twice, f"Pinned more than once for Python {python} on {machine}:")
    # a direct requirement that applies must have its pin there too, not only on the Python that runs this test
    missing = [
        f"{requirement}: found {versions.get(canonicalize_name(requirement.name), 'none')}"
        for requirement in _direct()
        if requirement.marker is None or requirement.marker.evaluate(environment)
        if not any(
            requirement.specifier.contains(version, prereleases=True)
            for version in versions.get(canonicalize_name(requirement.name), [])
        )
    ]
    report(missing, f"Requirements of pyproject.toml without a matching pin for Python {python} on {machine}:")


def test_every_pin_but_torch_carries_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(_pins("requirements.lock"))
    report([entry.split()[0] for entry in entries if "--hash=sha256:" not in entry], "Pinned without a hash:")
    names = {name for name, _, _ in _pins("requirements.lock")}
    assert "torch" not in names, "torch belongs in requirements-torch.lock: its builds share a version, not a hash"
