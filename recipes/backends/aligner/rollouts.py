"""The Megatron rollout engine: the training model itself samples, at any tensor and pipeline parallel size.

Decoding keeps a KV cache through Megatron's ``InferenceParams``. A batch shrinks as its responses finish: once half of
the rows are done, the rest are gathered and the cache with them, so a long tail costs what its own rows cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from megatron.core import InferenceParams
from megatron.core.pipeline_parallel.schedules import get_forward_backward_func
from megatron.core.tensor_parallel import gather_from_tensor_model_parallel_region
from nemo_aligner.utils import parallel_state

from recipes.backends.aligner.drawing import draw, row_seeds, uniforms
from recipes.backends.aligner.sampling_mode import sampling_mode
from recipes.memory.engines import prefill_rows
from recipes.records import Generation


@dataclass(slots=True)
class _Batch:
    """The rows still decoding. ``R`` rows, ``L`` columns of prompt and response."""

    tokens: torch.Tensor
    """[R, L] int64, padded."""
    prompt_lengths: torch.Tensor
    """[R]."""
    ends: torch.Tensor
    """[R] the column at which the length budget of a row is spent."""
    rows: torch.Tensor
    """[R] index of the row in the caller's batch."""
    done: torch.Tensor = field(init=False)
    """[R] bool."""

    def __post_init__(self) -> None:
        self.done = torch.zeros_like(self.rows, dtype=torch.bool)

    def keep(self, index: torch.Tensor) -> None:
        for name in ("tokens", "prompt_lengths", "ends", "rows", "done"):
            setattr(self, name, getattr(self, name)[index])


