"""The spawn helper itself: results in rank order, tracebacks that reach the caller, no hang."""

from __future__ import annotations

import os
import time

import pytest
import torch
import torch.distributed

from tests.distributed.gloo import RankError, run_on_gloo


def _sum_of_ranks(rank: int, world_size: int, offset: int) -> tuple[int, str, torch.Tensor]:
    value = torch.tensor([rank + offset])
    torch.distributed.all_reduce(value)
    return rank, os.environ["LOCAL_RANK"], value


def _raise_on_rank_one(rank: int, world_size: int) -> None:
    if rank == 1:
        raise RuntimeError("the sentence that must surface")
    torch.distributed.barrier()  # would wait for rank 1 for ever


def _sleep(rank: int, world_size: int) -> None:
    time.sleep(600)


def test_results_come_back_in_rank_order() -> None:
    results = run_on_gloo(2, _sum_of_ranks, 10)
    assert [(rank, local_rank) for rank, local_rank, _ in results] == [(0, "0"), (1, "1")]
    assert [value.item() for _, _, value in results] == [21, 21]  # (0 + 10) + (1 + 10)


def test_traceback_of_the_failing_rank_comes_first() -> None:
    with pytest.raises(RankError) as caught:
        run_on_gloo(2, _raise_on_rank_one)
    message = str(caught.value)
    assert message.startswith("rank 1 of 2:\n")
    assert "in _raise_on_rank_one" in message
    assert "the sentence that must surface" in message


def test_a_hang_is_an_error() -> None:
    with pytest.raises(TimeoutError, match=r"_sleep: ranks \[0\] of 1 still running"):
        run_on_gloo(1, _sleep, timeout_seconds=3)
