"""A tokenizer against the rows of the model's embedding."""

from __future__ import annotations

from recipes.settings.errors import SettingsError, SettingsProblem
from recipes.settings.schema import Settings


def vocabulary_problem(settings: Settings, key: str, folder: str, tokens: int) -> SettingsProblem | None:
    """More ids than ``model.vocab_size``; fewer are no problem, for embeddings are padded.

    Args:
        key: the settings key that names the tokenizer's folder.
        folder: of the tokenizer.
        tokens: its ids, added ones included.
    """
    rows = settings.model.vocab_size
    if tokens <= rows:
        return None
    expected = f"at most model.vocab_size={rows:,}, the rows of the embedding"
    return SettingsProblem(key, f"{folder}: {tokens:,} tokens", expected, f"{key}=FOLDER of the model's own tokenizer")


def require_vocabulary(settings: Settings, tokens: int) -> None:
    """Before anything is trained or sampled: an id beyond the embedding is an error on the way, or a wrong loss.

    Args:
        tokens: ids of the tokenizer of ``model.tokenizer``.

    Raises:
        SettingsError: the tokenizer has ids that the model has no row for.
    """
    if problem := vocabulary_problem(settings, "model.tokenizer", settings.model.tokenizer, tokens):
        raise SettingsError([problem])
