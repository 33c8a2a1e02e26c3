"""``python -m recipes.real_model``: what it refuses before anything long starts, and what it may empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.data.work_folder import start_afresh
from recipes.real_model import ANSWER, MARKER, PRESET, main
from recipes.settings.compose import compose


def _message(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    return capsys.readouterr().err


def test_the_preset_composes_and_the_users_words_come_last() -> None:
    settings = compose("grpo", [*PRESET, "run.directory=elsewhere", "grpo.max_steps=3"])
    assert settings.model.restore_from == "elsewhere/imported.nemo"
    assert settings.model.tokenizer == "elsewhere/hf"
    assert settings.data.train == "elsewhere/problems.jsonl"
    assert settings.data.instruction.endswith(rf"\boxed{{{ANSWER}}}.")
    assert (settings.grpo.max_steps, settings.grpo.prompts_per_step, settings.optimizer.weight_decay) == (3, 4, 0)


def test_help_names_its_own_key(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    assert "real_model.problems=gsm8k.jsonl" in capsys.readouterr().out


def test_a_misspelt_key_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "grpo.temperature" in _message(capsys, f"run.directory={tmp_path}/run", "grpo.temprature=1")


def test_a_missing_problem_file_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = f"run.directory={tmp_path}/run", f"real_model.problems={tmp_path}/missing.jsonl"
    assert "missing.jsonl" in _message(capsys, *words)
    assert not (tmp_path / "run").exists()


def test_several_processes_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = f"run.directory={tmp_path}/run", "model.pipeline_model_parallel_size=2"
    assert "one process in fp32" in _message(capsys, *words)


def test_a_folder_of_somebody_else_is_left_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "left as it is" in _message(capsys, f"run.directory={tmp_path}")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_earlier_runs_folder_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    start_afresh(folder, MARKER)
    (folder / "hf").mkdir()
    (folder / "hf" / "config.json").write_text("{}")
    (folder / "manifest.json").write_text("{}")
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("")
    (folder / "link").symlink_to(kept)
    start_afresh(folder, MARKER)
    assert [path.name for path in folder.iterdir()] == [MARKER]
    assert (kept / "file").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="found a file"):
        start_afresh(tmp_path / "file", MARKER)
