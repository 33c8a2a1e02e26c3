"""``--dry-run``: what a run with these settings would do, in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from recipes.memory.architecture import parameters as architecture_parameters
from recipes.settings.benchmarks import benchmarks
from recipes.settings.commands import COMMANDS
from recipes.settings.demonstration_checks import updates
from recipes.settings.errors import SettingsProblem
from recipes.settings.memory_plan import architecture
from recipes.settings.parallelism import data_parallel_size, world_size
from recipes.settings.prepare_plan import prepare_lines
from recipes.settings.schema import AnySettings, ExportSettings, ModelSettings, PrepareSettings, Settings

_COUNTED_BYTES = 2**28
"""A larger file of demonstrations is not read for the plan (256 MiB takes about a second)."""


def plan(
    settings: AnySettings, command: str, missing: Sequence[SettingsProblem] = (), module: str | None = None
) -> list[str]:
    """The plan in lines: ranks, batch arithmetic, steps, tokens, where from and where to, and the missing files.

    Args:
        module: what ``python -m`` runs, where it is not the module of ``COMMANDS``.
    """
    rows = [("command", f"python -m {module or COMMANDS[command].module}")]
    if isinstance(settings, ExportSettings):
        rows += [("reads", settings.checkpoint), ("writes", f"{settings.output} ({settings.format})")]
    elif isinstance(settings, PrepareSettings):
        rows += prepare_lines(settings)
    else:
        if command != "evaluate" or settings.engine.name == "megatron":  # the others bring model and ranks themselves
            rows += _model_and_ranks(settings, command)
        rows += _PARTS[command](settings)
    rows += [("missing", f"{problem.key}: {problem.found}; {problem.fix}") for problem in missing]
    return [f"{name:<10}{text}" for name, text in rows]


def stage_lines(stages: Iterable[tuple[str, str, Settings]]) -> list[str]:
    """What tells a curriculum's stages apart, a line each.

    Args:
        stages: name, command (``sft`` or ``grpo``) and settings of each stage, in order.
    """
    return [f"{name:<10}{_in_short(settings, command)}" for name, command, settings in stages]


def _in_short(settings: Settings, command: str) -> str:
    rate = _optimizer(settings).removeprefix("AdamW, ")
    if command == "sft":
        sft = settings.sft
        length = f"{sft.max_steps:,} steps" if sft.max_steps != -1 else f"{sft.epochs} epochs"
        return f"{length}, {sft.global_batch_size} a step, {sft.max_sequence_length:,} tokens, {rate}"
    grpo = settings.grpo
    overlong = "on" if grpo.overlong_filtering else "off"
    return (
        f"{grpo.max_steps:,} steps, {grpo.prompts_per_step} x {grpo.rollouts_per_prompt}, "
        f"{grpo.max_response_length:,} tokens, temperature {grpo.temperature}, {rate}, overlong filtering {overlong}, "
        f"{_rules(settings)}"
    )


def launch_problems(settings: AnySettings, command: str, environ: Mapping[str, str]) -> list[SettingsProblem]:
    """A launcher (torchrun, mpirun, srun) that started another number of ranks than the settings describe."""
    launched = environ.get("WORLD_SIZE", "")
    if not isinstance(settings, Settings) or command not in ("sft", "grpo") or not launched.isdigit():
        return []
    ranks = world_size(settings)
    if int(launched) == ranks:
        return []
    nodes = settings.cluster.nodes
    fix = f"launch {ranks} processes"
    if int(launched) % nodes == 0:
        fix += f", or cluster.devices_per_node={int(launched) // nodes}"
    expected = f"{ranks} (cluster.nodes={nodes} x cluster.devices_per_node={settings.cluster.devices_per_node})"
    return [SettingsProblem("cluster.devices_per_node", f"{launched} processes (WORLD_SIZE)", expected, fix)]


def parameters(model: ModelSettings) -> int:
    """Weights of the model, embedding padding included (7,615,616,512 for Qwen2.5-Math-7B)."""
    return architecture_parameters(architecture(model))


def planned_steps(settings: Settings) -> int | None:
    """Updates that a stage will do at most; None where SFT's file of demonstrations is absent or large."""
    if settings.stage.kind == "grpo":
        return settings.grpo.max_steps
    sft, rows = settings.sft, _rows(Path(settings.data.train))
    if rows is None:
        return sft.max_steps if sft.max_steps != -1 else None
    return updates(sft, rows)


