"""Supervised fine-tuning through NeMo-Aligner's ``GPTSFTModel`` and ``SupervisedTrainer`` (paper §3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from nemo.collections.nlp.data.language_modeling.megatron.megatron_batch_samplers import (
    MegatronPretrainingRandomBatchSampler,
)
from nemo_aligner.algorithms.supervised import SupervisedTrainer
from nemo_aligner.data.nlp.builders import build_dataloader
from nemo_aligner.models.nlp.gpt.gpt_sft_model import GPTSFTModel
from nemo_aligner.utils import parallel_state
from nemo_aligner.utils.distributed import Timer
from omegaconf import OmegaConf

from recipes.backends.aligner.session import Session, open_session
from recipes.checkpoints.store import Checkpoint, CheckpointStore
from recipes.settings.schema import Settings


def open_sft_session(settings: Settings, *, updates: int, restore_training_state: Path | None) -> Session:
    """A session whose schedule spans ``updates``, those of the whole stage."""
    sft = settings.sft
    session = open_session(
        SftModel,
        settings,
        micro_batch_size=sft.micro_batch_size,
        global_batch_size=sft.global_batch_size,
        max_steps=updates,
        restore_training_state=restore_training_state,
    )
    # One micro-batch per replica, so that at most data parallel x micro - 1 held-out rows do not fill a batch.
    session.model.cfg.data.validation_ds.global_batch_size = sft.micro_batch_size * session.data_parallel_size
    return session


class SftModel(GPTSFTModel):
    """``GPTSFTModel`` whose micro-batches are each no wider than their longest row.

    NeMo-Aligner pads a replica's whole share of a global batch to its longest row. Padding carries no loss, so only the
    time changes. ``collate`` puts rows of like length together.
    """

    def get_batch(self, data_iterator, tuning):
        """The next micro-batch, cut to its longest row; full width under pipeline parallelism (one shape for all)."""
        batch = super().get_batch(data_iterator, tuning)
        if parallel_state.get_pipeline_model_parallel_world_size() > 1:
            return batch
        multiple = parallel_state.get_tensor_model_parallel_world_size() if self.cfg.sequence_parallel else 1
        # The loss covers each row up to its last label.
        longest = int(batch["loss_mask"].any(dim=0).nonzero().max()) + 1
        width = -(-longest // multiple) * multiple
        return {key: value[:, :width].contiguous() for key, value in batch.items()}


Rows = Sequence[tuple[Any, Any]]
"""Demonstrations: (prompt ids, response ids), sequences or arrays of integers."""


def collate(rows: Rows, *, pad_token: int, width_multiple: int) -> dict[str, torch.Tensor]:
    """Right-padded next-token batch with the loss on response tokens alone, the longest row first.

    Args:
        rows: B of them.
        width_multiple: S is a multiple of it.

    Returns:
        ``tokens``, ``labels``, ``position_ids`` [B, S] int64 and ``loss_mask`` [B, S] float32.
    """
    rows = sorted(rows, key=lambda row: -len(row[0]) - len(row[1]))
    longest = len(rows[0][0]) + len(rows[0][1]) - 1
    width = -(-longest // width_multiple) * width_multiple
    tokens = torch.full((len(rows), width), pad_token, dtype=torch.long)
    labels, loss_mask = tokens.clone(), torch.zeros(len(rows), width)
    for row, (prompt, response) in enumerate(rows):
        ids = torch.cat([torch.tensor(part, dtype=torch.long) for part in (prompt, response)])
        tokens[row, : len(ids) - 1] = ids[:-1]
        labels[row, : len(ids) - 1] = ids[1:]
        loss_mask[row, len(prompt) - 1 : len(ids) - 1] = 1.0
    positions = torch.arange(width).expand_as(tokens).contiguous()
    return {"tokens": tokens, "labels": labels, "loss_mask": loss_mask, "position_ids": positions}


def supervised_step(session: Session, batch: dict[str, torch.Tensor]) -> tuple[float, float]:
    """One update outside the training loop.

    Args:
        session: opened with ``SftModel``.
        batch: of ``collate``, this replica's share of a global batch.

    Returns:
        The loss before the update (nats) and the gradient norm before clipping.
    """
    session.optimizer.zero_grad()
    session.model.prepare_for_training_step()
    loss, _ = session.model.get_loss_and_metrics(batch=batch, forward_only=False)
    session.model.finish_training_step()
    _, gradient_norm, _ = session.optimizer.step(closure=None)
    session.scheduler.step()
    return float(loss), float(gradient_norm)


class EpochTrainer(SupervisedTrainer):
    """``SupervisedTrainer`` that validates at epoch ends and saves there and every ``save_every_steps``.

    NeMo-Aligner couples the two intervals (a save needs a validation); here it is asked for both after every step and
    this class decides.
    """

    def __init__(
        self,
        session: Session,
        settings: Settings,
        *,
        train: torch.utils.data.DataLoader,
        validation: torch.utils.data.DataLoader,
        store: CheckpointStore,
        order: Mapping[str, Any],
        record: Callable[[Mapping[str, Any]], None],
        step_done: Callable[[int], bool],
    ) -> None:
        """Args:
        store: receives the checkpoints.
        order: what the position in the data is a position in, kept in the checkpoints.
        record: given one row of metrics for every update and every validation, on the main process.
        step_done: told the updates done at the start, after every one and every save, on every process; true, on all of
            them: save and end.
        """
        loop = {
            "max_epochs": settings.sft.epochs,
            "max_steps": settings.sft.max_steps,
            "val_check_interval": 1,
            "save_interval": 1,
            "limit_train_batches": 1.0,
            "limit_val_batches": 1.0,
            "gradient_clip_val": settings.optimizer.gradient_clip,
        }
        super().__init__(
            cfg=OmegaConf.create(loop),
            model=session.model,
            optimizer=session.optimizer,
            scheduler=session.scheduler,
            train_dataloader=train,
            val_dataloader=validation,
            test_dataloader=None,
            logger=_Recorder(session.loggers, record),
            ckpt_callback=None,
            run_timer=Timer(None),
        )
        self._session = session
        self._store = store
        self._order = order
        self._step_done = step_done
        self._save_every_steps = settings.checkpoint.save_every_steps

    @property
    def at_epoch_end(self) -> bool:
        """True after the last update of an epoch and of the run."""
        return self.step % self.num_steps_per_epoch == 0 or self.step == self.max_steps

    def run_validation(self):
        """Held-out loss, at epoch ends."""
        return super().run_validation() if self.at_epoch_end else (0.0, {})

    def fit(self) -> bool:
        """Train to the end; False when ``step_done`` asked to stop before, after a save."""
        if self.step < self.max_steps and self._step_done(self.step):
            return False
        try:
            super().fit()
        except _AskedToStop:
            self.logger.finalize()
            return False
        return True

    def save(self, extra_candidates=None, is_train_end=False) -> None:
        """Asked after every update: a checkpoint at epoch ends, every ``checkpoint.save_every_steps`` and on request.

        Raises:
            _AskedToStop: the checkpoint was the last thing to do for now.
        """
        asked = self._step_done(self.step)
        if self.at_epoch_end or asked or self.step % self._save_every_steps == 0:
            self._save()
            asked = self._step_done(self.step) or asked
        if asked and self.step < self.max_steps:
            raise _AskedToStop

    def _save(self) -> None:
        main = torch.distributed.get_rank() == 0
        if main:
            self._store.begin(self.step)
        torch.distributed.barrier()
        self._session.trainer.save_checkpoint(str(self._store.pending_state(self.step)))
        torch.distributed.barrier()
        if main:
            self._store.commit(self.step, {"stage": "sft", "order": self._order, **self.state_dict()})
        torch.distributed.barrier()


class _AskedToStop(Exception):
    """Leaves NeMo-Aligner's loop, which knows no other way out."""


