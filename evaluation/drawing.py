"""How the samples of a task are drawn: from a server, in batches, or each by a seed of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from evaluation.samples import Sample
from evaluation.sampling import Batch, open_batches, plan_batches, sample_batches
from evaluation.server_sampling import sample_from_server, seed_of, server_of
from evaluation.store import Key
from evaluation.tasks import Task
from recipes.data.prompts import EncodedPrompt, encode_prompts
from recipes.data.tokenizer import load_tokenizer
from recipes.records import Generation
from recipes.rollouts.engine import RolloutEngine
from recipes.servers.openai_client import ServerError, require_server
from recipes.settings.schema import Settings
from recipes.sound_text import sound_text


class Ranks(Protocol):
    """The processes of the run; a replica is what holds one copy of the model."""

    @property
    def is_main(self) -> bool: ...

    @property
    def is_replica_source(self) -> bool: ...

    @property
    def replica(self) -> int: ...

    @property
    def replicas(self) -> int: ...

    def barrier(self) -> None: ...


@dataclass(frozen=True, slots=True)
class OneProcess:
    """``Ranks`` of an engine that lives in one process, or on a server."""

    is_main: bool = True
    is_replica_source: bool = True
    replica: int = 0
    replicas: int = 1

    def barrier(self) -> None:
        """Nobody to wait for."""


Draw = Callable[[Task, Any, Callable[[Any], None]], None]
"""Draws this process's share of a task: the task, the keys that are there, and whom to tell."""
OpenEngine = Callable[[], tuple[Draw, Ranks]]
"""Loads the model, once everything that a user gave has been looked at."""


def open_server(settings: Settings, tasks: Sequence[Task], module: str, arguments: Sequence[str]) -> OpenEngine:
    try:
        require_server(server_of(settings.engine))
    except ServerError as error:
        raise ValueError(str(error)) from error
    template = None
    if settings.engine.api == "completions":
        tokenizer = load_tokenizer(settings.model.tokenizer)

        def template(turn: str) -> str:
            chat = [{"role": "user", "content": turn}]
            return str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))

    def draw(task: Task, known: Any, record: Callable[[Any], None]) -> None:
        sample_from_server(task.settings, task.problems, known, record, template)

    return lambda: (draw, OneProcess())


@dataclass(frozen=True, slots=True)
class BatchDraw:
    """``Draw`` of an engine that decodes batches: a sample depends on the batch that it stands in."""

    engine: RolloutEngine
    tokenizer: Any
    plans: dict[str, list[Batch]]
    """Benchmark -> its batches."""
    ranks: Ranks

    def batches(self, task: Task) -> list[list[Key]]:
        """The samples of each batch of a benchmark."""
        return [[(prompt.problem.id, sample) for prompt, sample in batch.requests] for batch in self.plans[task.name]]

    def __call__(self, task: Task, known: Any, record: Callable[[Any], None]) -> None:
        batches = open_batches(self.plans[task.name], known)[self.ranks.replica :: self.ranks.replicas]
        sample_batches(self.engine, batches, self.tokenizer, task.settings.evaluation, known, record)


def plans_of(tasks: Sequence[Task], tokenizer: Any) -> tuple[dict[str, list[Batch]], int]:
    """Benchmark -> its batches; and the tokens of the longest prompt."""
    plans, longest = {}, 0
    for task in tasks:
        settings = task.settings
        limit = settings.data.max_prompt_length
        prompts = encode_prompts(task.problems, tokenizer, settings.benchmark.instruction, limit)
        plans[task.name] = plan_batches(prompts, task.n, settings.engine.batch_size, settings.run.seed, task.name)
        longest = max(longest, *(len(prompt.tokens) for prompt in prompts))
    return plans, longest


def require_room(folder: Path, budget: int, longest_prompt: int) -> None:
    """A Hugging Face folder says itself how many positions its model has."""
    config = folder / "config.json"
    if not config.is_file():
        raise ValueError(f"engine.checkpoint: no {config}; expected a Hugging Face model folder")
    require_positions(
        config, json.loads(config.read_text(encoding="utf-8")).get("max_position_embeddings"), budget, longest_prompt
    )


def require_positions(config: Path, positions: int | None, budget: int, longest_prompt: int) -> None:
    if positions is None:
        return
    if longest_prompt >= positions:
        raise ValueError(
            f"the longest prompt alone takes {longest_prompt} tokens, expected fewer than the {positions} positions of "
            f"{config}; no evaluation.max_response_length helps: use a model with more positions, or a benchmark with "
            "shorter problems"
        )
    if longest_prompt + budget > positions:
        raise ValueError(
            f"evaluation.max_response_length={budget}: with a prompt of {longest_prompt} tokens more than the "
            f"{positions} positions of {config}; use at most {positions - longest_prompt}"
        )


def draw_by_key(
    engine: Any,
    task: Task,
    keys: Sequence[tuple[EncodedPrompt, int]],
    tokenizer: Any,
    record: Callable[[Any], None],
) -> None:
    """Every sample by a seed of its own, as from a server: it does not depend on what is drawn beside it."""
    evaluation = task.settings.evaluation
    seeds = [seed_of(task.settings, prompt.problem.id, sample) for prompt, sample in keys]

    def finished(index: int, generation: Generation) -> None:
        prompt, sample = keys[index]
        text = generation.tokens if generation.truncated else generation.tokens[:-1]
        record(
            Sample(
                problem_id=prompt.problem.id,
                sample=sample,
                seed=seeds[index],
                text=sound_text(tokenizer.decode(list(text), skip_special_tokens=False)),
                tokens=len(generation.tokens),
                truncated=generation.truncated,
                seconds=round(generation.seconds, 3),
            )
        )

    engine.draw(
        ((prompt.tokens, seed) for (prompt, _), seed in zip(keys, seeds, strict=True)),
        max_new_tokens=evaluation.max_response_length,
        temperature=evaluation.temperature,
        top_p=evaluation.top_p,
        finished=finished,
    )
