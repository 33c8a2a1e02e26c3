"""Preflight of one command: each defect is found, alone, with its key and a fix; sound input passes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recipes.checkpoints.manifest import manifest_path
from recipes.data.jsonl import read_problems
from recipes.grading.sandbox_command import SandboxUnavailable
from recipes.preflighting import data_files, machine
from recipes.preflighting.command import Preflight
from recipes.preflighting.data_files import DataFiles
from recipes.settings.compose import compose
from recipes.settings.demonstration_checks import enough_to_measure
from tests.unit.preflighting.inputs import (
    checked,
    code_rows,
    demonstration_rows,
    grpo_checkpoint,
    math_rows,
    nemo,
    only,
    with_manifest,
    write_rows,
)
from tests.unit.settings.composing import composed

Words = Callable[..., tuple[str, ...]]
TINY = composed("grpo").model


@pytest.mark.parametrize(
    ("command", "more"), [("sft", ()), ("grpo", ("stage=math1",)), ("grpo", ("stage=code2",)), ("calibrate", ())]
)
def test_sound_input_passes(command: str, more: tuple[str, ...], words: Words) -> None:
    findings = checked(command, *words(*more))
    assert (findings.problems, findings.warnings) == ([], [])
    assert any("200 rows" in line or "300 rows" in line for line in findings.looked_at)


def test_everything_at_once(words: Words, data: Path) -> None:
    """Values, a missing file, wrong rows, a long prompt and a checkpoint: one call names them all."""
    (data / "heldout.jsonl").unlink()
    rows = [*math_rows(200), {"id": "long", "problem": "very " * 400 + "long", "answer": "1"}]
    write_rows(data / "math1.jsonl", rows)
    (data / "bad.nemo").write_text("no archive")
    more = ("validation.every_steps=5", "optimizer.betas=[0.9]", f"model.restore_from={data / 'bad.nemo'}")
    found = {problem.key for problem in checked("grpo", *words(*more)).problems}
    assert found == {"optimizer.betas", "data.validation", "data.max_prompt_length"}
    sound_values = checked("grpo", *words(*more[:1], more[2])).problems
    assert {problem.key for problem in sound_values} >= {"model.restore_from", "data.validation"}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"id": "x", "problem": "What?"}, "answer"),
        ({"id": "x", "problem": 7, "answer": "1"}, "problem"),
        ({"id": "sum-3", "problem": "Again?", "answer": "1"}, "sum-3"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(row: dict[str, object], says: str, words: Words, data: Path) -> None:
    write_rows(data / "math1.jsonl", [*math_rows(150), row, *[{**r, "id": f"b{r['id']}"} for r in math_rows(50)]])
    problem = only(checked("grpo", *words()).problems)
    assert problem.key == "data.train"
    assert "line 151" in problem.found and says in problem.found
    assert "data.train=PATH" in problem.fix


def test_every_wrong_row_is_counted(words: Words, data: Path) -> None:
    write_rows(data / "math1.jsonl", [{"id": str(n), "problem": "?"} for n in range(100)])
    problem = only(checked("grpo", *words()).problems)
    assert "100 defects" in problem.found and problem.found.endswith(", 98, 99, 100")


def test_a_large_file_is_read_in_part_and_its_end_looked_at(words: Words, data: Path) -> None:
    path = data / "math1.jsonl"
    with path.open("a") as file:
        file.write('{"id": "cut", "problem": "Wh')
    preflight = Preflight({}, False, files=DataFiles(read_bytes=4096))
    problem = only(preflight.command(compose("grpo", words()), "grpo").problems)
    assert "the last row is no complete JSON object" in problem.found
    assert any("in the first" in line for line in preflight.command(compose("grpo", words()), "grpo").looked_at)


def test_prompts_longer_than_their_limit(words: Words, data: Path) -> None:
    write_rows(data / "math1.jsonl", [*math_rows(99), {"id": "long", "problem": "3 plus " * 200, "answer": "1"}])
    problem = only(checked("grpo", *words()).problems)
    assert problem.key == "data.max_prompt_length"
    assert "1 of 100 prompts" in problem.found and "long (" in problem.found
    longest = int(problem.fix.split("=")[1].split(",")[0])
    assert f"long ({longest})" in problem.found and longest > 128


def test_rules_that_leave_too_few_are_a_problem_and_not_a_warning(words: Words, data: Path) -> None:
    """The run refuses them at set-up (``select_problems``)."""
    write_rows(
        data / "code1.jsonl",
        [*code_rows(190, difficulty=7), *[{**r, "id": f"e{r['id']}"} for r in code_rows(10, difficulty=2)]],
    )
    findings = checked("grpo", *words("stage=code1", "prompts.max_difficulty=5"))
    problem = only(findings.problems)
    assert problem.key == "prompts"
    assert "10 of 200 problems are left" in problem.found and "grpo.prompts_per_step=10" in problem.found
    write_rows(data / "code1.jsonl", code_rows(200))
    problem = only(checked("grpo", *words("stage=code1", "prompts.max_difficulty=5")).problems)
    assert "'difficulty'" in problem.found and "prompts.max_difficulty=null" in problem.found


def test_fewer_problems_than_a_batch(words: Words, data: Path) -> None:
    write_rows(data / "math1.jsonl", math_rows(5))
    problem = only(checked("grpo", *words()).problems)
    assert "5 of 5 problems are left, fewer than grpo.prompts_per_step=24" in problem.found


def test_ledgers_without_rollouts(words: Words, tmp_path: Path) -> None:
    (tmp_path / "earlier").mkdir()
    ledgers = f"prompts.ledgers=[{tmp_path / 'earlier'}]"
    problem = only(checked("grpo", *words(ledgers, "prompts.max_solve_rate=0.5")).problems)
    assert problem.key == "prompts.ledgers" and "with rollouts" in problem.found
    missing = only(checked("grpo", *words("prompts.ledgers=[nowhere]", "prompts.max_solve_rate=0.5")).problems)
    assert missing.key == "prompts.ledgers" and "nothing there" in missing.found


def test_tests_that_cannot_run(words: Words, data: Path) -> None:
    write_rows(data / "code1.jsonl", [*code_rows(199), {"id": "odd", "problem": "?", "tests": {"kind": "telepathy"}}])
    problem = only(checked("grpo", *words("stage=code1")).problems)
    assert problem.key == "data.train" and "odd" in problem.found


def test_no_sandbox(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise SandboxUnavailable("bwrap: not found; apt-get install bubblewrap")

    monkeypatch.setattr(data_files, "require_graders", refuse)
    problem = only(checked("grpo", *words("stage=code1")).problems)
    assert problem.key == "grading.sandbox" and "install" in problem.found


def test_packages_of_programs(words: Words) -> None:
    more = ("stage=code1", "grading.packages=[numpy,no_such_package]")
    problem = only(checked("grpo", *words(*more)).problems)
    assert (problem.key, problem.fix) == ("grading.packages", "grading.packages=[numpy], or install it")
    assert checked("grpo", *words("stage=math1", more[1])).problems == []  # no program, nobody asks


def test_demonstrations_that_do_not_fit(words: Words, data: Path) -> None:
    write_rows(data / "sft_train.jsonl", [*demonstration_rows(20), *math_rows(30, response="<think>" + "1 + " * 400)])
    rows = [{**row, "id": f"r{n}"} for n, row in enumerate(map(json.loads, (data / "sft_train.jsonl").open()))]
    write_rows(data / "sft_train.jsonl", rows)
    problem = only(checked("sft", *words()).problems)
    assert problem.key == "sft.global_batch_size"
    assert "20 demonstrations that fit" in problem.found
    assert problem.fix.startswith("sft.global_batch_size=16 optimizer.warmup_steps=0, or ")
    fewer = checked("sft", *words("sft.global_batch_size=16", "optimizer.warmup_steps=0"))
    assert fewer.problems == []
    assert "about 60% of the demonstrations" in only(fewer.warnings).found


def test_a_warm_up_that_never_ends(words: Words, data: Path) -> None:
    """300 demonstrations, 30 of them too long: 8 x 3 updates."""
    long = demonstration_rows(30, response="1 + " * 400)
    write_rows(data / "sft_train.jsonl", [*demonstration_rows(270), *[{**r, "id": f"l{r['id']}"} for r in long]])
    assert checked("sft", *words("optimizer.warmup_steps=23")).problems == []
    problem = only(checked("sft", *words("optimizer.warmup_steps=24")).problems)
    assert problem.key == "optimizer.warmup_steps" and "24 steps of 24 updates in all (270 " in problem.found
    assert problem.fix == "optimizer.warmup_steps=1"
    assert checked("sft", *words("optimizer.warmup_steps=1")).problems == []


def test_held_out_demonstrations_that_fill_no_batch(words: Words, data: Path) -> None:
    batch = enough_to_measure(composed("sft"))
    write_rows(data / "sft_validation.jsonl", demonstration_rows(batch - 1))
    problem = only(checked("sft", *words()).problems)
    assert problem.key == "data.validation" and "sft.micro_batch_size=" in problem.fix
    assert checked("sft", *words(problem.fix.partition(",")[0])).problems == []
    write_rows(data / "sft_validation.jsonl", demonstration_rows(batch + 1))
    findings = checked("sft", *words())
    assert findings.problems == [] and "held-out loss: 1 is left out" in "\n".join(findings.looked_at)


def test_held_out_demonstrations_of_which_none_fits(words: Words, data: Path) -> None:
    write_rows(data / "sft_validation.jsonl", demonstration_rows(5, response="1 + " * 400))
    problem = only(checked("sft", *words()).problems)
    assert problem.key == "sft.max_sequence_length" and "none of the demonstrations of data.validation" in problem.found


def test_a_row_whose_instruction_is_no_text(words: Words, data: Path) -> None:
    for name, command in (("math1", "grpo"), ("sft_train", "sft")):
        write_rows(
            data / f"{name}.jsonl",
            [*demonstration_rows(100), {**demonstration_rows(1)[0], "id": "n", "instruction": 3}],
        )
        problem = only(checked(command, *words()).problems)
        assert problem.key == "data.train" and "'instruction' is 3" in problem.found


def test_a_tokenizer_that_does_not_fit_the_model(words: Words, data: Path) -> None:
    problem = only(checked("grpo", *words("model.vocab_size=256")).problems)
    assert problem.key == "model.tokenizer" and "at most model.vocab_size=256" in problem.expected
    shutil.rmtree(data / "tokenizer")
    (data / "tokenizer").mkdir()
    assert only(checked("grpo", *words()).problems).key == "model.tokenizer"


# Weights


def test_weights_without_a_manifest_or_with_a_torn_one(words: Words, tmp_path: Path) -> None:
    model = nemo(tmp_path / "sft" / "model.nemo", TINY)
    restore = f"model.restore_from={model}"
    problem = only(checked("grpo", *words(restore)).problems)
    assert problem.key == "model.restore_from" and "manifest.json: no such file" in problem.found
    assert checked("grpo", *words(restore, "run.require_parent_manifest=false")).problems == []
    with_manifest(model)
    assert checked("grpo", *words(restore)).problems == []
    text = manifest_path(model).read_text()
    manifest_path(model).write_text(text[: len(text) // 2])
    assert "unreadable" in only(checked("grpo", *words(restore)).problems).found


def test_weights_that_changed_after_their_manifest(words: Words, tmp_path: Path) -> None:
    model = with_manifest(nemo(tmp_path / "sft" / "model.nemo", TINY))
    with model.open("ab") as file:
        file.write(b"\0" * 512)
    problem = only(checked("grpo", *words(f"model.restore_from={model}")).problems)
    assert "bytes" in problem.found and str(model) in problem.found


def test_weights_of_another_architecture(words: Words, tmp_path: Path) -> None:
    model = with_manifest(nemo(tmp_path / "sft" / "model.nemo", TINY, num_layers=3, qkv_bias=False))
    problem = only(checked("grpo", *words(f"model.restore_from={model}")).problems)
    assert "model.num_layers: the settings say 2, the checkpoint 3" in problem.found
    assert "model.architecture: the settings say qwen2, the checkpoint llama" in problem.found


def test_weights_that_are_cut_short(words: Words, tmp_path: Path) -> None:
    model = nemo(tmp_path / "sft" / "model.nemo", TINY)
    model.write_bytes(model.read_bytes()[:700])
    with_manifest(model)
    problem = only(checked("grpo", *words(f"model.restore_from={model}")).problems)
    assert problem.expected == "a whole .nemo file or folder"


# The run directory


def test_a_begun_stage_goes_on_with_its_own_settings_and_data(words: Words, data: Path, tmp_path: Path) -> None:
    grpo_checkpoint(tmp_path / "run", read_problems(data / "math1.jsonl"))
    findings = checked("grpo", *words())
    assert findings.problems == []
    assert any("goes on after step 3" in line for line in findings.looked_at)
    keys = {p.key: p for p in checked("grpo", *words("run.seed=7", "grpo.prompts_per_step=12")).problems}
    assert set(keys) == {"run.seed", "grpo.prompts_per_step"}
    assert keys["run.seed"].fix.startswith("run.seed=1234")
    assert only(checked("grpo", *words("run.resume=false")).problems).key == "run.resume"
    write_rows(data / "math1.jsonl", math_rows(150))
    problem = only(checked("grpo", *words()).problems)
    assert problem.key == "data.train" and "number of problems was 200, is 150" in problem.found


def test_a_run_directory_of_another_kind_of_stage(words: Words, data: Path, tmp_path: Path) -> None:
    grpo_checkpoint(tmp_path / "run", read_problems(data / "math1.jsonl"))
    problem = only(checked("sft", *words()).problems)
    assert problem.key == "run.directory" and "no sft stage's" in problem.found


def test_a_finished_stage_has_nothing_left_to_check(words: Words, data: Path, tmp_path: Path) -> None:
    with_manifest(nemo(tmp_path / "run" / "model.nemo", TINY), stage="math1")
    write_rows(data / "math1.jsonl", math_rows(1))
    findings = checked("grpo", *words())
    assert findings.problems == []
    assert any("finished" in line for line in findings.looked_at)


def test_a_finished_stage_without_its_weights(words: Words, tmp_path: Path) -> None:
    with_manifest(nemo(tmp_path / "run" / "model.nemo", TINY), stage="math1")
    (tmp_path / "run" / "model.nemo").unlink()
    problem = only(checked("grpo", *words()).problems)
    assert problem.key == "run.directory" and "was finished, but" in problem.found and "bring" in problem.fix


def test_a_locked_run_directory(words: Words, tmp_path: Path) -> None:
    run = tmp_path / "run"
    script = "import sys, time; from pathlib import Path; from recipes.training.run_lock import RunLock\n"
    script += "with RunLock(Path(sys.argv[1])).held():\n    print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, run], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "held\n"
            problem = only(checked("grpo", *words()).problems)
        finally:
            holder.kill()
    assert problem.key == "run.directory"
    assert f"process {holder.pid}" in problem.found and f"kill {holder.pid}" in problem.fix


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(words: Words, tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o500)
    problem = only(checked("grpo", *words(f"run.directory={tmp_path / 'shut' / 'run'}")).problems)
    assert "cannot be written" in problem.found


def test_a_file_where_the_folder_should_be(words: Words, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    problem = only(checked("grpo", *words(f"run.directory={tmp_path / 'file' / 'run'}")).problems)
    assert problem.key == "run.directory" and "is a file" in problem.found


def test_disk_space(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    """15 MiB of free space: the tiny model's checkpoints do not fit; a little more than needed is a warning."""
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage._replace(free=15 * 2**20))
    problem = only(checked("grpo", *words()).problems)
    assert problem.key == "run.directory" and "15 MiB free" in problem.found and "checkpoint.keep=1" in problem.fix
    fixed, rollouts = machine.stage_bytes(composed("grpo"), "grpo")
    assert rollouts > 0
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage._replace(free=fixed + rollouts))
    findings = checked("grpo", *words())
    assert findings.problems == [] and only(findings.warnings).key == "run.directory"


def test_sft_keeps_its_tokens(tmp_path: Path) -> None:
    train = tmp_path / "train.jsonl"
    without, _ = machine.stage_bytes(composed("sft", f"data.train={train}", f"data.validation={train}.none"), "sft")
    train.write_bytes(b"x" * 1000)
    found, _ = machine.stage_bytes(composed("sft", f"data.train={train}", f"data.validation={train}.none"), "sft")
    assert found - without == 1000
