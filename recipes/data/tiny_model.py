"""The demo's model: a Qwen2 of under a million parameters with random weights.

Only the sizes are tiny: grouped-query attention, QKV bias, SwiGLU, RMSNorm and untied embeddings are Qwen2's own, so the
demo takes the same import, training and export paths as Qwen2.5-Math-7B.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.data.tiny_tokenizer import VOCAB_SIZE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

MAX_POSITION_EMBEDDINGS = 512
"""Longest prompt and response together, in tokens."""

ARCHITECTURE: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": MAX_POSITION_EMBEDDINGS,
    "rope_theta": 10_000.0,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "initializer_range": 0.02,
    "attention_dropout": 0.0,
}
"""Keys of ``transformers.Qwen2Config``; heads and key/value heads divide by a tensor parallel size of 2."""


def build(seed: int, tokenizer: PreTrainedTokenizerBase) -> Qwen2ForCausalLM:
    """Random weights, fp32; the same seed gives the same weights and leaves torch's random state as it was."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        **ARCHITECTURE, bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
    generation = model.generation_config
    generation.do_sample, generation.temperature, generation.top_p = True, 0.6, 0.95  # paper §4.1
    return model


def save(folder: Path, seed: int, tokenizer: PreTrainedTokenizerBase) -> int:
    """Writes a Hugging Face folder (safetensors, tokenizer included) and returns the number of parameters."""
    model = build(seed, tokenizer)
    model.save_pretrained(str(folder), safe_serialization=True)
    tokenizer.save_pretrained(str(folder))
    return int(model.num_parameters())
