"""What earlier rollouts say about how long the responses to a prompt will be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from recipes.rollouts.group_sampling import Prompt
from recipes.rollouts.ledger import Ledger


class ExpectedLengths:
    """Mean response tokens of a prompt's last rollouts: those of this run, else those of earlier ones."""

    def __init__(self, prompts: Sequence[Prompt], earlier: Mapping[str, float], ledger: Ledger | None = None) -> None:
        """Args:
        prompts: of the stage.
        earlier: problem id -> mean response tokens, in the runs of ``prompts.ledgers``.
        ledger: of this run, whose new steps are read as they come.
        """
        self._ids = {tuple(prompt.tokens): prompt.problem.id for prompt in prompts}
        self._known = dict(earlier)
        self._ledger = ledger
        self._read: set[Path] = set()

    def __call__(self, prompts: Sequence[Sequence[int]]) -> list[float | None]:
        """For each prompt; None where nothing is known.

        Looks at the files that have come since the last call, so processes that ask at different times may hear
        different answers: one asks and tells the others.
        """
        if self._ledger is not None:
            for path, rates in self._ledger.new_solve_rates(self._read):
                self._read.add(path)
                self._known |= {problem: rate.mean_response_tokens for problem, rate in rates.items()}
        ids = (self._ids.get(tuple(prompt)) for prompt in prompts)
        return [None if name is None else self._known.get(name) for name in ids]
