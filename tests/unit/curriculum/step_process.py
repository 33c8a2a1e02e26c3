"""A step for tests: ``python -m tests.unit.curriculum.step_process OUTPUT [fail | sleep]``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    output, what = Path(sys.argv[1]), sys.argv[2:]
    output.parent.mkdir(parents=True, exist_ok=True)
    with (output.parent / "started").open("a") as log:
        log.write(f"{os.getpid()}\n")
    if what == ["fail"]:
        sys.exit(3)
    if what == ["sleep"]:
        time.sleep(60)
    if what != ["nothing"]:
        output.touch()
