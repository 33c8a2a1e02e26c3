"""A GGUF file as llama.cpp's converter writes it from a small Llama: unquantised, query and key rows permuted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers import pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HEADS, GROUPS, HIDDEN, LAYERS = 4, 2, 32, 2


def vocabulary() -> list[str]:
    """Control tokens, the 256 bytes, and what three merges make."""
    return [*CONTROL, *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġa", "44", "ĠĠ"]


def tiny_llama() -> LlamaForCausalLM:
    """Random weights, fp32, tied embeddings, grouped-query attention."""
    config = LlamaConfig(
        vocab_size=len(vocabulary()),
        hidden_size=HIDDEN,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=GROUPS,
        max_position_embeddings=64,
        rope_theta=100_000.0,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


def write_tiny_gguf(path: Path, model: LlamaForCausalLM, changed: Mapping[str, Any] | None = None) -> None:
    """Write ``model``; ``changed`` replaces ``tokenizer.ggml.pre`` or ``tokenizer.ggml.model``."""
    changed = changed or {}
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(48)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(GROUPS)
    writer.add_rope_freq_base(100_000.0)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(vocabulary()))
    writer.add_tokenizer_model(changed.get("tokenizer.ggml.model", "gpt2"))
    writer.add_tokenizer_pre(changed.get("tokenizer.ggml.pre", "smollm"))
    writer.add_token_list(vocabulary())
    writer.add_token_types([3] * len(CONTROL) + [1] * (len(vocabulary()) - len(CONTROL)))
    writer.add_token_merges(["Ġ a", "4 4", "Ġ Ġ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, LAYERS)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight":
            continue  # tied
        heads = HEADS if "q_proj" in name else GROUPS if "k_proj" in name else None
        values = weight.numpy() if heads is None else _permuted(weight.numpy(), heads)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """From halves (Hugging Face) to interleaved pairs (llama.cpp) within each head, as its converter does."""
    rows = weight.shape[0] // heads
    return weight.reshape(heads, 2, rows // 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)
