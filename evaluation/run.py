"""avg@n of a checkpoint on a benchmark: sample, grade, score (paper §4.1).

    python -m evaluation.run benchmark=tiny_math,tiny_code evaluation.checkpoint=runs/demo/math4/model.nemo
    python -m evaluation.run evaluation.engine=hf evaluation.checkpoint=runs/demo/final/hf evaluation.output=scores

Several benchmarks share one process: the model is loaded once. Writes OUTPUT/scores.json and
OUTPUT/<benchmark>/samples.jsonl, one record per sample with its verdict. A response that hit the length budget counts
as not solved, as in the training reward.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from evaluation.grading import grade_samples
from evaluation.samples import merge_parts, part_path, remove_parts, write_samples
from evaluation.sampling import Batch, plan_batches, sample_batches
from evaluation.scores import Scores, score
from recipes.atomic_files import write_text
from recipes.backends.aligner.nemo_file import require_same_architecture
from recipes.backends.start import start_frameworks
from recipes.data.jsonl import read_problems
from recipes.data.prompts import encode_prompts
from recipes.data.tokenizer import load_tokenizer, pad_token_of
from recipes.grading.graders import Grader, GradingOptions, require_graders
from recipes.grading.math_answers import decide_exactly
from recipes.records import Problem
from recipes.rollouts.engine import RolloutEngine
from recipes.settings.benchmarks import benchmarks
from recipes.settings.compose import settings_from_command_line, to_yaml
from recipes.settings.schema import Settings
from recipes.user_input import checked_input


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
    """``Ranks`` of an engine that lives in one process."""

    is_main: bool = True
    is_replica_source: bool = True
    replica: int = 0
    replicas: int = 1

    def barrier(self) -> None:
        """Nobody to wait for."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m evaluation.run``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = _own_logs(settings_from_command_line("evaluate", __doc__ or "", arguments))
    hugging_face = settings.evaluation.engine == "hf"
    with checked_input("python -m evaluation.run"):
        tokenizer = load_tokenizer(str(settings.evaluation.checkpoint) if hugging_face else settings.model.tokenizer)
        tasks = [_task(replace(settings, benchmark=benchmark), tokenizer) for benchmark in benchmarks(settings)]
        if hugging_face:
            _require_room(settings, max(task.longest_prompt for task in tasks))
        else:
            require_same_architecture(Path(str(settings.evaluation.checkpoint)), settings.model)
    if hugging_face:
        engine, ranks = _hf_engine(settings, tokenizer)
    else:
        start_frameworks(settings, "evaluation.run", arguments)
        engine, ranks = _megatron_engine(settings, tokenizer)
    for task in tasks:
        _sample(task, engine, ranks, tokenizer)
    if ranks.is_main:
        with Grader(GradingOptions(**vars(settings.grading))) as grader:
            for task in tasks:
                _grade_and_score(task, ranks.replicas, grader)


@dataclass(frozen=True, slots=True)
class Task:
    """One benchmark of the evaluation."""

    settings: Settings
    """With this benchmark as ``settings.benchmark``."""
    problems: Sequence[Problem]
    batches: Sequence[Batch]
    longest_prompt: int
    """Tokens."""


def _task(settings: Settings, tokenizer: Any) -> Task:
    problems = _read_benchmark(settings)
    prompts = encode_prompts(problems, tokenizer, settings.benchmark.instruction, settings.data.max_prompt_length)
    batches = plan_batches(
        prompts, settings.evaluation.n, settings.evaluation.batch_size, settings.run.seed, settings.benchmark.name
    )
    return Task(settings, problems, batches, max(len(prompt.tokens) for prompt in prompts))


def _read_benchmark(settings: Settings) -> list[Problem]:
    problems = read_problems(settings.benchmark.path)
    wanted = "answer" if settings.benchmark.grader == "math" else "tests"
    for problem in problems:
        found = "answer" if problem.tests is None else "tests"
        if found != wanted:
            raise ValueError(
                f"benchmark.grader={settings.benchmark.grader}: expected {wanted!r} in every row of "
                f"{settings.benchmark.path}, found {found!r} in the one of problem {problem.id!r}"
            )
    require_graders(problems, GradingOptions(**vars(settings.grading)))
    return problems


def _require_room(settings: Settings, longest_prompt: int) -> None:
    """A Hugging Face folder says itself how many positions its model has."""
    config = Path(str(settings.evaluation.checkpoint), "config.json")
    if not config.is_file():
        raise ValueError(f"evaluation.checkpoint: no {config}; expected a Hugging Face model folder")
    positions = json.loads(config.read_text(encoding="utf-8")).get("max_position_embeddings")
    budget = settings.evaluation.max_response_length
    if positions is not None and longest_prompt + budget > positions:
        raise ValueError(
            f"evaluation.max_response_length={budget}: with a prompt of {longest_prompt} tokens more than the "
            f"{positions} positions of {config}; use at most {positions - longest_prompt}"
        )


