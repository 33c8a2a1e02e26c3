"""``metrics.jsonl``: one line a step, also after a kill and a resume."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text


@dataclass(frozen=True, slots=True)
class MetricsLog:
    """Append-only metrics of one run. One process writes."""

    path: Path

    def append(self, metrics: Mapping[str, Any]) -> None:
        """Add one line; ``metrics`` holds ``step``."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(metrics)) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """Every complete line; a last line torn by a kill is left out."""
        if not self.path.is_file():
            return []
        rows = []
        for line in self.path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                rows.append(json.loads(line))
        return rows

    def forget_from(self, step: int) -> None:
        """Remove the lines of ``step`` and later: a resumed run does those steps again."""
        if not self.path.is_file():
            return
        kept = [row for row in self.rows() if row["step"] < step]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))
