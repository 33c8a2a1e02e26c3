"""Demonstrations as token ids on disk: the ids of ``prompts.encode_demonstrations``, whoever wrote them and how."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.data import tiny_code, tiny_math, tiny_tokenizer, token_encoding
from recipes.data.jsonl import DataFileError, demonstration_row, read_demonstrations, write_jsonl
from recipes.data.prompts import encode_demonstrations
from recipes.data.token_encoding import EncoderDied, Encoding, token_table
from recipes.data.token_tables import TokenTable, stored_table, table_paths, wait_for_table
from recipes.data.tokenizer import load_tokenizer
from recipes.records import Demonstration, Problem
from tests.conftest import ROOT

LIMIT = 160


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """500 rows of math and code, some too long; a blank line, a byte order mark."""
    path = tmp_path_factory.mktemp("source") / "rows.jsonl"
    rows = [*tiny_math.demonstrations(3, "train", 400), *tiny_code.demonstrations(3, "train", 100)]
    write_jsonl(path, map(demonstration_row, rows))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\n\n", 1))
    return path


@pytest.fixture
def encoding(tokenizer_folder: Path) -> Encoding:
    return Encoding(str(tokenizer_folder), tiny_tokenizer.INSTRUCTION, LIMIT)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_encoding, "PART_BYTES", 20_000)


def as_lists(table: TokenTable) -> list[tuple[list[int], list[int]]]:
    return [(prompt.tolist(), response.tolist()) for prompt, response in table]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("workers", [1, 2])
def test_the_ids_of_one_by_one(source: Path, tmp_path: Path, encoding: Encoding, workers: int) -> None:
    expected = encode_demonstrations(
        read_demonstrations(source), load_tokenizer(encoding.tokenizer), encoding.instruction, LIMIT
    )
    table = token_table(source, tmp_path, "train", encoding, workers)
    assert len(table._tokens) > 3, "several parts, so that their order and borders are seen"
    assert as_lists(table) == [(list(row.prompt), list(row.response)) for row in expected.demonstrations]
    assert table.lengths.tolist() == list(map(len, expected.demonstrations))
    assert table.record.digest == expected.digest()
    assert (table.record.overlong, table.record.longest) == (
        len(expected.overlong),
        max(tokens for _, tokens in expected.overlong),
    )
    fit, left, longest = len(expected.demonstrations), len(expected.overlong), table.record.longest
    assert table.report() == (
        f"{fit} of 500 demonstrations fit {LIMIT} tokens; {left} left out ({left / 500:.1%}), "
        f"the longest {longest} tokens"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.arrow", "train.json"]
    for index in (-1, len(table)):
        with pytest.raises(IndexError):
            table[index]


def test_an_earlier_start_s_table_is_taken(source: Path, tmp_path: Path, encoding: Encoding) -> None:
    first = token_table(source, tmp_path, "train", encoding)
    before = table_paths(tmp_path, "train")[0].stat()
    again = token_table(source, tmp_path, "train", encoding)
    assert table_paths(tmp_path, "train")[0].stat().st_mtime_ns == before.st_mtime_ns
    assert as_lists(again) == as_lists(first)


@pytest.mark.parametrize("change", ["instruction", "limit", "tokenizer", "rows", "torn", "no record", "other format"])
def test_another_content_is_written_again(
    source: Path, tmp_path: Path, encoding: Encoding, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(source.read_bytes())
    first = token_table(rows, tmp_path / "t", "train", encoding)
    arrow, told = table_paths(tmp_path / "t", "train")
    if change == "instruction":
        encoding = replace(encoding, instruction="Another.")
    elif change == "limit":
        encoding = replace(encoding, max_sequence_length=100)
    elif change == "tokenizer":
        other = tmp_path / "other"
        tiny_tokenizer.save(other)
        text = (other / "tokenizer_config.json").read_text()
        (other / "tokenizer_config.json").write_text(text.replace("assistant", "teacher"))
        encoding = replace(encoding, tokenizer=str(other))
    elif change == "rows":
        rows.write_bytes(source.read_bytes().rstrip().rpartition(b"\n")[0] + b"\n")
    elif change == "torn":
        arrow.write_bytes(arrow.read_bytes()[:-100])
    elif change == "no record":
        told.unlink()
    else:
        monkeypatch.setattr(token_encoding, "FORMAT", 2)
    assert stored_table(tmp_path / "t", "train", encoding.made_from(rows)) is None
    again = token_table(rows, tmp_path / "t", "train", encoding)
    assert (again.record.digest == first.record.digest) == (change in ("torn", "no record", "other format"))


def test_every_defect_of_the_file_at_once(tmp_path: Path, encoding: Encoding) -> None:
    def row(**keys: Any) -> str:
        return json.dumps({"problem": "1+1?", "answer": "2", "response": "2", **keys})

    rows = [row(id="a"), "{", row(id="a", problem="2+2?"), row(id="b", response=""), row(id="a"), "[]"]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(rows))
    with pytest.raises(DataFileError) as expected:
        read_demonstrations(path)
    with pytest.raises(DataFileError) as found:
        token_table(path, tmp_path / "tokens", "train", encoding)
    assert found.value.defects == expected.value.defects and len(found.value.defects) == 5
    assert not list((tmp_path / "tokens").iterdir())


@settings(deadline=None, max_examples=60)
@given(content=st.binary(max_size=60), cut=st.integers(0, 400))
def test_any_file_is_read_as_read_demonstrations_does(
    tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Path, source: Path, content: bytes, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = folder / "rows.jsonl"
    path.write_bytes(source.read_bytes()[:cut] + content)
    encoding = Encoding(str(tokenizer_folder), "", LIMIT)
    try:
        expected: Any = len(read_demonstrations(path))
    except DataFileError as error:
        expected = error.defects
    try:
        table = token_table(path, folder / "tokens", "train", encoding)
        found: Any = table.record.demonstrations + table.record.overlong
    except DataFileError as error:
        found = error.defects
    assert found == expected


@pytest.mark.parametrize(
    ("name", "said"), [("none.jsonl", "found nothing"), ("", "found a folder"), ("empty.jsonl", "found no row")]
)
def test_no_file(tmp_path: Path, encoding: Encoding, name: str, said: str) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataFileError, match=said):
        token_table(tmp_path / name, tmp_path / "tokens", "train", encoding)


def test_none_that_fits(source: Path, tmp_path: Path, encoding: Encoding) -> None:
    with pytest.raises(
        ValueError, match=r"none of 500 demonstrations of .* fits sft.max_sequence_length=8 tokens; the"
    ):
        token_table(source, tmp_path, "train", replace(encoding, max_sequence_length=8))


def test_an_instruction_that_is_no_text(tmp_path: Path, encoding: Encoding) -> None:
    write_jsonl(
        tmp_path / "rows.jsonl",
        [demonstration_row(Demonstration(Problem("a", "1+1?", "2", {"instruction": 3}), "2"))],
    )
    for workers in (1, 2):
        with pytest.raises(ValueError, match="problem 'a': key 'instruction' is 3"):
            token_table(tmp_path / "rows.jsonl", tmp_path / "tokens", "train", encoding, workers)


def test_the_others_wait_for_the_first(source: Path, tmp_path: Path, encoding: Encoding) -> None:
    made_from = encoding.made_from(source)
    with pytest.raises(ValueError, match=r"nothing was written there for 0\.5 s"):
        wait_for_table(tmp_path, "train", made_from, patience_seconds=0.5)
    stale = replace(encoding, max_sequence_length=100)
    token_table(source, tmp_path, "train", stale)  # of an earlier start, with another limit
    first = threading.Timer(1.0, token_table, (source, tmp_path, "train", encoding))
    first.start()
    table = wait_for_table(tmp_path, "train", made_from, patience_seconds=30)
    first.join()
    assert table.record.made_from["max_sequence_length"] == LIMIT and len(table) > 300


def _end(_: object) -> None:
    os._exit(1)


@pytest.mark.usefixtures("small_parts")
def test_a_process_that_is_ended(
    source: Path, tmp_path: Path, encoding: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_encoding, "_encode", _end)
    with pytest.raises(EncoderDied, match="want of memory"):
        token_table(source, tmp_path, "train", encoding, 2)
    assert not list(tmp_path.iterdir())


def _sleep(_: object) -> None:
    time.sleep(60)


def test_processes_end_with_a_killed_command(source: Path, tmp_path: Path, encoding: Encoding) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom recipes.data import token_encoding\n"
        "from tests.unit.data.test_token_tables import _sleep\ntoken_encoding._encode = _sleep\n"
        "encoding = token_encoding.Encoding(sys.argv[2], '', 160)\n"
        "if __name__ == '__main__':\n"
        "    token_encoding.token_table(Path(sys.argv[1]), Path(sys.argv[3]), 'train', encoding, 2)\n"
    )
    (tmp_path / "command.py").write_text(script)
    words = [sys.executable, str(tmp_path / "command.py"), str(source), encoding.tokenizer, str(tmp_path / "tokens")]
    with subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)}) as command:
        workers = _until(lambda: _children(command.pid, "spawn_main"))
        command.kill()
    assert _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def _children(parent: int, what: str) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found += [int(stat.parent.name)] * (what in (stat.parent / "cmdline").read_text())
        except OSError:  # it ended meanwhile
            continue
    return found


def _until(found: Callable[[], Any]) -> Any:
    """What is found at last."""
    deadline = time.monotonic() + 60
    while not (one := found()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return one
