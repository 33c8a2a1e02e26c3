"""The doorway of the entry points: help, dry run, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from recipes.settings.commands import COMMANDS
from recipes.settings.compose import flatten, settings_from_command_line
from recipes.settings.overrides import group_options
from recipes.settings.plan import parameters
from recipes.settings.typed import CONF
from tests.unit.settings.composing import PRETRAINED, composed


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


def exit_code(command, *argv: str) -> int:
    with pytest.raises(SystemExit) as caught:
        settings_from_command_line(command, "Does a thing.", argv)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_settings_come_back() -> None:
    settings = settings_from_command_line("grpo", "", ["stage=math2", "grpo.top_p=0.9"], require_files=False)
    assert settings == composed("grpo", "stage=math2", "grpo.top_p=0.9")


def test_the_process_arguments_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["run_grpo.py", "stage=math3"])
    assert settings_from_command_line("grpo", "", require_files=False).stage.name == "math3"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(command, "--help") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Does a thing.\n\nUsage: python -m " + COMMANDS[command].module)
    assert max(map(len, shown.splitlines())) <= 120
    for key in COMMANDS[command].main_keys:
        assert f"  {key}=" in shown
    for example in COMMANDS[command].examples:
        assert f"python -m {COMMANDS[command].module} {example}\n" in shown
    groups = COMMANDS[command].groups
    assert all(f"\n  {group}" in shown for group in groups)
    for group in set(groups) - {"scale"}:
        assert all(name in shown for name in group_options(CONF, groups)[group])


def test_help_shows_the_values_that_the_other_words_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("grpo", "cluster=h100", "stage=math2", "--help") == 0
    shown = capsys.readouterr().out
    assert "grpo.max_response_length=16384  [int]\n      Length budget in tokens" in shown
    assert "model.restore_from=(give one)  [str or null]" in shown
    assert all(used in shown for used in ("math2*", "h100*", "qwen2_5_math_7b*"))
    assert "megatron/qwen2_5_math_7b/math2*" in shown and "tiny/" not in shown


def test_help_survives_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("grpo", "-h", "grpo.temprature=1") == 0
    assert "grpo.temperature=0.85" in capsys.readouterr().out


def test_dry_run_prints_yaml_and_plan_and_needs_no_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("stage=math2", "model.tensor_model_parallel_size=2", f"data.directory={tmp_path}")
    assert exit_code("grpo", *words, "--dry-run") == 0
    shown = capsys.readouterr().out
    read = yaml.safe_load(shown)
    flat = {f"{section}.{name}": value for section, values in read.items() for name, value in values.items()}
    assert flat == flatten(composed("grpo", *words))
    assert "# ranks     2 = 1 x 2 cpu processes = tensor 2 x pipeline 1 x data 1" in shown
    assert f"# missing   data.train: {tmp_path}/math2.jsonl: nothing there" in shown


def test_the_plan_of_a_grpo_stage(capsys: pytest.CaptureFixture[str]) -> None:
    """2,048 rollouts = 128 prompts x 16; 67,108,864 tokens = 2,048 x 32,768; 32 copies = 16 x 8 devices / TP 4."""
    assert exit_code("grpo", "cluster=h100", "cluster.nodes=16", "stage=math4", PRETRAINED, "--dry-run") == 0
    plan = [line for line in capsys.readouterr().out.splitlines() if line.startswith("# ")]
    assert plan[1:10] == [
        "# model     qwen2_5_math_7b, 7,615,616,512 parameters, from weights.nemo",
        "# ranks     128 = 16 x 8 gpu processes = tensor 4 x pipeline 1 x data 32",
        "# stage     math4, data/math4.jsonl, problems with solve rate at most 0.375",
        "# steps     1,000 steps, 128,000 prompts in all",
        "# rollouts  128 prompts x 16 = 2,048 a step, one update",
        "# sampling  temperature 0.85, top-p 1, at most 32,768 tokens each; overlong filtering off",
        "# update    AdamW, learning rate 1e-06 constant; tokens normalised by group, KL 0",
        "# batch     2,048 rollouts = 32 data-parallel x 64 micro-batches x 1",
        "# tokens    at most 67,108,864 sampled a step, 71,303,168 trained with their prompts",
    ]


def test_the_plan_of_sft_counts_the_demonstrations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sft_train.jsonl").write_text("{}\n" * 10 + "\n", encoding="utf-8")
    words = ("sft.global_batch_size=4", "sft.micro_batch_size=2", "sft.epochs=3", f"data.directory={tmp_path}")
    assert exit_code("sft", *words, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "# steps     3 epochs x 10 demonstrations / 4 = 6 steps" in shown
    assert "# batch     4 demonstrations = 1 data-parallel x 2 micro-batches x 2" in shown


def test_the_plan_of_an_evaluation_counts_the_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b.jsonl").write_text("{}\n{}\n{}", encoding="utf-8")
    words = (f"benchmark.path={tmp_path}/b.jsonl", "engine.checkpoint=a.nemo", "evaluation.n=8")
    assert exit_code("evaluate", *words, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "# samples   8 samples a problem x 3 problems = 24" in shown
    assert "# model     tiny, 459,904 parameters\n" in shown, "the weights are the checkpoint's, not random"
    assert "# evaluates a.nemo with the megatron engine" in shown


def test_the_plan_names_the_module_that_was_started(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["benchmark=tiny_math", "engine.checkpoint=a.nemo", "--dry-run"]
    with pytest.raises(SystemExit):
        settings_from_command_line("evaluate", "Draws.", words, module="evaluation.sample")
    assert "# command   python -m evaluation.sample\n" in capsys.readouterr().out


def test_the_plans_of_a_curriculum_and_an_export(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("curriculum", "--dry-run") == 0
    assert "# stages    sft -> math1 -> math2 -> math3 -> code1 -> code2 -> math4" in capsys.readouterr().out
    assert exit_code("export", "checkpoint=a.nemo", "output=b", "--dry-run") == 0
    assert "# writes    b (hf)" in capsys.readouterr().out


def test_the_plan_of_a_curriculum_names_the_files_that_its_start_would_miss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (f"data.directory={tmp_path}", "curriculum.initial_model=a.nemo", "curriculum.stages=[math1,code1]")
    assert exit_code("curriculum", *words, "--dry-run") == 0
    missing = [line for line in capsys.readouterr().out.splitlines() if line.startswith("# missing")]
    for name in ("a.nemo", "math1.jsonl", "code1.jsonl", "tokenizer", "heldout.jsonl", "heldout_code.jsonl"):
        assert len([line for line in missing if f"{name}: nothing there" in line]) == 1, name
    assert len(missing) == 6
    assert exit_code("curriculum", "--dry-run") == 0
    assert "# missing" not in capsys.readouterr().out, "the demo makes its data itself"


def test_parameters_of_the_published_models() -> None:
    """The counts of the models' cards."""
    assert parameters(composed("grpo", "cluster=h100", PRETRAINED).model) == 7_615_616_512
    assert parameters(composed("grpo", "model=smollm2_135m", PRETRAINED).model) == 134_515_008


