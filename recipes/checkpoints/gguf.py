"""GGUF -> Hugging Face folder in fp32: Llama models whose tokenizer is a byte-level BPE, such as SmolLM2.

transformers reads and dequantises the weights. The tokenizer is built here from the metadata of the file: transformers
4.48.3 gives a Llama tokenizer the end token ``<|im_start|>`` (it looks up the id of the begin token for both), puts a
begin token in front of every text and does not know how the file splits text before the BPE.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recipes.atomic_files import share_weights
from recipes.checkpoints.hf_config import ConversionError

if TYPE_CHECKING:
    from gguf import GGUFReader
    from transformers import PreTrainedTokenizerFast

CONTROL_TOKEN = 3
"""``token_type`` of tokens that text never spells (GGUF specification)."""
TOKEN_IDS = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
"""Name in transformers -> ``tokenizer.ggml.<name>_token_id``."""


def packaged_gguf(package: str) -> Path:
    """The one GGUF file inside an installed package, which is looked up and not imported.

    Raises:
        ConversionError: the package is not installed, or has not exactly one such file.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConversionError(f"no package {package}: pip install {package.replace('_', '-')}")
    files = [file for folder in spec.submodule_search_locations for file in sorted(Path(folder).glob("*.gguf"))]
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise ConversionError(f"package {package}: expected one .gguf file, found {found}")
    return files[0]


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write what ``save_pretrained`` writes: fp32 safetensors, ``config.json``, tokenizer with chat template.

    Args:
        gguf: the file.
        folder: appears by one rename; an existing one is replaced.

    Raises:
        ConversionError: no such file, or a model or tokenizer of a kind that is not read; lists every reason.
    """
    import torch
    from gguf import GGUFReader
    from transformers import AutoModelForCausalLM

    if not gguf.is_file():
        raise ConversionError(f"{gguf}: no such file; expected a GGUF file")
    try:
        metadata = gguf_metadata(GGUFReader(gguf))
    except ValueError as error:
        raise ConversionError(f"{gguf}: not a GGUF file ({error})") from error
    _require_supported(metadata, gguf)
    tokenizer = build_tokenizer(metadata)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, torch_dtype=torch.float32, local_files_only=True
    )
    model.config.rms_norm_eps = _shortest(model.config.rms_norm_eps)
    model.config.rope_theta = _shortest(model.config.rope_theta)
    model.config._name_or_path = gguf.stem  # else its place on this machine
    model.config.__dict__.pop("_model_name_or_path", None)  # what transformers makes of general.name
    for name in TOKEN_IDS:
        setattr(model.config, f"{name}_id", getattr(tokenizer, f"{name}_id"))

    staging = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    model.save_pretrained(staging)
    share_weights(staging)
    tokenizer.save_pretrained(staging)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(staging, folder)


def build_tokenizer(metadata: Mapping[str, Any]) -> PreTrainedTokenizerFast:
    """The tokenizer that a GGUF file describes.

    Args:
        metadata: keys of a GGUF file with plain values; ``tokenizer.ggml.pre`` is one of ``PRE_TOKENIZERS``.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    bpe = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    bpe.pre_tokenizer = PRE_TOKENIZERS[metadata["tokenizer.ggml.pre"]]()
    bpe.decoder = decoders.ByteLevel()
    control = [
        AddedToken(token, normalized=False, special=True)
        for token, kind in zip(tokens, metadata["tokenizer.ggml.token_type"], strict=True)
        if kind == CONTROL_TOKEN
    ]
    bpe.add_special_tokens(control)
    ids = {ours: metadata.get(f"tokenizer.ggml.{theirs}_token_id") for ours, theirs in TOKEN_IDS.items()}
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        chat_template=metadata["tokenizer.chat_template"],
        model_max_length=metadata["llama.context_length"],
        # A Llama model refuses the third input of transformers' default, token_type_ids.
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        **{name: tokens[index] for name, index in ids.items() if index is not None},
    )


def _single_digits() -> Any:
    """SmolLM: every digit alone, then GPT-2's pattern on bytes (tokenizer.json of SmolLM2-135M-Instruct)."""
    from tokenizers import pre_tokenizers

    digits = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])


PRE_TOKENIZERS: dict[str, Callable[[], Any]] = {"smollm": _single_digits}
"""``tokenizer.ggml.pre`` -> how text is split before the BPE."""

_READ = ("general.architecture", "llama.context_length", "tokenizer.chat_template")


def gguf_metadata(reader: GGUFReader) -> dict[str, Any]:
    """What ``build_tokenizer`` and the checks read of a file."""
    return {
        key: field.contents()
        for key, field in reader.fields.items()
        if key in _READ or key.startswith("tokenizer.ggml.")
    }


def _require_supported(metadata: Mapping[str, Any], gguf: Path) -> None:
    expected = {
        "general.architecture": ("llama",),
        "tokenizer.ggml.model": ("gpt2",),
        "tokenizer.ggml.pre": tuple(PRE_TOKENIZERS),
        "tokenizer.ggml.add_bos_token": (None, False),
    }
    problems = [
        f"  {key}: {metadata.get(key)!r}; expected {' or '.join(map(repr, values))}"
        for key, values in expected.items()
        if metadata.get(key) not in values
    ]
    required = ("tokens", "token_type", "merges", "eos_token_id")
    missing = [key for key in (*_READ, *(f"tokenizer.ggml.{name}" for name in required)) if key not in metadata]
    problems += [f"  {key}: missing" for key in missing if key not in expected]
    if problems:
        raise ConversionError("\n".join([f"{gguf}: this GGUF file cannot be converted:", *problems]))


def _shortest(value: float) -> float:
    """The decimal number that a float32 of the file stands for: 1e-05, and not 9.999999747378752e-06."""
    return float(str(np.float32(value)))
