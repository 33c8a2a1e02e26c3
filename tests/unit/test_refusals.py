"""Commands that cannot do what they are asked say so before they train or sample, in words and with a status."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipes.data import tiny_math, tiny_tokenizer
from recipes.data.jsonl import demonstration_row, problem_row, write_jsonl
from recipes.settings.schema import ModelSettings
from tests.conftest import ROOT
from tests.unit.preflighting.inputs import nemo, with_manifest
from tests.unit.settings.composing import composed

RunModule = Callable[..., Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 demonstrations, their problems, 6 held-out demonstrations, a tokenizer and a model without weights."""
    folder = tmp_path_factory.mktemp("data")
    tiny_tokenizer.save(folder / "tokenizer")
    rows = tiny_math.demonstrations(1, "train", 40, (1,), ("add",), responses_per_problem=1)
    write_jsonl(folder / "sft_train.jsonl", map(demonstration_row, rows))
    write_jsonl(folder / "sft_validation.jsonl", map(demonstration_row, rows[:6]))
    for name in ("math1", "heldout"):
        write_jsonl(folder / f"{name}.jsonl", [problem_row(row.problem) for row in rows])
    with_manifest(nemo(folder / "model.nemo", ModelSettings(**vars(composed("grpo").model))))
    return folder


def words(data: Path, run: Path, *more: str) -> list[str]:
    return ["cluster=cpu", "model=tiny", f"data.directory={data}", f"run.directory={run}", *more]


SFT = ("stage=sft", "cluster.devices_per_node=1", "sft.global_batch_size=8", "sft.epochs=2", "sft.max_steps=-1")


def test_sft_that_would_not_warm_up_and_not_measure(run_module: RunModule, data: Path, tmp_path: Path) -> None:
    more = ("sft.micro_batch_size=8", "optimizer.warmup_steps=3000")
    ended = run_module("run_sft", *words(data, tmp_path / "run", *SFT, *more))
    assert ended.returncode == 2, ended
    assert "Traceback" not in ended.stderr
    assert "2 problems in the settings" in ended.stderr
    assert "3,000 steps of 10 updates in all" in ended.stderr and "optimizer.warmup_steps=0" in ended.stderr
    assert "6 demonstrations that fit" in ended.stderr and "sft.micro_batch_size=4" in ended.stderr
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("module", "more"),
    [
        ("run_sft", (*SFT, "sft.micro_batch_size=2", "optimizer.warmup_steps=0")),
        ("run_grpo", ("stage=math1",)),
        ("calibrate_temperature", ("stage=math1",)),
        ("evaluation.run", ("benchmark=tiny_math",)),
    ],
)
def test_a_tokenizer_with_more_ids_than_the_model_has_rows(
    run_module: RunModule, data: Path, tmp_path: Path, module: str, more: tuple[str, ...]
) -> None:
    given = words(data, tmp_path / "run", *more, "model.vocab_size=256")
    if module == "evaluation.run":
        given += [f"engine.checkpoint={data / 'model.nemo'}", f"evaluation.output={tmp_path / 'out'}"]
    ended = run_module(module, *given)
    assert ended.returncode == 2, ended
    assert "Traceback" not in ended.stderr
    assert "at most model.vocab_size=256, the rows of the embedding" in ended.stderr
    assert "model.tokenizer=FOLDER of the model's own tokenizer" in ended.stderr


@pytest.mark.parametrize("below", ["", "run"])
@pytest.mark.parametrize(
    ("module", "key", "more"),
    [
        ("run_sft", "run.directory", (*SFT, "sft.micro_batch_size=2", "optimizer.warmup_steps=0")),
        ("run_grpo", "run.directory", ("stage=math1",)),
        ("calibrate_temperature", "run.directory", ("stage=math1",)),
        ("run_curriculum", "run.directory", ("curriculum=demo",)),
        ("evaluation.run", "evaluation.output", ("benchmark=tiny_math",)),
        ("prepare_data", "output", ()),
    ],
)
def test_a_file_where_the_folder_should_be(
    run_module: RunModule, data: Path, tmp_path: Path, module: str, key: str, more: tuple[str, ...], below: str
) -> None:
    (tmp_path / "file").write_text("kept")
    given = words(data, tmp_path / "run", *more, f"{key}={tmp_path / 'file' / below}")
    if module == "evaluation.run":
        given += [f"engine.checkpoint={data / 'model.nemo'}"]
    if module == "prepare_data":
        given = [f"data.inputs=[{data / 'math1.jsonl'}]", "steps=[deduplicate]", given[-1]]
    ended = run_module(module, *given)
    assert ended.returncode == 2, ended
    assert "Traceback" not in ended.stderr
    assert "1 problem in the settings" in ended.stderr
    assert f"{tmp_path / 'file'} is a file" in ended.stderr and f"{key}=NEW_FOLDER" in ended.stderr
    assert (tmp_path / "file").read_text() == "kept"


ENDED_FROM_OUTSIDE = """
import os
from recipes import run_sft
from recipes.data import token_encoding
from tests.unit.test_refusals import end_as_if_from_outside
token_encoding._encode = end_as_if_from_outside
token_encoding.SEVERAL_PROCESSES_BYTES = 0
os.sched_getaffinity = lambda _: {0, 1}
if __name__ == "__main__":
    run_sft.main()
"""


def end_as_if_from_outside(_: object) -> None:
    """What the kernel does to a process when memory is short."""
    os.kill(os.getpid(), 9)


def test_sft_whose_encoder_is_ended_says_what_helps_and_no_more(data: Path, tmp_path: Path) -> None:
    (tmp_path / "command.py").write_text(ENDED_FROM_OUTSIDE)
    given = words(data, tmp_path / "run", *SFT, "sft.micro_batch_size=2", "optimizer.warmup_steps=0")
    command = [sys.executable, str(tmp_path / "command.py"), *given]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1, ended
    (line,) = ended.stderr.splitlines()
    assert line.startswith("python -m recipes.run_sft: ") and line.endswith("; the same command tries again")
    assert "a process that encodes was ended from outside" in line
    shutil.rmtree(tmp_path / "run")
