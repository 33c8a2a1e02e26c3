"""What reaches the console and what the log file, in processes of their own: both hold for a process's whole life."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# Installed code, as far as `quiet_frameworks` can tell: a module in a folder that stands for site-packages.
CHATTY = """
import logging, warnings
def chat(logger):
    logger.info("framework info")
    logger.warning("framework warning %d", 7)
    logger.error("framework error")
    warnings.warn("framework deprecation", FutureWarning)
    logging.warning("framework to root")
"""

SETTINGS = """
import logging, sys, warnings
from pathlib import Path
import sysconfig
places = sysconfig.get_paths()
sysconfig.get_path = lambda key: sys.argv[1] if key == "purelib" else places[key]
before = logging.getLogger("made.before")
from recipes.backends.quiet import quiet_frameworks
quiet_frameworks(Path(sys.argv[2]) if sys.argv[2] else None)
sys.path.insert(0, sys.argv[1])
import chatty
"""


def _run(tmp_path: Path, body: str, log_file: str, **environment: str) -> str:
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "chatty.py").write_text(CHATTY)
    finished = subprocess.run(
        [sys.executable, "-c", SETTINGS + body, str(installed), log_file],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


CHAT = """
logging.basicConfig(level=logging.INFO, format="%(message)s")
made_after = logging.getLogger("made.after")
for logger in (before, made_after):
    chatty.chat(logger)
logging.getLogger("recipes.training").info("our info")
warnings.warn("our warning", FutureWarning)
"""


def test_chatter_goes_to_the_file_and_errors_and_our_own_words_to_the_console(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "frameworks.log"
    console = _run(tmp_path, CHAT, str(log), RANK="3")
    lines = [line for line in console.splitlines() if not line.startswith(" ")]
    assert lines[:3] == ["framework error", "framework error", "our info"]
    assert "our warning" in lines[3]
    assert len(lines) == 4
    written = log.read_text(encoding="utf-8")
    assert written.count(" rank 3 INFO made.before: framework info\n") == 1
    assert written.count(" rank 3 INFO made.after: framework info\n") == 1
    assert written.count("WARNING made.before: framework warning 7\n") == 1
    assert written.count("WARNING root: framework to root\n") == 2
    assert "FutureWarning: framework deprecation" in written
    assert "our" not in written
    assert "framework error" not in written


def test_without_a_file_the_chatter_is_dropped(tmp_path: Path) -> None:
    console = _run(tmp_path, CHAT, "")
    assert "framework info" not in console
    assert "framework warning" not in console
    assert console.count("framework error") == 2
    assert "our info" in console


def test_a_logger_keeps_writing_to_its_own_files(tmp_path: Path) -> None:
    own = tmp_path / "own.log"
    body = f"""
logger = logging.getLogger("with.file")
handler = logging.FileHandler({str(own)!r})
handler.setLevel(logging.WARNING)
logger.addHandler(handler)
logger.setLevel(logging.INFO)
chatty.chat(logger)
"""
    console = _run(tmp_path, body, "")
    assert own.read_text().splitlines() == ["framework warning 7", "framework error"]
    assert "framework warning" not in console


def test_a_warning_that_a_framework_logs_is_ours_if_our_code_caused_it(tmp_path: Path) -> None:
    body = """
logging.basicConfig(format="%(message)s")
(Path(sys.argv[1]) / "relay.py").write_text(
    "import logging, warnings\\n"
    "def show(message, category, filename, lineno, file=None, line=None):\\n"
    "    logging.getLogger('relay').warning(warnings.formatwarning(message, category, filename, lineno, ''))\\n"
)
import relay
warnings.showwarning = relay.show
warnings.warn_explicit("from ours", UserWarning, "/project/recipes/data.py", 3)
warnings.warn_explicit("from installed", UserWarning, sys.argv[1] + "/chatty.py", 3)
"""
    console = _run(tmp_path, body, "")
    assert "/project/recipes/data.py:3: UserWarning: from ours" in console
    assert "from installed" not in console


def test_calling_again_changes_the_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    body = f"""
logger = logging.getLogger("x")
logger.setLevel(logging.INFO)
chatty.chat(logger)
quiet_frameworks(Path({str(second)!r}))
chatty.chat(logger)
"""
    _run(tmp_path, body, str(first))
    for file in (first, second):
        assert file.read_text().count("framework info") == 1


def test_a_users_environment_wins(tmp_path: Path) -> None:
    body = """
import os
print(os.environ["TORCH_CPP_LOG_LEVEL"], os.environ["TOKENIZERS_PARALLELISM"])
"""
    assert _run(tmp_path, body, "", TORCH_CPP_LOG_LEVEL="INFO", TOKENIZERS_PARALLELISM="true").split() == [
        "INFO",
        "true",
    ]


def test_it_imports_no_framework() -> None:
    code = "import sys, recipes.backends.quiet; print([m for m in ('torch', 'nemo', 'lightning') if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_frameworks_import_in_silence(tmp_path: Path) -> None:
    """The room's door, as an entry point opens it: no line on the console but an error and ours."""
    log = tmp_path / "frameworks.log"
    code = f"""
from pathlib import Path
from recipes.backends.quiet import quiet_frameworks
quiet_frameworks(Path({str(log)!r}))
from recipes.backends.cpu.install import install_cpu_room, registry
assert install_cpu_room() == [patch.name for patch in registry()]
assert install_cpu_room() == [patch.name for patch in registry()]
import nemo_aligner.algorithms.supervised
import nemo_aligner.models.nlp.gpt.gpt_sft_model
import nemo_aligner.models.nlp.gpt.megatron_gpt_reinforce_actor
from nemo.utils import logging
logging.error("a failure")
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "PYTHONWARNINGS")}
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == ""
    assert [line.split("] ")[-1] for line in finished.stderr.splitlines() if line.strip()] == ["a failure"]
    written = log.read_text(encoding="utf-8")
    assert "Importing NeMo-Aligner sets" in written
