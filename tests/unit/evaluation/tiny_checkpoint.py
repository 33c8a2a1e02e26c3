"""A random model with the sizes of ``conf/model/tiny.yaml`` and a benchmark of a few problems, on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from recipes.data import tiny_tokenizer
from recipes.data.jsonl import problem_row, write_jsonl
from recipes.data.tiny_math import problems
from recipes.settings.compose import compose


def write(folder: Path, rows: int) -> None:
    """``tokenizer/``, ``hf/`` (a Hugging Face folder) and ``heldout.jsonl`` below ``folder``."""
    model = compose("evaluate", ["model=tiny"]).model
    tokenizer = tiny_tokenizer.save(folder / "tokenizer", model.max_position_embeddings)
    config = Qwen2Config(
        vocab_size=model.vocab_size,
        hidden_size=model.hidden_size,
        intermediate_size=model.ffn_hidden_size,
        num_hidden_layers=model.num_layers,
        num_attention_heads=model.num_attention_heads,
        num_key_value_heads=model.num_query_groups,
        max_position_embeddings=model.max_position_embeddings,
        rope_theta=model.rope_theta,
        rms_norm_eps=model.rms_norm_eps,
        tie_word_embeddings=model.tie_word_embeddings,
        initializer_range=0.2,  # far from uniform, so that greedy decoding meets no near ties
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        Qwen2ForCausalLM(config).save_pretrained(folder / "hf")
    tokenizer.save_pretrained(str(folder / "hf"))
    write_jsonl(folder / "heldout.jsonl", map(problem_row, problems(1, "heldout", rows, (1, 4))))
