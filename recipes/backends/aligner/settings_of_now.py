"""The optimizer's settings of this start, over those that a checkpoint brought back.

Megatron's checkpoint holds the hyper-parameters of every parameter group, and NeMo's scheduler all of its own: restored
as they are, a changed ``optimizer.learning_rate`` would change nothing. Moments, step counts and the place in the
schedule are the checkpoint's.
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

HYPER_PARAMETERS = ("weight_decay", "betas", "eps", "initial_lr", "max_lr", "min_lr")
"""Of a parameter group; its ``lr`` follows from the schedule."""
PROGRESS = ("last_epoch", "_step_count", "_last_lr", "_get_lr_called_within_step")
"""Of a scheduler: where it is, not what it does."""


class SettingsOfNow(Callback):
    """Remembers what the settings made, before Lightning restores a checkpoint, and brings it back afterwards."""

    def __init__(self) -> None:
        self._groups: list[dict[str, Any]] = []
        self._schedule: dict[str, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning calls it when optimizer and scheduler are made and nothing is restored."""
        for optimizer in trainer.optimizers:
            self._groups += [
                {key: value for key, value in group.items() if key in HYPER_PARAMETERS}
                for group in optimizer.param_groups
            ]
        for config in trainer.lr_scheduler_configs:
            state = config.scheduler.state_dict()
            self._schedule = {key: value for key, value in state.items() if key not in PROGRESS}

    def bring_back(self, optimizer: Any, scheduler: Any) -> None:
        """Into a restored optimizer and scheduler; the learning rate becomes that of the schedule at its place."""
        for group, values in zip(optimizer.param_groups, self._groups, strict=True):
            group.update(values)
        scheduler.load_state_dict(self._schedule)
        if scheduler.last_epoch > 0:
            scheduler.step(scheduler.last_epoch)
