"""Hugging Face ``config.json`` <-> the architecture that this recipe trains: dense Qwen2 and Llama.

What the Megatron model cannot represent is an error that names the key, never a silent approximation.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG_NAME = "config.json"
CAUSAL_LM = {"qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM"}
"""``model_type`` -> class name in ``architectures``."""

OVERRIDES = {"model.rope_theta": float, "model.max_position_embeddings": int}
"""What an import may change: keys that leave the shape of every weight alone."""

# The values that transformers assumes for a key that config.json leaves out.
_DEFAULT_ROPE_THETA = 10_000.0
_DEFAULT_RMS_NORM_EPS = 1e-6
_DEFAULT_INITIALIZER_RANGE = 0.02


class ConversionError(ValueError):
    """A checkpoint that cannot be converted, every reason listed."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A dense decoder; field names are those of ``model.*`` in the settings."""

    family: str
    """``qwen2`` (bias on QKV) or ``llama`` (no bias)."""
    num_layers: int
    hidden_size: int
    ffn_hidden_size: int
    num_attention_heads: int
    num_query_groups: int
    """Key/value heads."""
    vocab_size: int
    """Rows of the embedding, padding included."""
    max_position_embeddings: int
    rope_theta: float
    rms_norm_eps: float
    tie_word_embeddings: bool
    initializer_range: float = _DEFAULT_INITIALIZER_RANGE

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def qkv_bias(self) -> bool:
        """Whether the QKV projection has a bias."""
        return self.family == "qwen2"


