"""Batches of prompts whose responses are expected to be of like length.

An engine with static batches decodes a batch until its longest response ends: short responses beside a long one cost
what the long one costs. Sorted by what is known of earlier rollouts, the long ones wait for each other alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence


def batches_by_length(
    groups: Sequence[Sequence[int]],
    expected: Sequence[float | None],
    batch_size: int,
    *,
    prompt_tokens: Sequence[int] | None = None,
    max_num_tokens: int | None = None,
) -> list[list[int]]:
    """Rows cut into batches: the longest expected first, a prompt's rows in one batch where they fit.

    Prompts of which nothing is known come after all others and share batches among themselves: one that turns out long
    then holds up others of which nobody could have known either. Ties keep the order they came in, so the same
    arguments always give the same batches.

    Args:
        groups: for each prompt its rows, at least one.
        expected: for each prompt the expected tokens of a response, None where nothing is known.
        batch_size: rows of a batch at most.
        prompt_tokens: for each prompt its tokens; only with ``max_num_tokens``.
        max_num_tokens: prompt tokens of a batch at most, summed over its rows.

    Returns:
        Lists of rows; every row is in exactly one.

    Raises:
        ValueError: one prompt alone exceeds ``max_num_tokens``.
    """
    tokens = prompt_tokens if max_num_tokens is not None and prompt_tokens is not None else [0] * len(groups)
    most = max_num_tokens or 1
    if (longest := max(tokens, default=0)) > most:
        raise ValueError(f"a prompt of {longest} tokens; expected at most {most}, the packed tokens of a batch")
    order = sorted(range(len(groups)), key=lambda g: (expected[g] is None, -(expected[g] or 0.0)))
    batches: list[list[int]] = []
    room = room_tokens = 0
    for group in order:
        fits_alone = min(batch_size, most // tokens[group] if tokens[group] else batch_size)
        rows = list(groups[group])
        for start in range(0, len(rows), fits_alone):
            piece = rows[start : start + fits_alone]
            if len(piece) > room or len(piece) * tokens[group] > room_tokens:
                batches.append([])
                room, room_tokens = batch_size, most
            batches[-1] += piece
            room -= len(piece)
            room_tokens -= len(piece) * tokens[group]
    return batches


def shared_out(costs: Sequence[float], workers: int) -> list[list[int]]:
    """Jobs for each worker: the most expensive first, each to the worker with the least so far (Graham's LPT rule).

    Args:
        costs: of each job, at least 0.
    """
    jobs: list[list[int]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    for job in sorted(range(len(costs)), key=lambda j: -costs[j]):
        least = min(range(workers), key=lambda w: (loads[w], len(jobs[w])))
        jobs[least].append(job)
        loads[least] += costs[job]
    return jobs


def decoding_steps(batches: Sequence[Sequence[int]], lengths: Sequence[int]) -> int:
    """Tokens that static batches take one after the other: the sum of each one's longest response."""
    return sum(max(lengths[row] for row in batch) for batch in batches)


def simulated_steps(
    *, prompts: int, rollouts: int, batch_size: int, budget: int, between: float, within: float, noise: float, seed: int
) -> dict[str, int]:
    """Decoding steps of one step of GRPO with lognormal lengths, batched at random, by length, and with foresight.

    A prompt's typical length is ``exp(N(log 4000, between))``, each of its rollouts that times ``exp(N(0, within))``,
    cut at the budget. What is expected of a prompt is the mean of as many earlier rollouts, whose typical length was
    ``exp(N(0, noise))`` times today's: the weights have moved since.

    Args:
        prompts: of the step.
        rollouts: of each prompt.
        batch_size: rows of a batch.
        budget: tokens of a response at most.
        between, within, noise: standard deviations of logarithms.

    Returns:
        ``random``, ``by_length``, and ``known`` (rows sorted by the lengths they will have: no batching is better).
    """
    dice = random.Random(seed)

    def response(typical: float) -> int:
        return max(1, min(budget, round(typical * dice.lognormvariate(0.0, within))))

    lengths, expected = [], []
    for _ in range(prompts):
        typical = 4000 * dice.lognormvariate(0.0, between)
        lengths += [response(typical) for _ in range(rollouts)]
        before = typical * dice.lognormvariate(0.0, noise)
        expected.append(sum(response(before) for _ in range(rollouts)) / rollouts)
    groups = [range(first, first + rollouts) for first in range(0, prompts * rollouts, rollouts)]
    shuffled: list[float | None] = [dice.random() for _ in groups]
    by_length: list[float | None] = list(expected)
    sorted_rows = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    return {
        "random": decoding_steps(batches_by_length(groups, shuffled, batch_size), lengths),
        "by_length": decoding_steps(batches_by_length(groups, by_length, batch_size), lengths),
        "known": decoding_steps(
            [sorted_rows[at : at + batch_size] for at in range(0, len(sorted_rows), batch_size)], lengths
        ),
    }
