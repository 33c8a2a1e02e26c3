"""Reading collects every defect with file and line; writing is atomic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.data.jsonl import (
    MAX_REPORTED,
    DataFileError,
    content_id,
    demonstration_row,
    problem_row,
    read_demonstrations,
    read_problems,
    write_jsonl,
)
from recipes.records import Demonstration, Problem

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda text: bool(text.strip()))
METADATA = st.dictionaries(
    st.text(max_size=8).filter(
        lambda key: key not in ("id", "problem", "answer", "tests", "response") and _encodable(key)
    ),
    st.one_of(st.integers(-(2**53), 2**53), st.booleans(), st.none(), TEXT),
    max_size=3,
)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def written(tmp_path: Path, *lines: str | bytes) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(line.encode() if isinstance(line, str) else line for line in lines))
    return path


def row(**values: Any) -> str:
    return json.dumps({"problem": "1+1?", "answer": "2", **values})


def defects(path: Path, demonstrations: bool = False) -> tuple[str, ...]:
    with pytest.raises(DataFileError) as caught:
        read_demonstrations(path) if demonstrations else read_problems(path)
    return caught.value.defects


def test_all_defects_come_at_once_with_file_and_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        row(id="a"),
        '{"problem": "1+1?", "answer": }',
        "",
        '{"answer": "2"}',
        row(answer="  "),
        row(answer=2),
        row(id="a"),
        "[1, 2]",
        row(id=7),
        b'{"problem": "\xff", "answer": "2"}',
        row(problem=None),
    )
    found = defects(path)
    assert [defect.removeprefix(f"{path}:").split(":")[0] for defect in found] == [*"2456789", "10", "11"]
    for defect, expected in zip(
        found,
        (
            "malformed JSON at column 31",
            "key 'problem' is missing",
            "key 'answer' is empty",
            "key 'answer' is a JSON number; expected a string: write \"2\"",
            "id 'a' repeats the one of line 1",
            "found a JSON array; expected an object",
            "key 'id' is a JSON number",
            "byte 13 is not UTF-8",
            "key 'problem' is a JSON null",
        ),
        strict=True,
    ):
        assert expected in defect


def test_two_defects_of_one_line_are_both_reported(tmp_path: Path) -> None:
    found = defects(written(tmp_path, '{"question": "1+1?"}'))
    assert len(found) == 2
    assert "found keys question" in found[0]


def test_message_names_the_file_and_is_capped(tmp_path: Path) -> None:
    path = written(tmp_path, *["{"] * (MAX_REPORTED + 5))
    with pytest.raises(DataFileError, match=r"\.\.\. and 5 more") as caught:
        read_problems(path)
    assert str(caught.value).startswith(f"{path}: {MAX_REPORTED + 5} defects")
    assert len(str(caught.value).splitlines()) == MAX_REPORTED + 2


@pytest.mark.parametrize("reader", [read_problems, read_demonstrations])
def test_missing_file_folder_and_empty_file(tmp_path: Path, reader: Any) -> None:
    with pytest.raises(DataFileError, match=r"none\.jsonl: found nothing; expected a JSONL file"):
        reader(tmp_path / "none.jsonl")
    with pytest.raises(DataFileError, match="found a folder"):
        reader(tmp_path)
    with pytest.raises(DataFileError, match="found no row"):
        reader(written(tmp_path, "", "  "))


def test_default_id_is_a_hash_of_the_content(tmp_path: Path) -> None:
    first, second = read_problems(written(tmp_path, row(), row(problem="1+2?", answer="3")))
    assert first.id == content_id("1+1?", "2")
    assert second.id == content_id("1+2?", "3") != first.id
    assert "repeats the one of line 1" in defects(written(tmp_path, row(), row()))[0]


def test_unknown_keys_are_metadata(tmp_path: Path) -> None:
    (problem,) = read_problems(written(tmp_path, row(kind="add", difficulty=2)))
    assert problem.metadata == {"kind": "add", "difficulty": 2}


def test_byte_order_mark_and_carriage_returns_are_read(tmp_path: Path) -> None:
    assert len(read_problems(written(tmp_path, b"\xef\xbb\xbf" + row().encode() + b"\r", row(id="b") + "\r"))) == 2


def test_line_separators_inside_a_string_do_not_split_the_line(tmp_path: Path) -> None:
    text = json.dumps({"problem": "a\u2028b\u0085c", "answer": "2"}, ensure_ascii=False)
    assert read_problems(written(tmp_path, text))[0].problem == "a\u2028b\u0085c"


def test_demonstrations_may_share_a_problem_but_not_a_response(tmp_path: Path) -> None:
    assert len(read_demonstrations(written(tmp_path, row(id="a", response="x"), row(id="a", response="y")))) == 2
    repeated = defects(written(tmp_path, row(id="a", response="x"), row(id="a", response="x")), demonstrations=True)
    assert "repeats the response of line 1" in repeated[0]
    other = written(tmp_path, row(id="a", response="x"), row(id="a", response="y", answer="3"))
    assert "belongs to another problem at line 1" in defects(other, demonstrations=True)[0]
    assert "key 'response' is missing" in defects(written(tmp_path, row()), demonstrations=True)[0]


def test_a_demonstration_needs_no_gold_answer(tmp_path: Path) -> None:
    path = written(tmp_path, '{"problem": "1+1?", "response": "2"}', row(answer="", problem="1+2?", response="3"))
    first, second = read_demonstrations(path)
    assert (first.problem.answer, second.problem.answer) == ("", "")
    assert first.problem.id == content_id("1+1?", "")
    write_jsonl(path, map(demonstration_row, [first, second]))
    assert read_demonstrations(path) == [first, second]
    assert "key 'answer' is missing" in defects(written(tmp_path, '{"problem": "1+1?"}'))[0]
    assert "key 'answer' is a JSON null" in defects(written(tmp_path, row(answer=None, response="2")), True)[0]
    assert "key 'answer' is empty" in defects(written(tmp_path, row(answer=" ", response="2")), True)[0]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT, METADATA), min_size=1, max_size=5, unique_by=lambda row: row[0]))
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, Mapping[str, Any]]]
) -> None:
    problems = [Problem(name, text, answer, metadata) for name, text, answer, metadata in rows]
    demonstrations = [Demonstration(problem, f"<think>\n{problem.problem}") for problem in problems]
    folder = tmp_path_factory.mktemp("round")
    write_jsonl(folder / "p.jsonl", map(problem_row, problems))
    write_jsonl(folder / "d.jsonl", map(demonstration_row, demonstrations))
    assert read_problems(folder / "p.jsonl") == problems
    assert read_demonstrations(folder / "d.jsonl") == demonstrations


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_arbitrary_bytes_give_problems_or_a_data_file_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "rows.jsonl"
    path.write_bytes(content)
    try:
        assert read_problems(path)
    except DataFileError as error:
        assert error.defects