def _own_logs(settings: Settings) -> Settings:
    """The frameworks' log goes below ``evaluation.output``; an evaluation is no run for TensorBoard and W&B."""
    quiet = replace(settings.logging, tensorboard=False, wandb_project=None, mlflow_tracking_uri=None)
    return replace(settings, run=replace(settings.run, directory=settings.evaluation.output), logging=quiet)


def _megatron_engine(settings: Settings, tokenizer: Any) -> tuple[RolloutEngine, Ranks]:
    from recipes.backends.aligner.actor import GrpoActor
    from recipes.backends.aligner.ranks import MegatronRanks
    from recipes.backends.aligner.rollouts import MegatronEngine
    from recipes.backends.aligner.session import open_session

    model = replace(settings.model, restore_from=settings.evaluation.checkpoint)
    session = open_session(
        GrpoActor,
        replace(settings, model=model),
        micro_batch_size=1,
        global_batch_size=settings.cluster.nodes * settings.cluster.devices_per_node,
        max_steps=1,
        inference_only=True,
    )
    engine = MegatronEngine(
        session.model.eval(),
        end_tokens=[tokenizer.eos_token_id],
        pad_token=pad_token_of(tokenizer),
        batch_size=settings.evaluation.batch_size,
    )
    return engine, MegatronRanks()


def _hf_engine(settings: Settings, tokenizer: Any) -> tuple[RolloutEngine, Ranks]:
    from recipes.backends.quiet import quiet_frameworks

    quiet_frameworks(Path(settings.run.directory) / "logs" / "frameworks.log")
    from recipes.backends.huggingface.engine import HfEngine

    engine = HfEngine.load(
        Path(str(settings.evaluation.checkpoint)),
        precision=settings.cluster.precision,
        end_tokens=[tokenizer.eos_token_id],
        pad_token=pad_token_of(tokenizer),
        vocab_size=len(tokenizer),
        batch_size=settings.evaluation.batch_size,
    )
    return engine, OneProcess()


def _sample(task: Task, engine: RolloutEngine, ranks: Ranks, tokenizer: Any) -> None:
    """Each replica samples its share of the batches and writes its part."""
    settings = task.settings
    folder = Path(settings.evaluation.output, settings.benchmark.name)
    mine = task.batches[ranks.replica :: ranks.replicas]
    total = sum(len(batch.requests) for batch in mine)
    name = f"{settings.benchmark.name} avg@{settings.evaluation.n}"
    with _bar(f"{name}: sampling", total, shown=ranks.is_main) as bar:
        samples = list(sample_batches(engine, mine, tokenizer, settings.evaluation, bar.update))
    if ranks.is_replica_source:
        write_samples(part_path(folder, ranks.replica), samples)
    ranks.barrier()


def _grade_and_score(task: Task, replicas: int, grader: Grader) -> None:
    settings = task.settings
    output, name = Path(settings.evaluation.output), settings.benchmark.name
    folder, ids = output / name, [problem.id for problem in task.problems]
    samples = merge_parts(folder, replicas, ids)
    with _bar(f"{name} avg@{settings.evaluation.n}: grading", len(samples), shown=True) as bar:
        samples = grade_samples(grader, samples, task.problems, bar.update)
    write_samples(folder / "samples.jsonl", samples)
    remove_parts(folder)
    same_answer = decide_exactly if settings.benchmark.grader == "math" else None
    scores = score(samples, ids, settings.evaluation.n, same_answer)
    write_text(folder / "settings.yaml", to_yaml(settings))
    _add_scores(output / "scores.json", name, scores)
    print(_line(name, scores))


def _add_scores(path: Path, name: str, scores: Scores) -> None:
    """Put one benchmark's scores beside those that the file already has."""
    others = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_text(path, json.dumps(others | {name: scores.as_dict()}, indent=1) + "\n")


def _line(name: str, scores: Scores) -> str:
    def shown(value: float | None, form: str) -> str:
        return "?" if value is None else format(value, form)

    return (
        f"{name}: avg@{scores.n} {shown(scores.avg, '.3f')} ± {shown(scores.stderr_sampling, '.3f')} "
        f"({scores.problems} problems, {scores.samples} samples, {scores.missing} missing; "
        f"truncated {shown(scores.truncated_fraction, '.1%')}, no answer {shown(scores.no_answer_fraction, '.1%')}, "
        f"mean length {shown(scores.mean_length, '.0f')} tokens)"
    )


@contextmanager
def _bar(name: str, total: int, *, shown: bool) -> Iterator[tqdm]:
    with tqdm(total=total, desc=name, unit="sample", disable=not shown, dynamic_ncols=True, smoothing=0.05) as bar:
        yield bar


if __name__ == "__main__":
    main()
