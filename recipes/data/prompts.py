"""From records to token ids: the one rendering that SFT, GRPO and evaluation share.

A model that is trained on one prompt and evaluated on a slightly different one loses accuracy without any error; so
there is one function for prompts, and one for demonstrations that builds on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from recipes.records import Demonstration, Problem


class ChatTokenizer(Protocol):
    """What is needed of a Hugging Face tokenizer with a chat template."""

    eos_token_id: Any

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any: ...

    def encode(self, text: Any, **options: Any) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A problem as an engine takes it."""

    problem: Problem
    tokens: tuple[int, ...]
    """Ends with the header of the assistant's turn."""


@dataclass(frozen=True, slots=True)
class EncodedDemonstration:
    """A demonstration as SFT takes it: the loss is on ``response`` alone."""

    demonstration: Demonstration
    prompt: tuple[int, ...]
    """The same ids as the ``EncodedPrompt`` of the problem."""
    response: tuple[int, ...]
    """Ends with the end token."""

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)


class TokenDigest:
    """SHA-256 of demonstrations' token ids, prompts and responses apart, in their order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, prompt: Any, response: Any) -> None:
        """The next demonstration: two sequences or arrays of ids."""
        for part in (prompt, response):
            self._hash.update(len(part).to_bytes(8, "little") + np.asarray(part, dtype="<i8").tobytes())

    def hexdigest(self) -> str:
        """Of what there was so far."""
        return self._hash.hexdigest()


@dataclass(frozen=True, slots=True)
class EncodedDataset:
    """Demonstrations that fit, and the count and lengths of those that do not."""

    demonstrations: tuple[EncodedDemonstration, ...]
    max_sequence_length: int
    overlong: tuple[tuple[str, int], ...]
    """(problem id, tokens) of each demonstration left out, in the order of the data."""

    def digest(self) -> str:
        """``TokenDigest`` of all of them."""
        found = TokenDigest()
        for row in self.demonstrations:
            found.update(row.prompt, row.response)
        return found.hexdigest()


class PromptLengthError(ValueError):
    """Prompts are longer than ``data.max_prompt_length``."""


def user_turn(problem: str, instruction: str) -> str:
    """The user's text: the problem, a blank line, the evaluation instruction (Appendix A of the paper)."""
    return f"{problem}\n\n{instruction}" if instruction else problem


def instruction_of(problem: Problem, default: str) -> str:
    """The row's own ``instruction`` where it has one (a file may mix math and code), else ``data.instruction``.

    Raises:
        ValueError: the row's instruction is no text.
    """
    own = problem.metadata.get("instruction", default)
    if not isinstance(own, str):
        raise ValueError(f"problem {problem.id!r}: key 'instruction' is {own!r}; expected a string, or no such key")
    return own


def prompt_ids(problem: str, tokenizer: ChatTokenizer, instruction: str) -> tuple[int, ...]:
    """Token ids of the chat up to and including the header of the assistant's turn.

    Raises:
        ValueError: when the tokenizer has no chat template.
    """
    if not getattr(tokenizer, "chat_template", None):
        name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
        raise ValueError(f"tokenizer {name} has no chat template; expected one: use the chat model's tokenizer")
    conversation = [{"role": "user", "content": user_turn(problem, instruction)}]
    ids = tokenizer.apply_chat_template(conversation, tokenize=True, add_generation_prompt=True, return_dict=False)
    return tuple(ids)


def response_ids(response: str, tokenizer: ChatTokenizer) -> tuple[int, ...]:
    """Token ids of a response followed by the end token.

    Raises:
        ValueError: when the tokenizer has no end token.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError("the tokenizer has no eos_token: a model trained with it would never end a response")
    return (*tokenizer.encode(response, add_special_tokens=False), tokenizer.eos_token_id)


def encode_prompts(
    problems: Sequence[Problem], tokenizer: ChatTokenizer, instruction: str, max_prompt_length: int
) -> list[EncodedPrompt]:
    """All prompts, same order.

    Args:
        instruction: of the problems that carry none of their own (``instruction_of``).

    Raises:
        ValueError: as in ``instruction_of``.
        PromptLengthError: names every problem (up to ten) whose prompt is longer than ``max_prompt_length`` tokens.
    """
    encoded = [
        EncodedPrompt(problem, prompt_ids(problem.problem, tokenizer, instruction_of(problem, instruction)))
        for problem in problems
    ]
    long = [prompt for prompt in encoded if len(prompt.tokens) > max_prompt_length]
    if long:
        named = ", ".join(f"{prompt.problem.id} ({len(prompt.tokens)})" for prompt in long[:10])
        raise PromptLengthError(
            f"{len(long)} of {len(encoded)} prompts are longer than data.max_prompt_length={max_prompt_length} tokens: "
            f"{named}{', ...' if len(long) > 10 else ''}; raise it to "
            f"{max(len(prompt.tokens) for prompt in long)} or remove the problems"
        )
    return encoded


def encode_demonstrations(
    demonstrations: Iterable[Demonstration], tokenizer: ChatTokenizer, instruction: str, max_sequence_length: int
) -> EncodedDataset:
    """All demonstrations of at most ``max_sequence_length`` tokens, and an account of the others.

    Args:
        instruction: of the problems that carry none of their own (``instruction_of``).

    Raises:
        ValueError: when none fits, and as in ``instruction_of``.
    """
    kept: list[EncodedDemonstration] = []
    overlong: list[tuple[str, int]] = []
    for demonstration in demonstrations:
        problem = demonstration.problem
        prompt = prompt_ids(problem.problem, tokenizer, instruction_of(problem, instruction))
        encoded = EncodedDemonstration(demonstration, prompt, response_ids(demonstration.response, tokenizer))
        if len(encoded) <= max_sequence_length:
            kept.append(encoded)
        else:
            overlong.append((demonstration.problem.id, len(encoded)))
    if not kept:
        raise ValueError(
            f"none of {len(overlong)} demonstrations fits sft.max_sequence_length={max_sequence_length} tokens; "
            f"the shortest has {min((tokens for _, tokens in overlong), default=0)}"
        )
    return EncodedDataset(tuple(kept), max_sequence_length, tuple(overlong))
