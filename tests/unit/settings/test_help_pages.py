"""``--help`` of the commands: each by its own name, in plain text, with what a reader needs to start."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from evaluation import run, sample
from recipes import curriculum_jobs, export, grade, import_hf, prepare_demo, run_grpo

COMMANDS: dict[str, Callable[[list[str]], Any]] = {
    "evaluation.run": run.main,
    "evaluation.sample": sample.main,
    "recipes.curriculum_jobs": curriculum_jobs.main,
    "recipes.export": export.main,
    "recipes.grade": grade.main,
    "recipes.import_hf": import_hf.main,
    "recipes.prepare_demo": prepare_demo.main,
    "recipes.run_grpo": run_grpo.main,
}


def page(name: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        COMMANDS[name]([*words, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_calls_itself_by_its_name_and_in_plain_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = page(name, capsys)
    assert re.search(rf"^usage: python -m {re.escape(name)} ", shown, flags=re.MULTILINE | re.IGNORECASE)
    assert "``" not in shown.replace("```python", "")


@pytest.mark.parametrize("name", ["evaluation.sample", "recipes.curriculum_jobs"])
def test_an_error_names_the_command_that_was_typed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        COMMANDS[name](["no_such_key=1"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"python -m {name}: ")


def test_rows_of_both_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert "problem with answer (math) or tests (code)" in page("recipes.run_grpo", capsys, "stage=code1")
    shown = page("recipes.grade", capsys)
    assert '{"id", "response", "answer"}' in shown and '{"id", "response", "tests"}' in shown
    assert '{"kind": "functional"' in shown


@pytest.mark.parametrize(("name", "prefix"), [("evaluation.run", "evaluation."), ("recipes.export", "deployment.")])
def test_the_prefix_that_may_be_left_out(name: str, prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"The prefix {prefix} may be left out: " in page(name, capsys)


def test_export_has_each_example_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = page("recipes.export", capsys)
    for words in ("checkpoint=runs/demo/math4/model.nemo format=hf", "checkpoint=exported format=trtllm"):
        assert shown.count(words) == 1


def test_import_hf_says_which_values_the_paper_has(capsys: pytest.CaptureFixture[str]) -> None:
    shown = page("recipes.import_hf", capsys)
    assert "base.nemo model.rope_theta=1000000 model.max_position_embeddings=131072" in shown
    assert "1,000,000" in shown and "131072 (128K)" in shown


def test_import_hf_ends_with_2_where_the_input_is_wrong(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        import_hf.main([str(tmp_path / "nowhere"), str(tmp_path / "m.nemo")])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("python -m recipes.import_hf: ")
