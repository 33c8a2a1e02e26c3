"""``recipes.run_curriculum`` on steps that take no time: ``driver_process ROOT WHAT_THE_SECOND_STEP_DOES``."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

from recipes import run_curriculum
from recipes.curriculum.steps import Step

MODULE = "tests.unit.curriculum.step_process"


def main(root: Path, *second: str) -> None:
    outputs = [root / "one" / "manifest.json", root / "two" / "manifest.json"]
    steps = [
        Step("one", "one", MODULE, (str(outputs[0]),), outputs[0], outputs[0].parent, trains=True),
        Step("two", "two", MODULE, (str(outputs[1]), *second), outputs[1], outputs[1].parent, trains=True),
    ]
    report = SimpleNamespace(
        write=lambda: None,
        summary={"stages": []},
        benchmarks={},
        page=root / "report.html",
        root=root,
        final_hf=root / "final",
        stages=[],
        evaluation_page=None,
    )
    run_curriculum.plan_steps = lambda *_: steps
    run_curriculum._report = lambda *_: report
    run_curriculum.main([f"run.directory={root}"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
