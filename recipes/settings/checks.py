"""Preflight: every value that cannot work, found before any model is built.

``value_problems`` looks at the values only, ``file_problems`` at the disk. Each problem says what to type instead.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from recipes.settings import parallelism
from recipes.settings.benchmarks import benchmark_problems, benchmarks
from recipes.settings.bounds import bound_problems
from recipes.settings.deployment_checks import ModelLimits, deployment_problems, fitting_problems
from recipes.settings.errors import SettingsError, SettingsProblem
from recipes.settings.evaluation_schema import EngineSettings, EvaluationSettings
from recipes.settings.memory_checks import memory_problems
from recipes.settings.prepare_checks import prepare_inputs, prepare_problems
from recipes.settings.relations import relation_problems, relation_warnings
from recipes.settings.schema import AnySettings, ExportSettings, PrepareSettings, Settings
from recipes.settings.trtllm_checks import trtllm_problems

TRAINING = ("sft", "grpo")
_SAMPLING = ("grpo", "calibrate")
"""Commands that sample the problems of a GRPO stage."""


def check(settings: AnySettings, command: str) -> None:
    """Raises SettingsError with every value that cannot work."""
    problems = value_problems(settings, command)
    if problems:
        raise SettingsError(problems)


def check_files(settings: AnySettings, command: str) -> None:
    """Raises SettingsError with every file or folder that the command reads and that is not there."""
    problems = file_problems(settings, command)
    if problems:
        raise SettingsError(problems)


def value_problems(settings: AnySettings, command: str) -> list[SettingsProblem]:
    """Values that cannot work in ``command``: those of ``sound_problems``, and where there are none, memory's."""
    problems = sound_problems(settings, command)
    if problems or not isinstance(settings, Settings):
        return problems
    return memory_problems(settings, command)


def sound_problems(settings: AnySettings, command: str) -> list[SettingsProblem]:
    """Values that contradict themselves or each other, in the order of the schema's sections.

    Relations between values are looked at once every single value is sound and the stage is one of the command's: no
    problem follows from another.
    """
    problems = list(bound_problems(settings))
    if isinstance(settings, PrepareSettings):
        return problems or prepare_problems(settings)
    if isinstance(settings, ExportSettings):
        return problems or (list(deployment_problems(settings.deployment)) if settings.format == "trtllm" else [])
    if problems:
        return problems
    return [*_stage(settings, command)] or [
        *parallelism.problems(settings, command),
        *_device(settings, command),
        *_lengths(settings, command),
        *_optimizer(settings, command),
        *_needed(settings, command),
        *benchmark_problems(settings),
        *_engine_on_finish(settings, command),
        *(relation_problems(settings) if command in _SAMPLING else ()),
        *(trtllm_problems(settings) if command in _SAMPLING else ()),
    ]


def value_warnings(settings: AnySettings, command: str) -> list[SettingsProblem]:
    """Values that work and that their author may want to look at again; for settings without ``value_problems``."""
    if not isinstance(settings, Settings) or command not in _SAMPLING:
        return []
    return relation_warnings(settings)


def file_problems(settings: AnySettings, command: str) -> list[SettingsProblem]:
    """Inputs of ``command`` that are missing, with the nearest name in the same folder where there is one."""
    problems: list[SettingsProblem] = []
    for key, path, kind in _inputs(settings, command):
        found = Path(path)
        if (kind == "file" and found.is_file()) or (kind == "folder" and found.is_dir()):
            continue
        if kind == "checkpoint" and found.exists():
            continue
        what = {"checkpoint": "a .nemo file or folder"}.get(kind, f"a {kind}")
        state = "another kind of thing" if found.exists() else "nothing there"
        problems.append(
            SettingsProblem(key, f"{path}: {state}", what, _other_path(key, found) + _demo_hint(settings, key))
        )
    return problems


