"""The door behind which every sampling engine stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from recipes.records import Generation


class RolloutEngine(Protocol):
    """Samples responses from the current weights of a policy."""

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        seed: int,
        finished: Callable[[int, Generation], None] | None = None,
    ) -> list[Generation]:
        """One generation for each prompt, same order.

        Args:
            prompts: token ids, not padded, each at least one token long.
            max_new_tokens: length budget of a response; the end token counts.
            temperature: 0 is greedy decoding, else tokens are drawn from ``softmax(logits / temperature)``.
            top_p: nucleus mass after the temperature, in (0, 1]; 1 keeps the whole vocabulary.
            seed: same seed, same prompts, same weights: same generations. The replicas of a run give the same seed; an
                engine that hashes it with the prompt draws the same at any number of replicas.
            finished: told the index of a prompt and its generation as soon as that is complete, on every process that
                gets the generations.
        """
        ...
