"""One score has one grader: verdicts of other grading settings are refused, or all are given anew."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.grade import main as grade
from evaluation.merging import begin, merge
from evaluation.run import main as run
from evaluation.sample import main as sample
from evaluation.samples import SamplesError
from evaluation.score import main as score
from evaluation.shards import Shard, finish
from evaluation.store import SampleStore
from evaluation.tasks import Task, read_task
from recipes.settings.compose import compose
from tests.unit.evaluation import tiny_checkpoint
from tests.unit.evaluation.reporting.folders import problems
from tests.unit.evaluation.reporting.folders import sample as drawn

ROWS = 2
ANSWERS = "grading.require_thinking=false"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grading_record")
    tiny_checkpoint.write(folder, ROWS)
    return folder


def words(checkpoint: Path, output: Path, *more: str) -> list[str]:
    model = ["engine=hf", f"engine.checkpoint={checkpoint / 'hf'}", f"benchmark.path={checkpoint / 'heldout.jsonl'}"]
    return [*model, f'evaluation.output="{output}"', "max_response_length=4", "evaluation.report=false", *more]


def recorded(output: Path) -> dict:
    return json.loads((output / "tiny_math" / "grading.json").read_text())


def count(output: Path) -> int:
    return len(SampleStore(output / "tiny_math").load())


def refused(capsys: pytest.CaptureFixture[str], command: object, given: list[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        command(given)  # type: ignore[operator]
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_a_run_does_not_add_verdicts_of_other_settings(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "my scores"
    run(words(checkpoint, output, "n=1"))
    assert recorded(output) == {"require_thinking": True, "timeout_seconds": 10.0}
    grade([f"output={output}", ANSWERS, "--again"])
    assert recorded(output)["require_thinking"] is False
    said = refused(capsys, run, words(checkpoint, output, "n=2"))
    assert f"{output}/tiny_math: its verdicts were given with {ANSWERS}, and grading.require_thinking=true is" in said
    assert f"Go on with {ANSWERS}, or grade again what is there" in said
    assert count(output) == ROWS, "nothing was drawn"
    run(words(checkpoint, output, "n=2", ANSWERS, "grading.workers=1", "grading.memory_mb=512"))
    assert (count(output), recorded(output)["require_thinking"]) == (2 * ROWS, False)
    command = shlex.split(said.rpartition("again: ")[2])
    assert command[:3] == ["python", "-m", "evaluation.grade"]
    grade(command[3:])
    run(words(checkpoint, output, "n=3"))
    assert (count(output), recorded(output)["require_thinking"]) == (3 * ROWS, True)


def test_grade_follows_the_record_and_refuses_other_words(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(words(checkpoint, tmp_path, "n=1", ANSWERS))
    sample(words(checkpoint, tmp_path, "n=2"))  # which grades nothing
    assert "grading.require_thinking=true is asked for" in refused(
        capsys, grade, [f"output={tmp_path}", "grading.require_thinking=true"]
    )
    assert sum(one.verdict is None for one in SampleStore(tmp_path / "tiny_math").load().values()) == ROWS
    grade([f"output={tmp_path}"])
    assert recorded(tmp_path)["require_thinking"] is False


def test_each_benchmark_is_graded_by_its_own_record(checkpoint: Path, tmp_path: Path) -> None:
    """The first one in the folder is not the pattern for all."""
    other = [f"benchmark.path={tmp_path / 'sums.jsonl'}", "benchmark.name=a_sums"]
    (tmp_path / "sums.jsonl").write_text((checkpoint / "heldout.jsonl").read_text())
    output = tmp_path / "out"
    for name, more in (("a_sums", [*other, ANSWERS]), ("tiny_math", [])):
        sample(words(checkpoint, output, "n=1", *more))
        store = SampleStore(output / name)
        box = "The answer is \\boxed{7}"
        store.settle([replace(one, text=box, truncated=False) for one in store.load().values()])
    grade([f"output={output}"])
    found = {
        name: {one.verdict for one in SampleStore(output / name).load().values()} for name in ("a_sums", "tiny_math")
    }
    assert "no_answer" not in found["a_sums"] and found["tiny_math"] == {"no_answer"}


def test_a_folder_without_a_record_was_graded_with_its_settings(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(words(checkpoint, tmp_path, "n=1"))
    record = tmp_path / "tiny_math" / "grading.json"
    record.unlink()
    said = refused(capsys, run, words(checkpoint, tmp_path, "n=2", ANSWERS))
    assert f"given with grading.require_thinking=true, and {ANSWERS} is asked for" in said
    sample(words(checkpoint, tmp_path, "n=2", ANSWERS))  # writes settings.yaml anew
    assert recorded(tmp_path)["require_thinking"] is True


def test_without_a_verdict_there_is_nothing_to_mix(checkpoint: Path, tmp_path: Path) -> None:
    sample(words(checkpoint, tmp_path, "n=1"))
    run(words(checkpoint, tmp_path, "n=1", ANSWERS))
    assert recorded(tmp_path)["require_thinking"] is False
    run(words(checkpoint, tmp_path, "n=1", "evaluation.temperature=0.5", "replace=true"))
    assert recorded(tmp_path)["require_thinking"] is True


def test_verdicts_that_a_kill_left_half_exchanged_are_scored_by_nobody(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(words(checkpoint, tmp_path, "n=1"))

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(SampleStore, "settle", kill)
        grade([f"output={tmp_path}", ANSWERS, "--again"])
    for command, given in ((score, []), (grade, [])):
        assert "two kinds may stand there. Grade all of them again" in refused(
            capsys, command, [f"output={tmp_path}", *given]
        )
    grade([f"output={tmp_path}", ANSWERS, "--again"])
    score([f"output={tmp_path}"])
    assert recorded(tmp_path)["require_thinking"] is False


def shard(task: Task, index: int, thinking: bool) -> None:
    """One of two, drawn and graded."""
    settings = task.settings
    part = replace(
        task,
        settings=replace(
            settings,
            evaluation=replace(settings.evaluation, shards=2, shard=index),
            grading=replace(settings.grading, require_thinking=thinking),
        ),
    )
    begin(part, part.identity({"model": "m"}), None, grades=True)
    part.store.settle([drawn(*key, True) for key in Shard(index, 2).own_keys(list(task.by_id), 2)])
    finish(part.folder)


def test_shards_have_one_grader_and_a_merge_with_other_words_grades_anew(tmp_path: Path) -> None:
    heldout = tmp_path / "heldout.jsonl"
    heldout.write_text(
        "".join(json.dumps({"id": p.id, "problem": p.problem, "answer": "2"}) + "\n" for p in problems(2))
    )
    given = [f"benchmark.path={heldout}", f"evaluation.output={tmp_path / 'out'}", "evaluation.n=2"]
    task = read_task(compose("evaluate", given))
    shard(task, 0, thinking=True)
    with pytest.raises(SamplesError, match=r"000_of_002: its verdicts .* or grade again .*evaluation\.merge"):
        shard(task, 1, thinking=False)
    shard(task, 1, thinking=True)
    whole = merge(task.folder, [ANSWERS])
    assert [one.verdict for one in whole.store.load().values()] == [None] * 4
    assert recorded(tmp_path / "out")["require_thinking"] is False
