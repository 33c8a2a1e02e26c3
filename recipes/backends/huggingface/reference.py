"""transformers as the reference of the Megatron model: fp32, its own attention, its own ``generate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GenerationConfig


class HfReference:
    """A Hugging Face folder as any user of transformers would load it."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """Args:
        folder: with weights, ``config.json`` and ``generation_config.json``.
        device: of the weights.
        """
        model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
        self._model = model.eval().to(device)

    @torch.inference_mode()
    def logits(self, tokens: Sequence[int]) -> torch.Tensor:
        """[S, V] float32."""
        return self._model(torch.tensor([list(tokens)])).logits[0].float()

    @torch.inference_mode()
    def greedy(self, prompt: Sequence[int], max_new_tokens: int) -> tuple[int, ...]:
        """The response's ids, the end token included where there is one; the folder's own configuration ends it."""
        inputs = torch.tensor([list(prompt)])
        output = self._model.generate(
            inputs, attention_mask=torch.ones_like(inputs), do_sample=False, max_new_tokens=max_new_tokens
        )
        return tuple(output[0, len(prompt) :].tolist())

    @torch.inference_mode()
    def greedy_steps(
        self, prompt: Sequence[int], max_new_tokens: int, *, end_token: int, pad_token: int, most: int
    ) -> list[tuple[int, dict[int, float]]]:
        """``greedy`` with what else was probable: for each token of the response the log-probs, in nats, of the
        ``most`` most probable ones, its own among them.

        Args:
            end_token: ends the response and belongs to it, whatever the folder's own configuration says.
            pad_token: only silences a warning; there is one prompt.
        """
        inputs = torch.tensor([list(prompt)], device=self._model.device)
        config = GenerationConfig(
            do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=end_token, pad_token_id=pad_token
        )
        output = self._model.generate(
            inputs,
            attention_mask=torch.ones_like(inputs),
            generation_config=config,
            output_logits=True,
            return_dict_in_generate=True,
        )
        steps = []
        for token, logits in zip(output.sequences[0, len(prompt) :].tolist(), output.logits, strict=True):
            values, ids = logits[0].float().log_softmax(-1).topk(min(most, logits.shape[-1]))
            steps.append((token, dict(zip(ids.tolist(), values.tolist(), strict=True))))
        return steps
