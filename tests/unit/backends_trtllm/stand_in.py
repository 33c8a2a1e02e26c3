"""A stand-in for the package ``tensorrt_llm``: its names, parameters and result fields as in the sources, no GPU.

From ``tensorrt_llm/sampling_params.py``, ``llmapi/llm.py`` and ``executor/result.py`` between 0.17 and 1.0: a parameter
that is not there is a TypeError here too. What it "generates" follows from prompt and seed alone: ``seed % 7`` tokens,
then the end token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar


@dataclass(kw_only=True)
class SamplingParams:
    """The parameters that all these versions have; the real class has more."""

    end_id: int | None = None
    pad_id: int | None = None
    max_tokens: int = 32
    stop_token_ids: list[int] | None = None
    n: int = 1
    best_of: int | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    temperature: float | None = None
    min_p: float | None = None
    ignore_eos: bool = False
    detokenize: bool = True
    add_special_tokens: bool = True
    skip_special_tokens: bool = True

    def __post_init__(self) -> None:
        assert self.temperature is None or self.temperature > 0, "the C++ runtime takes temperatures above 0"


@dataclass(kw_only=True)
class BuildConfig:
    """Of 0.x."""

    max_seq_len: int | None = None
    max_batch_size: int = 2048


@dataclass
class CompletionOutput:
    """One response."""

    index: int
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None


class RequestOutput(Awaitable["RequestOutput"]):
    """What ``generate_async`` returns at once; awaited, it is complete."""

    def __init__(self, outputs: list[CompletionOutput], running: list[int]) -> None:
        self.outputs, self._running = outputs, running

    def __await__(self) -> Generator[Any, None, RequestOutput]:
        yield from asyncio.sleep(0.001).__await__()
        self._running[0] -= 1
        return self


class LLM:
    """``tensorrt_llm.LLM``; remembers what it was given."""

    made: ClassVar[list[dict[str, Any]]] = []
    keeps_end = True
    """Whether responses hold the end token: the two backends differ."""
    finish: str | None = None
    """In place of the right reason."""

    def __init__(
        self, model: str, tokenizer: str | None = None, skip_tokenizer_init: bool = False,
        tensor_parallel_size: int = 1, dtype: str = "auto", **sizes: Any,
    ) -> None:  # fmt: skip
        self.skips, self.running, self.most, self.asked = skip_tokenizer_init, [0], 0, []
        type(self).made.append({"llm": self, "class": type(self), "model": model, "tp": tensor_parallel_size, **sizes})

    def generate_async(
        self, inputs: list[int], sampling_params: SamplingParams | None = None, lora_request: Any = None,
        prompt_adapter_request: Any = None, streaming: bool = False,
    ) -> RequestOutput:  # fmt: skip
        assert sampling_params is not None and all(isinstance(token, int) for token in inputs)
        assert not self.skips or sampling_params.end_id is not None, "without a tokenizer the end id must be given"
        self.asked.append((tuple(inputs), sampling_params))
        self.running[0] += 1
        self.most = max(self.most, self.running[0])
        length = (sampling_params.seed or 0) % 7
        tokens = [20 + (len(inputs) + step) % 10 for step in range(length)]
        ended = length < sampling_params.max_tokens
        tokens = tokens[: sampling_params.max_tokens] + ([sampling_params.end_id] if ended and self.keeps_end else [])
        reason = type(self).finish or ("stop" if ended else "length")
        return RequestOutput([CompletionOutput(0, "", tokens, reason)], self.running)


class EngineLLM(LLM):
    """``tensorrt_llm._tensorrt_engine.LLM`` of 1.x."""


def modules(version: str) -> dict[str, ModuleType]:
    """Name -> module, for ``sys.modules``."""
    package = ModuleType("tensorrt_llm")
    package.__version__ = version  # type: ignore[attr-defined]
    package.LLM, package.SamplingParams = LLM, SamplingParams  # type: ignore[attr-defined]
    found = {"tensorrt_llm": package}
    if version.startswith("0."):
        package.BuildConfig = BuildConfig  # type: ignore[attr-defined]
    else:
        found["tensorrt_llm._tensorrt_engine"] = ModuleType("tensorrt_llm._tensorrt_engine")
        found["tensorrt_llm._tensorrt_engine"].LLM = EngineLLM  # type: ignore[attr-defined]
    return found
