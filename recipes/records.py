"""The records that travel between the rooms: frozen, free of torch, every field with its unit.

problem (data) -> rollout (rollouts) -> verdict (grading) -> group (training) -> rollout row on disk (ledger).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

MathVerdict = Literal["correct", "wrong", "no_answer", "timeout", "error"]
CodeVerdictName = Literal[
    "pass",
    "wrong_answer",
    "time_limit",
    "memory_limit",
    "output_limit",
    "runtime_error",
    "no_code",
    "sandbox_error",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One prompt with what its responses are graded by: a gold answer (math) or tests (code).

    Example: ``Problem(id="sum-0012", problem="What is 17 + 26?", answer="43")``.
    """

    id: str
    """Unique within a data set and stable over runs: ledgers and benchmarks are keyed by it."""
    problem: str
    """The user's turn, without the evaluation instruction and without the chat template."""
    answer: str
    """The gold answer; empty where there are tests instead."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the row carried, for instance ``kind`` and ``difficulty``."""
    tests: Mapping[str, Any] | None = None
    """The tests of a code problem (``recipes.grading.code_test_format``), None for a math problem."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One supervised example: a problem and the teacher's whole response.

    Example: ``response="<think>\\n7+6=13 ...\\n</think>\\n\\nThe answer is \\\\boxed{43}."``.
    """

    problem: Problem
    response: str
    """Text after the assistant header, from ``<think>`` on, without the end token."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What an engine returns for one prompt."""

    tokens: tuple[int, ...]
    """Response token ids, the end token included when there is one; at most the length budget."""
    truncated: bool
    """True when the length budget was reached without an end token."""
    seconds: float
    """Wall seconds from the start of the batch until this response was complete."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled response to one problem."""

    problem_id: str
    sample: int
    """Index within the group, 0..G-1."""
    prompt_tokens: tuple[int, ...]
    response_tokens: tuple[int, ...]
    text: str
    """Decoded response without the end token."""
    truncated: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A grader's judgement of one response."""

    correct: bool
    verdict: MathVerdict | CodeVerdictName
    extracted: str | None
    """The answer that was compared, None when there was none; None for a program."""
    seconds: float
    """Wall seconds that the grader spent on this response; equal answers that were compared once share them."""
    passed: int | None = None
    """Tests that a program passed, of those that ran; None for a math answer."""
    total: int | None = None
    """Tests of a code problem."""
    first_failure: Mapping[str, Any] | None = None
    """The first test that failed: ``test``, ``verdict``, ``input``, ``expected``, ``found`` and ``detail``."""


@dataclass(frozen=True, slots=True)
class Group:
    """The G rollouts of one problem with their verdicts, same order."""

    problem: Problem
    rollouts: tuple[Rollout, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def rewards(self) -> tuple[float, ...]:
        """1.0 for a correct rollout, else 0.0 (AceReason-Nemotron-1.0, rule-based reward); length G.

        A truncated rollout gets 0.0 whatever its text holds: it did not end its answer within the length budget.
        """
        pairs = zip(self.verdicts, self.rollouts, strict=True)
        return tuple(1.0 if verdict.correct and not rollout.truncated else 0.0 for verdict, rollout in pairs)

    @property
    def truncated(self) -> tuple[bool, ...]:
        """Which rollouts hit the length budget; length G."""
        return tuple(rollout.truncated for rollout in self.rollouts)
