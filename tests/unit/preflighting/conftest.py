"""A folder of data that passes every check, and its tokenizer, made once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from recipes.data import tiny_tokenizer
from tests.unit.preflighting.inputs import code_rows, demonstration_rows, math_rows, write_rows


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer") / "tokenizer"
    tiny_tokenizer.save(folder)
    return folder


@pytest.fixture
def data(tmp_path: Path, tokenizer_folder: Path) -> Path:
    """Files of every stage for ``data.directory``."""
    folder = tmp_path / "data"
    for name in ("math1", "math2", "math3", "math4"):
        write_rows(folder / f"{name}.jsonl", math_rows(200, teacher_tokens=3000))
    for name in ("code1", "code2"):
        write_rows(folder / f"{name}.jsonl", code_rows(200, difficulty=3))
    write_rows(folder / "heldout.jsonl", math_rows(20))
    write_rows(folder / "heldout_code.jsonl", code_rows(20))
    write_rows(folder / "sft_train.jsonl", demonstration_rows(300))
    write_rows(folder / "sft_validation.jsonl", demonstration_rows(32))
    shutil.copytree(tokenizer_folder, folder / "tokenizer")
    return folder


@pytest.fixture
def words(data: Path, tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    """``words("stage=math1", ...)``: with these data and a run folder of the test's own."""

    def given(*more: str) -> tuple[str, ...]:
        return (f"data.directory={data}", f"run.directory={tmp_path / 'run'}", *more)

    return given
