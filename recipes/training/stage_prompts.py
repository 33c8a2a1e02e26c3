"""What a GRPO stage draws from: the problems that its rules select, and the held-out ones that it is measured on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from recipes.atomic_files import write_text
from recipes.data.jsonl import read_problems
from recipes.data.order import OrderPosition, PromptOrder, problems_digest
from recipes.data.prompts import ChatTokenizer, EncodedPrompt, encode_prompts
from recipes.grading.graders import GradingOptions, require_graders
from recipes.records import Problem
from recipes.rollouts.ledger import SolveRate, read_solve_rates
from recipes.rollouts.selection import Selection, SelectionRules, select_problems
from recipes.settings.schema import PromptSettings, Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StagePrompts:
    """Read and checked before anything is started."""

    selection: Selection
    order: PromptOrder[EncodedPrompt]
    lengths: Mapping[str, float]
    """Problem id -> mean response length in the rollouts of ``prompts.ledgers``."""
    held_out: Sequence[EncodedPrompt]
    """Empty where ``validation.every_steps`` is 0."""

    def require_same_order(self, kept: Mapping[str, Any]) -> None:
        """``PromptOrder.require_same`` for the ``order`` of a checkpoint."""
        self.order.require_same(OrderPosition(**kept))

    def record(self, path: Path, ledgers: Sequence[str]) -> None:
        """Write ``RUN/selection.json``; atomic."""
        write_text(path, json.dumps(self.selection.as_dict(ledgers), indent=1, ensure_ascii=False) + "\n")


def read_stage_prompts(settings: Settings, tokenizer: ChatTokenizer) -> StagePrompts:
    """Read ``data.train``, ``prompts.ledgers`` and ``data.validation``, and select.

    Raises:
        ValueError: all that is wrong with the files, the rules and the ledgers.
        SandboxUnavailable: there are code problems and the machine cannot run the sandbox.
    """
    wrong: list[str] = []

    def checked(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except ValueError as error:
            wrong.append(str(error))
            return None

    rates = checked(lambda: solve_rates(settings.prompts))
    problems = checked(lambda: graded_problems(settings, settings.data.train))
    held_out: list[EncodedPrompt] | None = []
    if settings.validation.every_steps > 0:
        held_out = checked(lambda: _encode(graded_problems(settings, settings.data.validation), settings, tokenizer))
    selection = order = None
    if problems is not None and rates is not None:
        rules = selection_rules(settings.prompts)
        selection = checked(lambda: select_problems(problems, rules, rates, settings.grpo.prompts_per_step))
    if selection is not None:
        kept = selection.kept
        order = checked(
            lambda: PromptOrder(
                _encode(kept, settings, tokenizer),
                settings.run.seed,
                settings.grpo.prompts_per_step,
                problems_digest(kept),
            )
        )
    if wrong or selection is None or order is None or held_out is None:
        raise ValueError("\n".join(wrong))
    lengths = {problem: rate.mean_response_tokens for problem, rate in (rates or {}).items()}
    return StagePrompts(selection, order, lengths, held_out)


def selection_rules(settings: PromptSettings) -> SelectionRules:
    """The rules of ``prompts`` that hold from the start of a stage."""
    return SelectionRules(
        settings.min_solve_rate,
        settings.max_solve_rate,
        settings.min_response_tokens,
        settings.max_response_tokens,
        settings.max_difficulty,
        cast(Literal["keep", "drop"], settings.unseen),
    )


def solve_rates(settings: PromptSettings) -> dict[str, SolveRate]:
    """Of ``prompts.ledgers``; nothing is read where nothing asks for it.

    Raises:
        ValueError: names every run folder without rollouts.
    """
    if not settings.read_ledgers:
        return {}
    return read_solve_rates([Path(run) for run in settings.ledgers])


def graded_problems(settings: Settings, path: str) -> list[Problem]:
    """The problems of a file, each with a grader that can run.

    Raises:
        ValueError, SandboxUnavailable: as in ``read_problems`` and ``require_graders``.
    """
    problems = read_problems(path)
    options: dict[str, Any] = vars(settings.grading)
    require_graders(problems, GradingOptions(**options))
    return problems


def _encode(problems: Sequence[Problem], settings: Settings, tokenizer: ChatTokenizer) -> list[EncodedPrompt]:
    return encode_prompts(problems, tokenizer, settings.data.instruction, settings.data.max_prompt_length)
