"""A stage goes on with the same data, seed, batch size and parent, or says what to bring back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recipes.checkpoints.manifest import Parent
from recipes.checkpoints.store import Checkpoint, CheckpointStore
from recipes.settings.compose import compose
from recipes.settings.schema import Settings
from recipes.training.resume_checks import (
    DemonstrationOrder,
    require_nothing_lost,
    require_same_parent,
    require_same_stage,
    resume_problems,
)
from recipes.training.run_folder import RunFolder

ORDER = DemonstrationOrder(seed=1, global_batch_size=16, demonstrations=32, content="feed" * 16)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 2}, "run.seed was 1, is 2"),
        ({"global_batch_size": 8}, "sft.global_batch_size was 16, is 8"),
        ({"demonstrations": 33}, "number of demonstrations was 32, is 33"),
        ({"content": "beef" * 16}, "content of the demonstrations (sha256) was feedfeedfeed, is beefbeefbeef"),
    ],
)
def test_another_order_of_demonstrations(change: dict, named: str) -> None:
    ORDER.require_same(ORDER.as_dict())
    with pytest.raises(ValueError) as refused:
        replace(ORDER, **change).require_same(ORDER.as_dict())
    assert named in str(refused.value)
    assert "use a new run.directory" in str(refused.value)


@pytest.fixture
def sft(tmp_path: Path) -> Settings:
    return compose("sft", ["cluster=cpu", f"run.directory={tmp_path}", "run.seed=1", "sft.global_batch_size=16"])


def saved(settings: Settings, step: int = 7) -> Checkpoint:
    """A checkpoint of ``ORDER`` in the run's folder."""
    store = CheckpointStore(RunFolder(Path(settings.run.directory)).checkpoints, 3)
    store.begin(step)
    (store.pending_state(step) / "weights").write_text("state")
    return store.commit(step, {"order": ORDER.as_dict()})


def with_settings(settings: Settings, section: str, **values) -> Settings:
    return replace(settings, **{section: replace(getattr(settings, section), **values)})


def test_settings_that_cannot_go_on_are_all_named_with_the_fix(sft: Settings) -> None:
    directory = Path(sft.run.directory)
    assert resume_problems(sft, directory) == []
    saved(sft)
    assert resume_problems(sft, directory) == []
    changed = with_settings(with_settings(sft, "run", seed=2, resume=False), "sft", global_batch_size=8)
    problems = {problem.key: problem for problem in resume_problems(changed, directory)}
    assert problems.keys() == {"run.resume", "run.seed", "sft.global_batch_size"}
    assert "run.seed=1" in problems["run.seed"].fix
    assert "step_00000007" in problems["sft.global_batch_size"].found
    RunFolder(directory).manifest.write_text("{}")  # finished: there is nothing to go on with
    assert resume_problems(changed, directory) == []


def test_a_stage_that_would_end_before_its_checkpoint(sft: Settings) -> None:
    directory = Path(sft.run.directory)
    saved(sft)
    for enough in (-1, 7, 9):
        assert resume_problems(with_settings(sft, "sft", max_steps=enough), directory) == []
    (problem,) = resume_problems(with_settings(sft, "sft", max_steps=6), directory)
    assert problem.key == "sft.max_steps" and problem.fix.startswith("sft.max_steps=7")


def test_the_checkpoint_of_another_stage(sft: Settings) -> None:
    start = replace(saved(sft), progress={"stage": "math1", "order": {}})
    require_same_stage(start, "math1")
    with pytest.raises(ValueError, match=r"checkpoint of stage=math1, and this is stage=code1.*run\.directory=NEW"):
        require_same_stage(start, "code1")


@pytest.mark.parametrize(
    ("step", "end", "lost"),
    [(3, "running", False), (5, "running", False), (6, "running", True), (2, "interrupted", True)],
)
def test_steps_whose_checkpoints_are_gone(sft: Settings, step: int, end: str, lost: bool) -> None:
    """Saved every five steps: one that was killed in its first save has lost nothing."""
    folder = RunFolder(Path(sft.run.directory))
    store = CheckpointStore(folder.checkpoints, 3)
    require_nothing_lost(folder, store, 5)
    folder.begin(sft, 0, None).renew(step, end=end)
    if not lost:
        require_nothing_lost(folder, store, 5)
        return
    with pytest.raises(
        ValueError, match=rf"{step} steps were taken and no checkpoint .* is complete .*run\.resume=false"
    ):
        require_nothing_lost(folder, store, 5)


def test_damaged_checkpoints_are_named(sft: Settings) -> None:
    folder = RunFolder(Path(sft.run.directory))
    start = saved(sft)
    require_nothing_lost(folder, CheckpointStore(folder.checkpoints, 3), 5)
    (start.directory / "state" / "weights").write_text("")
    with pytest.raises(ValueError, match=r"damaged are step_00000007"):
        require_nothing_lost(folder, CheckpointStore(folder.checkpoints, 3), 5)


def parent(name: str, digest: str | None = "feed") -> Parent:
    return Parent(f"/runs/{name}/model.nemo", digest, name, f"/runs/{name}")


def test_other_parent_weights(sft: Settings) -> None:
    folder = RunFolder(Path(sft.run.directory))
    folder.begin(sft, 0, parent("base"))
    require_same_parent(folder, parent("other", "beef"), None)  # no step of it was saved
    checkpoint = saved(sft)
    require_same_parent(folder, parent("moved"), checkpoint)  # the same weights at another place
    for other in (parent("other", "beef"), parent("base", "beef"), None):
        with pytest.raises(ValueError, match=r"was started from /runs/base/model.nemo.*new run.directory"):
            require_same_parent(folder, other, checkpoint)


def test_the_parent_is_that_of_the_start_that_the_checkpoint_comes_from(sft: Settings) -> None:
    folder = RunFolder(Path(sft.run.directory))
    folder.begin(sft, 0, parent("abandoned", "dead"))  # ended before its first save
    folder.begin(sft, 0, parent("base"))
    checkpoint = saved(sft)
    folder.begin(sft, 7, parent("base"))
    require_same_parent(folder, parent("base"), checkpoint)
    with pytest.raises(ValueError, match="started from /runs/base"):
        require_same_parent(folder, parent("abandoned", "dead"), checkpoint)


def test_weights_without_a_manifest_are_told_apart_by_their_path(sft: Settings) -> None:
    folder = RunFolder(Path(sft.run.directory))
    folder.begin(sft, 0, parent("foreign", None))
    checkpoint = saved(sft)
    require_same_parent(folder, parent("foreign", None), checkpoint)
    for other in (parent("other", None), None):
        with pytest.raises(ValueError, match="started from /runs/foreign"):
            require_same_parent(folder, other, checkpoint)
