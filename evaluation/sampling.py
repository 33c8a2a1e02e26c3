"""n responses to every problem, in batches that do not depend on how many replicas share the work."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from evaluation.samples import Sample
from evaluation.store import Key
from recipes.data.prompts import EncodedPrompt
from recipes.records import Generation
from recipes.rollouts.engine import RolloutEngine
from recipes.rollouts.group_sampling import Decoder, sampling_seed
from recipes.settings.evaluation_schema import EvaluationSettings
from recipes.sound_text import sound_text


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests that an engine gets in one call."""

    requests: tuple[tuple[EncodedPrompt, int], ...]
    """(prompt, sample index)."""
    seed: int


def plan_batches(prompts: Sequence[EncodedPrompt], n: int, batch_size: int, seed: int, benchmark: str) -> list[Batch]:
    """Every sample of a benchmark exactly once, prompts of like length together so that few wait for longer ones.

    A batch's seed follows from ``seed``, the benchmark's name and the samples in it, so no two batches share one, not
    even where a run goes on with another ``batch_size`` or ``n``; by the batch's number, the first batches of the new
    plan would draw with the seeds of the old. Replicas share out whole batches, so the samples are the same on one GPU
    and on eight.
    """
    ordered = sorted(prompts, key=lambda prompt: (len(prompt.tokens), prompt.problem.id))
    requests = [(prompt, sample) for prompt in ordered for sample in range(n)]
    batches = (tuple(requests[start : start + batch_size]) for start in range(0, len(requests), batch_size))
    return [Batch(batch, sampling_seed(seed, benchmark, _keys(batch))) for batch in batches]


def _keys(requests: Sequence[tuple[EncodedPrompt, int]]) -> str:
    """Which samples these are, as JSON: identifiers may have any character."""
    return json.dumps([(prompt.problem.id, sample) for prompt, sample in requests])


def open_batches(batches: Sequence[Batch], known: Collection[Key]) -> list[Batch]:
    """Those with a sample that is not there yet."""
    return [b for b in batches if any((prompt.problem.id, sample) not in known for prompt, sample in b.requests)]


def sample_batches(
    engine: RolloutEngine,
    batches: Sequence[Batch],
    tokenizer: Decoder,
    settings: EvaluationSettings,
    known: Collection[Key],
    record: Callable[[Sample], None],
) -> None:
    """Draw ``batches``, each one whole, since an engine's draws may depend on what stands beside them.

    Args:
        known: samples that are there already; drawn again, they are not told again.
        record: told every other sample as soon as it is complete.
    """
    for batch in batches:

        def finished(row: int, generation: Generation, batch: Batch = batch) -> None:
            prompt, sample = batch.requests[row]
            if (prompt.problem.id, sample) in known:
                return
            text = generation.tokens if generation.truncated else generation.tokens[:-1]
            record(
                Sample(
                    problem_id=prompt.problem.id,
                    sample=sample,
                    seed=batch.seed,
                    text=sound_text(tokenizer.decode(list(text), skip_special_tokens=False)),
                    tokens=len(generation.tokens),
                    truncated=generation.truncated,
                    seconds=round(generation.seconds, 3),
                )
            )

        engine.generate(
            [prompt.tokens for prompt, _ in batch.requests],
            max_new_tokens=settings.max_response_length,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=batch.seed,
            finished=finished,
        )
