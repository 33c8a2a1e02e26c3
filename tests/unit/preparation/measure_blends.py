"""Peak memory of planning and of writing blends, in a process of its own.

    python -m tests.unit.preparation.measure_blends plan|write FOLDER

Prints one number: bytes of resident memory at the highest point, above what the process held with everything imported.
FOLDER has rows/, lengths/ and samples/ of one part, and receives plan/ and blends/.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from recipes.preparation.blend import BlendInputs, plan_task, write_task
from recipes.settings.prepare_schema import BlendsSettings
from tests.unit.preparation.teacher_inputs import teacher


def main(step: str, folder: Path) -> None:
    """Do the step and print."""
    pl.DataFrame({"warm": [1]}).group_by("warm").len().sort("warm")
    before = _status_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    if step == "plan":
        plan(folder)
    else:
        inputs = BlendInputs(folder / "rows", folder / "samples", folder / "plan", (), 1, teacher(folder))
        write_task(inputs, ["v1"], ("x",), folder / "blends", folder / "phase", 0)
    print(_status_bytes("VmHWM") - before)


def plan(folder: Path) -> None:
    """One blend of everything there is."""
    lengths = pl.scan_parquet(folder / "lengths" / "00000.parquet")
    prompts, samples = lengths.select(pl.col("id").n_unique(), pl.len()).collect().row(0)
    sizes = BlendsSettings(["v1"], [prompts], [samples], [0], [0], 1.0, 1.0, 20)
    plan_task(folder / "rows", folder / "lengths", [], 1, sizes, 1, folder / "plan", 0)


def _status_bytes(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
