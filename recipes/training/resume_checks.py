"""Whether a stage can go on from its checkpoint under these settings and with these data.

A checkpoint holds weights, optimizer and schedule in Megatron's distributed format, which loads at any tensor, pipeline
and data parallel size, so the layout may change between two starts. What may not change is what the position in the
data means: the data themselves, the seed of the order and the batch size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from recipes.checkpoints.manifest import Parent
from recipes.checkpoints.store import Checkpoint, CheckpointStore
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import Settings
from recipes.training.run_folder import RunFolder

_KEYS = {
    "sft": {"seed": "run.seed", "global_batch_size": "sft.global_batch_size"},
    "grpo": {"seed": "run.seed", "prompts_per_step": "grpo.prompts_per_step"},
}
"""Stage kind -> key of a checkpoint's ``order`` -> settings key."""


@dataclass(frozen=True, slots=True)
class DemonstrationOrder:
    """What the number of demonstrations consumed is a position in, for SFT's checkpoints."""

    seed: int
    global_batch_size: int
    demonstrations: int
    content: str
    """Digest of the token ids in their order."""

    @classmethod
    def of(cls, settings: Settings, demonstrations: int, content: str) -> DemonstrationOrder:
        """The order that these settings give these data.

        Args:
            content: ``prompts.TokenDigest``.
        """
        return cls(settings.run.seed, settings.sft.global_batch_size, demonstrations, content)

    def as_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return asdict(self)

    def require_same(self, kept: Mapping[str, Any]) -> None:
        """Whether a checkpoint with this ``order`` can go on here.

        Raises:
            ValueError: names everything that differs.
        """
        names = {"seed": "run.seed", "global_batch_size": "sft.global_batch_size"}
        names |= {"demonstrations": "number of demonstrations", "content": "content of the demonstrations (sha256)"}
        differing = [
            f"{name} was {str(kept[key])[:12]}, is {str(getattr(self, key))[:12]}"
            for key, name in names.items()
            if kept[key] != getattr(self, key)
        ]
        if differing:
            raise ValueError(
                f"the order of the checkpoint's demonstrations does not go on here: {'; '.join(differing)}. Bring "
                "data.train, model.tokenizer and the settings back as they were, or use a new run.directory: a changed "
                "data set starts from its beginning"
            )


def require_same_parent(folder: RunFolder, parent: Parent | None, start: Checkpoint | None) -> None:
    """A stage that goes on belongs to the weights that it started from.

    Raises:
        ValueError: ``model.restore_from`` are other weights than at the stage's first start.
    """
    starts = folder.starts()
    if start is None or not starts:
        return
    # The checkpoint comes from the newest start that had none to go on from.
    first = next((found for found in reversed(starts) if found.step_first == 0), starts[0])
    then, now = first.parent, asdict(parent) if parent else None
    if _origin(then) != _origin(now):
        names = [found["checkpoint"] if found else "random weights" for found in (then, now)]
        raise ValueError(
            f"{folder.directory} was started from {names[0]} and has a checkpoint of step {start.step}; "
            f"model.restore_from is now {names[1]}, which are other weights by their manifest. Bring the first weights "
            "back, or train from the new ones in a new run.directory"
        )


def require_nothing_lost(folder: RunFolder, store: CheckpointStore, save_every_steps: int) -> None:
    """A stage that has taken steps does not begin again, over its rollouts and metrics, because checkpoints are gone.

    Args:
        save_every_steps: of this start, for a folder that does not say what it was.

    Raises:
        ValueError: no checkpoint is complete, and there are damaged ones, or a start came past its first save.
    """
    starts, damaged = folder.starts(), store.damaged()
    kept = folder.directory / "settings.yaml"
    if kept.is_file():
        save_every_steps = OmegaConf.load(kept).checkpoint.save_every_steps
    done = max((start.step_last for start in starts), default=0)
    saved = any(start.end == "interrupted" and start.step_last > 0 for start in starts)
    if not damaged and not saved and done <= save_every_steps:  # equal: killed in its first save
        return
    said = f"damaged are {', '.join(path.name for path in damaged)}" if damaged else "there is none"
    raise ValueError(
        f"{folder.directory}: {done} steps were taken and no checkpoint in {store.directory} is complete ({said}). "
        "Bring one back; or begin again, which removes the steps' rollouts and metrics: run.resume=false, or "
        "run.directory=NEW_FOLDER to keep them"
    )


def require_same_stage(start: Checkpoint, stage: str) -> None:
    """Raises ValueError where the checkpoint is another stage's."""
    if (then := start.progress.get("stage", stage)) != stage:
        raise ValueError(
            f"{start.directory} is a checkpoint of stage={then}, and this is stage={stage}; expected a run directory "
            f"for each stage: stage={then}, or run.directory=NEW_FOLDER"
        )


def _origin(parent: Mapping[str, Any] | None) -> str | None:
    """What tells weights from others: their manifest, for weights without one their path; None for random ones."""
    return (parent["manifest_sha256"] or parent["checkpoint"]) if parent else None


def resume_problems(settings: Settings, run_directory: Path) -> list[SettingsProblem]:
    """Settings that the newest checkpoint of a run directory cannot go on with; reads no data and no weights."""
    folder = RunFolder(run_directory)
    start = CheckpointStore(folder.checkpoints, settings.checkpoint.keep).latest()
    if start is None or folder.manifest.is_file():
        return []
    found = [] if settings.run.resume else [_resume_off(run_directory, start)]
    kept = start.progress["order"]
    found += steps_beyond(settings, start)
    for name, key in _KEYS.get(settings.stage.kind, {}).items():
        section, field = key.split(".")
        now = getattr(getattr(settings, section), field)
        if name in kept and kept[name] != now:
            found.append(
                SettingsProblem(
                    key,
                    f"{now}, but {start.directory} was saved with {kept[name]}",
                    f"{kept[name]}: the order of the data goes on with it alone",
                    f"{key}={kept[name]}, or run.directory=NEW_FOLDER",
                )
            )
    return found


def steps_beyond(settings: Settings, start: Checkpoint) -> list[SettingsProblem]:
    """A stage that would end before the place where it goes on: its manifest would speak of weights that it has not."""
    key = f"{settings.stage.kind}.max_steps"
    most = settings.sft.max_steps if settings.stage.kind == "sft" else settings.grpo.max_steps
    if most in (None, -1) or most >= start.step:
        return []
    return [
        SettingsProblem(
            key,
            f"{most} steps, but {start.directory} is of step {start.step}",
            f"at least {start.step}",
            f"{key}={start.step}, or run.directory=NEW_FOLDER",
        )
    ]


def _resume_off(run_directory: Path, start: Checkpoint) -> SettingsProblem:
    return SettingsProblem(
        "run.resume",
        f"false, but {run_directory} has a checkpoint of step {start.step}",
        "true, or a run directory without a checkpoint",
        "run.resume=true, or run.directory=NEW_FOLDER",
    )
