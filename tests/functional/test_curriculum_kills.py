"""A whole curriculum under SIGKILL: nothing finished is lost, nothing torn is read, the results are the same.

``CURRICULUM_KILLS`` and ``KILL_SEED`` set the number of kills and their moments; for many, by hand:
``python -m tests.functional.curriculum_kills FOLDER --kills 20``.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

KILLS = 2


def test_kills_change_nothing(tmp_path: Path) -> None:
    kills = int(os.environ.get("CURRICULUM_KILLS", KILLS))
    seed = os.environ.get("KILL_SEED", str(secrets.randbelow(10**6)))
    print(f"KILL_SEED={seed} repeats these kills")
    module = "tests.functional.curriculum_kills"
    command = [sys.executable, "-m", module, str(tmp_path / "runs"), "--kills", str(kills), "--seed", seed]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, f"KILL_SEED={seed}\n{done.stdout[-6000:]}{done.stderr[-3000:]}"
    report = json.loads((tmp_path / "runs" / "report.json").read_text())
    assert (len(report["kills"]), report["problems"]) == (kills, [])
    print(done.stdout)
