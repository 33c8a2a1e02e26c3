from __future__ import annotations

from pathlib import Path

import pytest

from recipes.curriculum.progress import Progress, ProgressError, only_one
from recipes.curriculum.steps import Step

WORDS = ["curriculum=demo", "run.seed=1"]


@pytest.fixture
def steps(tmp_path: Path) -> list[Step]:
    """A stage, its evaluation, another stage, its evaluation."""

    def step(name: str, output: str, **flags: bool) -> Step:
        return Step(name, name, "module", (), tmp_path / output, (tmp_path / output).parent, **flags)

    return [
        step("math1", "math1/manifest.json", trains=True),
        step("math1/evaluation", "math1/evaluation/scores.json", feeds=False),
        step("math2", "math2/manifest.json", trains=True),
        step("math2/evaluation", "math2/evaluation/scores.json", feeds=False),
    ]


def do(progress: Progress, steps: list[Step]) -> None:
    for step in steps:
        step.folder.mkdir(parents=True, exist_ok=True)
        step.output.touch()
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


def test_a_step_that_ended_without_a_record_is_started_again(tmp_path: Path, steps: list[Step]) -> None:
    """The kill came between the end of the stage and the record: the stage itself sees that it is finished."""
    progress = Progress.open(tmp_path, WORDS)
    steps[0].folder.mkdir()
    steps[0].output.touch()
    assert progress.pending(steps) == steps


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
    with pytest.raises(ProgressError, match=rf"math1 is not done.*rm -r {tmp_path / 'math2'}"):
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


def test_two_commands_in_one_folder(tmp_path: Path) -> None:
    with (
        only_one(tmp_path),
        pytest.raises(ProgressError, match="another run_curriculum is at work"),
        only_one(tmp_path),
    ):
        pass
    with only_one(tmp_path):
        pass