class _Recorder:
    """NeMo's loggers, and one row a step for ``metrics.jsonl``."""

    def __init__(self, loggers, record: Callable[[Mapping[str, Any]], None]) -> None:
        self._loggers = loggers
        self._record = record

    def log_metrics(self, metrics: Mapping[str, Any], step: int, prefix: str = "") -> None:
        if not metrics:
            return
        self._loggers.log_metrics(metrics, step, prefix)
        if torch.distributed.get_rank() == 0:
            numbers = {f"{prefix}{key}": float(value) for key, value in metrics.items()}
            # NeMo-Aligner numbers a validation by the updates done; here it has the number (from 0) of the last one.
            self._record({"step": step - 1 if prefix == "val/" else step, **numbers})

    def finalize(self) -> None:
        self._loggers.finalize()


class ShuffledBatches(MegatronPretrainingRandomBatchSampler):
    """Global batches in an order of each epoch's own, a function of seed and epoch alone.

    NeMo's sampler shuffles within the part of the data that belongs to a replica, so its batches depend on the number
    of replicas, and a run that goes on with another one would see some demonstrations twice in an epoch and others
    never. Here a replica takes whole micro-batches of each global batch. Their content is the same at any number of
    replicas too: NeMo's loss is the mean of the micro-batches' means over tokens. Rows of like length share one.
    """

    def __init__(self, lengths: Sequence[int], **options: Any) -> None:
        """Args:
        lengths: tokens of every row.
        options: of NeMo's sampler.
        """
        super().__init__(**options)
        self._lengths = lengths

    def __iter__(self) -> Iterator[list[int]]:
        """This replica's share of every global batch from ``consumed_samples`` to the end of the epoch."""
        whole = self.total_samples - self.total_samples % self.global_batch_size
        epoch, done = divmod(self.consumed_samples, whole)
        order = torch.randperm(self.total_samples, generator=torch.Generator().manual_seed(self.seed + epoch)).tolist()
        size, micro = self.global_batch_size, self.micro_batch_size
        for start in range(done, whole, size):
            self.consumed_samples += size
            rows = sorted(order[start : start + size], key=lambda row: -self._lengths[row])
            micro_batches = [rows[at : at + micro] for at in range(0, size, micro)]
            yield list(chain.from_iterable(micro_batches[self.data_parallel_rank :: self.data_parallel_size]))