def test_errors_go_to_stderr_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("grpo", "grpo.temprature=1") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("python -m recipes.run_grpo: 1 problem in the settings:\n  1. grpo.temprature\n")
    assert "Traceback" not in shown.err


def test_values_and_files_are_checked_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = (f"data.directory={tmp_path}", f"model.tokenizer={tmp_path}/tokenizer")
    assert exit_code("grpo", "grpo.top_p=2", *missing) == 2
    shown = capsys.readouterr().err
    assert "3 problems" in shown
    assert all(key in shown for key in ("grpo.top_p", "data.train", "model.tokenizer"))


def test_weights_that_nobody_gave_hide_no_other_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("grpo", "cluster=h100", f"data.directory={tmp_path}", "optimizer.betas=[0.9]") == 2
    shown = capsys.readouterr().err
    assert "fix:      model.restore_from=FILE.nemo" in shown
    assert all(key in shown for key in ("optimizer.betas", "data.train", "model.tokenizer"))


def test_a_dry_run_refuses_values_that_cannot_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("grpo", "model.tensor_model_parallel_size=3", "--dry-run") == 2
    assert "model.tensor_model_parallel_size=2" in capsys.readouterr().err


def test_an_unknown_flag_names_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("grpo", "--dry_run") == 2
    assert "fix:      --dry-run" in capsys.readouterr().err


def test_only_the_first_rank_speaks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert exit_code("grpo", "grpo.top_p=2") == 2
    assert exit_code("grpo", "--help") == 0
    shown = capsys.readouterr()
    assert shown.out + shown.err == ""


def test_a_launcher_with_another_number_of_processes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert exit_code("grpo", "--dry-run") == 2
    shown = capsys.readouterr().err
    assert "found:    4 processes (WORLD_SIZE)" in shown
    assert "fix:      launch 1 processes, or cluster.devices_per_node=4" in shown
    assert exit_code("grpo", "--dry-run", "cluster.devices_per_node=4") == 0
