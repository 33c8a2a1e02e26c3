"""An evaluation in shards: which samples are whose, the same samples as one job's, and what a merge refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation import merge as merge_module
from evaluation import merging
from evaluation import run as run_module
from evaluation.merge import main as merge_command
from evaluation.merging import MergeError, begin, merge, unfinished
from evaluation.run import main as run
from evaluation.sample import main as sample
from evaluation.samples import Sample, SamplesError
from evaluation.score import main as score
from evaluation.shards import Shard, finish
from evaluation.tasks import Task, read_task
from recipes.data import tiny_code
from recipes.data.jsonl import problem_row, write_jsonl
from recipes.grading.graders import Grader
from recipes.settings.compose import compose
from recipes.settings.overrides import literal
from tests.unit.evaluation import tiny_checkpoint
from tests.unit.servers.fault_server import MODEL
from tests.unit.servers.test_openai_client import fault_server

PROBLEMS, N, COUNT = 5, 4, 3
ROWS = [{"id": f"p{index}", "problem": f"What is {index}?", "answer": str(index % 10)} for index in range(PROBLEMS)]
IDS = [row["id"] for row in ROWS]


@pytest.mark.parametrize(("problems", "n", "count"), [(5, 4, 3), (30, 64, 8), (1, 1, 4), (7, 1, 3)])
def test_every_sample_is_one_shards_and_every_problem_is_shared_out(problems: int, n: int, count: int) -> None:
    ids = [f"p{index}" for index in range(problems)]
    parts = [Shard(index, count).own_keys(ids, n) for index in range(count)]
    assert Counter(key for part in parts for key in part) == Counter((p, s) for p in ids for s in range(n))
    for part in parts:
        shares = Counter(problem for problem, _ in part)
        assert all(abs(shares[problem] - n / count) < 1 for problem in ids)
        assert set(part) >= set(Shard(parts.index(part), count).own_keys(ids, n - 1)), "more samples move none"
    batches = [[(p, s) for s in range(n)] for p in ids]
    split = [Shard(index, count).own_batches(batches) for index in range(count)]
    assert Counter(key for part in split for key in part) == Counter((p, s) for p in ids for s in range(n))


@pytest.fixture(scope="module")
def steady() -> Iterator[str]:
    with fault_server("--faults", "0") as url:
        yield url


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shards") / "benchmark.jsonl"
    write_jsonl(path, ROWS)
    return path


@pytest.fixture(scope="module")
def served(benchmark: Path, steady: str) -> list[str]:
    engine = ["engine=openai", f"engine.url={steady}", f"engine.model={MODEL}", "engine.concurrency=4"]
    return [*engine, f"benchmark.path={benchmark}", f"n={N}", "evaluation.report=false"]


@pytest.fixture(scope="module")
def whole(served: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole")
    run([*served, f"output={output}"])
    return output


def shard_words(index: int, output: Path, count: int = COUNT) -> list[str]:
    return [f"output={output}", f"evaluation.shards={count}", f"evaluation.shard={index}"]


def samples(output: Path) -> list[dict]:
    """Everything but how long it took."""
    rows = [json.loads(line) for line in (output / "tiny_math" / "samples.jsonl").read_text().splitlines()]
    return [{**row, "seconds": 0} for row in rows]


def assert_same(output: Path, whole: Path) -> None:
    assert samples(output) == samples(whole)
    assert (output / "scores.json").read_bytes() == (whole / "scores.json").read_bytes()
    identity = [(folder / "tiny_math" / "sampling.json").read_bytes() for folder in (output, whole)]
    assert identity[0] == identity[1]
    assert not (output / "tiny_math" / "shards").exists()
    settings = (output / "tiny_math" / "settings.yaml").read_text().replace(str(output), str(whole))
    assert settings == (whole / "tiny_math" / "settings.yaml").read_text()


def test_shards_at_once_end_in_one_jobs_samples_and_scores(served: list[str], whole: Path, tmp_path: Path) -> None:
    commands = [[sys.executable, "-m", "evaluation.run", *served, *shard_words(i, tmp_path)] for i in range(COUNT)]
    jobs = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for c in commands]
    ended = [job.communicate(timeout=240) for job in jobs]
    assert [job.returncode for job in jobs] == [0] * COUNT, ended
    assert_same(tmp_path, whole)
    assert sum("avg@4" in out for out, _ in ended) == 1, ended
    assert all("is finished" in out for out, _ in ended if "avg@4" not in out), ended
    run([*served, *shard_words(1, tmp_path)])  # again: nothing is left to draw, and nothing is begun
    assert_same(tmp_path, whole)


def test_more_samples_in_shards_of_another_number(
    served: list[str], whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(COUNT):
        run([*served, *shard_words(index, tmp_path), "n=2"])
    first = samples(tmp_path)
    assert len(first) == 2 * PROBLEMS
    run([*served, *shard_words(1, tmp_path, 2)])
    assert "shard 1 of 2 is finished; not finished yet: 0" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run([*served, *shard_words(1, tmp_path, 3)])
    assert "holds 001_of_002, and shard 1 of 3 is to be drawn" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run([*served, f"output={tmp_path}"])
    assert "and the whole is to be drawn; go on with evaluation.shards=2" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        score([f"output={tmp_path}"])
    assert (
        f"tiny_math lies there in shards; first: python -m evaluation.merge output={tmp_path}"
        in capsys.readouterr().err
    )
    with pytest.raises(SystemExit):
        score([f"output={tmp_path}", "benchmark=tiny_math"])
    assert "tiny_math lies there in shards" in capsys.readouterr().err
    run([*served, *shard_words(0, tmp_path, 2)])
    assert_same(tmp_path, whole)


def test_samples_of_another_seed_are_replaced_by_shards(
    served: list[str], whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run([*served, f"output={tmp_path}", "run.seed=5"])
    with pytest.raises(SystemExit):
        run([*served, *shard_words(0, tmp_path)])
    assert "seed was 5, is 1234" in capsys.readouterr().err
    for index in range(COUNT):
        assert len(samples(tmp_path)) == N * PROBLEMS, "the old ones stay until the new ones are whole"
        run([*served, *shard_words(index, tmp_path), "replace=true"])
    rows = samples(tmp_path)
    assert rows == samples(whole)
    assert (tmp_path / "scores.json").read_bytes() == (whole / "scores.json").read_bytes()


def test_shards_that_were_only_sampled_are_graded_by_the_merge(served: list[str], whole: Path, tmp_path: Path) -> None:
    for index in range(COUNT):
        sample([*served, *shard_words(index, tmp_path)])
    merge_command([f"output={tmp_path}"])
    assert_same(tmp_path, whole)
    before = [(path, path.read_bytes()) for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    merge_command([f"output={tmp_path}"])
    assert [(path, path.read_bytes()) for path in sorted(tmp_path.rglob("*")) if path.is_file()] == before


def test_batches_draw_the_same_in_shards(tmp_path: Path) -> None:
    """The hf engine: seven samples in batches of two, shared out over three shards."""
    tiny_checkpoint.write(tmp_path, 7)
    words = ["engine=hf", f"engine.checkpoint={tmp_path / 'hf'}", f"benchmark.path={tmp_path / 'heldout.jsonl'}", "n=1"]
    words += ["engine.batch_size=2", "evaluation.max_response_length=6", "evaluation.report=false"]
    run([*words, f"output={tmp_path / 'one'}"])
    for index in (2, 0, 1):
        run([*words, *shard_words(index, tmp_path / "three")])
    assert_same(tmp_path / "three", tmp_path / "one")


def test_jobs_that_merge_a_benchmark_each_still_write_the_page(
    steady: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Job 1 runs between the two benchmarks of job 0: it merges the first one, and job 0 the second."""
    write_jsonl(tmp_path / "heldout.jsonl", ROWS)
    write_jsonl(tmp_path / "heldout_code.jsonl", map(problem_row, tiny_code.problems(0, "heldout", 2)))
    words = ["engine=openai", f"engine.url={steady}", f"engine.model={MODEL}", "benchmark=tiny_math,tiny_code", "n=2"]
    words += [f"data.directory={tmp_path}", "max_response_length=64"]
    output = tmp_path / "out"
    calls: list[str] = []
    sent: list[bool] = []

    def finish_shard(task: Task, grader: Grader) -> bool:
        calls.append(task.name)
        if calls == ["tiny_math", "tiny_code"]:
            run([*words, *shard_words(1, output, 2)])
            assert (output / "tiny_math" / "samples.jsonl").exists() and not (output / "report.html").exists()
            assert sent == []
        return finish_one(task, grader)

    finish_one = run_module.finish_shard
    monkeypatch.setattr(run_module, "finish_shard", finish_shard)
    monkeypatch.setattr(run_module, "send_scores", lambda *_: sent.append((output / "report.html").is_file()) or [])
    run([*words, *shard_words(0, output, 2)])
    assert calls == ["tiny_math", "tiny_code", "tiny_math", "tiny_code"]
    assert set(json.loads((output / "scores.json").read_text())) == {"tiny_math", "tiny_code"}
    assert sent == [True]
    assert capsys.readouterr().out.count("Report: ") == 1


