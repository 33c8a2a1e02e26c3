from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from recipes.data.rows import SourceRow
from recipes.data.tables import DECISIONS, write_table
from recipes.preparation.part_rows import BATCH_ROWS, by_problem, live_rows, problem_of
from recipes.preparation.streamed_table import GROUP_BYTES, streamed_table
from recipes.records import Problem
from tests.unit.data.row_tables import write_rows
from tests.unit.preparation.teacher_inputs import math_row

ROWS = [math_row(number) for number in range(2 * BATCH_ROWS + 5)]


def test_rows_that_are_decided_are_passed_over(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows", ROWS, 2)
    everything = [row for part in range(2) for row in live_rows(tmp_path / "rows", [], part, ["id"])]
    assert [row["id"] for row in everything] == sorted(row.id for row in ROWS)
    assert set(everything[0]) == {"row", "id"}
    out = [{"row": row["row"], "kind": "rejected", "detail": "{}"} for row in everything[::3]]
    write_table(tmp_path / "step" / "decisions.parquet", pa.Table.from_pylist(out, DECISIONS))
    left = [row for part in range(2) for row in live_rows(tmp_path / "rows", [tmp_path / "step"], part, ["id"])]
    assert left == [row for place, row in enumerate(everything) if place % 3]


def test_rows_of_one_problem_stand_together() -> None:
    rows = [{"id": "a", "row": 0}, {"id": "b", "row": 1}, {"id": "b", "row": 2}]
    assert list(by_problem(iter(rows))) == [rows[:1], rows[1:]]


def test_a_row_as_what_its_responses_are_graded_by(tmp_path: Path) -> None:
    tests = {"kind": "stdin", "inputs": ["1"], "outputs": ["2"]}
    code = SourceRow("code", "Add.", "made", "none", tests=tests, metadata={"level": 1})
    write_rows(tmp_path, [code])
    (row,) = live_rows(tmp_path, [], 0, ["id", "problem", "answer", "tests", "metadata"])
    assert problem_of(row) == Problem(code.id, "Add.", "", {"level": 1}, tests)
    assert problem_of({"id": "x"}) == Problem("x", "", "")


def test_a_table_of_more_than_a_row_group_is_read_back(tmp_path: Path) -> None:
    rows = [{"row": number, "kind": "rejected", "detail": json.dumps("x" * (GROUP_BYTES // 3))} for number in range(7)]
    for name in ("one", "other"):
        with streamed_table(tmp_path / name, DECISIONS) as table:
            for row in rows:
                table.add(row)
    found = pa.parquet.ParquetFile(tmp_path / "one")
    assert (found.metadata.num_row_groups, found.read().to_pylist()) == (3, rows)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_table_that_breaks_off_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), streamed_table(tmp_path / "one", DECISIONS) as table:
        table.add({"row": 1, "kind": "rejected", "detail": ""})
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