def _inputs(settings: AnySettings, command: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(settings, PrepareSettings):
        yield from prepare_inputs(settings)
        return
    if isinstance(settings, ExportSettings):
        yield "checkpoint", settings.checkpoint, "checkpoint"
        return
    engine = settings.engine
    own_tokenizer = command == "evaluate" and (
        engine.name == "hf"
        or (engine.name == "openai" and engine.api == "chat")
        or (engine.name == "trtllm" and Path(str(engine.checkpoint), "tokenizer_config.json").is_file())
    )
    if command in (*TRAINING, *_SAMPLING):
        yield "data.train", settings.data.train, "file"
    if command == "sft" or (command in _SAMPLING and settings.validation.every_steps > 0):
        yield "data.validation", settings.data.validation, "file"
    if command in _SAMPLING and settings.prompts.read_ledgers:
        yield from (("prompts.ledgers", ledger, "folder") for ledger in settings.prompts.ledgers)
    if command in (*TRAINING, *_SAMPLING, "evaluate") and not own_tokenizer:
        yield "model.tokenizer", settings.model.tokenizer, "folder"
    if command in (*TRAINING, *_SAMPLING) and settings.model.restore_from is not None:
        yield "model.restore_from", settings.model.restore_from, "checkpoint"
    if command == "curriculum" and settings.curriculum.initial_model is not None:
        yield "curriculum.initial_model", settings.curriculum.initial_model, "checkpoint"
    if command == "evaluate":
        known = [settings.benchmark] if [*benchmark_problems(settings)] else benchmarks(settings)
        yield from (("benchmark.path", benchmark.path, "file") for benchmark in known if benchmark.path is not None)
        if engine.checkpoint is not None and engine.name != "openai":
            yield "engine.checkpoint", engine.checkpoint, "folder" if engine.name in ("hf", "trtllm") else "checkpoint"


def _other_path(key: str, path: Path) -> str:
    if path.exists():
        return f"{key}=PATH of the right kind"
    folder = path.parent
    if not folder.is_dir():
        existing = next((parent for parent in folder.parents if parent.is_dir()), Path("."))
        return f"{key}=PATH; the folder {existing / folder.relative_to(existing).parts[0]} is missing too"
    near = difflib.get_close_matches(path.name, [entry.name for entry in folder.iterdir()], n=1)
    return f"{key}={folder / near[0]}" if near else f"{key}=PATH"


def _demo_hint(settings: AnySettings, key: str) -> str:
    """How the tiny model's data come to be; other models' data are the user's own."""
    if not isinstance(settings, Settings) or settings.model.name != "tiny":
        return ""
    if not key.startswith(("data.", "benchmark.", "model.tokenizer")):
        return ""
    return f", or make the demo's data: python -m recipes.prepare_demo {settings.data.directory}"


def _stage(settings: Settings, command: str) -> Iterator[SettingsProblem]:
    kind, expected = settings.stage.kind, "grpo" if command in _SAMPLING else command
    if command in (*TRAINING, *_SAMPLING) and kind != expected:
        other = f"python -m recipes.run_{kind} stage={settings.stage.name}"
        fix = f"stage={'sft' if command == 'sft' else 'math1'}, or {other}"
        yield SettingsProblem("stage", f"{settings.stage.name} of kind {kind}", f"a stage of kind {expected}", fix)
    name = settings.curriculum.name
    if command in (*TRAINING, *_SAMPLING) and name is not None and settings.run.name == name:
        fix = f"leave curriculum={name} out, or python -m recipes.run_curriculum curriculum={name}"
        yield SettingsProblem("curriculum", f"{name}, whose folder is its stages' parent", "one stage alone", fix)


def _device(settings: Settings, command: str) -> Iterator[SettingsProblem]:
    cluster = settings.cluster
    megatron = command != "evaluate" or settings.engine.name == "megatron"
    tensor = settings.model.tensor_model_parallel_size
    plain = cluster.accelerator == "cpu" or cluster.layer_spec == "local"
    if megatron and plain and settings.model.sequence_parallel and tensor > 1:
        yield SettingsProblem(
            "model.sequence_parallel",
            "true",
            "false with cluster.layer_spec=local: torch's norm sees the whole sequence only",
            "model.sequence_parallel=false",
        )
    if cluster.accelerator != "cpu":
        return
    if cluster.precision != "32":
        yield SettingsProblem(
            "cluster.precision", cluster.precision, "32 on cluster.accelerator=cpu", "cluster.precision=32"
        )
    if cluster.layer_spec != "local":
        yield SettingsProblem(
            "cluster.layer_spec",
            cluster.layer_spec,
            "local on cluster.accelerator=cpu: Transformer Engine needs CUDA",
            "cluster.layer_spec=local",
        )
    if cluster.fused_kernels:
        yield SettingsProblem(
            "cluster.fused_kernels",
            "true",
            "false on cluster.accelerator=cpu: the fusions need CUDA",
            "cluster.fused_kernels=false",
        )


def _lengths(settings: Settings, command: str) -> Iterator[SettingsProblem]:
    """Prompt and response together must fit the model's positions."""
    positions = settings.model.max_position_embeddings
    prompt = settings.data.max_prompt_length
    budgets = []
    if command in _SAMPLING:
        budgets.append(("grpo.max_response_length", settings.grpo.max_response_length))
    if command == "evaluate" and settings.engine.name == "megatron":
        budgets.append(("evaluation.max_response_length", settings.evaluation.max_response_length))
    for key, response in budgets:
        if prompt + response <= positions:
            continue
        room = positions - prompt
        fix = (
            f"{key}={room}, or model.max_position_embeddings={prompt + response}"
            if room > 0
            else f"data.max_prompt_length={positions // 4} {key}={positions - positions // 4}"
        )
        yield SettingsProblem(
            key,
            f"{response} tokens, {prompt + response} with data.max_prompt_length={prompt}",
            f"at most model.max_position_embeddings={positions} tokens together",
            fix,
        )
    if command == "sft" and settings.sft.max_sequence_length > positions:
        yield SettingsProblem(
            "sft.max_sequence_length",
            f"{settings.sft.max_sequence_length} tokens",
            f"at most model.max_position_embeddings={positions}",
            f"sft.max_sequence_length={positions}, or model.max_position_embeddings={settings.sft.max_sequence_length}",
        )


def _optimizer(settings: Settings, command: str) -> Iterator[SettingsProblem]:
    optimizer = settings.optimizer
    if len(optimizer.betas) != 2 or not all(0 <= beta < 1 for beta in optimizer.betas):
        yield SettingsProblem(
            "optimizer.betas",
            str(list(optimizer.betas)),
            "two numbers, each at least 0 and below 1",
            "optimizer.betas=[0.9,0.999]",
        )
    if optimizer.min_learning_rate > optimizer.learning_rate:
        yield SettingsProblem(
            "optimizer.min_learning_rate",
            f"{optimizer.min_learning_rate:g}",
            f"at most optimizer.learning_rate={optimizer.learning_rate:g}",
            f"optimizer.min_learning_rate={optimizer.learning_rate / 10:g}",
        )
    steps = {"sft": settings.sft.max_steps, "grpo": settings.grpo.max_steps}.get(command, -1)
    if steps != -1 and optimizer.warmup_steps >= steps:
        yield SettingsProblem(
            "optimizer.warmup_steps",
            f"{optimizer.warmup_steps} steps",
            f"fewer than {command}.max_steps={steps}",
            f"optimizer.warmup_steps={steps // 10}",
        )


def _engine(engine: EngineSettings) -> Iterator[SettingsProblem]:
    """What the chosen engine cannot do without."""
    if engine.name != "openai":
        if engine.checkpoint is None:
            fix = "engine.checkpoint=FILE.nemo (hf, trtllm: a folder), or engine=openai engine.url=... engine.model=..."
            yield SettingsProblem("engine.checkpoint", "null", "the model to evaluate", fix)
        return
    if engine.url is None or not engine.url.startswith(("http://", "https://")):
        fix = "engine.url=http://localhost:8000/v1"
        yield SettingsProblem("engine.url", str(engine.url or "null"), "the server's address, up to /v1", fix)
    if engine.model is None:
        expected = "the server's name for the model (GET URL/models lists them)"
        yield SettingsProblem("engine.model", "null", expected, "engine.model=NAME")
    if engine.extra is not None:
        try:
            whole = isinstance(json.loads(engine.extra), dict)
        except ValueError:
            whole = False
        if not whole:
            yield SettingsProblem("engine.extra", engine.extra, "a JSON object", """engine.extra='{"top_k": 20}'""")


def _engine_on_finish(settings: Settings, command: str) -> list[SettingsProblem]:
    """What would make the engine of a finished stage fail, known before the first step."""
    if command not in TRAINING or "trtllm" not in settings.export.on_finish:
        return []
    model = settings.model
    limits = ModelLimits(
        model.architecture,
        model.num_layers,
        model.num_attention_heads,
        model.num_query_groups,
        model.ffn_hidden_size,
        model.max_position_embeddings,
    )
    found = list(deployment_problems(settings.deployment)) or list(fitting_problems(settings.deployment, limits))
    return [replace(problem, fix=f"{problem.fix}, or export.on_finish=[hf]") for problem in found]


def _shard(evaluation: EvaluationSettings) -> Iterator[SettingsProblem]:
    """Both keys or none, and a shard that there is."""
    shards, shard = evaluation.shards, evaluation.shard
    if shards is None and shard is not None:
        fix = f"evaluation.shards={max(2, shard + 1)}"
        yield SettingsProblem("evaluation.shards", "null", "how many shards there are: evaluation.shard is set", fix)
    if shards is not None and (shard is None or shard >= shards):
        found = "null" if shard is None else str(shard)
        expected = f"which of the shards, 0 to {shards - 1} (a job array: sbatch --array=0-{shards - 1})"
        yield SettingsProblem("evaluation.shard", found, expected, "evaluation.shard=0")


def _needed(settings: Settings, command: str) -> Iterator[SettingsProblem]:
    """Keys that may be null, but not in this command."""
    if command == "evaluate":
        yield from _engine(settings.engine)
        if not settings.evaluation.output and (settings.engine.name == "openai" or settings.engine.checkpoint):
            expected = "a folder for samples and scores: engine=openai has no checkpoint that it could lie beside"
            fix = f"output=scores/{settings.engine.model or 'NAME'}"
            yield SettingsProblem("evaluation.output", "not set", expected, fix)
        yield from _shard(settings.evaluation)
    if command == "curriculum" and not settings.curriculum.stages:
        yield SettingsProblem("curriculum.stages", "[]", "at least one stage", "curriculum.stages=[sft,math1]")
    logging = settings.logging
    if logging.mlflow_experiment is not None and logging.mlflow_tracking_uri is None:
        yield SettingsProblem(
            "logging.mlflow_tracking_uri",
            "null",
            "an address, because logging.mlflow_experiment is set",
            "logging.mlflow_tracking_uri=http://HOST:5000",
        )
