from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest

from evaluation.drawing import require_positions
from evaluation.samples import Sample
from evaluation.sampling import Batch, open_batches, plan_batches, sample_batches
from evaluation.store import Key
from recipes.data.prompts import EncodedPrompt
from recipes.records import Generation, Problem
from recipes.settings.evaluation_schema import EvaluationSettings

END = 99
PROMPTS = [EncodedPrompt(Problem(f"p{i}", "?", "1"), tuple(range(1, 3 + i % 3))) for i in range(5)]
SETTINGS = EvaluationSettings(
    output="out", replace=False, report=False, shards=None, shard=None,
    n=3, temperature=0.6, top_p=0.95, max_response_length=4,
)  # fmt: skip


class CountingEngine:
    """Answers with a response that depends on the seed and the place in the batch alone."""

    def __init__(self) -> None:
        self.calls: list[dict] = []

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        seed: int,
        finished: Callable[[int, Generation], None] | None = None,
    ) -> list[Generation]:
        self.calls.append({"temperature": temperature, "top_p": top_p, "limit": max_new_tokens, "rows": len(prompts)})
        generations = [
            Generation((seed % 50, 1, 2, 3), True, 0.25) if row % 2 else Generation((seed % 50, row, END), False, 0.125)
            for row in range(len(prompts))
        ]
        for row, generation in enumerate(generations):
            if finished is not None:
                finished(row, generation)
        return generations


class Words:
    """Decodes ids to words."""

    def decode(self, token_ids: Sequence[int], **options: object) -> str:
        assert options == {"skip_special_tokens": False}
        return " ".join(map(str, token_ids))


def drawn(batches: Sequence[Batch], known: Collection[Key] = (), engine: CountingEngine | None = None) -> list[Sample]:
    samples: list[Sample] = []
    sample_batches(engine or CountingEngine(), batches, Words(), SETTINGS, known, samples.append)
    return samples


def test_every_sample_once_in_batches_of_like_length() -> None:
    batches = plan_batches(PROMPTS, n=3, batch_size=4, seed=1, benchmark="b")
    requests = [(prompt.problem.id, sample) for batch in batches for prompt, sample in batch.requests]
    assert sorted(requests) == [(f"p{i}", sample) for i in range(5) for sample in range(3)]
    lengths = [len(prompt.tokens) for batch in batches for prompt, _ in batch.requests]
    assert lengths == sorted(lengths)
    assert [len(batch.requests) for batch in batches] == [4, 4, 4, 3]


def test_seeds_differ_between_batches_benchmarks_and_runs_and_repeat() -> None:
    def seeds(seed: int, benchmark: str) -> list[int]:
        return [batch.seed for batch in plan_batches(PROMPTS, n=3, batch_size=4, seed=seed, benchmark=benchmark)]

    assert seeds(1, "b") == seeds(1, "b")
    everything = seeds(1, "b") + seeds(2, "b") + seeds(1, "c")
    assert len(set(everything)) == len(everything)


def test_no_two_batches_share_a_seed_whatever_their_size_and_n() -> None:
    """A run that goes on with a larger batch or n would else draw new samples with the seeds of old ones."""
    seeds: dict[tuple, set[int]] = {}
    for size in (2, 4, 8):
        for n in (3, 6):
            for batch in plan_batches(PROMPTS, n=n, batch_size=size, seed=1, benchmark="b"):
                keys = tuple((prompt.problem.id, sample) for prompt, sample in batch.requests)
                seeds.setdefault(keys, set()).add(batch.seed)
    assert all(len(found) == 1 for found in seeds.values()), "the same batch, the same seed"
    assert len(set.union(*seeds.values())) == len(seeds)


def test_samples_carry_text_without_the_end_token_length_and_seed() -> None:
    engine = CountingEngine()
    batches = plan_batches(PROMPTS, n=3, batch_size=4, seed=1, benchmark="b")
    samples = drawn(batches, engine=engine)
    first, second = samples[0], samples[1]
    assert (first.text, first.tokens, first.truncated) == (f"{first.seed % 50} 0", 3, False)
    assert (second.text, second.tokens, second.truncated) == (f"{second.seed % 50} 1 2 3", 4, True)
    assert first.seed == batches[0].seed
    assert first.verdict is None
    assert len(samples) == 15
    assert engine.calls[0] == {"temperature": 0.6, "top_p": 0.95, "limit": 4, "rows": 4}


@pytest.mark.parametrize("replicas", [2, 3])
def test_replicas_share_out_the_same_samples(replicas: int) -> None:
    batches = plan_batches(PROMPTS, n=3, batch_size=4, seed=1, benchmark="b")
    alone = set(drawn(batches))
    shared = [sample for replica in range(replicas) for sample in drawn(batches[replica::replicas])]
    assert set(shared) == alone
    assert len(shared) == len(alone)


def test_what_is_there_is_neither_told_again_nor_drawn_where_a_whole_batch_is_there() -> None:
    batches = plan_batches(PROMPTS, n=3, batch_size=4, seed=1, benchmark="b")
    whole = {(sample.problem_id, sample.sample): sample for sample in drawn(batches)}
    known = {(prompt.problem.id, index) for prompt, index in (*batches[0].requests, batches[1].requests[0])}
    left = open_batches(batches, known)
    assert left == batches[1:]
    rest = drawn(left, known)
    assert {(sample.problem_id, sample.sample) for sample in rest} == whole.keys() - known
    assert all(whole[sample.problem_id, sample.sample] == sample for sample in rest)


def test_half_a_surrogate_pair_of_a_tokenizer_is_replaced() -> None:
    class Halves(Words):
        def decode(self, token_ids: Sequence[int], **options: object) -> str:
            return "4\ud83d"

    samples: list[Sample] = []
    sample_batches(CountingEngine(), plan_batches(PROMPTS, 1, 5, 7, "b"), Halves(), SETTINGS, (), samples.append)
    assert {one.text for one in samples} == {"4\ufffd"}


@pytest.mark.parametrize(
    ("prompt", "said", "unsaid"),
    [(100, "use at most 28", "alone"), (128, "the longest prompt alone takes 128 tokens", "use at most")],
)
def test_a_prompt_that_leaves_no_room_is_not_told_to_take_less(
    prompt: int, said: str, unsaid: str, tmp_path: Path
) -> None:
    require_positions(Path("c.json"), None, 64, prompt)
    with pytest.raises(ValueError) as refused:
        require_positions(Path("c.json"), 128, 64, prompt)
    assert said in str(refused.value) and unsaid not in str(refused.value)
