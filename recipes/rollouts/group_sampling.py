"""G rollouts for each prompt of a batch, through whatever engine stands behind the door."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from recipes.records import Generation, Problem, Rollout
from recipes.rollouts.engine import RolloutEngine


class Prompt(Protocol):
    """A problem and its prompt token ids (``data.prompts.EncodedPrompt``)."""

    @property
    def problem(self) -> Problem: ...

    @property
    def tokens(self) -> tuple[int, ...]: ...


class Decoder(Protocol):
    """What is needed of a Hugging Face tokenizer."""

    def decode(self, token_ids: Any, **options: Any) -> str: ...


def sampling_seed(seed: int, *position: int | str) -> int:
    """A 63-bit seed that depends on the run's seed and a position (step, replica, ...) alone.

    Sampling after a restart therefore draws the same tokens as an uninterrupted run, with no random state to store.
    """
    digest = hashlib.sha256("/".join(map(str, (seed, *position))).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def sample_groups(
    engine: RolloutEngine,
    prompts: Sequence[Prompt],
    tokenizer: Decoder,
    *,
    rollouts_per_prompt: int,
    max_response_length: int,
    temperature: float,
    top_p: float,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> list[tuple[Rollout, ...]]:
    """Sample ``rollouts_per_prompt`` responses to every prompt.

    Args:
        max_response_length: length budget in tokens; a response without an end token within it is truncated.
        progress: told how many responses were finished since the last call.

    Returns:
        One tuple of G rollouts for each prompt, same order.
    """
    repeated = [prompt.tokens for prompt in prompts for _ in range(rollouts_per_prompt)]
    generations = engine.generate(
        repeated,
        max_new_tokens=max_response_length,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        progress=progress,
    )
    groups = []
    for index, prompt in enumerate(prompts):
        first = index * rollouts_per_prompt
        samples = generations[first : first + rollouts_per_prompt]
        groups.append(tuple(_rollout(prompt, i, generation, tokenizer) for i, generation in enumerate(samples)))
    return groups


def _rollout(prompt: Prompt, sample: int, generation: Generation, tokenizer: Decoder) -> Rollout:
    text_tokens = generation.tokens if generation.truncated else generation.tokens[:-1]
    return Rollout(
        problem_id=prompt.problem.id,
        sample=sample,
        prompt_tokens=tuple(prompt.tokens),
        response_tokens=generation.tokens,
        text=tokenizer.decode(list(text_tokens), skip_special_tokens=False),
        truncated=generation.truncated,
        seconds=generation.seconds,
    )
