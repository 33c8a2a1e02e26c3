from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from recipes.curriculum.progress import Progress, ProgressError, only_one
from recipes.curriculum.steps import Step

WORDS = ["curriculum=demo", "run.seed=1"]


@pytest.fixture
def steps(tmp_path: Path) -> list[Step]:
    """A stage, its evaluation, another stage, its evaluation."""

    def stage(name: str, weights: Path | None) -> Step:
        folder = tmp_path / name
        return Step(
            name,
            name,
            "recipes.run_grpo",
            (),
            folder / "manifest.json",
            folder,
            stage=name,
            weights=weights,
            trains=True,
        )

    def evaluation(name: str) -> Step:
        folder = tmp_path / name / "evaluation"
        return Step(
            f"{name}/evaluation",
            name,
            "evaluation.run",
            (),
            folder / "scores.json",
            folder,
            stage=name,
            weights=tmp_path / name / "model.nemo",
            entries=frozenset({"tiny_math", "tiny_code"}),
            feeds=False,
        )

    first = tmp_path / "math1" / "model.nemo"
    return [stage("math1", None), evaluation("math1"), stage("math2", first), evaluation("math2")]


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def output(step: Step, steps_done: int = 2) -> None:
    """What a step leaves on disk, by whatever it was started."""
    if not step.trains:
        write(step.output, {"tiny_math": {}, "tiny_code": {}})
        return
    parent = step.weights.with_name("manifest.json") if step.weights else None
    digest = hashlib.sha256(parent.read_bytes()).hexdigest() if parent else None
    content = {"complete": True, "steps": steps_done, "wall_seconds": 7.5}
    write(step.output, {**content, "parent": {"manifest_sha256": digest} if parent else None})


def do(progress: Progress, steps: list[Step]) -> None:
    for step in steps:
        output(step)
        progress.record(step, 1.25)


def names(steps: list[Step]) -> list[str]:
    return [step.name for step in steps]


def test_a_run_goes_on_where_it_was(tmp_path: Path, steps: list[Step]) -> None:
    progress = Progress.open(tmp_path, WORDS)
    assert progress.pending(steps) == steps
    do(progress, steps[:2])
    again = Progress.open(tmp_path, [*WORDS])
    assert names(again.pending(steps)) == ["math2", "math2/evaluation"]
    assert again.seconds == {"math1": 1.2, "math1/evaluation": 1.2}
    do(again, steps[2:])
    assert Progress.open(tmp_path, WORDS).pending(steps) == []


def test_what_jobs_of_a_cluster_did_is_done(tmp_path: Path, steps: list[Step]) -> None:
    """Nothing in curriculum.json: the outputs tell it, and a manifest how long its stage took."""
    progress = Progress.open(tmp_path, WORDS)
    for step in steps[:2]:
        output(step)
    assert names(progress.pending(steps)) == ["math2", "math2/evaluation"]
    assert [progress.seconds_of(step) for step in steps[:3]] == [7.5, None, None]
    progress.record(steps[0], 3.0)
    assert progress.seconds_of(steps[0]) == 3.0


@pytest.mark.parametrize("content", ["", "{", '{"complete": false}', "[1]"])
def test_a_torn_manifest_is_none(tmp_path: Path, steps: list[Step], content: str) -> None:
    steps[0].folder.mkdir()
    steps[0].output.write_text(content)
    assert not Progress.open(tmp_path, WORDS).done(steps[0])


def test_an_evaluation_is_done_with_its_last_benchmark(tmp_path: Path, steps: list[Step]) -> None:
    progress = Progress.open(tmp_path, WORDS)
    output(steps[0])
    write(steps[1].output, {"tiny_math": {}})
    assert not progress.done(steps[1])
    write(steps[1].output, {"tiny_math": {"missing": 0}, "tiny_code": {"missing": 1}})
    assert not progress.done(steps[1]), "a sample is missing"
    output(steps[1])
    assert progress.done(steps[1])


def test_an_evaluation_of_earlier_weights_is_not_done(tmp_path: Path, steps: list[Step]) -> None:
    progress = Progress.open(tmp_path, WORDS)
    do(progress, steps)
    manifest = steps[2].output
    later = steps[3].output.stat().st_mtime_ns + 1
    os.utime(manifest, ns=(later, later))
    assert names(progress.pending(steps)) == ["math2/evaluation"]


