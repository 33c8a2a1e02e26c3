"""transformers as the reference of the Megatron model: fp32, its own attention, its own ``generate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM


class HfReference:
    """A Hugging Face folder as any user of transformers would load it."""

    def __init__(self, folder: Path) -> None:
        """Args:
        folder: with weights, ``config.json`` and ``generation_config.json``.
        """
        model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
        self._model = model.eval()

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
