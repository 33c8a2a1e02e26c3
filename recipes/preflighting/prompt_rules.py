"""What the rules in ``prompts`` leave of a stage's problems, and whether a begun stage goes on with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from recipes.data.order import OrderPosition, PromptOrder, problems_digest
from recipes.preflighting import checkpoints
from recipes.preflighting.findings import Findings
from recipes.records import Problem
from recipes.rollouts.ledger import read_solve_rates
from recipes.rollouts.selection import SelectionError, SelectionRules, select_problems
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import Settings
from recipes.training.stage_prompts import selection_rules


def selection(
    settings: Settings, problems: Sequence[Problem], will_come: Callable[[str], bool], *, whole: bool
) -> Findings:
    """Whether the rules of ``prompts`` leave a batch; those that wait for rollouts to come are left out.

    Args:
        problems: rows of ``data.train``, one or more.
        will_come: whether an earlier step of the curriculum writes a path.
        whole: ``problems`` are all rows of the file.
    """
    findings, rules = Findings(), selection_rules(settings.prompts)
    if not whole:
        return findings
    rates = {}
    runs = [Path(run) for run in settings.prompts.ledgers] if settings.prompts.read_ledgers else []
    waiting = [run for run in runs if will_come(str(run)) and not checkpoints.is_finished(str(run))]
    if any(not run.is_dir() and run not in waiting for run in runs):
        return findings  # a missing folder is a problem of its own
    try:
        if waiting:
            rules = _without_ledgers(rules, problems)
        elif runs:
            rates = read_solve_rates(runs)
        found = select_problems(problems, rules, rates, settings.grpo.prompts_per_step)
    except SelectionError as error:
        expected = "rules of prompts that leave a batch"
        fix = "loosen the rules, as said there, or give more problems in data.train"
        findings.problems.append(SettingsProblem("prompts", str(error), expected, fix))
    except ValueError as error:
        fix = "prompts.ledgers=[RUN,...] with the folders of stages that have trained"
        findings.problems.append(SettingsProblem("prompts.ledgers", str(error), "folders with rollouts", fix))
    else:
        later = f"; rates come from {', '.join(map(str, waiting))}" if waiting else ""
        findings.looked_at.append(f"{settings.data.train}: {found.report()}{later}")
        if not waiting:
            findings.problems += _other_order(settings, found.kept)
    return findings


def _other_order(settings: Settings, kept: Sequence[Problem]) -> list[SettingsProblem]:
    """A checkpoint's place in the order of other problems; seed and batch size are ``resume_problems``' concern."""
    start = checkpoints.newest(settings.run.directory)
    if start is None:
        return []
    order = PromptOrder(kept, settings.run.seed, settings.grpo.prompts_per_step, problems_digest(kept))
    try:
        position = OrderPosition(**start.progress["order"])
        order.require_same(replace(position, seed=order.seed, prompts_per_step=order.prompts_per_step))
    except (KeyError, TypeError):
        return []  # a checkpoint of another kind of stage: said there
    except ValueError as error:
        fix = f"the data and rules as they were, or run.directory=NEW_FOLDER (step {start.step} is saved here)"
        return [SettingsProblem("data.train", str(error), "the problems of the stage's first start", fix)]
    return []


def _without_ledgers(rules: SelectionRules, problems: Sequence[Problem]) -> SelectionRules:
    """The rules that the rows alone decide."""
    rules = replace(rules, min_solve_rate=None, max_solve_rate=None, unseen="keep")
    if not any("teacher_tokens" in problem.metadata for problem in problems):
        rules = replace(rules, min_response_tokens=None, max_response_tokens=None)
    return rules
