"""Steps of an image's build (Dockerfile, target ``h100``); `versions` answers in any Python.

    python -m recipes.container versions                 the seven packages of the stack: expected and found
    python -m recipes.container snapshot FILE            what is installed, as a constraint file for pip
    python -m recipes.container additions > FILE         what of requirements.lock is missing, with hashes
    python -m recipes.container unchanged FILE ADDED     nothing of the snapshot moved, the additions fit

Exit status 1: something differs, and the message says what to do.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from recipes.container import additions
from recipes.container.stack import ACCEPT, STACK, Row, differences, inspect, parse_accepted
from recipes.settings.errors import SettingsProblem, numbered

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
PYPROJECT = ROOT / "pyproject.toml"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.container``."""
    words = _parser().parse_args(arguments)
    steps = {"versions": _versions, "snapshot": _snapshot, "additions": _additions, "unchanged": _unchanged}
    try:
        problems = steps[words.step](words)
    except ValueError as error:
        sys.exit(f"error: {error}")
    if problems:
        sys.exit(
            f"error: {len(problems)} of the image's packages are not as they should be:\n"
            + "\n".join(numbered(problems))
        )


def _versions(words: argparse.Namespace) -> list[SettingsProblem]:
    rows = inspect(STACK, parse_accepted(words.accept))
    print(f"{'package':<20}{'expected':<14}{'found':<34}", flush=True)
    for row in rows:
        print(f"{row.component.name:<20}{row.component.expected:<14}{row.found or '-':<34}{_verdict(row)}", flush=True)
    return differences(rows)


def _verdict(row: Row) -> str:
    if row.fits:
        return "accepted" if row.accepted else "ok"
    return "DIFFERS" if row.found else "MISSING"


def _snapshot(words: argparse.Namespace) -> list[SettingsProblem]:
    additions.write_snapshot(words.file, additions.installed_packages())
    return []


def _additions(words: argparse.Namespace) -> list[SettingsProblem]:
    entries = additions.additions(
        additions.read_lock(LOCK),
        additions.direct_dependencies(PYPROJECT),
        additions.installed_packages(),
        words.leave_out.replace(",", " ").split(),
    )
    print(*(entry.text for entry in entries), sep="", end="")
    print("added to the image:", *sorted({entry.name for entry in entries}), file=sys.stderr)
    print(*(f"left out: {name} ({why})" for name, why in additions.LEFT_OUT.items()), sep="\n", file=sys.stderr)
    return []


def _unchanged(words: argparse.Namespace) -> list[SettingsProblem]:
    before, after = additions.read_snapshot(words.file), additions.installed_packages()
    lock, added = additions.read_lock(LOCK), additions.read_lock(words.added)
    print(additions.comparison(additions.direct_dependencies(PYPROJECT), lock, before, after), flush=True)
    checked = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    if checked.returncode not in (0, 1):  # 1: complaints, of which a base image has some
        raise ValueError(f"pip check: found exit status {checked.returncode}, expected 0 or 1:\n{checked.stderr}")
    return [
        *additions.changes(before, after, added),
        *additions.exact_differences(lock, after),
        *additions.unmet(checked.stdout, (entry.name for entry in added), additions.excluded(PYPROJECT)),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.container", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = parser.add_subparsers(dest="step", required=True)
    versions = steps.add_parser("versions")
    versions.add_argument("--accept", default="", metavar="NAME=VERSION ...", help=f"the build argument {ACCEPT}")
    snapshot = steps.add_parser("snapshot")
    snapshot.add_argument("file", type=Path)
    missing = steps.add_parser("additions")
    missing.add_argument(
        "--leave-out", default="", metavar="NAME ...", help=f"the build argument {additions.LEAVE_OUT}"
    )
    unchanged = steps.add_parser("unchanged")
    unchanged.add_argument("file", type=Path)
    unchanged.add_argument("added", type=Path)
    return parser


if __name__ == "__main__":
    main()
