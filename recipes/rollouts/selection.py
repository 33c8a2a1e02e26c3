"""Which problems a stage trains on (paper §3.2.2, §3.2.3), from what is known of each before the stage begins.

Known are: the solve rate and mean response length of the rollouts of earlier runs, and the row's own ``teacher_tokens``
(length of the teacher's response) and ``difficulty`` (for instance how many of 8 teacher responses failed).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from recipes.records import Problem
from recipes.rollouts.ledger import SolveRate

TEACHER_TOKENS, DIFFICULTY = "teacher_tokens", "difficulty"
"""Keys of a row that rules read."""

Known = Callable[[Problem], "float | None"]


class SelectionError(ValueError):
    """The rules cannot be followed, or leave too few problems."""


@dataclass(frozen=True, slots=True)
class SelectionRules:
    """The names and the meaning of ``recipes.settings.schema.PromptSettings``."""

    min_solve_rate: float | None = None
    max_solve_rate: float | None = None
    min_response_tokens: int | None = None
    max_response_tokens: int | None = None
    max_difficulty: int | None = None
    unseen: Literal["keep", "drop"] = "keep"


@dataclass(frozen=True, slots=True)
class Dropped:
    """One problem that is left out, by the first rule that says so."""

    problem_id: str
    rule: str
    """Key of ``prompts``: ``max_solve_rate`` ...; ``unseen`` where nothing is known."""
    found: float | None
    """What the rule looked at; None for ``unseen``."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The problems of a stage."""

    kept: tuple[Problem, ...]
    """In the order of the data set."""
    dropped: tuple[Dropped, ...]
    unseen_kept: int
    """Problems that a rule asked about in vain and that stay (``prompts.unseen=keep``)."""
    rules: SelectionRules

    @property
    def counts(self) -> dict[str, int]:
        """Rule -> problems that it left out, for every rule that is set."""
        by_rule = Counter(problem.rule for problem in self.dropped)
        names = [name for name, bound in asdict(self.rules).items() if bound is not None and name != "unseen"]
        return {name: by_rule[name] for name in (*names, "unseen") if name in names or by_rule[name]}

    def report(self) -> str:
        """One line for the screen."""
        total = len(self.kept) + len(self.dropped)
        parts = [f"{count:,} by {self._named(rule)}" for rule, count in self.counts.items()]
        line = f"{len(self.kept):,} of {total:,} problems take part"
        line += f"; left out: {', '.join(parts)}" if parts else ""
        return line + (f"; {self.unseen_kept:,} of those kept were never tried" if self.unseen_kept else "")

    def as_dict(self, ledgers: Sequence[str]) -> dict[str, Any]:
        """Content of ``RUN/selection.json``."""
        return {
            "problems": len(self.kept) + len(self.dropped),
            "kept": len(self.kept),
            "unseen_kept": self.unseen_kept,
            "counts": self.counts,
            "rules": asdict(self.rules),
            "ledgers": list(ledgers),
            "dropped": [asdict(problem) for problem in self.dropped],
        }

    def _named(self, rule: str) -> str:
        return f"prompts.{rule}={getattr(self.rules, rule) if rule != 'unseen' else 'drop'}"


def select_problems(
    problems: Sequence[Problem],
    rules: SelectionRules,
    solve_rates: Mapping[str, SolveRate],
    prompts_per_step: int,
) -> Selection:
    """Apply the rules, in the order of their names in ``SelectionRules``.

    Args:
        solve_rates: by problem id, of earlier runs (``ledger.read_solve_rates``).
        prompts_per_step: problems of a batch, the fewest that must be left.

    Raises:
        SelectionError: every rule that no problem says anything about; or fewer problems are left than a batch holds.
    """
    wrong = [*_empty_rules(problems, rules, solve_rates)]
    if wrong:
        raise SelectionError("the rules in prompts cannot be followed:\n" + "\n".join(f"  {line}" for line in wrong))
    kept, dropped, unseen_kept = [], [], 0
    for problem in problems:
        verdict, unseen = _verdict(problem, rules, solve_rates)
        if verdict is None:
            kept.append(problem)
            unseen_kept += unseen
        else:
            dropped.append(verdict)
    selection = Selection(tuple(kept), tuple(dropped), unseen_kept, rules)
    if len(kept) < prompts_per_step:
        raise SelectionError(_too_few(selection, prompts_per_step))
    return selection


def _verdict(
    problem: Problem, rules: SelectionRules, solve_rates: Mapping[str, SolveRate]
) -> tuple[Dropped | None, bool]:
    """Why the problem is left out, None when it stays; and whether a rule asked about it in vain."""
    unseen = False
    for name, limit, value in _questions(rules, solve_rates):
        found = value(problem)
        if found is None:
            unseen = True
        elif (name.startswith("min") and found < limit) or (name.startswith("max") and found > limit):
            return Dropped(problem.id, name, found), unseen
    if unseen and rules.unseen == "drop":
        return Dropped(problem.id, "unseen", None), unseen
    return None, unseen


def _questions(rules: SelectionRules, solve_rates: Mapping[str, SolveRate]) -> Iterator[tuple[str, float, Known]]:
    """(rule, bound, what the rule looks at) of every rule that is set."""

    def rate(problem: Problem) -> float | None:
        seen = solve_rates.get(problem.id)
        return None if seen is None else seen.rate

    def tokens(problem: Problem) -> float | None:
        seen = solve_rates.get(problem.id)
        own = _number(problem, TEACHER_TOKENS)
        return own if own is not None or seen is None else seen.mean_response_tokens

    def difficulty(problem: Problem) -> float | None:
        return _number(problem, DIFFICULTY)

    looks_at: dict[str, Known] = {
        "min_solve_rate": rate,
        "max_solve_rate": rate,
        "min_response_tokens": tokens,
        "max_response_tokens": tokens,
        "max_difficulty": difficulty,
    }
    for name, value in looks_at.items():
        limit = getattr(rules, name)
        if limit is not None:
            yield name, limit, value


def _number(problem: Problem, key: str) -> float | None:
    value = problem.metadata.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _empty_rules(
    problems: Sequence[Problem], rules: SelectionRules, solve_rates: Mapping[str, SolveRate]
) -> Iterator[str]:
    """Rules that would do nothing at all because no problem says anything about them."""
    needs = {
        "solve_rate": "run folders with rollouts of these problems in prompts.ledgers",
        "response_tokens": f"the key {TEACHER_TOKENS!r} in the rows of data.train, or run folders in prompts.ledgers",
        "difficulty": f"the key {DIFFICULTY!r} in the rows of data.train",
    }
    for name, limit, value in _questions(rules, solve_rates):
        if all(value(problem) is None for problem in problems):
            need = needs[name.partition("_")[2]]
            yield f"prompts.{name}={limit}: nothing is known of any problem; expected {need}; or prompts.{name}=null"


def _too_few(selection: Selection, prompts_per_step: int) -> str:
    kept = len(selection.kept)
    lines = [f"  {selection._named(rule)} left out {count:,}" for rule, count in selection.counts.items()]
    most = max(selection.counts, key=lambda rule: selection.counts[rule], default=None)
    loosen = {None: "more problems in data.train", "unseen": "prompts.unseen=keep"}.get(most, f"prompts.{most}=null")
    fixes = [loosen, *([f"grpo.prompts_per_step={kept}"] if kept else [])]
    return "\n".join(
        [
            f"{kept:,} of {kept + len(selection.dropped):,} problems are left, fewer than "
            f"grpo.prompts_per_step={prompts_per_step}:",
            *lines,
            f"  fix: {', or '.join(fixes)}",
        ]
    )
