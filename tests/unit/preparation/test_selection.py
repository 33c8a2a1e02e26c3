"""The problems of each stage: hand-worked rules, every row accounted for, the files that training reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.data.jsonl import read_problems
from recipes.data.rows import SourceRow
from recipes.data.tables import write_table
from recipes.preparation.selection import choose_stage, select_task
from recipes.preparation.selection_facts import Fact, merged, own_fact, read_facts
from recipes.preparation.selection_files import FILES, stage_row, write_stages_task
from recipes.preparation.teacher_keeping import ANSWERS, FACTS
from recipes.records import Problem
from recipes.rollouts.ledger import SolveRate
from recipes.settings.stage_rules import parse_rules
from tests.unit.data.row_tables import write_rows
from tests.unit.preparation.selection_inputs import selection
from tests.unit.preparation.teacher_inputs import math_row, teacher

TESTS = {"kind": "stdin", "inputs": ["1"], "outputs": ["2"]}


def problems(**tokens: int | None) -> list[Problem]:
    return [Problem(id, "", "", {} if n is None else {"teacher_tokens": n}) for id, n in tokens.items()]


def chosen(some: list[Problem], words: list[str], rates: dict[str, SolveRate] | None = None, seed: int = 1) -> Any:
    return choose_stage(some, parse_rules(words), rates or {}, seed, "math1")


def test_the_bounds_of_the_first_stage() -> None:
    some = problems(short=1999, low=2000, high=4000, long=4001, unknown=None)
    found = chosen(some, ["min_response_tokens:2000", "max_response_tokens:4000"])
    assert found.kept == {"low", "high", "unknown"}
    assert found.left_out == {"short": ("min_response_tokens", 1999), "long": ("max_response_tokens", 4001)}
    assert found.unseen_kept == 1
    assert "unknown" in chosen(some, ["min_response_tokens:2000", "unseen:drop"]).left_out


def test_what_more_than_six_of_sixteen_solved_is_dropped() -> None:
    rates = {"six": SolveRate(6, 16, 0, 0), "seven": SolveRate(7, 16, 0, 0)}
    found = chosen(problems(six=None, seven=None), ["max_solve_rate:0.375"], rates)
    assert found.kept == {"six"}
    assert found.left_out == {"seven": ("max_solve_rate", 7 / 16)}


def test_a_rule_about_which_nothing_is_known_is_left_to_the_stage() -> None:
    found = chosen(problems(a=3000, b=None), ["max_solve_rate:0.375", "max_difficulty:5", "max_response_tokens:2000"])
    assert found.not_applied == ("max_solve_rate", "max_difficulty")
    assert found.kept == {"b"}
    assert chosen([], ["max_solve_rate:0.375", "at_most:3"]).kept == frozenset()


many = st.sets(st.text("abcdef0123456789", min_size=1, max_size=8), max_size=40)


@given(many, st.integers(1, 30), st.floats(0.05, 1.0), st.randoms())
def test_draws_belong_to_problems(ids: set[str], at_most: int, share: float, random: Any) -> None:
    words = [f"share:{share}", f"at_most:{at_most}"]
    order = sorted(ids)
    found = chosen([Problem(id, "", "") for id in order], words)
    assert len(found.kept) <= at_most
    assert found.kept | found.left_out.keys() == ids
    assert not found.kept & found.left_out.keys()
    random.shuffle(order)
    assert chosen([Problem(id, "", "") for id in order], words) == found
    fewer = chosen([Problem(id, "", "") for id in order[: len(order) // 2]], [words[0]])
    assert fewer.kept <= chosen([Problem(id, "", "") for id in order], [words[0]]).kept


def test_a_share_is_about_that_part() -> None:
    some = [Problem(f"{number:x}", "", "") for number in range(2000)]
    assert 900 < len(chosen(some, ["share:0.5"]).kept) < 1100
    assert len(chosen(some, ["share:1"]).kept) == 2000
    assert chosen(some, ["at_most:10"], seed=1).kept != chosen(some, ["at_most:10"], seed=2).kept


def test_facts_of_a_problem(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "responses": 8, "truncated": 0, "graded": 8, "correct": 3, "counted": 8, "tokens": 24_004},
        {"id": "b", "responses": 4, "truncated": 0, "graded": 4, "correct": 4, "counted": 0, "tokens": 0},
        {"id": "c", "responses": 4, "truncated": 0, "graded": 0, "correct": 0, "counted": 2, "tokens": 10},
    ]
    write_table(tmp_path / "facts" / "00000.parquet", pa.Table.from_pylist(rows, FACTS))
    lengths = pa.table({"id": ["b", "b", "d", "a"], "sample": [0, 1, 0, 0], "tokens": [10, 30, 7, 1]})
    write_table(tmp_path / "lengths" / "00000.parquet", lengths)
    found = read_facts(tmp_path / "facts", tmp_path / "lengths", [0])
    assert found == {"a": Fact(3000.5, 5.0, 8), "b": Fact(20.0, 0.0, 4), "c": Fact(5.0), "d": Fact(7.0)}
    assert found["a"].metadata == {"teacher_tokens": 3000.5, "difficulty": 5, "teacher_responses": 8}
    assert read_facts(None, None, [0]) == {}


def test_a_difficulty_of_another_kind_is_no_difficulty() -> None:
    assert own_fact({"difficulty": 5.0}) == Fact()
    own = own_fact({"difficulty": 5, "teacher_responses": 8, "teacher_tokens": 2500})
    assert own == Fact(2500, 5, 8)
    assert merged(None, own) == own
    assert merged(Fact(100.0), own) == Fact(100.0, 5, 8)
    assert merged(Fact(None, 0.0, 4), own) == Fact(2500, 0.0, 4)


MATH = [
    math_row(number, metadata={"teacher_tokens": 1000 * (number % 6), "teacher_responses": 8, "difficulty": number % 9})
    for number in range(36)
]
CODE = [
    SourceRow("code", f"Code {number}.", "made", "none", tests={**TESTS, "inputs": [str(number)]}, metadata=metadata)
    for number, metadata in enumerate(
        [{"teacher_responses": 8, "difficulty": hard} for hard in (0, 5, 6, 8)]
        + [{"starter_code": "def f():", "difficulty": "A"}]
    )
]
RULES: dict[str, Any] = {
    "math1": ["min_response_tokens:2000", "max_response_tokens:4000"],
    "math2": ["min_response_tokens:3000", "at_most:5"],
    "math3": ["min_response_tokens:5000"],
    "math4": ["min_response_tokens:5000", "max_solve_rate:0.375"],
    "code1": ["max_difficulty:5"],
    "code2": ["max_difficulty:7"],
    "held_out": 2,
}


def run(folder: Path, rows: list[SourceRow], parts: int = 1, answers: Path | None = None, **more: Any) -> Path:
    options, settings = selection(**{**RULES, **more}), teacher(folder)
    write_rows(folder / "rows", rows, parts)
    select_task(folder / "rows", [], None, None, parts, options, 1, folder / "select", 0)
    write_stages_task(
        folder / "rows", [], answers, folder / "select", parts, settings, folder / "out", folder / "files", 0
    )
    return folder


def test_every_row_is_in_a_file_or_sampled_out_with_its_reasons(tmp_path: Path) -> None:
    run(tmp_path, [*MATH, *CODE])
    report = json.loads((tmp_path / "select" / "selection.json").read_text())
    assert report["candidates"] == {"code": 5, "math": 36}
    assert report["held_out"] == {"heldout": 2, "heldout_code": 0}
    for stage, row in report["stages"].items():
        assert row["kept"] + sum(row["left_out"].values()) == (5 if stage.startswith("code") else 34)
    assert report["stages"]["math4"]["not_applied"] == ["max_solve_rate"]
    assert report["stages"]["code1"]["left_out"] == {"max_difficulty": 2}
    assert report["stages"]["code2"]["left_out"] == {"max_difficulty": 1}
    files = {path.stem: [one.id for one in read_problems(path)] for path in (tmp_path / "out").glob("*.jsonl")}
    assert set(files) == {"math1", "math2", "math3", "math4", "code1", "code2", "heldout"}
    assert len(files["math2"]) == 5
    out = {
        one["row"]: json.loads(one["detail"])
        for one in pq.read_table(tmp_path / "select" / "decisions.parquet").to_pylist()
    }
    rows = pq.read_table(tmp_path / "rows" / "00000.parquet").to_pylist()
    in_files = {id for ids in files.values() for id in ids}
    assert {row["id"] for row in rows if row["row"] in out} == {row["id"] for row in rows} - in_files
    assert not set(files["heldout"]) & {id for name, ids in files.items() if name != "heldout" for id in ids}
    hardest = next(row["row"] for row in rows if row["problem"] == "Code 3.")
    assert out[hardest]["stages"] == {
        "code1": {"found": 8.0, "rule": "max_difficulty"},
        "code2": {"found": 8.0, "rule": "max_difficulty"},
    }


def test_parts_and_order_do_not_show(tmp_path: Path) -> None:
    one = run(tmp_path / "one", [*MATH, *CODE])
    other = run(tmp_path / "other", [*CODE, *MATH][::-1], 5)
    for name in FILES:
        paths = [folder / "out" / f"{name}.jsonl" for folder in (one, other)]
        assert paths[0].exists() == paths[1].exists()
        assert not paths[0].exists() or paths[0].read_bytes() == paths[1].read_bytes()


def test_rows_carry_what_the_stages_ask_for(tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    without = SourceRow("math", "What?", "made", "none", metadata={"difficulty": 3.5})
    filled = {"id": without.id, "answer": "4", "votes": 3, "responses": 4}
    write_table(answers / "00000.parquet", pa.Table.from_pylist([filled], ANSWERS))
    run(tmp_path, [without, *CODE], answers=answers)
    (row,) = [json.loads(line) for line in (tmp_path / "out" / "math1.jsonl").read_text().splitlines()]
    source = {"source": "made", "licence": "none", "source_difficulty": 3.5}
    assert row == {"id": without.id, "problem": "What?", "answer": "4", **source}
    code = {one.problem: one for one in read_problems(tmp_path / "out" / "code2.jsonl")}
    assert code["Code 4."].metadata["instruction"] == "Begin with def f():"
    assert code["Code 4."].metadata["source_difficulty"] == "A"
    assert "difficulty" not in code["Code 4."].metadata
    assert code["Code 2."].metadata["difficulty"] == 6
    assert "instruction" not in code["Code 2."].metadata


def test_a_stages_file_of_an_earlier_selection_goes(tmp_path: Path) -> None:
    run(tmp_path, CODE)
    assert (tmp_path / "out" / "code2.jsonl").exists()
    run(tmp_path, MATH)
    assert not (tmp_path / "out" / "code2.jsonl").exists()


def test_measured_facts_replace_those_of_the_row(tmp_path: Path) -> None:
    row = {"id": "p", "domain": "math", "problem": "?", "answer": "1", "tests": "", "source": "s", "licence": "l"}
    row["metadata"] = json.dumps({"difficulty": 2, "teacher_responses": 4, "answer": "hidden", "level": 3})
    found = stage_row(row, Fact(10.0, 4.0, 8), "", teacher(tmp_path))
    assert found["answer"] == "1"
    known = {"teacher_tokens": 10, "difficulty": 4, "teacher_responses": 8, "level": 3, "source_difficulty": 2}
    assert {name: found[name] for name in known} == known


def test_a_run_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"selection\.runs:\n.*nowhere: neither"):
        run(tmp_path, MATH, runs=[str(tmp_path / "nowhere")])
