"""``config.json`` <-> architecture, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.checkpoints.hf_config import (
    Architecture,
    ConversionError,
    architecture_of,
    config_of,
    read_config,
    with_overrides,
)

SOURCE = Path("folder/config.json")

# Qwen/Qwen2.5-Math-7B, its config.json.
QWEN2_5_MATH_7B: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151643,
    "hidden_act": "silu",
    "hidden_size": 3584,
    "initializer_range": 0.02,
    "intermediate_size": 18944,
    "max_position_embeddings": 4096,
    "max_window_layers": 28,
    "model_type": "qwen2",
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06,
    "rope_theta": 10000,
    "sliding_window": 4096,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.44.0",
    "use_cache": True,
    "use_mrope": False,
    "use_sliding_window": False,
    "vocab_size": 152064,
}


def test_qwen2_5_math_7b() -> None:
    architecture = architecture_of(QWEN2_5_MATH_7B, SOURCE)
    assert architecture == Architecture("qwen2", 28, 3584, 18944, 28, 4, 152_064, 4096, 10_000.0, 1e-6, False, 0.02)
    assert (architecture.head_dim, architecture.qkv_bias) == (128, True)


def test_config_comes_back_as_it_was() -> None:
    """Also ``10000`` stays an integer: only values that changed are written anew."""
    assert json.dumps(config_of(architecture_of(QWEN2_5_MATH_7B, SOURCE), "bfloat16", QWEN2_5_MATH_7B)) == json.dumps(
        QWEN2_5_MATH_7B
    )


def test_overrides_are_written_into_the_config() -> None:
    overrides = {"model.rope_theta": "1000000", "model.max_position_embeddings": "131072"}
    changed = with_overrides(QWEN2_5_MATH_7B, overrides)
    assert changed == QWEN2_5_MATH_7B | {"rope_theta": 1_000_000.0, "max_position_embeddings": 131_072}
    assert type(changed["max_position_embeddings"]) is int
    assert QWEN2_5_MATH_7B["rope_theta"] == 10_000


def test_rope_theta_of_transformers_5_is_found_changed_and_kept_in_step() -> None:
    nested = {key: value for key, value in QWEN2_5_MATH_7B.items() if key != "rope_theta"}
    nested["rope_parameters"] = {"rope_type": "default", "rope_theta": 5e5}
    assert architecture_of(nested, SOURCE).rope_theta == 5e5
    changed = with_overrides(nested, {"model.rope_theta": 1e6})
    architecture = architecture_of(changed, SOURCE)
    assert architecture.rope_theta == 1e6
    exported = config_of(architecture, "bfloat16", nested)
    assert (exported["rope_theta"], exported["rope_parameters"]["rope_theta"]) == (1e6, 1e6)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"model.rope_tetha": 1e6}, "model.rope_tetha: not a key .* nearest one is model.rope_theta"),
        ({"rope_theta": 1e6}, "nearest one is model.rope_theta"),
        ({"model.vocab_size": 7}, "model.vocab_size: not a key"),
        ({"model.rope_theta": "a million"}, "model.rope_theta=a million: expected a positive float"),
        ({"model.rope_theta": "nan"}, "expected a positive float"),
        ({"model.rope_theta": -1}, "expected a positive float"),
        ({"model.max_position_embeddings": "4096.5"}, "expected a positive int"),
    ],
)
def test_wrong_overrides_are_named(override: dict[str, object], message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        with_overrides(QWEN2_5_MATH_7B, override)


def test_all_wrong_overrides_are_listed_at_once() -> None:
    with pytest.raises(ConversionError) as error:
        with_overrides(QWEN2_5_MATH_7B, {"model.rope_theta": 0, "model.seed": 1})
    assert "model.rope_theta=0" in str(error.value)
    assert "model.seed" in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mistral"}, "model_type: 'mistral'; this recipe trains qwen2 and llama"),
        ({"model_type": None}, "model_type: None"),
        ({"architectures": ["Qwen2ForRewardModel"]}, "architectures: "),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "rope_scaling: .*yarn"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "rope_scaling: "),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4}}, "rope_parameters: "),
        ({"use_sliding_window": True}, "use_sliding_window: true"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types: "),
        ({"hidden_act": "gelu"}, "hidden_act: 'gelu'; expected 'silu'"),
        ({"attention_bias": True}, "attention_bias: true"),
        ({"mlp_bias": True}, "mlp_bias: true"),
        ({"quantization_config": {"bits": 4}}, "quantization_config: "),
        ({"head_dim": 64}, r"head_dim: 64; expected .* = 128"),
        ({"num_key_value_heads": 5}, "num_key_value_heads: 5 does not divide num_attention_heads 28"),
        ({"num_key_value_heads": 0}, "num_key_value_heads: 0"),
        ({"num_attention_heads": 27}, "hidden_size: 3584 is not a multiple of num_attention_heads 27"),
        ({"vocab_size": None}, "vocab_size: expected a positive integer, found None"),
        ({"num_hidden_layers": "28"}, "num_hidden_layers: expected a positive integer, found '28'"),
        ({"rope_theta": -1}, "rope_theta: -1.0"),
    ],
)
def test_what_the_model_cannot_represent_is_refused_by_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConversionError, match=message) as error:
        architecture_of(QWEN2_5_MATH_7B | change, SOURCE)
    assert str(SOURCE) in str(error.value)


def test_all_problems_are_listed_at_once() -> None:
    with pytest.raises(ConversionError) as error:
        architecture_of(QWEN2_5_MATH_7B | {"hidden_act": "relu", "use_sliding_window": True, "vocab_size": 0}, SOURCE)
    assert all(key in str(error.value) for key in ("hidden_act", "use_sliding_window", "vocab_size"))


@pytest.mark.parametrize(
    "change", [{"rope_scaling": None}, {"rope_scaling": {"rope_type": "default"}}, {"head_dim": 128}]
)
def test_harmless_values_are_accepted(change: dict[str, Any]) -> None:
    assert architecture_of(QWEN2_5_MATH_7B | change, SOURCE) == architecture_of(QWEN2_5_MATH_7B, SOURCE)


def test_keys_that_config_json_leaves_out_have_transformers_defaults() -> None:
    left_out = (
        "num_key_value_heads",
        "rope_theta",
        "rms_norm_eps",
        "tie_word_embeddings",
        "architectures",
        "hidden_act",
    )
    llama = {key: value for key, value in QWEN2_5_MATH_7B.items() if key not in left_out} | {"model_type": "llama"}
    architecture = architecture_of(llama, SOURCE)
    assert (architecture.num_query_groups, architecture.rope_theta) == (28, 10_000.0)
    assert (architecture.rms_norm_eps, architecture.tie_word_embeddings) == (1e-6, False)


@given(
    st.builds(
        Architecture,
        family=st.sampled_from(["qwen2", "llama"]),
        num_layers=st.integers(1, 100),
        hidden_size=st.integers(1, 64).map(lambda n: 24 * n),
        ffn_hidden_size=st.integers(1, 10**5),
        num_attention_heads=st.sampled_from([4, 8, 12, 24]),
        num_query_groups=st.sampled_from([1, 2, 4]),
        vocab_size=st.integers(1, 10**6),
        max_position_embeddings=st.integers(1, 10**6),
        rope_theta=st.floats(1.0, 1e8),
        rms_norm_eps=st.floats(1e-9, 1e-3),
        tie_word_embeddings=st.booleans(),
        initializer_range=st.floats(1e-4, 1.0),
    )
)
def test_architecture_survives_config_json(architecture: Architecture) -> None:
    written = json.loads(json.dumps(config_of(architecture, "float32", {})))
    assert architecture_of(written, SOURCE) == architecture
    assert written["torch_dtype"] == "float32"


def test_a_base_of_another_family_is_not_mixed_in() -> None:
    llama = Architecture("llama", 2, 8, 8, 2, 2, 10, 16, 1e4, 1e-6, True)
    assert "use_mrope" not in config_of(llama, "float32", QWEN2_5_MATH_7B)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such file"), ("{", "not valid JSON"), ("[]", "expected a JSON object")]
)
def test_unreadable_config(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConversionError, match=message) as error:
        read_config(tmp_path)
    assert str(tmp_path / "config.json") in str(error.value)
