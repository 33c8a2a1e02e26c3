"""The policy network: NeMo-Aligner's Megatron actor with the paper's loss in place of its REINFORCE loss.

``MegatronGPTReinforceActorModel`` brings the Megatron model, checkpointing and the train/inference switches. Four of
its habits are replaced here: its log-probs ignore the sampling temperature, its loss is a mean per micro-batch, it
spends a forward pass on old log-probs that a strictly on-policy update does not need, and it measures no entropy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from megatron.core.pipeline_parallel.schedules import get_forward_backward_func
from nemo.collections.nlp.parts.utils_funcs import get_last_rank
from nemo_aligner.models.nlp.gpt.megatron_gpt_reinforce_actor import MegatronGPTReinforceActorModel
from nemo_aligner.utils import parallel_state
from nemo_aligner.utils.distributed import broadcast_2d_tensor_within_pp
from nemo_aligner.utils.train_utils import set_sync_funcs

from recipes.objectives.log_probs import vocab_parallel_log_probs_and_entropy
from recipes.objectives.policy_batch import PolicyBatch
from recipes.objectives.policy_loss import grpo_loss


@dataclass(frozen=True, slots=True)
class LossSums:
    """Sums over every rollout of the global batch, equal on all ranks."""

    loss: float
    kl: float
    entropy: float
    """Sum of the temperature-adjusted entropy over response tokens, in nats."""
    tokens: int
    """Response tokens that ``entropy`` was summed over."""


class GrpoActor(MegatronGPTReinforceActorModel):
    """Megatron policy with forward/backward passes for GRPO."""

    weights_version = 0
    """Updates since the model was loaded: an engine with weights of its own sees by it when to renew them."""

    def micro_batches(self, batch: PolicyBatch, micro_batch_size: int) -> list[PolicyBatch]:
        """Cut a batch into micro-batches of rollouts of like length, each no wider than its longest rollout.

        The loss is a sum over tokens with weights fixed beforehand, so the cut cannot change it. Under pipeline
        parallelism every micro-batch keeps the full width, since the schedule exchanges tensors of one shape.
        """
        order = torch.argsort(batch.lengths, descending=True, stable=True)
        width = batch.tokens.size(1)
        fixed = parallel_state.get_pipeline_model_parallel_world_size() > 1
        multiple = parallel_state.get_tensor_model_parallel_world_size() if self.cfg.sequence_parallel else 1
        parts = []
        for index in order.split(micro_batch_size):
            longest = int(batch.lengths[index].max())
            parts.append(batch.rows(index, width if fixed else min(width, -(-longest // multiple) * multiple)))
        return parts

    def forward_backward(
        self, batch: PolicyBatch, *, micro_batch_size: int, temperature: float, kl_coefficient: float
    ) -> LossSums:
        """Gradients of Eq. 1 into Megatron's gradient buffers.

        Every data-parallel rank must hold the same number of rollouts.
        """
        parts = self.micro_batches(batch, micro_batch_size)
        # Megatron divides the loss by the micro-batches and averages gradients over data-parallel ranks; Eq. 1 is a
        # plain sum over the global batch.
        scale = len(parts) * parallel_state.get_data_parallel_world_size()

        def loss_of(part: PolicyBatch, logits: torch.Tensor):
            log_probs, entropy = self._log_probs_and_entropy(part, logits, temperature)
            loss, terms = grpo_loss(
                log_probs,
                part.advantages,
                part.weights,
                reference_log_probs=part.reference_log_probs,
                kl_coefficient=kl_coefficient,
            )
            sums = torch.stack(
                [
                    loss.detach(),
                    terms.kl.detach(),
                    (entropy * part.response_mask).sum(),
                    part.response_mask.sum().to(loss.dtype),
                ]
            )
            return loss * scale, {"sums": sums.double()}

        outputs = self._run(parts, loss_of, forward_only=False)
        sums = torch.stack([o["sums"] for o in outputs]).sum(0) if outputs else self._zeros(4)
        torch.distributed.all_reduce(sums, group=parallel_state.get_data_parallel_group())
        torch.distributed.broadcast(sums, get_last_rank())
        loss, kl, entropy, tokens = sums.tolist()
        return LossSums(loss=loss, kl=kl, entropy=entropy, tokens=round(tokens))

    @torch.no_grad()
    def log_probs(self, batch: PolicyBatch, *, micro_batch_size: int, temperature: float) -> torch.Tensor:
        """[B, S-1] float32 log-probs of the batch's tokens under ``softmax(logits / temperature)``, on every rank."""
        return self._per_token(batch, 0, micro_batch_size, temperature)

    @torch.no_grad()
    def entropy(self, batch: PolicyBatch, *, micro_batch_size: int, temperature: float) -> torch.Tensor:
        """[B] float64, on every rank: the entropy of ``softmax(logits / temperature)`` summed over response tokens."""
        values = self._per_token(batch, 1, micro_batch_size, temperature)
        return (values.double() * batch.response_mask.to(values.device)).sum(dim=1)

    def _per_token(self, batch: PolicyBatch, which: int, micro_batch_size: int, temperature: float) -> torch.Tensor:
        """[B, S-1] of what ``_log_probs_and_entropy`` gives at place ``which``."""
        order = torch.argsort(batch.lengths, descending=True, stable=True)
        parts = self.micro_batches(batch, micro_batch_size)
        width = batch.tokens.size(1) - 1

        def collect(part: PolicyBatch, logits: torch.Tensor):
            values = self._log_probs_and_entropy(part, logits, temperature)[which]
            padded = torch.nn.functional.pad(values, (0, width - values.size(1)))
            return logits.new_zeros(()), {"values": padded}

        outputs = self._run(parts, collect, forward_only=True)
        result = None
        if outputs:
            result = torch.empty(len(order), width, device=outputs[0]["values"].device)
            result[order.to(result.device)] = torch.cat([o["values"] for o in outputs])
        return broadcast_2d_tensor_within_pp(result)

    def _log_probs_and_entropy(self, part: PolicyBatch, logits: torch.Tensor, temperature: float):
        rank = parallel_state.get_tensor_model_parallel_rank()
        return vocab_parallel_log_probs_and_entropy(
            logits[:, :-1],
            part.tokens[:, 1:],
            temperature=temperature,
            group=parallel_state.get_tensor_model_parallel_group(),
            vocab_start=rank * logits.size(-1),
            valid_vocab_size=self.tokenizer.vocab_size,
        )

    def _run(self, parts: list[PolicyBatch], loss_of, *, forward_only: bool) -> list[dict[str, Any]]:
        """Megatron's schedule over the micro-batches; the last pipeline stage gets ``loss_of``'s dictionaries."""
        set_sync_funcs(self, forward_only)
        width = parts[0].tokens.size(1)

        def forward_step(iterator: Iterator[PolicyBatch], model: torch.nn.Module):
            part = next(iterator).to(torch.cuda.current_device())
            positions = torch.arange(part.tokens.size(1), device=part.tokens.device).expand_as(part.tokens)
            # No mask: every Megatron layer spec applies the causal one, and padding lies to the right.
            logits = model(part.tokens, positions, None, labels=None)
            return logits, lambda output: loss_of(part, output)

        return get_forward_backward_func()(
            forward_step_func=forward_step,
            data_iterator=self._make_data_iterator_list(iter(parts)),
            model=self.model,
            num_microbatches=len(parts),
            forward_only=forward_only,
            seq_length=width,
            micro_batch_size=parts[0].tokens.size(0),
        )

    @staticmethod
    def _zeros(count: int) -> torch.Tensor:
        return torch.zeros(count, dtype=torch.float64, device=torch.cuda.current_device())
