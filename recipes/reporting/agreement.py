"""Whether two implementations of one model agree: logits, and greedy responses token for token; shown and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rich.markup import escape

from recipes.reporting.checklist import Checklist

if TYPE_CHECKING:
    from torch import Tensor


class LanguageModel(Protocol):
    """One implementation with one set of weights."""

    def logits(self, tokens: Sequence[int]) -> Tensor:
        """[S, V] float32."""
        ...

    def greedy(self, prompt: Sequence[int], max_new_tokens: int) -> tuple[int, ...]:
        """The most probable continuation, token by token, the end token included where there is one."""
        ...


def check_logits(
    checks: Checklist,
    name: str,
    models: tuple[LanguageModel, LanguageModel],
    sequences: Sequence[Sequence[int]],
    tolerance: float,
) -> list[Tensor]:
    """Note whether the logits agree over all positions and the whole vocabulary.

    Returns:
        [S, V] of each sequence, of the second model.
    """
    ours, theirs = ([model.logits(tokens) for tokens in sequences] for model in models)
    difference = largest_difference(ours, theirs)
    positions = sum(len(tokens) for tokens in sequences)
    vocabulary = theirs[0].size(-1)
    measured = f"largest difference {difference:.1e} over {positions} positions x {vocabulary:,} tokens"
    checks.check(f"{name} within {tolerance:.0e}", difference < tolerance, measured)
    return theirs


def check_greedy(
    checks: Checklist,
    name: str,
    models: tuple[LanguageModel, LanguageModel],
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    tokenizer: Any,
) -> None:
    """Note whether the greedy responses are the same tokens and the same text; shows the text."""
    equal = 0
    for prompt in prompts:
        ours, theirs = (tuple(model.greedy(prompt, max_new_tokens)) for model in models)
        texts = [tokenizer.decode(list(tokens)) for tokens in (ours, theirs)]
        if (ours, texts[0]) == (theirs, texts[1]):
            equal += 1
            checks.console.print(f"[dim]both:[/dim] {escape(texts[0])}")
        else:
            checks.console.print(f"[dim]ours:[/dim] {escape(texts[0])}\n[dim]theirs:[/dim] {escape(texts[1])}")
    measured = f"{equal} of {len(prompts)} responses of up to {max_new_tokens} tokens are the same"
    checks.check(name, equal == len(prompts) > 0, measured)


def largest_difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """Largest absolute difference; NaN where a value is NaN.

    Raises:
        ValueError: the shapes differ, or there is nothing to compare.
    """
    shapes = [tuple(value.shape) for value in ours], [tuple(value.shape) for value in theirs]
    if shapes[0] != shapes[1] or not ours:
        raise ValueError(f"tensors of shapes {shapes[0]} and {shapes[1]}; expected some, and equal shapes")
    differences = [float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True)]
    return float("nan") if any(value != value for value in differences) else max(differences)
