"""``evaluation.run engine=openai`` against a server that fails: nothing lost, nothing doubled, killed or not."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluation.grade import main as grade
from evaluation.run import main as run
from evaluation.score import main as score
from recipes.data.jsonl import write_jsonl
from recipes.data.prompts import user_turn
from recipes.settings.compose import compose
from tests.unit.servers.fault_server import MODEL, text_of
from tests.unit.servers.test_openai_client import fault_server

PROBLEMS, N = 40, 6
ROWS = [{"id": f"p{index}", "problem": f"What is {index}?", "answer": str(index % 10)} for index in range(PROBLEMS)]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "benchmark.jsonl"
    write_jsonl(path, ROWS)
    return path


@pytest.fixture(scope="module")
def steady() -> Iterator[str]:
    with fault_server("--faults", "0") as url:
        yield url


def words(benchmark: Path, url: str, output: Path, *more: str) -> list[str]:
    return [
        "engine=openai",
        f"engine.url={url}",
        f"engine.model={MODEL}",
        "engine.concurrency=16",
        "engine.stall_seconds=1",
        "engine.attempts=40",
        f"benchmark.path={benchmark}",
        f"n={N}",
        f"output={output}",
        *more,
    ]


def rows(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "tiny_math" / "samples.jsonl").read_text().splitlines()]


def scores(output: Path) -> bytes:
    return (output / "scores.json").read_bytes()


@pytest.fixture(scope="module")
def whole(benchmark: Path, steady: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole")
    run(words(benchmark, steady, output))
    return output


def test_every_sample_is_the_servers_answer_to_its_problem_and_seed(whole: Path) -> None:
    found = rows(whole)
    assert [(row["problem_id"], row["sample"]) for row in found] == [(p["id"], i) for p in ROWS for i in range(N)]
    instruction = compose("evaluate", []).benchmark.instruction
    problems = {row["id"]: row for row in ROWS}
    for row in found:
        problem = problems[row["problem_id"]]
        assert row["text"] == text_of(user_turn(problem["problem"], instruction), row["seed"])
        boxed = re.search(r"boxed\{(\d)\}", row["text"])
        assert boxed is not None
        assert row["verdict"] == ("correct" if boxed[1] == problem["answer"] else "wrong")
    assert len({row["seed"] for row in found}) == len(found)
    told = json.loads(scores(whole))["tiny_math"]
    assert told["avg"] == pytest.approx(sum(row["verdict"] == "correct" for row in found) / len(found))
    assert (told["samples"], told["missing"]) == (PROBLEMS * N, 0)
    assert (whole / "scores.csv").read_text().startswith("benchmark,avg,n,problems,samples,missing,")


def test_killed_at_random_moments_on_a_failing_server_it_ends_in_the_same_scores(
    benchmark: Path, whole: Path, tmp_path: Path
) -> None:
    moments, log = random.Random(5), tmp_path / "log"
    with fault_server("--faults", "0.3", "--seconds", "0.05", "--log", str(log)) as url:
        command = [sys.executable, "-m", "evaluation.run", *words(benchmark, url, tmp_path / "out")]
        for _ in range(3):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            kept = tmp_path / "out" / "tiny_math" / ".samples.part_000.jsonl"
            before = kept.stat().st_size if kept.exists() else 0
            while process.poll() is None and (not kept.exists() or kept.stat().st_size == before):
                time.sleep(0.01)
            time.sleep(moments.uniform(0, 0.3))
            process.kill()
            process.wait()
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, ended.stderr[-3000:]
    assert scores(tmp_path / "out") == scores(whole)
    texts = [(row["problem_id"], row["sample"], row["text"]) for row in rows(tmp_path / "out")]
    assert texts == [(row["problem_id"], row["sample"], row["text"]) for row in rows(whole)]
    served = Counter(
        (row["prompt"], row["seed"]) for row in map(json.loads, log.read_text().splitlines()) if not row["fault"]
    )
    assert len(served) == PROBLEMS * N
    again = sum(served.values()) - len(served)
    assert again <= 3 * 16, "only what was under way at a kill is asked for twice"


def test_more_samples_are_added_to_those_that_are_there(
    benchmark: Path, steady: str, whole: Path, tmp_path: Path
) -> None:
    run(words(benchmark, steady, tmp_path, "n=2"))
    first = rows(tmp_path)
    run(words(benchmark, steady, tmp_path))
    assert scores(tmp_path) == scores(whole)
    assert {json.dumps(row) for row in first} < {json.dumps(row) for row in rows(tmp_path)}
    score([f"output={tmp_path}", "n=2"])
    assert json.loads(scores(tmp_path))["tiny_math"]["n"] == 2


def test_graded_again_the_scores_are_the_same_to_the_byte(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = scores(whole), rows(whole)
    grade([f"output={whole}", "--again"])
    (whole / "scores.json").unlink()
    score([f"output={whole}"])
    assert (scores(whole), rows(whole)) == before
    assert "tiny_math: avg@6" in capsys.readouterr().out


def test_another_model_needs_another_folder(
    benchmark: Path, steady: str, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(words(benchmark, steady, whole, "engine.model=other"))
    assert ended.value.code == 2
    assert "model was 'tiny', is 'other'" in capsys.readouterr().err
    changed = tmp_path / "changed.jsonl"
    write_jsonl(changed, ROWS[1:])
    with pytest.raises(SystemExit):
        grade([f"output={whole}", f"benchmark.path={changed}"])
    assert "not the problems that" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("engine.url=null", "engine.url"),
        ("engine.model=null", "engine.model"),
        ("engine.extra=[1]", "engine.extra"),
        ("engine.model=tinny", "has no model 'tinny'; it has tiny, other: engine.model=tiny"),
        ("engine.url=http://127.0.0.1:9/v1", "start the server, or correct engine.url"),
    ],
)
def test_a_server_that_cannot_be_is_an_error_with_its_fix(
    benchmark: Path, steady: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(words(benchmark, steady, tmp_path, override))
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "tiny_math").exists()
