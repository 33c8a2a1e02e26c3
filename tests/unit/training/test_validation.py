from __future__ import annotations

import math

import pytest

from recipes.training.graded_sampling import GradedSampler, Sampling
from recipes.training.validation import Validation
from tests.unit.training.one_process import EvenIsRight, OneRank, ScriptedEngine, Spelling, prompt


def validation(
    replica: int = 0, replicas: int = 1, n: int = 4, batch_size: int = 8
) -> tuple[Validation, ScriptedEngine]:
    """Problem i of 1..5: the text says i + sample, less the end token; a response of over 6 tokens is cut."""
    engine, ranks = ScriptedEngine(lambda last, sample: last + sample), OneRank(replica, replicas)
    sampler = GradedSampler(engine, Spelling(), EvenIsRight(), ranks)
    sampling = Sampling(rollouts_per_prompt=n, max_response_length=6, temperature=0.6, top_p=0.95)
    prompts = [prompt(index) for index in range(1, 6)]
    return Validation(prompts, 50, sampling, batch_size, 1, sampler, ranks), engine


def test_by_hand() -> None:
    """Lengths i..i+3. Right where length - 1 is even and not cut at 6: 1, 3 / 3, 5 / 3, 5 / 5 / 5: rates 2, 2, 2, 1, 1
    of 4. Cut: lengths above 6: of problem 4 one, of problem 5 two."""
    scores = validation()[0].measure(50)
    assert scores["avg"] == (2 + 2 + 2 + 1 + 1) / 20
    assert scores["stderr"] == pytest.approx(math.sqrt(3 * 0.25 / 3 + 2 * (3 / 16) / 3) / 5)
    assert scores["truncated"] == 3 / 20
    assert scores["response_length"] == (10 + 14 + 18 + (4 + 5 + 6 + 6) + (5 + 6 + 6 + 6)) / 20


def test_one_sample_has_no_standard_error() -> None:
    assert "stderr" not in validation(n=1)[0].measure(0)


def test_seeds_follow_from_the_step_and_not_from_the_replicas() -> None:
    alone, engine = validation()
    alone.measure(50)
    shared = []
    parts = []
    for replica in range(2):
        part, share = validation(replica, 2)
        parts.append(part.measure(50)["avg"])
        shared += share.seeds
    assert sorted(shared) == sorted(engine.seeds)
    assert len(set(engine.seeds)) == 3  # two problems a batch
    assert sum(parts) == pytest.approx(alone.measure(50)["avg"])
    before = list(engine.seeds[:3])
    alone.measure(100)
    assert not set(engine.seeds[-3:]) & set(before)


@pytest.mark.parametrize(("done", "due"), [(0, True), (49, False), (50, True), (51, False), (120, True)])
def test_due_before_the_first_step_every_so_often_and_at_the_end(done: int, due: bool) -> None:
    assert validation()[0].due(done, 120) is due
