"""``tensorrt_llm.runtime.generation``: the sampling configuration and the session that decodes a static batch."""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import tensorrt as trt
import torch

from tensorrt_llm._utils import str_dtype_to_torch
from tensorrt_llm.builder import EngineConfig
from tensorrt_llm.runtime._network import Network

DISABLE_TORCH_DEVICE_SET = bool(os.environ.get("DISABLE_TORCH_DEVICE_SET", False))


class ModelConfig:
    """Of the C++ runtime's reader: only named."""


@dataclass
class SamplingConfig:
    """What a call may choose; ``update`` says which keywords it does not know, and ignores them."""

    end_id: int
    pad_id: int

    max_new_tokens: int = field(default=20)
    num_beams: int = field(default=1)
    max_attention_window_size: int | None = field(default=None)
    sink_token_length: int | None = field(default=None)
    output_sequence_lengths: bool = field(default=False)
    return_dict: bool = field(default=False)
    stop_words_list: Any = field(default=None)
    bad_words_list: Any = field(default=None)

    temperature: float | torch.Tensor = field(default=1.0)
    top_k: int | torch.Tensor = field(default=1)
    top_p: float | torch.Tensor = field(default=0.0)
    random_seed: int | torch.Tensor | None = field(default=None)

    repetition_penalty: float | torch.Tensor = field(default=1.0)
    min_length: int | torch.Tensor = field(default=1)
    presence_penalty: float | torch.Tensor = field(default=0.0)
    frequency_penalty: float | torch.Tensor = field(default=0.0)

    output_cum_log_probs: bool = field(init=False, default=False)
    output_log_probs: bool = field(init=False, default=False)

    def update(self, **kwargs: Any) -> dict[str, Any]:
        unused = {}
        for key, value in kwargs.items():
            if hasattr(self, key):
                setattr(self, key, value)
            else:
                unused[key] = value
        return unused


class _Runtime:
    def __init__(self, engine_buffer: bytes) -> None:
        self.engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(engine_buffer)


class MemoryPoolsAllocator:
    """``runtime/memory_pools``: the key/value cache of a batch. ``alive`` are those that somebody holds."""

    alive: ClassVar[weakref.WeakSet[MemoryPoolsAllocator]] = weakref.WeakSet()

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._pool_pointers = [torch.empty(shape)]
        MemoryPoolsAllocator.alive.add(self)


class GenerationSession:
    """One deserialised engine and its buffers, which a batch leaves where they are."""

    buffer: dict[str, torch.Tensor]
    _memory_pool_allocator: MemoryPoolsAllocator

    def __init__(self, config: EngineConfig, engine_buffer: bytes) -> None:
        self.config = config
        self.runtime = _Runtime(engine_buffer)
        self.dtype = str_dtype_to_torch(config.pretrained_config.dtype)
        self.gather_generation_logits = config.build_config.gather_generation_logits
        self._network = Network(config.pretrained_config, self.runtime.engine)

    def setup(self, batch_size: int, max_context_length: int, max_new_tokens: int) -> None:
        """What a batch needs."""
        self.buffer = {"logits": torch.empty(batch_size, self.config.pretrained_config.vocab_size)}
        self._memory_pool_allocator = MemoryPoolsAllocator((batch_size, max_context_length + max_new_tokens))
        self.buffer_allocated = True

    @torch.no_grad()
    def decode(
        self, input_ids: list[torch.Tensor], scfg: SamplingConfig, *, stop_words_list: np.ndarray | None = None,
        bad_words_list: np.ndarray | None = None, output_generation_logits: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """All prompts in one context pass, then a token each a step, until every row has met a stop word."""
        assert self.buffer["logits"].shape[0] == len(input_ids) and self._memory_pool_allocator is not None
        lengths = torch.tensor([len(row) for row in input_ids])
        self._check_packed_tokens(int(lengths.sum()))
        rows, width = len(input_ids), int(lengths.max()) + scfg.max_new_tokens
        tokens = torch.full((rows, width), scfg.end_id, dtype=torch.int64)
        for row, prompt in enumerate(input_ids):
            tokens[row, : len(prompt)] = prompt
        dice = _dice(scfg.random_seed, rows)
        done, every_row, kept = torch.zeros(rows, dtype=torch.bool), torch.arange(rows), []
        for _ in range(scfg.max_new_tokens):
            logits = self._network.next_logits(tokens, lengths)
            kept.append(logits.clone())
            new = _draw(_without_bad_words(logits, bad_words_list), scfg, dice)
            alive = (~done).nonzero().flatten()
            tokens[alive, lengths[alive]] = new[alive]
            lengths[alive] += 1
            for row in every_row[~done].tolist():
                done[row] = _ends(tokens[row, : lengths[row]], scfg.end_id, stop_words_list, row)
            if done.all():
                break
        outputs: dict[str, Any] = {"output_ids": tokens.int().unsqueeze(1)}
        if scfg.output_sequence_lengths:
            outputs["sequence_lengths"] = lengths.int().unsqueeze(1)
        if self.gather_generation_logits or output_generation_logits:
            outputs["generation_logits"] = torch.stack(kept, dim=1).unsqueeze(1)
        return outputs

    def _check_packed_tokens(self, count: int) -> None:
        most = self.config.build_config.max_num_tokens
        if count > most:
            raise ValueError(f"Couldn't assign input_ids with shape ({count},), engine supports [min, opt, max] {most}")


def _dice(seeds: int | torch.Tensor | None, rows: int) -> list[torch.Generator]:
    if seeds is None:
        seeds = 0
    if isinstance(seeds, torch.Tensor):
        assert seeds.dtype == torch.int64 and seeds.shape == (rows,), f"random_seed must be int64 of {rows} rows"
    else:
        seeds = torch.full((rows,), seeds)
    return [torch.Generator().manual_seed(int(seed)) for seed in seeds]


def _without_bad_words(logits: torch.Tensor, words: np.ndarray | None) -> torch.Tensor:
    """``[batch, 2, length]``: ids, and where each word ends; words of one token alone."""
    if words is None:
        return logits
    assert words.shape[0] >= len(logits) and words.dtype == np.int32
    for row, (ids, offsets) in enumerate(words[: len(logits)].tolist()):
        start = 0
        for end in offsets:
            if end < 0:
                break
            assert end - start == 1, "only words of one token are stood in for"
            logits[row, ids[start]] = -torch.inf
            start = end
    return logits


def _draw(logits: torch.Tensor, scfg: SamplingConfig, dice: list[torch.Generator]) -> torch.Tensor:
    if scfg.top_k == 1 or (scfg.top_k == 0 and scfg.top_p == 0):
        return logits.argmax(-1)
    probabilities = torch.softmax(logits.double() / scfg.temperature, dim=-1)
    ordered, index = probabilities.sort(dim=-1, descending=True)
    if scfg.top_p < 1:
        ordered[ordered.cumsum(-1) - ordered >= scfg.top_p] = 0
    picks = [torch.multinomial(row, 1, generator=own) for row, own in zip(ordered, dice, strict=True)]
    return index.gather(1, torch.stack(picks)).squeeze(1)


def _ends(tokens: torch.Tensor, end_id: int, words: np.ndarray | None, row: int) -> bool:
    if int(tokens[-1]) == end_id:
        return True
    if words is None:
        return False
    ids, offsets = words[row].tolist()
    start = 0
    for end in offsets:
        if end < 0:
            break
        if tokens[-(end - start) :].tolist() == ids[start:end]:
            return True
        start = end
    return False
