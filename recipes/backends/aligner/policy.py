"""``training.ports.Policy`` on the Megatron actor and Megatron's distributed optimizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from nemo_aligner.utils.utils import configure_batch_sizes, cpu_weight_swap

from recipes.backends.aligner.session import Session
from recipes.objectives.policy_batch import PolicyBatch
from recipes.settings.schema import GrpoSettings
from recipes.training.ports import UpdateMetrics


class AlignerPolicy:
    """The policy of one GRPO stage."""

    def __init__(self, session: Session, settings: GrpoSettings, make_room: Callable[[], None] = lambda: None) -> None:
        """Args:
        session: opened with ``actor.GrpoActor``; with ``keep_reference`` where ``settings.kl_coefficient`` > 0.
        make_room: of the rollout engine (``rollout_engines.TrainedModelEngine``), called before the model is used.
        """
        self._session = session
        self._settings = settings
        self._make_room = make_room

    def update(self, batch: PolicyBatch) -> UpdateMetrics:
        """One forward/backward pass over the batch and one optimizer step."""
        session, model = self._session, self._session.model
        self._make_room()
        configure_batch_sizes(
            mbs=self._settings.micro_batch_size,
            gbs=batch.tokens.size(0) * session.data_parallel_size,
            dp=session.data_parallel_size,
        )
        session.optimizer.zero_grad()
        model.prepare_for_training_step()
        sums = model.forward_backward(
            batch,
            micro_batch_size=self._settings.micro_batch_size,
            temperature=self._settings.sampling_temperature,
            kl_coefficient=self._settings.kl_coefficient,
        )
        model.finish_training_step()
        learning_rate = session.optimizer.param_groups[0]["lr"]
        _, gradient_norm, _ = session.optimizer.step(closure=None)
        session.scheduler.step()
        model.weights_version += 1
        return UpdateMetrics(
            loss=sums.loss,
            kl=sums.kl,
            entropy=sums.entropy / max(sums.tokens, 1),
            gradient_norm=float(gradient_norm),
            learning_rate=float(learning_rate),
        )

    def reference_log_probs(self, batch: PolicyBatch) -> torch.Tensor:
        """[B, S-1] on the CPU, under the weights the stage started from."""
        self._make_room()
        model = self._session.model
        with cpu_weight_swap(model, model.init_policy_state_dict, megatron_amp_O2=model.megatron_amp_O2):
            values = model.log_probs(
                batch, micro_batch_size=self._settings.micro_batch_size, temperature=self._settings.sampling_temperature
            )
        return values.cpu()

    def entropy(self, batch: PolicyBatch, temperature: float) -> torch.Tensor:
        """[B] float64 on the CPU: the temperature-adjusted entropy summed over response tokens, in nats."""
        self._make_room()
        rollouts = batch.tokens.size(0)
        # Pipeline stages exchange tensors of one shape, so the micro-batches must be equal.
        size = next(s for s in range(min(self._settings.micro_batch_size, rollouts), 0, -1) if rollouts % s == 0)
        return self._session.model.entropy(batch, micro_batch_size=size, temperature=temperature).cpu()

    def save_state(self, directory: Path) -> None:
        """Weights, optimizer and schedule as one Megatron distributed checkpoint in ``directory``."""
        self._make_room()
        self._session.trainer.save_checkpoint(str(directory))
