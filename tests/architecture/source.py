"""The project's source as the architecture tests see it: files, modules, rooms, imports."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("recipes", "evaluation")


@dataclass(frozen=True)
class Module:
    """One Python file of the project."""

    path: Path
    """Relative to the repository."""

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse((ROOT / self.path).read_text(encoding="utf-8"), filename=str(self.path))

    @property
    def name(self) -> str:
        """Dotted name, as it is imported."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def room(self) -> str:
        """``evaluation``, the folder below ``recipes``, or the name of a file that stands in ``recipes`` itself."""
        parts = self.path.parts
        return parts[0] if parts[0] != "recipes" else Path(parts[1]).stem

    @property
    def is_entry_point(self) -> bool:
        """A command: a file with an ``if __name__ == "__main__"`` block, in ``recipes`` itself or in ``evaluation``.

        A room that is a command too (``python -m recipes.rollouts``) has it in a file ``__main__.py``.
        """
        place = len(self.path.parts) == 2 or self.path.name == "__main__.py"
        return place and any(
            isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in self.tree.body
        )

    def imports(self) -> Iterator[tuple[int, str]]:
        """``(line, dotted name)`` for each import, wherever it stands; ``from a import b`` gives ``a.b``."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        package = (self.name.split(".") if self.path.name == "__init__.py" else self.name.split(".")[:-1]) + [""]
        return ".".join(filter(None, [*package[: len(package) - node.level], node.module]))


@cache
def modules() -> tuple[Module, ...]:
    """Every Python file of the packages."""
    found = tuple(
        Module(path.relative_to(ROOT)) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))
    )
    assert len(found) > 10, f"no packages found below {ROOT}"
    return found


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file of the repository that git tracks or would track, relative to the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip(f"not a git checkout: {listing.stderr.strip()}")
    names = {Path(name) for name in listing.stdout.split("\0") if name}
    return tuple(sorted(name for name in names if (ROOT / name).is_file()))


def report(violations: list[str], rule: str) -> None:
    """Fails with every violation, one a line, under the rule that they break."""
    assert not violations, f"{rule}\n" + "\n".join(f"  {violation}" for violation in violations)
