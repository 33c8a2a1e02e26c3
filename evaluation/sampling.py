"""n responses to every problem, in batches that do not depend on how many replicas share the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from evaluation.samples import Sample
from recipes.data.prompts import EncodedPrompt
from recipes.rollouts.engine import RolloutEngine
from recipes.rollouts.group_sampling import Decoder, sampling_seed
from recipes.settings.schema import EvaluationSettings


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests that an engine gets in one call."""

    requests: tuple[tuple[EncodedPrompt, int], ...]
    """(prompt, sample index)."""
    seed: int


def plan_batches(prompts: Sequence[EncodedPrompt], n: int, batch_size: int, seed: int, benchmark: str) -> list[Batch]:
    """Every sample of a benchmark exactly once, prompts of like length together so that few wait for longer ones.

    A batch's seed follows from ``seed``, the benchmark's name and the batch's number. Replicas share out whole batches,
    so the samples are the same on one GPU and on eight.
    """
    ordered = sorted(prompts, key=lambda prompt: (len(prompt.tokens), prompt.problem.id))
    requests = [(prompt, sample) for prompt in ordered for sample in range(n)]
    return [
        Batch(tuple(requests[start : start + batch_size]), sampling_seed(seed, benchmark, index))
        for index, start in enumerate(range(0, len(requests), batch_size))
    ]


def sample_batches(
    engine: RolloutEngine,
    batches: Sequence[Batch],
    tokenizer: Decoder,
    settings: EvaluationSettings,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Sample]:
    """The ungraded samples of ``batches``.

    Args:
        progress: told 1 for each finished response.
    """
    for batch in batches:
        generations = engine.generate(
            [prompt.tokens for prompt, _ in batch.requests],
            max_new_tokens=settings.max_response_length,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=batch.seed,
            finished=None if progress is None else lambda *_: progress(1),
        )
        for (prompt, sample), generation in zip(batch.requests, generations, strict=True):
            text = generation.tokens if generation.truncated else generation.tokens[:-1]
            yield Sample(
                problem_id=prompt.problem.id,
                sample=sample,
                seed=batch.seed,
                text=tokenizer.decode(list(text), skip_special_tokens=False),
                tokens=len(generation.tokens),
                truncated=generation.truncated,
                seconds=round(generation.seconds, 3),
            )
