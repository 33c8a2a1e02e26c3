"""n responses to every problem from an OpenAI-compatible server."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence

from evaluation.samples import Sample
from evaluation.store import Key
from recipes.data.prompts import instruction_of, user_turn
from recipes.records import Problem
from recipes.rollouts.group_sampling import sampling_seed
from recipes.servers.openai_client import Request, Response, Server, sample
from recipes.servers.wire import Sampling
from recipes.settings.evaluation_schema import EngineSettings
from recipes.settings.schema import Settings

SEED_BITS = 31
"""What every server takes."""
Template = Callable[[str], str]
"""From the user's turn to the whole prompt, for servers that are asked for completions."""


def server_of(engine: EngineSettings) -> Server:
    """The client's options; ``engine.name`` is ``openai``."""
    assert engine.url is not None and engine.model is not None, "checked with the settings"
    return Server(
        url=engine.url,
        model=engine.model,
        api="chat" if engine.api == "chat" else "completions",
        stream=engine.stream,
        concurrency=engine.concurrency,
        timeout_seconds=engine.timeout_seconds,
        stall_seconds=engine.stall_seconds,
        attempts=engine.attempts,
        key_variable=engine.key_variable,
        extra=json.loads(engine.extra) if engine.extra else {},
    )


def seed_of(settings: Settings, problem_id: str, sample: int) -> int:
    """The seed of one sample, in [0, 2**31): from ``run.seed``, the benchmark, the problem and the sample's index."""
    return sampling_seed(settings.run.seed, settings.benchmark.name, problem_id, sample) % 2**SEED_BITS


def sample_from_server(
    settings: Settings,
    problems: Sequence[Problem],
    known: Collection[Key],
    record: Callable[[Sample], None],
    template: Template | None = None,
) -> None:
    """Draw every sample of a benchmark that is not there yet.

    The seed of a request follows from ``run.seed``, the benchmark, the problem and the sample's index alone, so a run
    that goes on asks for what the first one would have asked for.

    Args:
        settings: with the benchmark as ``settings.benchmark``.
        known: samples that are there.
        record: told every sample as it comes.

    Raises:
        ServerError: as ``recipes.servers.openai_client.sample``.
    """
    evaluation = settings.evaluation

    def finished(request: Request[Key], response: Response) -> None:
        problem, index = request.key
        reply = response.reply
        record(
            Sample(
                problem_id=problem,
                sample=index,
                seed=request.seed,
                text=reply.text,
                tokens=reply.tokens,
                truncated=reply.truncated,
                seconds=round(response.seconds, 3),
            )
        )

    sampling = Sampling(evaluation.max_response_length, evaluation.temperature, evaluation.top_p)
    sample(server_of(settings.engine), sampling, _requests(settings, problems, known, template), finished)


def _requests(
    settings: Settings, problems: Sequence[Problem], known: Collection[Key], template: Template | None
) -> Iterator[Request[Key]]:
    """First samples of all problems first, so that the running score is one of the whole benchmark."""
    for index in range(settings.evaluation.n or settings.benchmark.n):
        for problem in problems:
            if (problem.id, index) in known:
                continue
            turn = user_turn(problem.problem, instruction_of(problem, settings.benchmark.instruction))
            prompt = turn if template is None else template(turn)
            yield Request((problem.id, index), prompt, seed_of(settings, problem.id, index))
