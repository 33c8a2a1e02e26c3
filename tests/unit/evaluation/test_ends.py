"""Ends of a sampling that lose nothing: Ctrl-C, a full disk, a server that hangs, refuses or answers nonsense."""

from __future__ import annotations

import errno
import json
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.grade import main as grade
from evaluation.orderly_end import orderly_end
from evaluation.run import main as run
from evaluation.sample import main as sample
from evaluation.samples import Sample
from evaluation.score import main as score
from evaluation.store import SamplePart, SampleStore
from recipes.data.jsonl import write_jsonl
from recipes.grading.graders import Grader
from recipes.records import Problem, Verdict
from tests.unit.evaluation.reporting.folders import evaluated
from tests.unit.evaluation.reporting.folders import sample as sample_of
from tests.unit.servers.fault_server import MODEL
from tests.unit.servers.test_openai_client import fault_server

PROBLEMS, N = 40, 5
ROWS = [{"id": f"p{index}", "problem": f"What is {index}?", "answer": str(index % 10)} for index in range(PROBLEMS)]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ends") / "benchmark.jsonl"
    write_jsonl(path, ROWS)
    return path


@pytest.fixture(scope="module")
def slow() -> Iterator[str]:
    with fault_server("--faults", "0", "--seconds", "0.1") as url:
        yield url


def words(benchmark: Path, url: str, output: Path, *more: str) -> list[str]:
    return [
        "engine=openai",
        f"engine.url={url}",
        f"engine.model={MODEL}",
        "engine.concurrency=4",
        "engine.stall_seconds=1",
        f"benchmark.path={benchmark}",
        f"n={N}",
        "evaluation.report=false",
        f"output={output}",
        *more,
    ]


def command(benchmark: Path, url: str, output: Path) -> list[str]:
    return [sys.executable, "-m", "evaluation.sample", *words(benchmark, url, output)]


def whole_lines(output: Path) -> int:
    return len(SampleStore(output / "tiny_math").load())


def test_ctrl_c_is_one_line_and_the_same_command_goes_on(benchmark: Path, slow: str, tmp_path: Path) -> None:
    process = subprocess.Popen(command(benchmark, slow, tmp_path), stderr=subprocess.PIPE, text=True)
    part = tmp_path / "tiny_math" / ".samples.part_000.jsonl"
    while process.poll() is None and (not part.exists() or part.stat().st_size == 0):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    told = re.search(r"interrupted; (\d+) samples are kept in .*, the same command goes on\n$", said)
    assert told is not None, said
    assert 0 < whole_lines(tmp_path) == int(told[1]) < PROBLEMS * N
    sample(words(benchmark, slow, tmp_path, "engine.concurrency=64"))
    assert whole_lines(tmp_path) == PROBLEMS * N


@pytest.mark.parametrize(
    ("more", "kept", "said"),
    [
        ([], 256, "256 verdicts are kept in {}, the same command goes on"),
        (["--again"], 300, "benchmarks that were not finished keep their old verdicts in {}, the same command goes on"),
    ],
)
def test_ctrl_c_while_grading_says_what_becomes_of_the_verdicts(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    kept: int,
    said: str,
) -> None:
    class Interrupted(Grader):
        def grade(self, responses: Sequence[str], problems: Sequence[Problem]) -> list[Verdict]:
            if len(responses) < 256:
                raise KeyboardInterrupt
            return [Verdict(False, "wrong", "3", 0.0)] * len(responses)

    output = tmp_path / "out"
    samples = [sample_of(f"p{index}", 0, True) for index in range(300)]
    evaluated(output, [Problem(f"p{index}", f"What is {index}?", "2") for index in range(300)], samples, 1)
    store = SampleStore(output / "tiny_math")
    if not more:
        store.settle([replace(one, verdict=None, extracted=None) for one in samples])
    monkeypatch.setattr("evaluation.grade.Grader", Interrupted)
    with pytest.raises(SystemExit) as ended:
        grade([f"output={output}", *more])
    assert ended.value.code == 130
    assert capsys.readouterr().err.endswith(f"python -m evaluation.grade: interrupted; {said.format(output)}\n")
    assert sum(one.verdict is not None for one in store.load().values()) == kept


def test_a_damaged_line_of_the_samples_is_one_line(
    benchmark: Path, slow: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["n=1", "engine.concurrency=64"]
    run(words(benchmark, slow, tmp_path, *more))
    samples = tmp_path / "tiny_math" / "samples.jsonl"
    samples.write_text('{"problem_id\n' + samples.read_text())
    for command in (run, sample):
        with pytest.raises(SystemExit) as ended:
            command(words(benchmark, slow, tmp_path, *more))
        assert ended.value.code == 2
        assert f"{samples}:1: malformed JSON" in capsys.readouterr().err


def test_a_full_disk_tears_nothing(benchmark: Path, slow: str, tmp_path: Path) -> None:
    """A limit on the size of files stands for it: the system takes a part of a line and refuses the rest."""
    limit = 12_003  # beyond the settings, short of the samples
    ended = subprocess.run(
        command(benchmark, slow, tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    told = re.search(r"File too large .*; (\d+) samples are kept in .*: make room, then the same", ended.stderr)
    assert told is not None, ended.stderr[-2000:]
    part = (tmp_path / "tiny_math" / ".samples.part_000.jsonl").read_text()
    assert part.endswith("\n") and len(part) <= limit
    assert 0 < int(told[1]) == len(list(map(json.loads, part.splitlines())))
    sample(words(benchmark, slow, tmp_path, "engine.concurrency=64"))
    assert whole_lines(tmp_path) == PROBLEMS * N


def test_a_device_without_room_and_other_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(SystemExit) as ended,
        orderly_end("python -m x", tmp_path),
        SamplePart(Path("/dev/full")) as part,
    ):
        part.append(Sample("p", 0, 1, "text", 5, False, 0.5))
    assert str(ended.value) == (
        f"python -m x: No space left on device ({tmp_path}); 0 samples are kept in {tmp_path}: make room, then the "
        f"same command goes on"
    )
    with pytest.raises(PermissionError), orderly_end("python -m x", tmp_path):
        raise PermissionError(errno.EACCES, "no")


def test_more_samples_wanted_than_there_are_is_said(
    benchmark: Path, slow: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(words(benchmark, slow, tmp_path, "n=1", "engine.concurrency=64"))
    before = json.loads((tmp_path / "scores.json").read_text())["tiny_math"]
    capsys.readouterr()
    score([f"output={tmp_path}", "n=3"])
    after = json.loads((tmp_path / "scores.json").read_text())["tiny_math"]
    assert (before["missing"], after["missing"], after["samples"]) == (0, 2 * PROBLEMS, PROBLEMS)
    assert after["avg"] == before["avg"], "never divided by samples that are not there"
    assert f"{2 * PROBLEMS} missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["engine.attempts=2", "max_response_length=50"],
            r"status 400: .*context length is 40 tokens.*max_response_length",
        ),
        (["engine.attempts=2"], "a request failed 2 times, the last time with: no answer in time"),
    ],
)
def test_a_server_that_cannot_go_on_is_named_with_what_it_said(
    benchmark: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    served = ["--context", "40"] if "max_response_length=50" in more else ["--seconds", "60"]
    with fault_server("--faults", "0", *served) as url, pytest.raises(SystemExit, match=f"{url}: {message}"):
        sample(words(benchmark, url, tmp_path, *more))