def test_a_merge_writes_the_page(served: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(2):
        sample([*served, *shard_words(index, tmp_path, 2), "evaluation.report=true"])
    sent: list[bool] = []
    monkeypatch.setattr(merge_module, "send_scores", lambda *_: sent.append((tmp_path / "report.html").is_file()) or [])
    merge_command([f"output={tmp_path}"])
    assert sent == [True]


# What follows needs no engine: shards are written as evaluation.sample writes them.


def drawn(problem: str, index: int) -> Sample:
    return Sample(problem, index, 7, f"{problem} {index}", 3, False, 0.5, "wrong", None)


@pytest.fixture
def task(benchmark: Path, tmp_path: Path) -> Task:
    words = [f"benchmark.path={benchmark}", f"evaluation.output={tmp_path / 'out'}", f"evaluation.n={N}"]
    return read_task(compose("evaluate", words))


def shard(task: Task, index: int, count: int = COUNT, *, model: str = "m", complete: bool = True) -> Path:
    """Its folder, with samples; the last one is missing where it is not ``complete``."""
    evaluation = replace(task.settings.evaluation, shards=count, shard=index)
    part = replace(task, settings=replace(task.settings, evaluation=evaluation))
    begin(part, part.identity({"model": model}), None)
    keys = Shard(index, count).own_keys(IDS, N)
    part.store.settle([drawn(*key) for key in (keys if complete else keys[:-1])])
    if complete:
        finish(part.folder)
    return part.folder


def refusal(task: Task) -> str:
    with pytest.raises(MergeError) as refused:
        merge(task.folder)
    assert not (task.folder / "samples.jsonl").exists()
    return str(refused.value)


def test_missing_and_unfinished_shards_are_named(task: Task) -> None:
    shard(task, 0, 4)
    shard(task, 2, 4, complete=False)
    assert [one.index for one in unfinished(task.folder)] == [1, 2, 3]
    said = refusal(task)
    assert "002_of_004: not finished, 4 of its 5 samples are there; start it again with evaluation.shards=4" in said
    assert "001_of_004: missing; run it: evaluation.shards=4 evaluation.shard=1" in said
    assert "003_of_004: missing" in said
    assert "000_of_004" not in said


def _copy(task: Task) -> None:
    shutil.copytree(task.folder / "shards" / "000_of_003", task.folder / "shards" / "001_of_003", dirs_exist_ok=True)


def _another_division(task: Task) -> None:
    shutil.copytree(task.folder / "shards" / "000_of_003", task.folder / "shards" / "003_of_008")
    plan = task.folder / "shards" / "003_of_008" / "shard.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "shard": 3, "shards": 8}))


def _edit(name: str, change: Callable[[list[dict]], list[dict]]) -> Callable[[Task], None]:
    def edit(task: Task) -> None:
        path = task.folder / "shards" / "002_of_003" / name
        write_jsonl(path, change([json.loads(line) for line in path.read_text().splitlines()]))

    return edit


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_copy, "001_of_003: holds shard 0 of 3; a shard stands in the folder of its name"),
        (_another_division, "003_of_008: of another division than the others, which are 3; remove it"),
        (_edit("samples.jsonl", lambda rows: rows[1:]), "002_of_003: 1 samples (p0[2]) not there; start it again"),
        (
            _edit("samples.jsonl", lambda rows: [*rows, {**rows[0], "problem_id": "p9"}]),
            "002_of_003: 1 samples (p9[2]) not of this shard; remove these rows",
        ),
        (
            _edit("shard.json", lambda rows: [{**rows[0], "samples": {**rows[0]["samples"], "p0": [0, 2]}}]),
            "002_of_003: 1 samples (p0[0]) of 000_of_003 too",
        ),
        (
            _edit("shard.json", lambda rows: [{**rows[0], "samples": {**rows[0]["samples"], "p0": []}}]),
            "1 samples (p0[2]) of no shard",
        ),
    ],
)
def test_doubled_alien_and_lost_samples_are_named(task: Task, spoil: Callable[[Task], None], message: str) -> None:
    for index in range(COUNT):
        shard(task, index)
    spoil(task)
    assert message in refusal(task)


