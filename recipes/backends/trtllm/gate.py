"""The gate behind a refit: the engine's log-probs of what it samples against the trained model's.

TensorRT-LLM's Python runtime returns the logits of every step when asked (``output_generation_logits`` of
``ModelRunner.generate``), whatever the engine was built for. NeMo-Aligner's wrapper does not hand that on, so the gate
asks the runner itself. The log-probs are worked out here, from raw logits: those that TensorRT-LLM reports of its own
are of a distribution that sampling has cut and scaled.

What the gate sees: a dropped bias, a weight that never arrives, a wrong position table, another head. What it cannot
see in bf16: weights that are one small update old, since an update of 1e-6 moves log-probs less than rounding does.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from megatron.core import parallel_state

from recipes.backends.trtllm.generator import RolloutGenerator
from recipes.objectives.policy_batch import PolicyBatch
from recipes.rollouts.engine_agreement import Agreement, agreement
from recipes.settings.schema import TrtllmSettings

Sampled = tuple[list[tuple[int, ...]], list[list[float]]]
"""Responses, and the engine's log-probs of their tokens."""


class EngineDisagrees(RuntimeError):
    """The rollout engine samples from something else than the trained model."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Compares after every refit; every rank of a replica calls it."""

    settings: TrtllmSettings
    width_multiple: int
    """Of a padded batch (``ModelSettings.width_multiple``)."""

    def check(
        self,
        model: Any,
        generator: RolloutGenerator,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float,
        seed: int,
    ) -> Agreement | None:
        """The agreement on the first distinct prompts; None where the gate is off.

        Every pipeline stage has an engine of its own after resharding, and each of them is looked at.

        Args:
            model: ``aligner.actor.GrpoActor``.
            prompts: those about to be sampled.

        Raises:
            EngineDisagrees: the mean difference is above ``trtllm.gate_difference``, or no number.
        """
        count = min(self.settings.gate_prompts, generator.sizes.batch_size)
        chosen = list(dict.fromkeys(map(tuple, prompts)))[:count]
        if not chosen:
            return None
        budget = min(self.settings.gate_tokens, max_new_tokens)
        temperature = temperature or 1.0
        own = sampled_log_probs(
            generator, chosen, model.tokenizer.vocab_size, max_new_tokens=budget, temperature=temperature, seed=seed
        )
        found = None
        for responses, engine in _of_every_stage(own):
            trained = model_log_probs(model, chosen, responses, temperature, self.width_multiple)
            found = agreement(engine, trained)
            if not found.mean <= self.settings.gate_difference:
                raise EngineDisagrees(self._reason(found, chosen, responses))
        return found

    def _reason(self, found: Agreement, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]) -> str:
        worst = found.worst
        return (
            f"the rollout engine does not sample from the trained weights: over {found.tokens} sampled tokens its "
            f"log-probs differ by {found.mean:.4g} nats in the mean (trtllm.gate_difference="
            f"{self.settings.gate_difference:g}). The worst: token {responses[worst.prompt][worst.position]} at "
            f"position {worst.position} of the response to prompt {worst.prompt} "
            f"({len(prompts[worst.prompt])} tokens): {worst.engine:.4f} in the engine, {worst.model:.4f} in Megatron. "
            "Look at the refit (did the engine get all weights after the last update?), at model.architecture (QKV "
            "bias), model.rope_theta and "
            "model.max_position_embeddings; sample with rollouts.engine=megatron meanwhile"
        )


def sampled_log_probs(
    generator: RolloutGenerator,
    prompts: Sequence[Sequence[int]],
    tokenizer_size: int,
    *,
    max_new_tokens: int,
    temperature: float,
    seed: int,
) -> Sampled:
    """Sample once, and what the engine itself thought of the tokens that it drew.

    Args:
        tokenizer_size: ids from there on stand for nothing and have no probability.

    Raises:
        EngineDisagrees: this TensorRT-LLM returns no logits.
    """
    decoder = generator.decoder
    if "output_generation_logits" not in inspect.signature(decoder.generate).parameters:
        raise EngineDisagrees(
            "this TensorRT-LLM's ModelRunner.generate returns no generation logits, so the rollout engine cannot be "
            "compared with the trained model; expected 0.17.0. To go on unseen: trtllm.gate_prompts=0"
        )
    config = generator.sampling(len(prompts), max_new_tokens, temperature, 1.0)
    config.update(random_seed=torch.arange(seed % 2**31, seed % 2**31 + len(prompts), dtype=torch.int64))
    found = decoder.generate(
        batch_input_ids=[torch.tensor(list(prompt), dtype=torch.int32) for prompt in prompts],
        sampling_config=config,
        streaming=False,
        output_generation_logits=True,
    )
    responses, log_probs = [], []
    for row, prompt in enumerate(prompts):
        length = int(found["sequence_lengths"][row, 0]) - len(prompt)
        response = found["output_ids"][row, 0, len(prompt) : len(prompt) + length].long()
        logits = found["generation_logits"][row, 0, :length, :tokenizer_size].float() / temperature
        picked = torch.log_softmax(logits, dim=-1).gather(1, response.to(logits.device).unsqueeze(1))
        responses.append(tuple(response.tolist()))
        log_probs.append(picked.squeeze(1).tolist())
    return responses, log_probs


def model_log_probs(
    model: Any,
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    temperature: float,
    width_multiple: int,
) -> list[list[float]]:
    """The trained model's log-probs of the responses' tokens, on every rank."""
    rows = [(*prompt, *response) for prompt, response in zip(prompts, responses, strict=True)]
    width = -(-max(map(len, rows)) // width_multiple) * width_multiple
    tokens = torch.zeros(len(rows), width, dtype=torch.long)
    for row, ids in enumerate(rows):
        tokens[row, : len(ids)] = torch.tensor(ids)
    nothing = torch.zeros(len(rows), width - 1)
    batch = PolicyBatch(tokens, torch.tensor([*map(len, rows)]), nothing.bool(), nothing, nothing[:, 0])
    values = model.log_probs(batch, micro_batch_size=1, temperature=temperature).cpu()
    spans = ((len(p) - 1, len(p) - 1 + len(r)) for p, r in zip(prompts, responses, strict=True))
    return [values[row, first:last].tolist() for row, (first, last) in enumerate(spans)]


def _of_every_stage(own: Sampled) -> list[Sampled]:
    """What the engine of every pipeline stage sampled, equal on all of them."""
    stages = parallel_state.get_pipeline_model_parallel_world_size()
    if stages == 1:
        return [own]
    found: list[Any] = [None] * stages
    torch.distributed.all_gather_object(found, own, group=parallel_state.get_pipeline_model_parallel_group())
    return found
