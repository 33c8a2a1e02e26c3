"""SFT's rows: enough of them within the length limit, and those that a begun stage was started with."""

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
) -> Findings:
    """Whether enough demonstrations fit ``sft.max_sequence_length``, and how many of them do not.

    A token holds at least one byte, so a text of fewer bytes than the limit fits without being tokenized.

    Args:
        key: ``data.train`` or ``data.validation``.
        rows: one or more.
        needed: demonstrations that must fit.
        whole: ``rows`` are all rows of the file.

    Raises:
        ValueError: a row's instruction is no text.
    """
    limit = settings.sft.max_sequence_length
    template = len(prompt_ids("", tokenizer, ""))
    suspects = [row for row in rows if _at_most(row, settings, template) > limit]
    fitting, started = len(rows) - len(suspects), time.monotonic()
    few = fitting < needed
    tokenized = overlong = 0
    for row in suspects[:: 1 if few else max(1, len(suspects) // SAMPLED)]:
        if time.monotonic() - started > TOKENIZING_SECONDS or (few and fitting + tokenized - overlong >= needed):
            break
        tokenized += 1
        overlong += _tokens(row, settings, tokenizer) > limit
    if whole and few and tokenized == len(suspects) and len(rows) - overlong < needed:
        return Findings(problems=[_too_few(settings, key, len(rows) - overlong)])
    share = overlong / tokenized * len(suspects) / len(rows) if tokenized else 0.0
    if key != "data.train" or share <= MANY_LEFT_OUT:
        return Findings()
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


def _too_few(settings: Settings, key: str, fit: int) -> SettingsProblem:
    limit = settings.sft.max_sequence_length
    if fit == 0:
        return SettingsProblem(
            "sft.max_sequence_length",
            f"{limit} tokens; none of the demonstrations of {key} fits",
            "most demonstrations within it",
            f"sft.max_sequence_length={settings.model.max_position_embeddings}, or shorter demonstrations",
        )
    return SettingsProblem(
        "sft.global_batch_size",
        f"{settings.sft.global_batch_size}, with {fit} demonstrations that fit sft.max_sequence_length={limit}",
        f"at most {fit}",
        f"sft.global_batch_size={fit}, or more demonstrations",
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
