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
    finished: Callable[[int, Rollout], None] | None = None,
) -> list[tuple[Rollout, ...]]:
    """Sample ``rollouts_per_prompt`` responses to every prompt.

    Args:
        max_response_length: length budget in tokens; a response without an end token within it is truncated.
        finished: told the index of a prompt and one of its rollouts as soon as that is complete, in any order.

    Returns:
        One tuple of G rollouts for each prompt, same order.
    """
    rollouts: dict[int, Rollout] = {}

    def complete(row: int, generation: Generation) -> None:
        index, sample = divmod(row, rollouts_per_prompt)
        rollouts[row] = _rollout(prompts[index], sample, generation, tokenizer)
        if finished is not None:
            finished(index, rollouts[row])

    engine.generate(
        [prompt.tokens for prompt in prompts for _ in range(rollouts_per_prompt)],
        max_new_tokens=max_response_length,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        finished=complete,
    )
    starts = range(0, len(prompts) * rollouts_per_prompt, rollouts_per_prompt)
    return [tuple(rollouts[start + sample] for sample in range(rollouts_per_prompt)) for start in starts]


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