Rows = Iterator[tuple[str, str]]


def _model_and_ranks(settings: Settings, command: str) -> Rows:
    model, cluster = settings.model, settings.cluster
    weights = f", from {model.restore_from or settings.curriculum.initial_model or 'random weights'}"
    if command == "evaluate":  # its weights are the engine's, a row of their own
        weights = ""
    yield "model", f"{model.name}, {parameters(model):,} parameters{weights}"
    tensor, pipeline = model.tensor_model_parallel_size, model.pipeline_model_parallel_size
    processes = f"{cluster.nodes} x {cluster.devices_per_node} {cluster.accelerator} processes"
    cut = f"tensor {tensor} x pipeline {pipeline} x data {data_parallel_size(settings)}"
    yield "ranks", f"{world_size(settings)} = {processes} = {cut}"


def _saves(settings: Settings) -> str:
    return f"a checkpoint every {settings.checkpoint.save_every_steps}, the newest {settings.checkpoint.keep} stay"


def _sft(settings: Settings) -> Rows:
    sft = settings.sft
    copies = data_parallel_size(settings)
    micro_batches = sft.global_batch_size // copies // sft.micro_batch_size
    yield "stage", f"{settings.stage.name}, {settings.data.train}"
    steps, rows, count = f"{sft.epochs} epochs", _rows(Path(settings.data.train)), planned_steps(settings)
    if rows is not None:
        steps += f" x {rows:,} demonstrations / {sft.global_batch_size} = {count:,} steps"
    elif count is not None:
        steps += f", at most {count:,} steps"
    yield "steps", steps
    cut = f"{copies} data-parallel x {micro_batches} micro-batches x {sft.micro_batch_size}"
    yield "batch", f"{sft.global_batch_size} demonstrations = {cut}"
    yield "update", _optimizer(settings)
    length = f"of {sft.max_sequence_length:,} tokens each at most"
    yield "tokens", f"at most {sft.global_batch_size * sft.max_sequence_length:,} a step, {length}"
    yield "writes", f"{settings.run.directory}, {_saves(settings)}"
    yield from _exports(settings)


def _grpo(settings: Settings) -> Rows:
    grpo = settings.grpo
    rollouts = grpo.prompts_per_step * grpo.rollouts_per_prompt
    copies = data_parallel_size(settings)
    sampled = rollouts * grpo.max_response_length
    yield "stage", f"{settings.stage.name}, {settings.data.train}, {_rules(settings)}"
    yield (
        "steps",
        f"{grpo.max_steps:,} steps, {grpo.max_steps * grpo.prompts_per_step:,} prompts in all{_ends(settings)}",
    )
    yield "rollouts", f"{grpo.prompts_per_step} prompts x {grpo.rollouts_per_prompt} = {rollouts:,} a step, one update"
    overlong = "on" if grpo.overlong_filtering else "off"
    budget = f"at most {grpo.max_response_length:,} tokens each"
    yield "sampling", f"temperature {grpo.temperature}, top-p {grpo.top_p:g}, {budget}; overlong filtering {overlong}"
    yield (
        "update",
        f"{_optimizer(settings)}; tokens normalised by {grpo.token_normalization}, KL {grpo.kl_coefficient:g}",
    )
    micro_batches = rollouts // copies // grpo.micro_batch_size
    cut = f"{copies} data-parallel x {micro_batches} micro-batches x {grpo.micro_batch_size}"
    yield "batch", f"{rollouts:,} rollouts = {cut}"
    prompts = rollouts * settings.data.max_prompt_length
    yield "tokens", f"at most {sampled:,} sampled a step, {sampled + prompts:,} trained with their prompts"
    yield "writes", f"{settings.run.directory}, {_saves(settings)}"
    yield from _exports(settings)


