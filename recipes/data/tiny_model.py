"""The demo's first weights: a Qwen2 of under a million random parameters.

Only the sizes are tiny: grouped-query attention, QKV bias, SwiGLU and RMSNorm are Qwen2's own, so the demo takes the
same import, training and export paths as Qwen2.5-Math-7B.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.atomic_files import share_weights
from recipes.data.tiny_tokenizer import VOCAB_SIZE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of the model; the names and units of ``recipes.settings.schema.ModelSettings``."""

    num_layers: int
    hidden_size: int
    ffn_hidden_size: int
    num_attention_heads: int
    num_query_groups: int
    vocab_size: int
    max_position_embeddings: int
    rope_theta: float
    rms_norm_eps: float
    tie_word_embeddings: bool
    init_method_std: float

    def __post_init__(self) -> None:
        """Raises ValueError when the demo's tokenizer has more tokens than the embedding has rows."""
        if self.vocab_size < VOCAB_SIZE:
            raise ValueError(
                f"model.vocab_size is {self.vocab_size}; expected at least {VOCAB_SIZE}, the limit of the demo's "
                "tokenizer"
            )


def build(architecture: Architecture, seed: int, tokenizer: PreTrainedTokenizerBase) -> Qwen2ForCausalLM:
    """Random weights, fp32; the same seed gives the same weights and leaves torch's random state as it was."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=architecture.vocab_size,
        hidden_size=architecture.hidden_size,
        intermediate_size=architecture.ffn_hidden_size,
        num_hidden_layers=architecture.num_layers,
        num_attention_heads=architecture.num_attention_heads,
        num_key_value_heads=architecture.num_query_groups,
        max_position_embeddings=architecture.max_position_embeddings,
        rope_theta=architecture.rope_theta,
        rms_norm_eps=architecture.rms_norm_eps,
        tie_word_embeddings=architecture.tie_word_embeddings,
        initializer_range=architecture.init_method_std,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
    generation = model.generation_config
    generation.do_sample, generation.temperature, generation.top_p = True, 0.6, 0.95  # paper §4.1
    return model


def save(folder: Path, architecture: Architecture, seed: int, tokenizer: PreTrainedTokenizerBase) -> int:
    """Writes a Hugging Face folder (safetensors, tokenizer included) and returns the number of parameters."""
    model = build(architecture, seed, tokenizer)
    model.save_pretrained(str(folder), safe_serialization=True)
    share_weights(folder)
    tokenizer.save_pretrained(str(folder))
    return int(model.num_parameters())
