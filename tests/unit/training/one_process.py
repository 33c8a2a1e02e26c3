"""Stand-ins for what a loop talks to, in one process and by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch

from recipes.data.prompts import EncodedPrompt
from recipes.objectives.policy_batch import PolicyBatch
from recipes.records import Generation, Problem, Verdict


@dataclass
class OneRank:
    """``training.ports.Ranks`` of one of ``replicas`` replicas; sums are those of this replica."""

    replica: int = 0
    replicas: int = 1
    barriers: int = 0

    @property
    def is_main(self) -> bool:
        return self.replica == 0

    @property
    def is_replica_source(self) -> bool:
        return True

    def broadcast_in_replica(self, value):
        return value

    def broadcast(self, value):
        return value

    def sum_over_replicas(self, values: Mapping[str, float]) -> dict[str, float]:
        return dict(values)

    def any_rank(self, flag: bool) -> bool:
        return flag

    def barrier(self) -> None:
        self.barriers += 1


@dataclass
class ScriptedEngine:
    """Response to a prompt: its last token repeated, as often as ``length`` says for it and the sample before it."""

    length: Callable[[int, int], int]
    """(last token of the prompt, how many responses it had before in the call) -> tokens."""
    seeds: list[int] = field(default_factory=list)

    def generate(self, prompts: Sequence[Sequence[int]], *, max_new_tokens, temperature, top_p, seed, finished=None):
        self.seeds.append(seed)
        seen: dict[int, int] = {}
        found = []
        for row, prompt in enumerate(prompts):
            last = prompt[-1]
            count = self.length(last, seen.get(last, 0))
            seen[last] = seen.get(last, 0) + 1
            found.append(Generation((last,) * min(count, max_new_tokens), count > max_new_tokens, 0.0))
            if finished is not None:
                finished(row, found[-1])
        return found


class Spelling:
    """Decoder: the number of tokens, as text."""

    def decode(self, token_ids, **options) -> str:
        return str(len(token_ids))


class EvenIsRight:
    """Grader: a response is right where its text is an even number."""

    def submit(self, response: str, problem: Problem) -> Future[Verdict]:
        future: Future[Verdict] = Future()
        right = int(response) % 2 == 0
        future.set_result(Verdict(right, "correct" if right else "wrong", response, 0.0))
        return future


class TokenEntropy:
    """Policy: each response token has an entropy of temperature * its id, in nats."""

    def entropy(self, batch: PolicyBatch, temperature: float) -> torch.Tensor:
        return (batch.tokens[:, 1:] * batch.response_mask).double().sum(dim=1) * temperature


def prompt(index: int) -> EncodedPrompt:
    """Problem ``p<index>``, whose prompt ends with the token ``index``."""
    return EncodedPrompt(Problem(f"p{index}", "?", "1"), (0, index))
