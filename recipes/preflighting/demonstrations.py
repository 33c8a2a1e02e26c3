"""SFT's rows: how many are within the length limit, enough of them, and those that a begun stage was started with."""

from __future__ import annotations

import time
from collections.abc import Sequence

from recipes.data.prompts import (
    ChatTokenizer,
    encode_demonstrations,
    instruction_of,
    prompt_ids,
    response_ids,
    user_turn,
)
from recipes.preflighting import checkpoints
from recipes.preflighting.data_files import TOKENIZING_SECONDS
from recipes.preflighting.findings import Findings
from recipes.records import Demonstration
from recipes.settings.demonstration_checks import Fitting, demonstration_problems, enough_to_measure, left_out
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import Settings
from recipes.training.resume_checks import DemonstrationOrder

SAMPLED = 200
"""Demonstrations tokenized for an estimate of how many are too long."""
MANY_LEFT_OUT = 0.25
"""Fraction of too long demonstrations that is warned of."""
COMPARED = 5000
"""A file of more demonstrations is not tokenized to compare it with a checkpoint's: the stage does that."""


def lengths(
    settings: Settings,
    key: str,
    rows: Sequence[Demonstration],
    tokenizer: ChatTokenizer,
    *,
    needed: int,
    whole: bool,
) -> tuple[Findings, Fitting | None]:
    """How many demonstrations fit ``sft.max_sequence_length``; None where none does or not all rows were read.

    A token holds at least one byte, so a text of fewer bytes than the limit fits without being tokenized.

    Args:
        key: ``data.train`` or ``data.validation``.
        rows: one or more.
        needed: demonstrations that must fit: with fewer sure ones, long rows are tokenized until there are as many.
        whole: ``rows`` are all rows of the file.

    Raises:
        ValueError: a row's instruction is no text.
    """
    limit = settings.sft.max_sequence_length
    template = len(prompt_ids("", tokenizer, ""))
    suspects = [row for row in rows if _at_most(row, settings, template) > limit]
    fitting, started = len(rows) - len(suspects), time.monotonic()
    few = whole and fitting < needed
    # A few hundred are tokenized anyway, so that of a small file the number is known.
    many = len(suspects) > SAMPLED
    tokenized = overlong = 0
    for row in suspects[:: 1 if few else max(1, len(suspects) // SAMPLED)]:
        enough = few and many and fitting + tokenized - overlong >= needed
        if time.monotonic() - started > TOKENIZING_SECONDS or enough:
            break
        tokenized += 1
        overlong += _tokens(row, settings, tokenizer) > limit
    fit = Fitting(len(rows) - overlong, at_most=tokenized < len(suspects))
    if whole and fit == Fitting(0):
        return Findings(problems=[_none_fits(settings, key)]), None
    share = overlong / tokenized * len(suspects) / len(rows) if tokenized else 0.0
    findings = _many_left_out(settings, share) if key == "data.train" and share > MANY_LEFT_OUT else Findings()
    return findings, fit if whole else None


def counts(settings: Settings, train: Fitting | None, validation: Fitting | None) -> Findings:
    """Whether there are enough demonstrations for these settings, and which held-out ones are not measured.

    Args:
        train: those that fit; None: unknown.
        validation: the same.
    """
    findings = Findings(problems=demonstration_problems(settings, train, validation))
    if validation is not None and not validation.at_most and validation.count >= enough_to_measure(settings):
        line = left_out(settings, validation.count)
        findings.looked_at += [line] if line else []
    return findings


def _many_left_out(settings: Settings, share: float) -> Findings:
    limit = settings.sft.max_sequence_length
    wider = min(2 * limit, settings.model.max_position_embeddings)
    return Findings(
        warnings=[
            SettingsProblem(
                "sft.max_sequence_length",
                f"{limit} tokens; about {share:.0%} of the demonstrations are longer and will be left out",
                "most demonstrations within it",
                f"sft.max_sequence_length={wider}" if wider > limit else "shorter demonstrations",
            )
        ]
    )


def _none_fits(settings: Settings, key: str) -> SettingsProblem:
    return SettingsProblem(
        "sft.max_sequence_length",
        f"{settings.sft.max_sequence_length} tokens; none of the demonstrations of {key} fits",
        "most demonstrations within it",
        f"sft.max_sequence_length={settings.model.max_position_embeddings}, or shorter demonstrations",
    )


def other_than_before(
    settings: Settings, rows: Sequence[Demonstration], tokenizer: ChatTokenizer
) -> list[SettingsProblem]:
    """Demonstrations of another content than those that the checkpoint in the run directory was made with."""
    start = checkpoints.newest(settings.run.directory)
    if start is None or len(rows) > COMPARED:
        return []
    data, sft = settings.data, settings.sft
    encoded = encode_demonstrations(rows, tokenizer, data.instruction, sft.max_sequence_length)
    order = DemonstrationOrder.of(settings, len(encoded.demonstrations), encoded.digest())
    try:
        kept = {**start.progress["order"], "seed": order.seed, "global_batch_size": order.global_batch_size}
        order.require_same(kept)  # seed and batch size are resume_problems' concern
    except KeyError:
        return []  # a checkpoint of another kind of stage: said there
    except ValueError as error:
        fix = f"the data as they were, or run.directory=NEW_FOLDER (step {start.step} is saved here)"
        return [SettingsProblem("data.train", str(error), "the demonstrations of the stage's first start", fix)]
    return []


def _tokens(row: Demonstration, settings: Settings, tokenizer: ChatTokenizer) -> int:
    prompt = prompt_ids(row.problem.problem, tokenizer, instruction_of(row.problem, settings.data.instruction))
    return len(prompt) + len(response_ids(row.response, tokenizer))


def _at_most(row: Demonstration, settings: Settings, template: int) -> int:
    turn = user_turn(row.problem.problem, instruction_of(row.problem, settings.data.instruction))
    return template + len(turn.encode()) + len(row.response.encode()) + 1
