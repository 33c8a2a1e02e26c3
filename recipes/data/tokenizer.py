"""The tokenizer of a run, and the two ids that training and sampling need of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class TokenizerError(ValueError):
    """A tokenizer folder that cannot be used; the message says what is missing and how to put it there."""


def load_tokenizer(folder: str) -> Any:
    """A Hugging Face tokenizer with a chat template and an end token.

    Raises:
        TokenizerError: the folder is missing, or has no tokenizer, chat template or end token.
    """
    from transformers import AutoTokenizer

    if not Path(folder).is_dir():
        raise TokenizerError(
            f"model.tokenizer={folder}: no such folder; expected a Hugging Face model folder "
            "(for the demo's: python -m recipes.prepare_demo OUTPUT_DIR)"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise TokenizerError(f"model.tokenizer={folder}: no tokenizer could be read there: {error}") from error
    missing = [name for name in ("chat_template", "eos_token") if not getattr(tokenizer, name)]
    if missing:
        raise TokenizerError(
            f"model.tokenizer={folder}: {' and '.join(missing)} missing; expected in tokenizer_config.json"
        )
    return tokenizer


def pad_token_of(tokenizer: Any) -> int:
    """The padding id; the end token where the tokenizer has none (padding is masked everywhere)."""
    return tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
