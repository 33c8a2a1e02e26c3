"""``evaluation.overlap``: what is counted, what is refused, and a file that is cut off."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from evaluation.overlap import main
from recipes.data.jsonl import write_jsonl

CARS = "A train leaves at noon and a car leaves one hour later at twice its speed. When do they meet?"
ROPE = "A rope of length twelve metres is cut into three pieces whose lengths are in arithmetic progression."
PROBLEMS = [
    {"id": "cars", "problem": CARS, "answer": "2"},
    {"id": "rope", "problem": ROPE, "answer": "4"},
    {"id": "short", "problem": "Compute one plus two.", "answer": "3"},
    {"id": "sum", "problem": "2 + 3?", "answer": "5"},
]


@pytest.fixture
def benchmark(tmp_path: Path) -> str:
    write_jsonl(tmp_path / "benchmark.jsonl", PROBLEMS)
    return f"benchmark.path={tmp_path / 'benchmark.jsonl'}"


def report(output: Path) -> dict:
    return json.loads((output / "overlap.json").read_text())


def test_problems_rows_and_passages(benchmark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl.gz"
    write_jsonl(
        first,
        [
            {"problem": "How far is the moon?", "answer": "far", "response": f"They said: {CARS.upper()}"},
            {"problem": f"A riddle. {CARS}", "answer": "2", "response": "Compute one plus two, then 2 + 3."},
            {"problem": "A rope of length twelve metres is cut into two.", "answer": "6"},
            {"id": "x", "answer": "no text"},
            {"problem": " ", "response": ""},
        ],
    )
    # The cars have 20 words, so 12 n-grams; the rope 17 and 9, of which two rows have the first.
    with gzip.open(second, "wt") as file:
        file.write("\n" + json.dumps({"problem": "A rope of length twelve metres is cut up"}) + "\n")
        file.write(json.dumps({"problem": "A rope of length twelve metres is cut into knots"}))
    main([f"training={first},{second}", benchmark, f"output={tmp_path / 'out'}"])

    found = report(tmp_path / "out")
    counts = ("rows", "prompts", "responses", "without_text", "bad")
    assert [[account[name] for name in counts] for account in found["training"]] == [[5, 3, 2, 2, 0], [2, 2, 0, 0, 0]]
    math = found["benchmarks"]["tiny_math"]
    assert (math["problems"], math["ngrams"], math["share"]) == (4, 12 + 9 + 1, 0.75)
    assert (math["looked_for_as_a_whole"], math["too_short"]) == (["short"], ["sum"])
    assert math["prompt"] == {"overlapping": 2, "half": 1, "whole": 1, "mean_share": round((1 + 1 / 9) / 4, 6)}
    assert math["response"] == {"overlapping": 2, "half": 2, "whole": 2, "mean_share": 0.5}
    assert math["either"]["overlapping"] == 3
    assert set(math["per_problem"]) == {"cars", "rope", "short"}
    rope = math["per_problem"]["rope"]["prompt"]
    assert (rope["share"], rope["rows"]) == (round(1 / 9, 6), 2)
    assert [(row["file"], row["line"], row["share"]) for row in rope["largest"]] == [
        (str(first), 3, round(1 / 9, 6)),
        (str(second), 3, round(1 / 9, 6)),
    ]
    assert rope["largest"][0]["passage"] == "a rope of length twelve metres is cut into"
    rows = [json.loads(line) for line in (tmp_path / "out" / "overlap.jsonl").read_text().splitlines()]
    assert [(row["line"], row["part"], row["problem_id"], row["ngrams"]) for row in rows] == [
        (1, "response", "cars", 12),
        (2, "prompt", "cars", 12),
        (2, "response", "short", 1),
        (3, "prompt", "rope", 1),
        (3, "prompt", "rope", 1),
    ]
    said = capsys.readouterr().out.splitlines()
    assert said[2].split() == ["tiny_math", "4", "prompts", "2", "1", "1"]
    assert said[3].split() == ["tiny_math", "4", "responses", "2", "2", "2"]
    assert said[4] == "# tiny_math: short 1: fewer words than 9, looked for as a whole"
    assert said[5] == "# tiny_math: too short 1: fewer words than 4, not looked for"
    assert said[1].expandtabs().index("problems") == said[2].expandtabs().index("4")


def test_more_overlap_than_allowed_is_status_1(
    benchmark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = tmp_path / "train.jsonl"
    write_jsonl(training, [{"question": CARS.replace("meet", "stop"), "solution": "none"}])
    words = [f"training={training}", benchmark, f"output={tmp_path}", "prompt=question", "response=solution"]
    main([*words, "fail_above=0.25"])
    with pytest.raises(SystemExit) as ended:
        main([*words, "fail_above=0.2"])
    assert ended.value.code == 1
    assert "more overlap than fail_above=0.2: tiny_math 25.0%" in capsys.readouterr().err
    main([*words, "fail_above=0", "ngram=20"])  # the problem has 20 words, so this asks for all of it


def test_rows_that_cannot_be_read_are_named_and_counted(
    benchmark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = tmp_path / "train.jsonl"
    rows = [
        b'{"problem": "x"',
        b"[1]",
        b'{"problem": 5}',
        b'{"problem": "\xff"}',
        json.dumps({"problem": CARS}).encode(),
    ]
    training.write_bytes(b"\n".join(rows))
    with pytest.raises(SystemExit) as ended:
        main([f"training={training}", benchmark, f"output={tmp_path}"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "4 training rows could not be read and are in no count" in said
    assert f"{training}:1: malformed JSON at column 16" in said
    assert f"{training}:2: found a JSON list; expected an object" in said
    assert f"{training}:3: key 'problem' is a JSON int; expected a string, the prompt" in said
    assert f"{training}:4: byte 13 is not UTF-8" in said
    assert report(tmp_path)["benchmarks"]["tiny_math"]["prompt"]["whole"] == 1
    assert [report(tmp_path)["training"][0][name] for name in ("rows", "prompts", "bad")] == [5, 1, 4]


def test_a_compressed_file_that_is_cut_off_leaves_nothing(
    benchmark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = tmp_path / "train.jsonl.gz"
    rows = (json.dumps({"problem": CARS, "number": number}).encode() for number in range(5000))
    training.write_bytes(gzip.compress(b"\n".join(rows))[:-20])
    with pytest.raises(SystemExit) as ended:
        main([f"training={training}", benchmark, f"output={tmp_path / 'out'}"])
    assert ended.value.code == 2
    assert "train.jsonl.gz: not a whole gzip file" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_key_that_no_row_has_is_no_absence_of_overlap(
    benchmark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training, empty = tmp_path / "train.jsonl", tmp_path / "empty.jsonl"
    write_jsonl(training, [{"question": CARS, "answer": "2"}] * 3)
    empty.write_text("\n")
    with pytest.raises(SystemExit) as ended:
        main([f"training={training},{empty}", benchmark, f"output={tmp_path / 'out'}"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert (
        f"{training}: no row has text at problem or response; the first of 3 rows has the keys answer, question" in said
    )
    assert f"{empty}: found no row" in said
    assert not (tmp_path / "out").exists()


def test_wrong_words_are_all_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["training=nowhere.jsonl", "ngram=0", "fail_above=7", "prompt=text", "response=text"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    for message in (
        "output=... is missing",
        "training=nowhere.jsonl: no such file",
        "ngram=0: expected a whole number",
        "fail_above=7: expected a share from 0 to 1",
        "prompt and response are both 'text'",
    ):
        assert message in said
    training = tmp_path / "train.jsonl"
    write_jsonl(training, [{"problem": CARS}])
    with pytest.raises(SystemExit):
        main([f"training={training}", f"output={tmp_path}", "benchmark=tiny_math,tiny_cod"])
    assert "tiny_code" in capsys.readouterr().err
    main(["--help"])
    assert "fail_above" in capsys.readouterr().out


def test_every_word_training_is_looked_at(benchmark: str, tmp_path: Path) -> None:
    clean, like = tmp_path / "a,b.jsonl", tmp_path / "c.jsonl"
    write_jsonl(clean, [{"problem": "nothing"}])
    write_jsonl(like, [{"problem": CARS}])
    words = [benchmark, f"output={tmp_path / 'out'}"]
    quoted = f'training="{clean}",{like}'
    for training in ([f"training={like}", f"training={clean}"], [f"training={like}", f"training='{clean}'"], [quoted]):
        main([*training, *words])
        found = report(tmp_path / "out")
        assert {account["file"] for account in found["training"]} == {str(clean), str(like)}
        assert found["benchmarks"]["tiny_math"]["prompt"]["whole"] == 1


def test_words_that_would_hide_others_are_refused(
    benchmark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b.jsonl", "a,b.jsonl", "file"):
        write_jsonl(Path(name), [{"problem": CARS}])
    words = ["training=a,b.jsonl", "training=a", "training=a", "output=file/out", "ngram=8", "ngram=9"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "benchmark=tiny_math", "benchmark=tiny_code"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "training=a,b.jsonl: there is a file of this name, and one of each part" in said
    assert "training=a: named twice" in said
    assert "ngram is given 2 times (8, 9)" in said
    assert "give it once: benchmark=tiny_math,tiny_code" in said
    assert "output=file/out: file is a file" in said
