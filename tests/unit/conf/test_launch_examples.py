"""The examples of the launchers: their words give a stage everything but the files, and the page names each file."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from recipes.curriculum.jobs import LAUNCHER
from recipes.settings.checks import file_problems
from recipes.settings.compose import SettingsCommand, compose
from recipes.settings.curriculum import stage_commands
from tests.architecture.source import ROOT

PAGES = [ROOT / "README.md", LAUNCHER / "README.md", *sorted(LAUNCHER.glob("*.sh"))]
EXAMPLE = re.compile(r"sbatch (?:--nodes=\d+ )?launcher/(sft|stage_\w+)\.sh ([^`\n]*)")
EXAMPLES = [(page.name, *found) for page in PAGES for found in EXAMPLE.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "script", "words"), EXAMPLES)
def test_an_example_misses_nothing_but_its_own_files(page: str, script: str, words: str) -> None:
    command: SettingsCommand = "sft" if script == "sft" else "grpo"
    stage = f"stage={script.removeprefix('stage_')}"
    settings = compose(command, [stage, "cluster=h100", *shlex.split(words)])
    assert settings.data.directory == "DATA"
    held = file_section()
    for problem in file_problems(settings, command):
        name = problem.found.partition(":")[0]
        if problem.key in ("model.restore_from", "prompts.ledgers"):
            continue
        assert name.startswith("DATA/"), f"{page}: {problem.key} is {name}, and the example does not say so"
        assert f"`{Path(name).name}" in held, f"launcher/README.md does not say that DATA holds {name}"


def test_all_pages_have_examples() -> None:
    assert {page for page, *_ in EXAMPLES} == {"README.md", "sft.sh", *(path.name for path in LAUNCHER.glob("stage_*"))}


def test_the_ablation_of_a_laptop_is_one_of_the_demo() -> None:
    page = (LAUNCHER / "ABLATIONS.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^python -m recipes\.run_curriculum (.*)$", page, flags=re.MULTILINE)
    (stage,) = stage_commands(shlex.split(line))
    assert stage.settings.curriculum.initial_model == "runs/demo/sft/model.nemo"
    assert stage.settings.data.train == "runs/demo/data/math1.jsonl"
    assert stage.settings.model.tokenizer == "runs/demo/data/tokenizer"
    assert stage.settings.grpo.max_response_length == 64 and not stage.settings.grpo.overlong_filtering


def test_commands_in_tables_can_be_copied() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"`((?:python -m|sbatch|launcher/|make) ?[^`]*)`", readme)
    assert commands and not [command for command in commands if command.endswith("...")]


def test_what_commands_write_stays_out_of_git() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    folders = {word.partition("/")[0] for word in re.findall(r"output=([a-z_]+/\w+)", readme)}
    assert folders and {f"{folder}/" for folder in folders} <= {line.lstrip("/") for line in ignored}


def file_section() -> str:
    """What launcher/README.md says of the folder ``DATA``."""
    page = (LAUNCHER / "README.md").read_text(encoding="utf-8")
    return page.partition("| in `DATA`")[2].partition("\n\n")[0]
