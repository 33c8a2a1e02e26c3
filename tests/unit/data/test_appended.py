from __future__ import annotations

import threading
from pathlib import Path

import pytest

from recipes.data.appended import AppendedFile, appended_rows, differences, row_at

ROWS = [{"key": 1, "text": "é"}, {"key": 2, "text": "two\nlines"}, {"key": 3, "text": "\ud800 alone"}]


def written(path: Path, rows: list[dict] = ROWS) -> Path:
    with AppendedFile(path) as file:
        for row in rows:
            file.append(row)
    return path


def test_rows_come_back_with_their_places(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl")
    found = list(appended_rows(path))
    assert [row for _, row in found] == ROWS
    assert [row_at(path, place) for place, _ in found] == ROWS
    assert list(appended_rows(tmp_path / "none.jsonl")) == []


@pytest.mark.parametrize("cut", [1, 2, 10, 25])
def test_a_torn_last_line_counts_as_not_written(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "rows.jsonl")
    path.write_bytes(path.read_bytes()[:-cut])
    whole = ROWS if cut == 1 else ROWS[:2]  # without its newline alone a line is whole
    assert [row for _, row in appended_rows(path)] == whole
    written(path, ROWS[:1])
    assert [row for _, row in appended_rows(path)] == [*whole, ROWS[0]]
    assert [row_at(path, place) for place, _ in appended_rows(path)] == [*whole, ROWS[0]]


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    with AppendedFile(tmp_path / "rows.jsonl") as file:
        rows = [[{"thread": thread, "row": row, "text": "x" * 5000} for row in range(50)] for thread in range(4)]
        threads = [threading.Thread(target=lambda some=some: [file.append(row) for row in some]) for some in rows]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = [row for _, row in appended_rows(tmp_path / "rows.jsonl")]
    for thread, some in enumerate(rows):
        assert [row for row in found if row["thread"] == thread] == some


def test_a_full_disk_is_an_error() -> None:
    with AppendedFile(Path("/dev/full")) as file, pytest.raises(OSError, match="No space left"):
        file.append(ROWS[0])


def test_differences_are_told_in_words() -> None:
    assert differences({"model": "a", "extra": [1]}, {"model": "a", "extra": (1,)}) == []
    assert differences({"model": "a"}, {"model": "b", "seed": 1}) == ["model was 'a', is 'b'", "seed was None, is 1"]