def read_config(folder: Path) -> dict[str, Any]:
    """The raw ``config.json`` of a Hugging Face folder.

    Raises:
        ConversionError: no such folder or file, or it is no JSON object.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise ConversionError(f"{path}: no such file; expected the folder that save_pretrained() or a download wrote")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConversionError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(config, dict):
        raise ConversionError(f"{path}: expected a JSON object, found {type(config).__name__}")
    return config


def with_overrides(config: Mapping[str, Any], overrides: Mapping[str, object]) -> dict[str, Any]:
    """A copy of ``config`` with the overrides of an import written into it.

    Args:
        config: content of ``config.json``.
        overrides: keys of ``OVERRIDES``; values as numbers or as text from the command line.

    Raises:
        ConversionError: lists every key that may not be overridden and every value that is no positive number.
    """
    changed, problems = dict(config), []
    for key, value in overrides.items():
        if key not in OVERRIDES:
            nearest = difflib.get_close_matches(key, OVERRIDES, n=1, cutoff=0.0)[0]
            problems.append(f"  {key}: not a key that an import can change; the nearest one is {nearest}")
            continue
        number = _positive_number(value, OVERRIDES[key])
        if number is None:
            problems.append(f"  {key}={value}: expected a positive {OVERRIDES[key].__name__}")
            continue
        name = key.removeprefix("model.")
        changed[name] = number
        if name == "rope_theta" and isinstance(changed.get("rope_parameters"), dict):
            changed["rope_parameters"] = changed["rope_parameters"] | {"rope_theta": number}
    if problems:
        raise ConversionError("\n".join(["wrong overrides:", *problems]))
    return changed


def architecture_of(config: Mapping[str, Any], source: Path) -> Architecture:
    """Read the architecture from ``config.json``.

    Args:
        config: content of ``config.json``.
        source: where it came from, for messages.

    Raises:
        ConversionError: lists every key whose value this recipe cannot represent.
    """
    problems = _unsupported(config)
    required = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
    for key in (*required, "max_position_embeddings"):
        if not isinstance(config.get(key), int) or config[key] <= 0:
            problems.append(f"{key}: expected a positive integer, found {config.get(key)!r}")
    if not problems:
        problems = _inconsistent(config)
    if problems:
        raise ConversionError("\n".join([f"{source}: this model cannot be converted:", *(f"  {p}" for p in problems)]))
    return Architecture(
        family=config["model_type"],
        num_layers=config["num_hidden_layers"],
        hidden_size=config["hidden_size"],
        ffn_hidden_size=config["intermediate_size"],
        num_attention_heads=config["num_attention_heads"],
        num_query_groups=_num_query_groups(config),
        vocab_size=config["vocab_size"],
        max_position_embeddings=config["max_position_embeddings"],
        rope_theta=_rope_theta(config),
        rms_norm_eps=float(config.get("rms_norm_eps", _DEFAULT_RMS_NORM_EPS)),
        tie_word_embeddings=bool(config.get("tie_word_embeddings", False)),
        initializer_range=float(config.get("initializer_range", _DEFAULT_INITIALIZER_RANGE)),
    )


def config_of(architecture: Architecture, torch_dtype: str, base: Mapping[str, Any]) -> dict[str, Any]:
    """``config.json`` of an architecture: inverse of ``architecture_of``.

    Args:
        architecture: what the weights are.
        torch_dtype: dtype of the weights, as ``bfloat16``.
        base: the ``config.json`` that the model was imported with, empty when there is none; its other keys are kept,
            and so is the spelling of every value that did not change.
    """
    ours = {
        "model_type": architecture.family,
        "architectures": [CAUSAL_LM[architecture.family]],
        "num_hidden_layers": architecture.num_layers,
        "hidden_size": architecture.hidden_size,
        "intermediate_size": architecture.ffn_hidden_size,
        "num_attention_heads": architecture.num_attention_heads,
        "num_key_value_heads": architecture.num_query_groups,
        "hidden_act": "silu",
        "vocab_size": architecture.vocab_size,
        "max_position_embeddings": architecture.max_position_embeddings,
        "rope_theta": architecture.rope_theta,
        "rms_norm_eps": architecture.rms_norm_eps,
        "tie_word_embeddings": architecture.tie_word_embeddings,
        "initializer_range": architecture.initializer_range,
        "torch_dtype": torch_dtype,
        "use_cache": True,
    }
    kept = dict(base) if base.get("model_type") == architecture.family else {}
    kept.pop("dtype", None)  # transformers 5 spells torch_dtype so; both would contradict each other
    merged = kept | {key: value for key, value in ours.items() if kept.get(key) != value}
    if isinstance(merged.get("rope_parameters"), dict):
        merged["rope_parameters"] = merged["rope_parameters"] | {"rope_theta": architecture.rope_theta}
    return merged


def _unsupported(config: Mapping[str, Any]) -> list[str]:
    """Keys that switch on something the Megatron model of this recipe does not have."""
    family = config.get("model_type")
    if family not in CAUSAL_LM:
        return [f"model_type: {family!r}; this recipe trains {' and '.join(CAUSAL_LM)}"]
    problems = []
    architectures = config.get("architectures") or [CAUSAL_LM[family]]
    if architectures != [CAUSAL_LM[family]]:
        problems.append(f"architectures: {architectures}; expected [{CAUSAL_LM[family]!r}]")
    for key in ("rope_scaling", "rope_parameters"):
        scaling = config.get(key)
        kind = (scaling.get("rope_type") or scaling.get("type") or "default") if isinstance(scaling, dict) else scaling
        if kind not in (None, "default"):
            problems.append(f"{key}: {scaling}; only unscaled rotary embeddings are supported, expected null")
    if config.get("use_sliding_window"):
        problems.append("use_sliding_window: true; only full attention is supported, expected false")
    if any(kind != "full_attention" for kind in config.get("layer_types") or ()):
        problems.append(f"layer_types: {config['layer_types']}; only full_attention is supported")
    if config.get("hidden_act", "silu") != "silu":
        problems.append(f"hidden_act: {config['hidden_act']!r}; expected 'silu'")
    # Qwen2 has its QKV bias built in; these two keys are Llama's.
    problems += [f"{key}: true; expected false" for key in ("attention_bias", "mlp_bias") if config.get(key)]
    if config.get("quantization_config"):
        problems.append("quantization_config: quantized weights cannot be converted; use the bf16 or fp32 model")
    return problems


def _inconsistent(config: Mapping[str, Any]) -> list[str]:
    """Sizes that do not fit together."""
    heads, hidden, groups = config["num_attention_heads"], config["hidden_size"], _num_query_groups(config)
    problems = []
    if hidden % heads:
        problems.append(f"hidden_size: {hidden} is not a multiple of num_attention_heads {heads}")
    elif config.get("head_dim") not in (None, hidden // heads):
        problems.append(
            f"head_dim: {config['head_dim']}; expected hidden_size / num_attention_heads = {hidden // heads}"
        )
    if not isinstance(groups, int) or groups <= 0 or heads % groups:
        problems.append(f"num_key_value_heads: {groups!r} does not divide num_attention_heads {heads}")
    theta = _rope_theta(config)
    if not (math.isfinite(theta) and theta > 0):
        problems.append(f"rope_theta: {theta}; expected a positive number")
    return problems


def _num_query_groups(config: Mapping[str, Any]) -> int:
    groups = config.get("num_key_value_heads")
    return config["num_attention_heads"] if groups is None else groups


def _rope_theta(config: Mapping[str, Any]) -> float:
    parameters = config.get("rope_parameters")  # transformers 5
    nested = parameters.get("rope_theta") if isinstance(parameters, dict) else None
    theta = config.get("rope_theta") if nested is None else nested
    return float(_DEFAULT_ROPE_THETA if theta is None else theta)


def _positive_number(value: object, kind: type) -> float | int | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    if not math.isfinite(number) or number <= 0 or (kind is int and not number.is_integer()):
        return None
    return kind(number)
