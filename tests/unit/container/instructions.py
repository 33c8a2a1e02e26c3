"""A Dockerfile as a list of instructions."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """One of them. Example: ``Instruction("h100", "COPY", ". .")``."""

    stage: str | None
    """None before the first FROM."""
    keyword: str
    text: str


def parse(dockerfile: str) -> list[Instruction]:
    """Instructions in order; remarks are gone and continued lines are one."""
    lines = [line for line in dockerfile.splitlines() if not re.match(r"\s*#", line)]
    found: list[Instruction] = []
    stage = None
    for line in re.sub(r"\\\n", "", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        keyword, _, text = line.strip().partition(" ")
        if keyword == "FROM":
            stage = text.split(" AS ")[1]
        found.append(Instruction(stage, keyword, text.strip()))
    return found


def is_ignored(path: Path, patterns: list[str]) -> bool:
    """Whether ``.dockerignore`` keeps a path, relative to the repository, out of the build; no ``!`` patterns."""
    candidates = [path, *list(path.parents)[:-1]]
    for pattern in patterns:
        for candidate in candidates:
            if fnmatch.fnmatchcase(candidate.as_posix(), pattern.removeprefix("**/")):
                return True
            if pattern.startswith("**/") and fnmatch.fnmatchcase(candidate.name, pattern.removeprefix("**/")):
                return True
    return False