def _exports(settings: Settings) -> Rows:
    if settings.export.on_finish:
        yield "exports", f"{', '.join(settings.export.on_finish)} at the end, below {settings.run.directory}/export"


def _rules(settings: Settings) -> str:
    """Which problems of the file take part."""
    prompts = settings.prompts
    bounds = [
        ("solve rate", prompts.min_solve_rate, prompts.max_solve_rate),
        ("response tokens", prompts.min_response_tokens, prompts.max_response_tokens),
        ("difficulty", None, prompts.max_difficulty),
    ]
    rules = []
    for name, low, high in bounds:
        if low is not None and high is not None:
            rules.append(f"{name} {low:g} to {high:g}")
        elif low is not None or high is not None:
            rules.append(f"{name} at least {low:g}" if high is None else f"{name} at most {high:g}")
    chosen = f"problems with {', '.join(rules)}" if rules else "all problems"
    return chosen + (", from the second epoch on without the solved ones" if prompts.drop_solved else "")


def _ends(settings: Settings) -> str:
    stopping = settings.stopping
    if stopping.metric == "none":
        return ""
    return f", or fewer: when {stopping.metric} is flat for {stopping.patience_steps:,} steps"


def _optimizer(settings: Settings) -> str:
    optimizer = settings.optimizer
    rate = f"{optimizer.learning_rate:g}"
    if optimizer.schedule != "constant":
        rate += f" to {optimizer.min_learning_rate:g}"
    warmup = f", {optimizer.warmup_steps:,} warm-up steps" if optimizer.warmup_steps else ""
    return f"AdamW, learning rate {rate} {optimizer.schedule}{warmup}"


def _calibrate(settings: Settings) -> Rows:
    calibration, grpo = settings.calibration, settings.grpo
    rollouts = calibration.prompts * calibration.rollouts_per_prompt
    yield "stage", f"{settings.stage.name}, {settings.data.train}"
    yield "measures", f"entropy at temperature {', '.join(f'{t:g}' for t in calibration.temperatures)}"
    counts = f"{calibration.prompts} prompts x {calibration.rollouts_per_prompt} = {rollouts:,}"
    yield "rollouts", f"{counts} at each, at most {grpo.max_response_length:,} tokens each"
    yield "writes", f"{settings.run.directory}/temperature.json and temperature.png"


def _evaluate(settings: Settings) -> Rows:
    evaluation, engine = settings.evaluation, settings.engine
    what = f"{engine.model} at {engine.url}" if engine.name == "openai" else f"{engine.checkpoint}"
    yield "evaluates", f"{what} with the {engine.name} engine"
    for benchmark in benchmarks(settings):
        n = evaluation.n or benchmark.n
        samples = f"{n} samples a problem"
        rows = benchmark.problems or (benchmark.path and _rows(Path(benchmark.path)))
        if rows:
            samples += f" x {rows:,} problems = {rows * n:,}"
        yield "benchmark", f"{benchmark.name}, {benchmark.path or benchmark.source}"
        yield "samples", f"{samples}, at most {evaluation.max_response_length:,} tokens each"
    if evaluation.shards is not None:
        yield "shard", f"{evaluation.shard} of {evaluation.shards}; the last one to finish puts all of them together"
    yield "writes", evaluation.output


def _curriculum(settings: Settings) -> Rows:
    yield "stages", " -> ".join(settings.curriculum.stages)
    yield "starts", f"from {settings.curriculum.initial_model or 'random weights'}"


_PARTS = {"sft": _sft, "grpo": _grpo, "calibrate": _calibrate, "evaluate": _evaluate, "curriculum": _curriculum}


def _rows(path: Path) -> int | None:
    """Lines of a JSONL file that are not blank; None where it is absent or large."""
    if not path.is_file() or path.stat().st_size > _COUNTED_BYTES:
        return None
    with path.open("rb") as lines:
        return sum(1 for line in lines if line.strip())
