"""Preflight of the machine, of evaluation and export, and of the command itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recipes.preflighting import installation, machine
from tests.unit.preflighting.inputs import (
    checked,
    code_rows,
    math_rows,
    nemo,
    only,
    write_rows,
)
from tests.unit.settings.composing import composed

Words = Callable[..., tuple[str, ...]]
TINY = composed("grpo").model


# The machine
def test_bytes_of_a_folder_that_is_pruned_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """3 + 4 bytes; 4 where the checkpoint goes between the listing and the look; 0 where there is nothing."""
    for name in ("step_1/weights", "step_2/state/weights"):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_text("abc" if "step_1" in name else "abcd")
    assert machine.bytes_of(tmp_path) == 7
    assert machine.bytes_of(tmp_path / "step_1" / "weights") == 3
    assert machine.bytes_of(tmp_path / "none") == 0
    stat = Path.stat

    def pruned(path: Path, **options) -> os.stat_result:
        if path.name == "weights":
            shutil.rmtree(tmp_path / "step_1", ignore_errors=True)
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", pruned)
    assert machine.bytes_of(tmp_path) == 4


def test_an_allocation_that_is_too_small(words: Words) -> None:
    environ = {"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NTASKS_PER_NODE": "2"}
    more = ("cluster.nodes=2", "cluster.devices_per_node=4")
    found = {p.key: p for p in checked("grpo", *words(*more), on_node=True, **environ).problems}
    assert set(found) == {"cluster.nodes", "cluster.devices_per_node"}
    assert "sbatch --nodes=2" in found["cluster.nodes"].fix
    assert "--ntasks-per-node=4" in found["cluster.devices_per_node"].fix


def test_several_nodes_without_a_launcher(words: Words) -> None:
    problem = only(checked("grpo", *words("cluster.nodes=2"), on_node=True).problems)
    assert problem.key == "cluster.nodes" and "cluster.nodes=1" in problem.fix


def test_another_number_of_ranks(words: Words) -> None:
    problem = only(checked("grpo", *words(), WORLD_SIZE="3").problems)
    assert problem.key == "cluster.devices_per_node" and "3 processes (WORLD_SIZE)" in problem.found


def test_gpus_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    settings = composed("grpo", "cluster=h100", "model.restore_from=a.nemo")
    problem = only(machine.devices(settings).problems)
    assert "8, with 2 GPUs" in problem.found and problem.fix.startswith("cluster.devices_per_node=2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7")
    assert machine.devices(settings).problems == []


def test_more_graders_than_cores(words: Words) -> None:
    findings = checked("grpo", *words("grading.workers=4096"), on_node=True)
    assert findings.problems == [] and only(findings.warnings).key == "grading.workers"


def test_frameworks_that_are_not_installed(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    find = installation.importlib.util.find_spec
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: None if name == "nemo" else find(name))
    problem = only(checked("grpo", *words(), on_node=True).problems)
    assert problem.key == "installation" and "no package nemo" in problem.found
    monkeypatch.setattr(installation.shutil, "which", lambda _: "/usr/bin/sbatch")
    login_node = checked("grpo", *words())
    assert login_node.problems == [] and only(login_node.warnings).key == "installation"


def test_the_rollout_engine_that_is_not_installed(words: Words) -> None:
    problem = only(checked("grpo", *words("rollouts.engine=trtllm"), on_node=True).problems)
    assert problem.key == "installation" and "no package tensorrt_llm" in problem.found


def test_a_service_without_its_package(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    find = installation.importlib.util.find_spec
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: None if name == "wandb" else find(name))
    problem = only(checked("grpo", *words("logging.wandb_project=p"), on_node=True).problems)
    assert (problem.key, problem.fix) == ("logging.wandb_project", "logging.wandb_project=null, or install it")


# Evaluation, export


def test_evaluation(words: Words, data: Path, tmp_path: Path) -> None:
    model = nemo(tmp_path / "math4" / "model.nemo", TINY)
    given = (f"engine.checkpoint={model}", "benchmark=tiny_math,tiny_code")
    assert checked("evaluate", *words(*given)).problems == []
    write_rows(data / "heldout.jsonl", [*math_rows(5), *code_rows(1)])
    problem = only(checked("evaluate", *words(*given)).problems)
    assert problem.key == "benchmark.grader" and "1 of 6 rows" in problem.found
    nemo(model, TINY, hidden_size=64)
    write_rows(data / "heldout.jsonl", math_rows(5))
    assert only(checked("evaluate", *words(*given)).problems).key == "engine.checkpoint"


def test_a_hugging_face_folder_says_its_own_positions(words: Words, tokenizer_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    shutil.copytree(tokenizer_folder, folder)
    given = (f"engine.checkpoint={folder}", "engine=hf")
    assert only(checked("evaluate", *words(*given)).problems).key == "engine.checkpoint"
    (folder / "config.json").write_text('{"max_position_embeddings": 170}')
    problem = only(checked("evaluate", *words(*given)).problems)
    assert problem.key == "evaluation.max_response_length"
    assert checked("evaluate", *words(*given, problem.fix)).problems == []
    (folder / "config.json").write_text('{"max_position_embeddings": 12}')
    problem = only(checked("evaluate", *words(*given)).problems)
    assert problem.key == "engine.checkpoint" and "tokens alone" in problem.found and "12 positions" in problem.expected


def test_export(tmp_path: Path) -> None:
    model = nemo(tmp_path / "model.nemo", TINY)
    words = (f"checkpoint={model}", f"output={tmp_path / 'hf'}")
    assert checked("export", *words).problems == []
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "mine.txt").write_text("")
    nemo(model, TINY, activation="gelu")
    keys = {p.key: p for p in checked("export", *words).problems}
    assert set(keys) == {"output", "checkpoint"} and "gelu" in keys["checkpoint"].found


def test_export_to_tensorrt_llm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nemo(tmp_path / "model.nemo", TINY)  # 512 positions, 2 key/value heads
    words = [f"checkpoint={model}", f"output={tmp_path / 'engine'}", "format=trtllm", "max_input_len=256"]
    (tmp_path / "qwen").mkdir()
    (tmp_path / "qwen" / "convert_checkpoint.py").touch()
    there = [f"examples={tmp_path}", "build_tool=sh"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    findings = checked("export", *words, *there, on_node=True)
    assert findings.problems == [] and any("needed" in line for line in findings.looked_at)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = checked("export", *words, "tp_size=4", "max_seq_len=600", on_node=True).problems
    assert {p.key for p in found} == {
        "deployment.tp_size",
        "deployment.max_seq_len",
        "deployment.examples",
        "deployment.build_tool",
        "format",
    }
    assert checked("export", *words, "backend=pytorch", on_node=True).problems == []
    verified = checked("export", *words, "backend=pytorch", "verify=true", on_node=True).problems
    assert {p.key for p in verified} == {"format", "deployment.verify"}


def test_a_large_held_out_set_is_warned_of(words: Words, data: Path) -> None:
    write_rows(data / "heldout.jsonl", math_rows(200))
    findings = checked("grpo", *words("validation.every_steps=1", "validation.n=4"))
    warning = only(findings.warnings)
    assert findings.problems == []
    assert warning.key == "data.validation" and "800 samples every 1 steps" in warning.found


# The command itself


def test_no_framework_is_imported_and_it_takes_seconds(words: Words) -> None:
    script = "import sys, time; started = time.process_time(); from recipes.preflight import main\n"
    script += "main(sys.argv[1:])\nfound = {n.split('.')[0] for n in sys.modules}\n"
    script += "print(sorted(found & {'torch', 'nemo', 'nemo_aligner', 'megatron', 'lightning'}))\n"
    script += "print(time.process_time() - started)"
    arguments = [sys.executable, "-c", script, "grpo", "stage=code1", *words()]
    environ = {**os.environ, "USE_TORCH": "0"}
    ended = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environ)
    *_, frameworks, seconds = ended.stdout.splitlines()
    assert frameworks == "[]"
    assert float(seconds) < 8


def test_facts_are_for_a_shell(words: Words, tmp_path: Path, run_module: Callable[..., object]) -> None:
    run = tmp_path / "a run; $(touch x)"
    good = run_module("preflight", "grpo", "--facts", *words(), f'run.directory="{run}"')
    shell = subprocess.run(
        ["bash", "-c", 'eval "$1"; printf "%s|%s" "$RUN_DIRECTORY" "$DEVICES_PER_NODE"', "-", good.stdout],  # type: ignore[attr-defined]
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert shell.stdout == f"{run}|1" and not (tmp_path / "x").exists()
    bad = run_module("preflight", "grpo", "--facts", *words("grpo.top_p=3"))
    assert (bad.returncode, bad.stdout) == (2, "")  # type: ignore[attr-defined]
    assert "1. grpo.top_p" in bad.stderr  # type: ignore[attr-defined]
