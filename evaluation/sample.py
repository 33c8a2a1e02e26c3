"""n responses to every problem of the benchmarks, kept one by one; the first step of ``evaluation.run``.

    python -m evaluation.sample benchmark=tiny_math,tiny_code engine.checkpoint=runs/demo/math4/model.nemo output=DIR
    python -m evaluation.sample benchmark=aime24 engine=openai engine.url=http://host/v1 engine.model=NAME output=DIR

Several benchmarks share one process: the model is loaded once. Killed, the same command goes on where it was.
``python -m evaluation.grade output=DIR`` comes next.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from evaluation.drawing import (
    BatchDraw,
    Draw,
    OneProcess,
    OpenEngine,
    Ranks,
    draw_by_key,
    open_server,
    plans_of,
    require_positions,
    require_room,
)
from evaluation.json_files import more_keys
from evaluation.merging import begin
from evaluation.orderly_end import orderly_end
from evaluation.recording import Grader, Recorder
from evaluation.shards import PLAN, finish, read_plan, shard_of
from evaluation.store import Key
from evaluation.tasks import Task, read_tasks
from recipes.backends.aligner.nemo_file import require_same_architecture
from recipes.backends.start import start_frameworks
from recipes.backends.trtllm.folder import engine_folder, require_tensorrt_llm
from recipes.checkpoints.manifest import file_sha256, manifest_path
from recipes.data.prompts import encode_prompts
from recipes.data.tokenizer import load_tokenizer, pad_token_of
from recipes.settings.compose import settings_from_command_line
from recipes.settings.schema import Settings
from recipes.settings.vocabulary_checks import require_vocabulary
from recipes.user_input import checked_input


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m evaluation.sample``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = own_logs(settings_from_command_line("evaluate", __doc__ or "", arguments, module="evaluation.sample"))
    with orderly_end("python -m evaluation.sample", Path(settings.evaluation.output)):
        tasks, ranks = sample_tasks(settings, "evaluation.sample", arguments)
    for task in tasks:
        if ranks.is_main and task.shard is not None:
            finish(task.folder)
            output = task.settings.evaluation.output
            print(
                f"{task.name}: {task.shard} is sampled; after all of them: python -m evaluation.merge output={output}"
            )


def own_logs(settings: Settings) -> Settings:
    """The frameworks' log goes below ``evaluation.output``; an evaluation is no run for TensorBoard and W&B."""
    shard = shard_of(settings.evaluation)
    folder = Path(settings.evaluation.output)
    quiet = replace(settings.logging, tensorboard=False, wandb_project=None, mlflow_tracking_uri=None)
    return replace(
        settings,
        run=replace(settings.run, directory=str(folder if shard is None else folder / "logs" / shard.name)),
        logging=quiet,
    )


def sample_tasks(
    settings: Settings, module: str, arguments: Sequence[str], grader: Grader | None = None
) -> tuple[list[Task], Ranks]:
    """Draw what is missing; on every process of the run.

    Args:
        module: of the command, to start its ranks.
        grader: to grade beside the sampling, where one process does it all.

    Raises:
        SystemExit: with the message, for input that cannot work.
        SamplesError: a damaged file of samples; ``orderly_end`` tells it.
        ServerError: the server does not do what it is asked; ``orderly_end`` tells it.
        OSError: the disk is full; ``orderly_end`` tells it.
    """
    command = f"python -m {module}"
    with checked_input(command):
        tasks = read_tasks(settings)
        open_engine = _ENGINES[settings.engine.name](settings, tasks, module, arguments)
    draw, ranks = open_engine()
    with checked_input(command):
        if ranks.is_main:
            for task in tasks:
                batches = draw.batches(task) if isinstance(draw, BatchDraw) else None
                begin(task, task.identity(_weights(settings)), batches, grades=grader is not None)
    ranks.barrier()
    tasks = [task if task.shard is None or (task.folder / PLAN).is_file() else task.whole for task in tasks]
    shared = grader if ranks.replicas == 1 else None
    for task in tasks:
        _sample(task, draw, ranks, shared)
    return tasks, ranks


