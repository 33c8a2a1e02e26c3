"""SFT's settings against the number of its demonstrations: a batch, an end of the warm-up, a held-out measurement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from recipes.settings.errors import SettingsProblem
from recipes.settings.parallelism import data_parallel_size
from recipes.settings.schema import Settings, SftSettings

_WARM_UP = 0.03
"""Share of the updates that is proposed: that of ``conf/stage/sft.yaml``."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """Demonstrations of a file that fit ``sft.max_sequence_length``."""

    count: int
    at_most: bool = False
    """The number is an upper bound: not every long row was tokenized."""

    def __str__(self) -> str:
        return f"at most {self.count:,}" if self.at_most else f"{self.count:,}"


def updates(sft: SftSettings, demonstrations: int) -> int:
    """Updates of a stage; each epoch leaves out what does not fill its last batch."""
    count = demonstrations // sft.global_batch_size * sft.epochs
    return count if sft.max_steps == -1 else min(count, sft.max_steps)


def enough_to_train(settings: Settings) -> int:
    """Demonstrations of ``data.train`` from which on ``demonstration_problems`` has nothing to say."""
    sft = settings.sft
    return sft.global_batch_size * (settings.optimizer.warmup_steps // sft.epochs + 1)


def enough_to_measure(settings: Settings) -> int:
    """Demonstrations of one held-out batch: a micro-batch for each copy of the model."""
    return settings.sft.micro_batch_size * data_parallel_size(settings)


def demonstration_problems(
    settings: Settings, train: Fitting | None, validation: Fitting | None
) -> list[SettingsProblem]:
    """What too few demonstrations make impossible; for settings without ``value_problems``.

    Args:
        train: of ``data.train``; None: unknown.
        validation: of ``data.validation``; None: unknown.
    """
    cut = _cut(settings, train, validation)
    return [*_training(settings, train, cut), *_measuring(settings, validation, cut)]


def left_out(settings: Settings, validation: int) -> str | None:
    """A line on the held-out demonstrations that do not fill a batch, None where all are measured."""
    batch = enough_to_measure(settings)
    rest = validation % batch
    if rest == 0:
        return None
    which = "1 is left out" if rest == 1 else f"the last {rest} are left out"
    return f"held-out loss: {which} of {validation:,} demonstrations, which come in batches of {_batch(settings)}"


@dataclass(frozen=True, slots=True)
class _Cut:
    """Batch and micro-batch that the demonstrations fill."""

    batch: int
    micro: int
    warmup: int

    def words(self, settings: Settings) -> str:
        """What to type, of all that differs from the settings: taken by itself it leaves no other problem."""
        now = {
            "sft.global_batch_size": (settings.sft.global_batch_size, self.batch),
            "sft.micro_batch_size": (settings.sft.micro_batch_size, self.micro),
            "optimizer.warmup_steps": (settings.optimizer.warmup_steps, self.warmup),
        }
        return " ".join(f"{key}={new}" for key, (old, new) in now.items() if new != old)


def _cut(settings: Settings, train: Fitting | None, validation: Fitting | None) -> _Cut | None:
    """The settings' own sizes where they can be filled, else the largest below them; None where none can."""
    sft, copies = settings.sft, data_parallel_size(settings)
    counts = [fitting.count for fitting in (train, validation) if fitting is not None]
    widest = min([sft.micro_batch_size, *(count // copies for count in counts)])
    if widest == 0:
        return None
    batch = sft.global_batch_size
    if train is not None and train.count < batch:
        batch = train.count // (copies * widest) * copies * widest
    micro = max(size for size in range(1, widest + 1) if batch // copies % size == 0)
    warmup = settings.optimizer.warmup_steps
    if train is not None:
        count = updates(replace(sft, global_batch_size=batch), train.count)
        warmup = warmup if warmup < count else _warm_up(count)
    return _Cut(batch, micro, warmup)


def _training(settings: Settings, train: Fitting | None, cut: _Cut | None) -> Iterator[SettingsProblem]:
    if train is None:
        return
    sft, optimizer = settings.sft, settings.optimizer
    if train.count < sft.global_batch_size:
        more = f"a data.train of at least {sft.global_batch_size} that fit"
        yield SettingsProblem(
            "sft.global_batch_size",
            f"{sft.global_batch_size}, with {train} demonstrations that fit "
            f"sft.max_sequence_length={sft.max_sequence_length}",
            "enough demonstrations for one update",
            more if cut is None else f"{cut.words(settings)}, or {more}",
        )
        return
    count = updates(sft, train.count)
    if optimizer.warmup_steps < count:
        return
    total = Fitting(count, train.at_most)
    limit = "" if sft.max_steps == -1 else f", sft.max_steps={sft.max_steps}"
    yield SettingsProblem(
        "optimizer.warmup_steps",
        f"{optimizer.warmup_steps:,} steps of {total} updates in all ({train} demonstrations that fit, "
        f"sft.global_batch_size={sft.global_batch_size}, sft.epochs={sft.epochs}{limit})",
        f"fewer than the updates: the learning rate would never reach {optimizer.learning_rate:g}",
        f"optimizer.warmup_steps={_warm_up(count)}",
    )


def _measuring(settings: Settings, validation: Fitting | None, cut: _Cut | None) -> Iterator[SettingsProblem]:
    needed = enough_to_measure(settings)
    if validation is None or validation.count >= needed:
        return
    more = f"data.validation=FILE of at least {needed:,} that fit"
    yield SettingsProblem(
        "data.validation",
        f"{validation} demonstrations that fit sft.max_sequence_length={settings.sft.max_sequence_length}",
        f"a whole batch, else nothing is measured: {_batch(settings)}",
        more if cut is None else f"{cut.words(settings)}, or {more}",
    )


def _warm_up(count: int) -> int:
    """Steps to propose for a stage of so many updates."""
    return min(round(_WARM_UP * count), count - 1)


def _batch(settings: Settings) -> str:
    sizes = f"sft.micro_batch_size={settings.sft.micro_batch_size} x {data_parallel_size(settings)} data-parallel"
    return f"{enough_to_measure(settings):,} ({sizes})"
