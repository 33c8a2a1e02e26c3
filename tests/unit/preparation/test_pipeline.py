"""``python -m recipes.prepare_data`` on local files: what goes where, counts, order, workers, kills, wrong input."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from recipes.data.jsonl import read_problems, write_jsonl
from recipes.preparation import pipeline
from recipes.preparation.publish import FILES
from recipes.prepare_data import main

ROPE = "A rope of length twelve metres is cut into three pieces whose lengths are in arithmetic progression."
APPLES = "Tom has 12 apples and gives a third of them to Ann. Ann eats 2 of hers. How many apples does Ann have left?"
PLUS = {
    "problem": "Read two integers and print their sum.",
    "tests": {"kind": "stdin", "inputs": ["1 2"], "outputs": ["3"]},
}
ROWS = [
    {"id": "apples", "problem": APPLES, "answer": "2", "source": "first", "level": 3},
    {"problem": APPLES.upper(), "answer": "2"},
    {"problem": APPLES.replace("12", "15"), "answer": "3"},
    {"problem": f"Solve this. {ROPE} How long is the middle one?", "answer": "4", "licence": "MIT"},
    {"problem": r"Compute $\dfrac{1}{2} + \frac13$ as a fraction in lowest terms.", "answer": r"\frac56"},
    {"problem": r"Compute \(\frac12+\frac{1}{3}\) as a fraction in lowest terms.", "answer": "5/6"},
    PLUS,
    PLUS,
    {"problem": "  ", "answer": "2"},
    {"problem": "No answer"},
]
NAMES = ("problems.jsonl", *FILES.values(), "report.json")


def write(folder: Path, rows: list[dict], torn: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    half = len(rows) // 2
    write_jsonl(folder / "a.jsonl", rows[:half])
    write_jsonl(folder / "b.jsonl", rows[half:])
    with (folder / "a.jsonl").open("a", encoding="utf-8") as file:
        file.write(torn)
    write_jsonl(folder / "bench.jsonl", [{"id": "rope", "problem": ROPE, "answer": "4"}])
    return folder


def words(folder: Path, output: Path, *more: str) -> list[str]:
    inputs = f"data.inputs=[{folder / 'a.jsonl'},{folder / 'b.jsonl'}]"
    return [
        "data=local",
        inputs,
        f"data.against=[{folder / 'bench.jsonl'}]",
        f"output={output}",
        "parts.workers=1",
        *more,
    ]


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(tmp_path_factory.mktemp("data"), ROWS, '{"problem": "torn", "ans\n\n')
    main(words(folder, folder / "out"))
    return folder


def test_every_row_is_in_one_file(done: Path) -> None:
    found = {name: read(done / "out" / name) for name in NAMES if name.endswith("l")}
    assert {name: len(rows) for name, rows in found.items()} == {
        "problems.jsonl": 4,
        "duplicates.jsonl": 3,
        "contaminated.jsonl": 1,
        "rejected.jsonl": 3,
        "sampled_out.jsonl": 0,
    }
    kept = {problem.problem: problem for problem in read_problems(done / "out" / "problems.jsonl")}
    assert APPLES.replace("12", "15") in kept
    assert kept[PLUS["problem"]].tests == PLUS["tests"]
    assert len(kept.keys() & {APPLES, APPLES.upper()}) == 1
    (rope,) = found["contaminated.jsonl"]
    assert (rope["licence"], rope["decision"]["benchmark"], rope["decision"]["problem_id"]) == ("MIT", "bench", "rope")
    assert rope["decision"]["ngram"] == "a rope of length twelve metres is cut into"
    ids = {row["id"] for row in found["problems.jsonl"]}
    assert all(row["decision"]["of"] in ids for row in found["duplicates.jsonl"])
    reasons = " ".join(row["reason"] for row in found["rejected.jsonl"])
    assert "empty" in reasons and "JSON" in reasons and "answer" in reasons


def test_the_report_counts_and_the_manifest_says_where(done: Path) -> None:
    report = json.loads((done / "out" / "report.json").read_text())
    counts = {"read": 11, "output": 4, "duplicate": 3, "contaminated": 1, "rejected": 3, "sampled_out": 0}
    assert report["counts"] == counts
    assert report["by_source"]["first"]["read"] == 1
    assert report["decontaminate"]["benchmarks"] == {"bench": {"problems": 1, "problems_met": 1, "prompts_dropped": 1}}
    manifest = json.loads((done / "out" / "manifest.json").read_text())
    places = manifest["rejected_at_reading"]
    assert places["rows"] == 3
    assert sorted(place.split(": ")[0].rpartition("/")[2] for place in places["first"]) == [
        "a.jsonl:6",
        "b.jsonl:4",
        "b.jsonl:5",
    ]
    assert [entry["path"].rpartition("/")[2] for entry in manifest["inputs"]] == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize("seed", [1, 2])
def test_neither_the_order_of_rows_nor_workers_nor_parts_show(done: Path, tmp_path: Path, seed: int) -> None:
    rows = random.Random(seed).sample(ROWS, len(ROWS))
    folder = write(tmp_path, rows, '{"problem": "torn", "ans\n')
    main(words(folder, tmp_path / "out", f"parts.workers={seed}", f"parts.count={3 * seed}"))
    for name in NAMES:
        assert (tmp_path / "out" / name).read_bytes() == (done / "out" / name).read_bytes(), name


def test_the_same_command_again_changes_nothing_and_another_one_does(done: Path, tmp_path: Path) -> None:
    folder = write(tmp_path, ROWS)
    main(words(folder, tmp_path / "out"))
    before = {name: (tmp_path / "out" / name).read_bytes() for name in NAMES}
    main(words(folder, tmp_path / "out"))
    assert {name: (tmp_path / "out" / name).read_bytes() for name in NAMES} == before
    main(words(folder, tmp_path / "out", "steps=[decontaminate]"))
    assert read(tmp_path / "out" / "duplicates.jsonl") == []
    assert len(read(tmp_path / "out" / "problems.jsonl")) == 7


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.inputs=[none.jsonl]", "none.jsonl: nothing there"),
        ("steps=[deduplicat]", "steps=[deduplicate]"),
        ("steps=[deduplicate,sft]", "steps=[deduplicate,keep,blend,sft]"),
        ("steps=[deduplicate,blendd]", "steps=[deduplicate,keep,blend]"),
        ("data.benchmarks=[aime42]", "data.benchmarks=[aime"),
        ("data.problem=x", "data.problem_key"),
        ("parts.executor=slurm", "parts.partition=NAME"),
    ],
)
def test_wrong_words_are_refused_with_the_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, said: str
) -> None:
    folder = write(tmp_path, ROWS)
    with pytest.raises(SystemExit) as ended:
        main([*words(folder, tmp_path / "out"), change])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_parts_that_no_process_could_sort_are_refused_with_the_number_that_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path, ROWS)
    size = sum((folder / name).stat().st_size for name in ("a.jsonl", "b.jsonl"))
    monkeypatch.setattr(pipeline, "PART_BYTES", size // 5)
    with pytest.raises(SystemExit) as ended:
        main(words(folder, tmp_path / "out", "parts.count=2"))
    assert ended.value.code == 2
    assert capsys.readouterr().err.rstrip().endswith("parts.count=8")
    main(words(folder, tmp_path / "out", "parts.count=8"))


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, ROWS)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("x")
    with pytest.raises(SystemExit) as ended:
        main(words(folder, tmp_path / "out"))
    assert ended.value.code == 2
    assert "not of an earlier run" in capsys.readouterr().err


def test_dry_run_says_what_is_read_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, ROWS)
    with pytest.raises(SystemExit) as ended:
        main([*words(folder, tmp_path / "out"), "--dry-run"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "decontaminate: no problem of a benchmark" in said and "a.jsonl (" in said
    assert not (tmp_path / "out").exists()