def _sample(task: Task, draw: Draw, ranks: Ranks, grader: Grader | None) -> None:
    known = task.store.load()
    wanted = {(problem.id, index) for problem in task.problems for index in range(task.n)}
    others: set[Key] = set()
    if task.shard is not None:
        known |= {} if task.whole.store.differences(task.store.identity) else task.whole.store.load()
        own = set(read_plan(task.folder).keys)
        wanted, others = own, wanted - own
    ranks.barrier()  # everybody has seen the same samples before the first new one
    there = len(wanted & known.keys())
    share = len(wanted) if ranks.replicas == 1 else -(-len(wanted) // ranks.replicas)
    which = "" if task.shard is None else f", {task.shard}"
    name = f"{task.name} avg@{task.n}{which}: sampling"
    with _bar(name, share, there // ranks.replicas, shown=ranks.is_main) as bar:
        if ranks.is_replica_source:
            with task.store.part(ranks.replica) as part:
                recorder = Recorder(part, task.by_id, grader, bar)
                draw(task, known.keys() | others, recorder.record)
                recorder.finish()
        else:
            draw(task, known.keys() | others, lambda _: None)
    ranks.barrier()


@contextmanager
def _bar(name: str, total: int, there: int, *, shown: bool) -> Iterator[tqdm]:
    options = {"unit": "sample", "disable": not shown, "dynamic_ncols": True, "smoothing": 0.05}
    with tqdm(total=total, initial=there, desc=name, **options) as bar:
        yield bar


def _weights(settings: Settings) -> dict[str, Any]:
    """What tells the model from others: a server's by its name, a checkpoint by its manifest or its path."""
    engine = settings.engine
    if engine.name == "openai":
        return {"model": engine.model, "api": engine.api, "extra": more_keys(engine.extra)}
    path = Path(str(engine.checkpoint))
    manifest = manifest_path(path)
    found = file_sha256(manifest) if engine.name == "megatron" and manifest.is_file() else str(path.resolve())
    return {"engine": engine.name, "weights": found}


def _from_megatron(settings: Settings, tasks: Sequence[Task], module: str, arguments: Sequence[str]) -> OpenEngine:
    tokenizer = load_tokenizer(settings.model.tokenizer)
    require_vocabulary(settings, len(tokenizer))
    plans, _ = plans_of(tasks, tokenizer)
    require_same_architecture(Path(str(settings.engine.checkpoint)), settings.model)

    def open_engine() -> tuple[Draw, Ranks]:
        start_frameworks(settings, module, arguments)
        from recipes.backends.aligner.actor import GrpoActor
        from recipes.backends.aligner.ranks import MegatronRanks
        from recipes.backends.aligner.rollouts import MegatronEngine
        from recipes.backends.aligner.session import open_session

        model = replace(settings.model, restore_from=settings.engine.checkpoint)
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
            batch_size=settings.engine.batch_size,
        )
        ranks = MegatronRanks()
        return BatchDraw(engine, tokenizer, plans, ranks), ranks

    return open_engine


def _from_hugging_face(settings: Settings, tasks: Sequence[Task], module: str, arguments: Sequence[str]) -> OpenEngine:
    folder = Path(str(settings.engine.checkpoint))
    tokenizer = load_tokenizer(str(folder))
    plans, longest = plans_of(tasks, tokenizer)
    require_room(folder, settings.evaluation.max_response_length, longest)

    def open_engine() -> tuple[Draw, Ranks]:
        from recipes.backends.quiet import quiet_frameworks

        quiet_frameworks(Path(settings.run.directory) / "logs" / "frameworks.log")
        from recipes.backends.huggingface.engine import HfEngine

        engine = HfEngine.load(
            folder,
            precision=settings.cluster.precision,
            end_tokens=[tokenizer.eos_token_id],
            pad_token=pad_token_of(tokenizer),
            vocab_size=len(tokenizer),
            batch_size=settings.engine.batch_size,
        )
        ranks = OneProcess()
        return BatchDraw(engine, tokenizer, plans, ranks), ranks

    return open_engine


def _from_tensorrt_llm(settings: Settings, tasks: Sequence[Task], module: str, arguments: Sequence[str]) -> OpenEngine:
    require_tensorrt_llm(
        "engine=trtllm",
        "engine=hf for a Hugging Face folder, or trtllm-serve elsewhere and engine=openai "
        "engine.url=http://HOST:8000/v1",
    )
    folder = engine_folder(Path(str(settings.engine.checkpoint)))
    tokenizer = load_tokenizer(str(folder.path) if folder.has_tokenizer else settings.model.tokenizer)
    prompts = {
        task.name: encode_prompts(
            task.problems, tokenizer, task.settings.benchmark.instruction, task.settings.data.max_prompt_length
        )
        for task in tasks
    }
    longest = max(len(prompt.tokens) for some in prompts.values() for prompt in some)
    budget = settings.evaluation.max_response_length
    require_positions(folder.config, folder.positions, budget, longest)

    def open_engine() -> tuple[Draw, Ranks]:
        from recipes.backends.trtllm.engine import TensorRTLLMEngine

        engine = TensorRTLLMEngine.load(
            folder,
            longest=longest + budget,
            tensor_parallel_size=settings.model.tensor_model_parallel_size,
            end_token=tokenizer.eos_token_id,
            pad_token=pad_token_of(tokenizer),
            concurrency=settings.engine.concurrency,
        )

        def draw(task: Task, known: Any, record: Callable[[Any], None]) -> None:
            keys = [
                (prompt, sample)
                for sample in range(task.n)
                for prompt in prompts[task.name]
                if (prompt.problem.id, sample) not in known
            ]
            draw_by_key(engine, task, keys, tokenizer, record)

        return draw, OneProcess()

    return open_engine


_ENGINES = {
    "openai": open_server,
    "megatron": _from_megatron,
    "hf": _from_hugging_face,
    "trtllm": _from_tensorrt_llm,
}
"""``engine.name`` -> what looks at the settings and returns how to load the model."""


if __name__ == "__main__":
    main()
