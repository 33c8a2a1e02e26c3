"""Samples from TensorRT-LLM in this process, by its LLM API: requests in flight together, each with its own seed.

Checked against sources, not run: ``llmapi/llm.py``, ``executor/result.py`` and ``sampling_params.py`` between 0.17 and
1.0, the API reference of 1.x. 0.x takes a ``BuildConfig`` for a Hugging Face folder; 1.x takes the sizes themselves,
and the class that loads built engines is the one in ``_tensorrt_engine``.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from recipes.backends.trtllm.folder import EngineFolder
from recipes.records import Generation

Request = tuple[Sequence[int], int]
"""Prompt tokens and seed."""


class GenerationFailed(RuntimeError):
    """TensorRT-LLM ended a request otherwise than by an end token or the budget."""


class TensorRTLLMEngine:
    """One loaded model."""

    def __init__(self, llm: Any, sampling_params: Any, *, end_token: int, pad_token: int, concurrency: int) -> None:
        """Args:
        llm: ``tensorrt_llm.LLM``.
        sampling_params: the class ``tensorrt_llm.SamplingParams``.
        end_token: id that ends a response.
        pad_token: id that fills unused positions.
        concurrency: requests under way; the executor batches those that it has room for.
        """
        self._llm, self._sampling_params = llm, sampling_params
        self._end_token, self._pad_token = end_token, pad_token
        self._concurrency = concurrency

    @classmethod
    def load(
        cls, folder: EngineFolder, *, longest: int, tensor_parallel_size: int, concurrency: int, **options: Any
    ) -> TensorRTLLMEngine:
        """Load an engine, or build one in memory from a Hugging Face folder.

        Args:
            longest: tokens of prompt and response together.
            tensor_parallel_size: GPUs for a Hugging Face folder; an engine knows its own.
            concurrency: as in the constructor; also the largest batch.
            options: of the constructor.
        """
        import tensorrt_llm

        major = int(tensorrt_llm.__version__.split(".")[0])
        llm_class: Any = tensorrt_llm.LLM
        sizes: dict[str, Any] = {}
        if folder.is_engine:
            if major >= 1:
                llm_class = importlib.import_module("tensorrt_llm._tensorrt_engine").LLM
        elif major >= 1:
            sizes = {"max_seq_len": longest, "max_batch_size": concurrency}
        else:
            sizes = {"build_config": tensorrt_llm.BuildConfig(max_seq_len=longest, max_batch_size=concurrency)}
        llm = llm_class(
            model=str(folder.path),
            skip_tokenizer_init=True,  # prompts go in and responses come out as tokens
            tensor_parallel_size=folder.tensor_parallel_size or tensor_parallel_size,
            **sizes,
        )
        return cls(llm, tensorrt_llm.SamplingParams, concurrency=concurrency, **options)

    def draw(
        self,
        requests: Iterable[Request],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        finished: Callable[[int, Generation], None],
    ) -> None:
        """One response to every request.

        Args:
            max_new_tokens: length budget of a response; the end token counts.
            temperature: 0 is greedy decoding.
            top_p: nucleus mass after the temperature, in (0, 1].
            finished: told the index of a request and its response as soon as it is complete.

        Raises:
            GenerationFailed: a request was cancelled or timed out; what had come until then was told.
        """
        drawing = {"temperature": temperature, "top_p": top_p} if temperature > 0 else {"top_k": 1}
        options = {"max_tokens": max_new_tokens, **drawing}
        asyncio.run(self._draw(enumerate(requests), options, finished))

    async def _draw(
        self,
        requests: Iterator[tuple[int, Request]],
        options: dict[str, Any],
        finished: Callable[[int, Generation], None],
    ) -> None:
        async def work() -> None:
            for index, (prompt, seed) in requests:
                finished(index, await self._one(prompt, seed, options))

        workers = [asyncio.ensure_future(work()) for _ in range(self._concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _one(self, prompt: Sequence[int], seed: int, options: dict[str, Any]) -> Generation:
        started = time.monotonic()
        params = self._sampling_params(
            end_id=self._end_token, pad_id=self._pad_token, seed=seed, n=1, detokenize=False, **options
        )
        result = await self._llm.generate_async(list(prompt), params)
        (output,) = result.outputs
        seconds = time.monotonic() - started
        tokens = tuple(output.token_ids)
        if output.finish_reason == "length":
            return Generation(tokens, True, seconds)
        if output.finish_reason != "stop":
            raise GenerationFailed(f"TensorRT-LLM ended a request with {output.finish_reason!r}: its log says why")
        ended = tokens if tokens[-1:] == (self._end_token,) else (*tokens, self._end_token)
        return Generation(ended, False, seconds)
