"""From settings to a Megatron model on its ranks: the set-up that SFT, GRPO, evaluation and export share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from megatron.core.tensor_parallel.random import model_parallel_cuda_manual_seed
from nemo.utils.exp_manager import exp_manager
from nemo_aligner.utils import parallel_state
from nemo_aligner.utils.train_script_utils import (
    CustomLoggerWrapper,
    extract_optimizer_scheduler_from_ptl_model,
    init_distributed,
    init_using_ptl,
    resolve_and_create_trainer,
)
from nemo_aligner.utils.utils import load_from_nemo, retrieve_model_state_dict_in_cpu
from omegaconf import DictConfig, OmegaConf

from recipes.backends.aligner.nemo_config import experiment_config, model_config, trainer_config
from recipes.backends.aligner.nemo_file import require_same_architecture
from recipes.backends.aligner.settings_of_now import SettingsOfNow
from recipes.backends.aligner.trackers import known_runs, remember_runs
from recipes.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Session:
    """A model ready to train or sample, with what belongs to it."""

    config: DictConfig
    trainer: Trainer
    model: Any
    optimizer: Any
    scheduler: Any
    loggers: CustomLoggerWrapper

    @property
    def data_parallel_rank(self) -> int:
        """This process's place among the model replicas."""
        return parallel_state.get_data_parallel_rank()

    @property
    def data_parallel_size(self) -> int:
        """Number of model replicas."""
        return parallel_state.get_data_parallel_world_size()

    @property
    def is_model_parallel_source(self) -> bool:
        """True on the one rank of a replica that reads data, grades and writes."""
        return torch.distributed.get_rank() == parallel_state.get_model_parallel_src_rank()


def open_session(
    model_class: type,
    settings: Settings,
    *,
    micro_batch_size: int,
    global_batch_size: int,
    max_steps: int,
    restore_training_state: Path | None = None,
    keep_reference: bool = False,
    inference_only: bool = False,
) -> Session:
    """Build the trainer, the model, its optimizer and the process groups.

    Args:
        model_class: a NeMo ``MegatronGPTModel`` subclass.
        micro_batch_size: sequences per forward pass of one data-parallel rank.
        global_batch_size: sequences per update over all ranks.
        max_steps: updates that the learning-rate schedule spans.
        restore_training_state: folder written by ``training_state.save``; weights, moments and the place in the
            schedule come from it, learning rate, weight decay and the schedule itself from the settings.
        keep_reference: hold a copy of the initial weights in CPU memory (the KL term's reference).
        inference_only: no optimizer and no gradient buffers.

    Raises:
        CheckpointMismatch: the checkpoint in ``settings.model.restore_from`` is of another architecture.
    """
    config = OmegaConf.create(
        {
            "trainer": trainer_config(settings, max_steps=max_steps),
            "model": model_config(
                settings,
                micro_batch_size=micro_batch_size,
                global_batch_size=global_batch_size,
                max_steps=max_steps,
            ),
            "exp_manager": experiment_config(settings, known_runs(settings)),
        }
    )
    trainer = resolve_and_create_trainer(config, "loop")
    exp_manager(trainer, config.exp_manager)
    needs_initial_weights = restore_training_state is None or keep_reference
    if settings.model.restore_from and needs_initial_weights:
        require_same_architecture(Path(settings.model.restore_from), settings.model)
        model = load_from_nemo(model_class, config.model, trainer, restore_path=settings.model.restore_from)
    else:
        model = model_class(config.model, trainer)
    model.padded_vocab_size = settings.model.vocab_size
    init_distributed(trainer, model, config.model.transformer_engine)
    remember_runs(trainer, settings)
    if keep_reference:
        model.init_policy_state_dict = retrieve_model_state_dict_in_cpu(model, megatron_amp_O2=model.megatron_amp_O2)
    model_parallel_cuda_manual_seed(settings.run.seed)
    loggers = CustomLoggerWrapper(trainer.loggers)
    if inference_only:
        return Session(config, trainer, model, None, None, loggers)
    trainer.ckpt_path = str(restore_training_state) if restore_training_state else None
    settings_of_now = SettingsOfNow()
    trainer.callbacks.append(settings_of_now)
    # NeMo derives its epoch length from the data set handed over here; the recipe's loops bring their own batches.
    rows = torch.utils.data.TensorDataset(torch.zeros(global_batch_size))
    init_using_ptl(trainer, model, torch.utils.data.DataLoader(rows, batch_size=global_batch_size), rows)
    optimizer, scheduler = extract_optimizer_scheduler_from_ptl_model(model)
    if restore_training_state:
        settings_of_now.bring_back(optimizer, scheduler)
    return Session(config, trainer, model, optimizer, scheduler, loggers)
