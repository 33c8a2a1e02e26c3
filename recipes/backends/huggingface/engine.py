"""The Hugging Face rollout engine: transformers' ``generate`` on a model folder, batched, on CPU or one GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from recipes.records import Generation


class HfEngine:
    """``rollouts.engine.RolloutEngine`` on a Hugging Face causal language model."""

    def __init__(
        self, model: Any, *, end_tokens: Sequence[int], pad_token: int, vocab_size: int, batch_size: int
    ) -> None:
        """Args:
        model: ``transformers.PreTrainedModel`` with a language-model head.
        end_tokens: ids that end a response.
        pad_token: id that fills unused positions.
        vocab_size: tokens of the tokenizer; rows of the embedding beyond it are padding and never drawn.
        batch_size: rows decoded at a time.
        """
        self._model = model.eval()
        self._end_tokens = tuple(end_tokens)
        self._pad_token = pad_token
        self._padding_rows = list(range(vocab_size, model.config.vocab_size))
        self._batch_size = batch_size

    @classmethod
    def load(cls, folder: Path, *, precision: str, **options: Any) -> HfEngine:
        """An engine on the model in ``folder``, on the GPU where there is one.

        Args:
            precision: ``32`` or ``bf16``.
            options: of the constructor.
        """
        dtype = torch.float32 if precision == "32" else torch.bfloat16
        model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=dtype, local_files_only=True)
        return cls(model.to("cuda" if torch.cuda.is_available() else "cpu"), **options)

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
        """See ``RolloutEngine.generate``; torch's global random state is as before afterwards.

        Raises:
            ValueError: a prompt and the budget together exceed the model's positions.
        """
        limit, longest = (self._model.config.max_position_embeddings, max(map(len, prompts)))
        if longest + max_new_tokens > limit:
            raise ValueError(
                f"a prompt of {longest} tokens and a budget of {max_new_tokens} exceed the model's {limit} positions"
            )
        config = self._generation_config(max_new_tokens, temperature, top_p)
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        results: dict[int, Generation] = {}
        # ``generate`` draws from the global generator alone.
        with torch.random.fork_rng(devices=[self._model.device] if self._model.device.type == "cuda" else []):
            torch.manual_seed(seed)
            for start in range(0, len(order), self._batch_size):
                chunk = order[start : start + self._batch_size]
                for index, generation in zip(chunk, self._decode([prompts[i] for i in chunk], config), strict=True):
                    results[index] = generation
                    if finished is not None:
                        finished(index, generation)
        return [results[i] for i in range(len(prompts))]

    def _generation_config(self, max_new_tokens: int, temperature: float, top_p: float) -> GenerationConfig:
        """Nothing is left to the folder's ``generation_config.json`` (top-k, repetition penalty ...)."""
        drawing = {"do_sample": True, "temperature": float(temperature), "top_p": float(top_p), "top_k": 0}
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            eos_token_id=list(self._end_tokens),
            pad_token_id=self._pad_token,
            suppress_tokens=self._padding_rows or None,
            **(drawing if temperature > 0 else {"do_sample": False}),
        )

    @torch.inference_mode()
    def _decode(self, prompts: Sequence[Sequence[int]], config: GenerationConfig) -> list[Generation]:
        started = time.monotonic()
        width = max(map(len, prompts))
        tokens = torch.full((len(prompts), width), self._pad_token)
        mask = torch.zeros_like(tokens)
        for row, prompt in enumerate(prompts):
            tokens[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        device = self._model.device
        output = self._model.generate(
            input_ids=tokens.to(device), attention_mask=mask.to(device), generation_config=config
        )
        seconds = time.monotonic() - started
        return [self._generation(row, seconds) for row in output[:, width:].tolist()]

    def _generation(self, tokens: list[int], seconds: float) -> Generation:
        """The response up to its first end token; what follows is padding."""
        for position, token in enumerate(tokens):
            if token in self._end_tokens:
                return Generation(tuple(tokens[: position + 1]), False, seconds)
        return Generation(tuple(tokens), True, seconds)
