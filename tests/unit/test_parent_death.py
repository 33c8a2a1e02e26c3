"""A child ends with its parent, though the parent had no time to end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

PARENT = """
import subprocess, sys, time
from recipes.parent_death import die_with_parent
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], preexec_fn={hook})
print(child.pid, flush=True)
time.sleep(60)
"""


def runs(pid: int) -> bool:
    """Neither ended nor waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux'")
@pytest.mark.parametrize("hook", ["die_with_parent", "None"])
def test_a_killed_parent(hook: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(hook=hook)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + (30 if hook != "None" else 0.5)
    while runs(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert runs(child) == (hook == "None")
    if hook == "None":
        os.kill(child, signal.SIGKILL)