def training_loader(
    session: Session, rows: Rows, lengths: Sequence[int], settings: Settings, *, consumed: int, pad_token: int
) -> torch.utils.data.DataLoader:
    """This replica's share of every global batch, shuffled.

    Args:
        lengths: tokens of every row.
        consumed: demonstrations that earlier updates used; the loader goes on after them.
    """
    batches = ShuffledBatches(
        lengths,
        total_samples=len(rows),
        consumed_samples=consumed,
        micro_batch_size=settings.sft.micro_batch_size,
        global_batch_size=settings.sft.global_batch_size,
        data_parallel_rank=session.data_parallel_rank,
        data_parallel_size=session.data_parallel_size,
        drop_last=True,
        seed=settings.run.seed,
    )
    workers = session.config.model.data.num_workers
    dataset: Any = rows  # a sequence is one
    return torch.utils.data.DataLoader(
        dataset, batch_sampler=batches, num_workers=workers, pin_memory=True, collate_fn=_collate(session, pad_token)
    )


def validation_loader(session: Session, rows: Rows, *, micro: int, pad_token: int) -> torch.utils.data.DataLoader:
    """NeMo-Aligner's loader in file order: one micro-batch of ``micro`` demonstrations a replica."""
    return build_dataloader(
        cfg=session.config,
        dataset=rows,
        consumed_samples=0,
        mbs=micro,
        gbs=micro * session.data_parallel_size,
        drop_last=True,
        collate_fn=_collate(session, pad_token),
        use_random_sampler=False,
    )


def _collate(session: Session, pad_token: int) -> Callable[[Sequence[Any]], dict[str, torch.Tensor]]:
    multiple = session.config.model.tensor_model_parallel_size if session.config.model.sequence_parallel else 1
    return partial(collate, pad_token=pad_token, width_multiple=multiple)


def trainer_state(start: Checkpoint | None) -> dict[str, int] | None:
    """What ``EpochTrainer.load_state_dict`` takes, None for a fresh run."""
    if start is None:
        return None
    return {key: int(start.progress[key]) for key in ("step", "consumed_samples", "epoch")}