class MegatronEngine:
    """``rollouts.engine.RolloutEngine`` on a NeMo ``MegatronGPTModel``.

    Called with the same arguments on every rank of a model-parallel group; every rank gets the generations. What a row
    draws does not depend on the other rows (``drawing``).
    """

    def __init__(self, model, *, end_tokens: Sequence[int], pad_token: int, batch_size: int) -> None:
        """Args:
        model: NeMo ``MegatronGPTModel``, in any mode.
        end_tokens: ids that end a response.
        pad_token: id that fills unused positions.
        batch_size: rows decoded at a time.
        """
        self._model = model
        self._end_tokens = tuple(end_tokens)
        self._pad_token = pad_token
        self._batch_size = batch_size

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        seed: int,
        finished: Callable[[int, Generation], None] | None = None,
    ) -> list[Generation]:
        """See ``RolloutEngine.generate``."""
        limit = self._model.cfg.max_position_embeddings
        longest = max(map(len, prompts))
        if longest + max_new_tokens > limit:
            raise ValueError(
                f"a prompt of {longest} tokens and a budget of {max_new_tokens} exceed the model's {limit} positions"
            )
        device = torch.cuda.current_device()
        seeds = row_seeds(seed, prompts).to(device)
        # Prompts of like length share a batch: the shorter ones of a batch wait for nobody.
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        results: dict[int, Generation] = {}
        with sampling_mode(self._model):
            for start in range(0, len(order), self._batch_size):
                chunk = order[start : start + self._batch_size]
                rows = [prompts[i] for i in chunk]
                generations = self._decode(
                    rows, max_new_tokens, temperature, top_p, seeds[chunk], device, chunk, finished
                )
                results.update(zip(chunk, generations, strict=True))
        return [results[i] for i in range(len(prompts))]

    def make_room(self) -> None:
        """``rollout_engines.TrainedModelEngine``: between calls the engine holds nothing of its own."""

    @torch.no_grad()
    def _decode(self, prompts, max_new_tokens, temperature, top_p, seeds, device, indices, report) -> list[Generation]:
        started = time.monotonic()
        lengths = torch.tensor([len(p) for p in prompts], device=device)
        total = int(lengths.max()) + max_new_tokens
        tokens = torch.full((len(prompts), total), self._pad_token, dtype=torch.long, device=device)
        for row, prompt in enumerate(prompts):
            tokens[row, : len(prompt)] = torch.tensor(prompt, device=device)
        batch = _Batch(tokens, lengths, lengths + max_new_tokens, torch.arange(len(prompts), device=device))
        results: list[Generation | None] = [None] * len(prompts)
        end_tokens = torch.tensor(self._end_tokens, device=device)
        position, new_cache = int(lengths.min()), True
        while True:
            logits = self._next_logits(batch, position, total, new_cache)
            new_cache = False
            sampled = self._sample(logits, temperature, top_p, uniforms(seeds[batch.rows], position))
            inside_prompt = position < batch.prompt_lengths
            column = torch.where(inside_prompt | batch.done, batch.tokens[:, position], sampled)
            batch.tokens[:, position] = column
            ended = torch.isin(column, end_tokens) & ~inside_prompt
            finished = (ended | (position + 1 >= batch.ends)) & ~batch.done
            if finished.any():
                seconds = time.monotonic() - started
                for row in finished.nonzero().flatten().tolist():
                    first = int(batch.prompt_lengths[row])
                    response = batch.tokens[row, first : position + 1].tolist()
                    generation = Generation(tuple(response), not bool(ended[row]), seconds)
                    results[int(batch.rows[row])] = generation
                    if report is not None:
                        report(indices[int(batch.rows[row])], generation)
                batch.done |= finished
            position += 1
            alive = int((~batch.done).sum())
            if alive == 0:
                break
            if 2 * alive <= len(batch.rows):
                self._shrink(batch)
        self._model.inference_params = None
        return [r for r in results if r is not None]

    def _next_logits(self, batch: _Batch, position: int, total: int, new_cache: bool) -> torch.Tensor | None:
        """[R, V] logits for column ``position``; None except on the last pipeline stage.

        Megatron makes the logits of every position that it reads, so prompts are read a few rows at a time.
        """
        rows = len(batch.rows)
        if not new_cache:
            return self._last_logits(batch.tokens[:, position - 1 : position], position - 1)
        cache = self._model.inference_params = InferenceParams(rows, total)
        parts = []
        at_a_time = prefill_rows(rows, position)
        for first in range(0, rows, at_a_time):
            cache.batch_size_offset, cache.sequence_len_offset = first, 0
            parts.append(self._last_logits(batch.tokens[first : first + at_a_time, :position], 0))
        cache.batch_size_offset = 0
        return None if parts[0] is None else torch.cat([part for part in parts if part is not None])

    def _last_logits(self, inputs: torch.Tensor, start: int) -> torch.Tensor | None:
        """[R, V] logits after ``inputs`` [R, C], whose first column is ``start``; they enter the cache."""
        rows, width = inputs.shape
        positions = torch.arange(start, start + width, device=inputs.device).expand_as(inputs)
        cache = self._model.inference_params
        flags = torch.tensor([False] * rows), torch.tensor([cache.max_sequence_length] * rows)
        output = get_forward_backward_func()(
            forward_step_func=self._model.get_forward_output_only_func(),
            data_iterator=iter([[inputs, None, positions, *flags]]),
            model=self._model.model,
            num_microbatches=1,
            forward_only=True,
            seq_length=width,
            micro_batch_size=rows,
        )
        if not parallel_state.is_pipeline_last_stage():
            return None
        return gather_from_tensor_model_parallel_region(output[0]["logits"][:, -1].contiguous())

    def _sample(self, logits, temperature, top_p, uniform) -> torch.Tensor:
        """[R] token ids, equal on every rank of the model-parallel group."""
        if logits is not None:
            logits = logits.float()
            logits[:, self._model.tokenizer.vocab_size :] = -torch.inf  # padding rows of the embedding
            sampled = draw(logits, temperature=temperature, top_p=top_p, uniform=uniform)
        else:
            sampled = torch.empty_like(uniform, dtype=torch.long)
        if parallel_state.get_pipeline_model_parallel_world_size() > 1:
            source = parallel_state.get_pipeline_model_parallel_last_rank()
            torch.distributed.broadcast(sampled, source, parallel_state.get_pipeline_model_parallel_group())
        return sampled

    def _shrink(self, batch: _Batch) -> None:
        """Drop finished rows from the batch and from the KV cache ([length, rows, heads, head size])."""
        alive = (~batch.done).nonzero().flatten()
        batch.keep(alive)
        cache = self._model.inference_params
        cache.max_batch_size = cache.current_batch_size = len(alive)
        for layer, memories in cache.key_value_memory_dict.items():
            cache.key_value_memory_dict[layer] = tuple(memory.index_select(1, alive) for memory in memories)
