"""The README names what is there: its map is the tree, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

from tests.architecture.source import PACKAGES, ROOT, report, tracked_files


def _readme() -> str:
    path = ROOT / "README.md"
    assert path.is_file(), "README.md is missing"
    return path.read_text(encoding="utf-8")


def _map() -> list[str]:
    """The fenced block of the README that draws the tree: the one with a line ``recipes/``."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", _readme(), flags=re.MULTILINE | re.DOTALL):
        if re.search(r"^recipes/", block, flags=re.MULTILINE):
            return block.splitlines()
    raise AssertionError("README.md has no map: a fenced block with one line for each folder, `recipes/` among them")


def _mapped() -> set[Path]:
    """Paths on the map. A line is names, two or more spaces, a remark; two spaces of indent are one level down."""
    found: set[Path] = set()
    parents: list[Path] = [Path()]
    for line in _map():
        entry = re.match(r"^((?:  )*)((?:[\w.-]+/?)(?: [\w.-]+/?)*)(?:  +.*)?$", line)
        if entry is None or len(entry[1]) // 2 >= len(parents):
            continue  # the second line of a remark
        level = len(entry[1]) // 2
        paths = [parents[level] / name for name in entry[2].split()]
        found |= set(paths)
        parents[level + 1 :] = [paths[-1]]
    return found


def test_what_the_map_names_exists() -> None:
    mapped = _mapped()
    assert len(mapped) > 5, f"the map has only {sorted(map(str, mapped))}"
    report(
        sorted(str(path) for path in mapped if not (ROOT / path).exists()),
        "On the map of README.md, but not in the repository:",
    )


def test_every_folder_is_on_the_map() -> None:
    folders = {Path(path.parts[0]) for path in tracked_files() if len(path.parts) > 1}
    folders |= {Path(*path.parts[:2]) for path in tracked_files() if path.parts[0] in PACKAGES and len(path.parts) > 2}
    report(
        sorted(f"{folder}/" for folder in folders - _mapped() if not folder.name.startswith(".")),
        "In the repository, but not on the map of README.md (names, two spaces, what it is for):",
    )


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", _readme(), flags=re.MULTILINE))
    assert named, "README.md names no make target"
    report(sorted(f"make {name}" for name in named - targets), "README.md names targets that Makefile lacks:")


def test_modules_that_documents_and_makefile_run_exist() -> None:
    sources = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "Makefile")}
    violations = []
    for source, text in sources.items():
        for module in sorted(set(re.findall(r"-m ((?:recipes|evaluation)\.[a-z_.]*[a-z_])", text))):
            place = ROOT / Path(*module.split("."))
            if not place.with_suffix(".py").is_file() and not (place / "__main__.py").is_file():
                violations.append(f"{source}: python -m {module}")
    report(violations, "Commands whose module does not exist:")