def test_an_evaluation_in_a_copied_run_is_passed_over_by_what_it_was_drawn_from(
    tmp_path: Path, steps: list[Step]
) -> None:
    progress = Progress.open(tmp_path, WORDS)
    do(progress, steps)
    later = steps[3].output.stat().st_mtime_ns + 1
    os.utime(steps[2].output, ns=(later, later))
    digest = hashlib.sha256(steps[2].output.read_bytes()).hexdigest()
    write(steps[3].folder / "tiny_math" / "sampling.json", {"weights": digest})
    assert names(progress.pending(steps)) == ["math2/evaluation"], "tiny_code is of nobody knows which"
    write(steps[3].folder / "tiny_code" / "sampling.json", {"weights": digest})
    assert progress.pending(steps) == []


def test_a_stage_trained_from_other_weights_is_named(tmp_path: Path, steps: list[Step]) -> None:
    progress = Progress.open(tmp_path, WORDS)
    do(progress, steps)
    output(steps[0], steps_done=3)
    assert not progress.done(steps[2])
    with pytest.raises(ProgressError, match=rf"trained already, from other weights.*rm -r {tmp_path / 'math2'}"):
        progress.pending(steps)


def test_an_unfinished_stage_of_other_weights_is_named_too(tmp_path: Path, steps: list[Step]) -> None:
    progress = Progress.open(tmp_path, WORDS)
    do(progress, steps[:2])
    (steps[2].folder / "checkpoints" / "step_00000010").mkdir(parents=True)
    write(steps[2].folder / "attempts" / "0001.json", {"parent": {"manifest_sha256": "of others"}})
    with pytest.raises(ProgressError, match="math2 is to be done"):
        progress.pending(steps)


def test_a_removed_evaluation_alone_is_done_again(tmp_path: Path, steps: list[Step]) -> None:
    progress = Progress.open(tmp_path, WORDS)
    do(progress, steps)
    steps[1].output.unlink()
    assert names(progress.pending(steps)) == ["math1/evaluation"]


@pytest.mark.parametrize("trace", ["manifest.json", "checkpoints/step_00000010/checkpoint.json"])
def test_a_stage_trained_from_weights_that_are_gone_is_not_mixed_in(
    tmp_path: Path, steps: list[Step], trace: str
) -> None:
    progress = Progress.open(tmp_path, WORDS)
    do(progress, steps[:2])
    begun = tmp_path / "math2" / trace
    begun.parent.mkdir(parents=True)
    begun.touch()
    steps[0].output.unlink()
    with pytest.raises(ProgressError, match=rf"math1 is to be done.*rm -r {tmp_path / 'math2'}"):
        progress.pending(steps)


def test_what_follows_a_stage_done_again_is_done_again(tmp_path: Path, steps: list[Step]) -> None:
    progress = Progress.open(tmp_path, WORDS)
    do(progress, steps)
    for path in (steps[0].output, steps[2].output):
        path.unlink()
    todo = progress.pending(steps)
    assert todo == steps
    progress.forget(todo)
    assert Progress.open(tmp_path, WORDS).seconds == {}


def test_other_words_are_refused_by_name(tmp_path: Path) -> None:
    Progress.open(tmp_path, WORDS).save()
    with pytest.raises(ProgressError, match=r"there run\.seed=1, here run\.seed=2"):
        Progress.open(tmp_path, ["curriculum=demo", "run.seed=2"])
    with pytest.raises(ProgressError, match=r"there none of them, here grpo\.max_steps=3"):
        Progress.open(tmp_path, [*WORDS, "grpo.max_steps=3"])


def test_words_that_change_no_result_may_change(tmp_path: Path) -> None:
    Progress.open(tmp_path, WORDS).save()
    Progress.open(tmp_path, [f"run.directory={tmp_path}", *WORDS[::-1], "cluster.devices_per_node=2", "cluster=cpu"])
    Progress.open(tmp_path, [*WORDS, "math2.cluster.nodes=4", "sft.checkpoint.save_every_steps=5"])
    with pytest.raises(ProgressError, match=r"there none of them, here math2\.grpo\.top_p=0\.9"):
        Progress.open(tmp_path, [*WORDS, "math2.grpo.top_p=0.9"])


def test_two_commands_in_one_folder(tmp_path: Path) -> None:
    with (
        only_one(tmp_path),
        pytest.raises(ProgressError, match="another run_curriculum is at work"),
        only_one(tmp_path),
    ):
        pass
    with only_one(tmp_path):
        pass
