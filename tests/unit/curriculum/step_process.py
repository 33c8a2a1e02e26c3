"""A step for tests: ``python -m tests.unit.curriculum.step_process OUTPUT [fail | sleep | nothing | save]``.

``save`` saves at SIGUSR1 as a stage does, and finishes when it is started again.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    output, what = Path(sys.argv[1]), sys.argv[2:]
    output.parent.mkdir(parents=True, exist_ok=True)
    interrupted = output.with_name("interrupted.json")
    signal.signal(signal.SIGUSR1, lambda *_: interrupted.touch())
    with (output.parent / "started").open("a") as log:
        log.write(f"{os.getpid()}\n")
    if what == ["fail"]:
        sys.exit(3)
    if what == ["sleep"]:
        time.sleep(60)
    if what == ["save"] and interrupted.exists():
        interrupted.unlink()
    elif what == ["save"]:
        while not interrupted.exists():
            time.sleep(0.05)
        sys.exit(0)
    if what != ["nothing"]:
        output.write_text('{"complete": true}')