def test_shards_of_two_models_are_no_whole(task: Task) -> None:
    for index in range(COUNT):
        shard(task, index, model="other" if index == 1 else "m")
    assert "001_of_003: another evaluation: model is 'other', but 'm' in 000_of_003" in refusal(task)
    shutil.rmtree(task.folder / "shards")
    task.store.claim({"model": "old"}, replace=False)
    with pytest.raises(SamplesError, match="model was 'old', is 'm'"):
        shard(task, 0)


@pytest.mark.parametrize("moment", ["settle", "rename", "rmtree"])
def test_a_merge_that_is_killed_goes_on(task: Task, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    for index in range(COUNT):
        shard(task, index)

    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    owner = {"settle": merging.SampleStore, "rename": Path, "rmtree": merging.shutil}[moment]
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(owner, moment, kill)
        merge(task.folder)
    if moment == "rmtree":
        with pytest.raises(MergeError, match="no shards there; they are merged already"):
            merge(task.folder)
    else:
        merge(task.folder)
    found = task.store.load()
    assert list(found.values()) == [drawn(problem, index) for problem in IDS for index in range(N)]
    assert sorted(path.name for path in task.folder.iterdir()) == [
        "grading.json",
        "samples.jsonl",
        "sampling.json",
        "settings.yaml",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shard=1"], "evaluation.shards"),
        (["shards=4"], "sbatch --array=0-3"),
        (["shards=4", "shard=4"], "which of the shards, 0 to 3"),
        (["shards=0", "shard=0"], "evaluation.shards=8"),
    ],
)
def test_keys_that_do_not_fit_are_refused(
    served: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run([*served, f"output={tmp_path}", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_of_any_name_is_merged(served: list[str], whole: Path, tmp_path: Path) -> None:
    output = tmp_path / 'q"q\\'
    for index in range(COUNT):
        words = [word for word in shard_words(index, output, COUNT) if not word.startswith("output=")]
        sample([*served, *words, literal("output", output)])
    merge_command([f"output={output}"])
    assert samples(output) == samples(whole)
