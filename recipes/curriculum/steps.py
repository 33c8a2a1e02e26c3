"""A whole run as a list of commands (paper Figure 2): data -> first weights -> (stage -> avg@n) ... -> export.

Planning looks at the settings only: nothing here starts a process or asks what is done already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.settings.benchmarks import benchmarks
from recipes.settings.checks import value_problems
from recipes.settings.compose import deployment_words
from recipes.settings.curriculum import StageCommand, generates_data, last_evaluation, missing_inputs
from recipes.settings.errors import SettingsError
from recipes.settings.overrides import literal
from recipes.settings.schema import Settings

ENGINE = "engine"
"""Step that makes the last weights deployable."""


@dataclass(frozen=True, slots=True)
class Step:
    """One process of the run."""

    name: str
    """Unique in the run: ``data``, ``initial``, ``math1``, ``math1/evaluation``, ``export``."""
    title: str
    """One line for the screen."""
    module: str
    arguments: tuple[str, ...]
    """``python -m module *arguments``."""
    output: Path
    """There once the step is done."""
    folder: Path
    """What the step writes to; its ``logs/`` hold what the frameworks had to say."""
    stage: str = ""
    """The stage that it belongs to; empty for what comes before the first and after the last one."""
    weights: Path | None = None
    """The checkpoint that it works on; None where there is none."""
    entries: frozenset[str] = frozenset()
    """Keys that a JSON output holds once the step is done: an evaluation adds one benchmark after the other."""
    feeds: bool = True
    """Later steps work on its output."""
    trains: bool = False


def plan_steps(settings: Settings, stages: Sequence[StageCommand]) -> list[Step]:
    """Every step of a curriculum, in order.

    The last weights alone are exported, by the last steps: a stage does so itself only where a word of its own asks for
    it (``math2.export.on_finish=[hf]``).

    Without ``curriculum.initial_model`` and with the data below the run's own folder (``curriculum=demo``), the data
    and the first weights are generated; otherwise they are the user's.

    Args:
        settings: of ``python -m recipes.run_curriculum``.
        stages: ``settings.curriculum.stage_commands``, at least one.
    """
    root = Path(settings.run.directory)
    checkpoint = settings.curriculum.initial_model
    steps: list[Step] = []
    if generates_data(settings):
        data, initial = Path(settings.data.directory), root / "initial"
        checkpoint = str(initial / "model.nemo")
        steps += [
            Step(
                name="data",
                title="problems, tokenizer and random first weights",
                module="recipes.prepare_demo",
                arguments=(str(data), "--seed", str(settings.run.seed)),
                output=data / "README.md",
                folder=data,
            ),
            Step(
                name="initial",
                title="first weights: Hugging Face -> .nemo",
                module="recipes.import_hf",
                arguments=(str(data / "initial"), checkpoint),
                output=initial / "manifest.json",
                folder=initial,
            ),
        ]
    for stage in stages:
        folder = root / stage.name
        steps.append(_training(stage, folder, checkpoint, settings.export.on_finish))
        checkpoint = str(folder / "model.nemo")
        steps.append(_evaluation(stage, folder, checkpoint))
    return [*steps, *_exports(settings, Path(str(checkpoint)))]


def _exports(settings: Settings, checkpoint: Path) -> list[Step]:
    """The last weights as a Hugging Face folder, and as an engine where ``export.on_finish`` asks for one."""
    hf, engine = final_hf(Path(settings.run.directory)), final_engine(Path(settings.run.directory))
    steps = [
        Step(
            name="export",
            title=f"last weights: .nemo -> Hugging Face, {hf}",
            module="recipes.export",
            arguments=(literal("checkpoint", str(checkpoint)), "format=hf", literal("output", hf)),
            output=hf / "config.json",
            folder=hf.parent,
            weights=checkpoint,
            feeds=False,
        )
    ]
    if "trtllm" in settings.export.on_finish:
        words = deployment_words(settings.deployment)
        steps.append(
            Step(
                name=ENGINE,
                title=f"last weights: Hugging Face -> TensorRT-LLM, {engine}",
                module="recipes.export",
                arguments=(literal("checkpoint", hf), "format=trtllm", literal("output", engine), *words),
                output=engine / "export.json",
                folder=engine.parent,
                weights=checkpoint,
                feeds=False,
            )
        )
    return steps


def final_hf(root: Path) -> Path:
    """Where the last model lies as a Hugging Face folder."""
    return root / "final" / "hf"


def final_engine(root: Path) -> Path:
    """Where the last model lies as TensorRT-LLM serves it."""
    return root / "final" / "engine"


def check_inputs(settings: Settings, stages: Sequence[StageCommand], *, require_files: bool = True) -> None:
    """What every step would complain about hours later.

    Raises:
        SettingsError: values of the evaluation that cannot work, and files of the user's that are missing.
    """
    problems = value_problems(last_evaluation(stages), "evaluate")
    if require_files:
        problems += missing_inputs(settings, stages)
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))


def _training(stage: StageCommand, folder: Path, checkpoint: str | None, on_finish: Sequence[str]) -> Step:
    restore = "model.restore_from=null" if checkpoint is None else literal("model.restore_from", checkpoint)
    own = stage.settings.export.on_finish != list(on_finish)
    return Step(
        name=stage.name,
        title=f"{stage.name}: {_sft(stage.settings) if stage.command == 'sft' else _grpo(stage.settings)}",
        module=stage.module,
        arguments=(*stage.overrides, *(() if own else ("export.on_finish=[]",)), restore),
        output=folder / "manifest.json",
        folder=folder,
        stage=stage.name,
        weights=None if checkpoint is None else Path(checkpoint),
        trains=True,
    )


def _evaluation(stage: StageCommand, folder: Path, checkpoint: str) -> Step:
    output = folder / "evaluation"
    evaluation, known = stage.settings.evaluation, benchmarks(stage.settings)
    names, counts = [b.name for b in known], "/".join(sorted({str(evaluation.n or b.n) for b in known}))
    return Step(
        name=f"{stage.name}/evaluation",
        title=f"{stage.name}: avg@{counts} on {', '.join(names)}, T {evaluation.temperature:g}, "
        f"top-p {evaluation.top_p:g}, budget {evaluation.max_response_length:,} tokens",
        module="evaluation.run",
        arguments=(
            *stage.overrides,
            "engine=megatron",
            "evaluation.replace=true",
            literal("engine.checkpoint", checkpoint),
            literal("evaluation.output", output),
        ),
        output=output / "scores.json",
        folder=output,
        stage=stage.name,
        weights=Path(checkpoint),
        entries=frozenset(names),
        feeds=False,
    )


def _sft(settings: Settings) -> str:
    sft = settings.sft
    length = f"{sft.max_steps} steps" if sft.max_steps > 0 else f"{sft.epochs} epochs"
    return f"SFT, {length}, {sft.global_batch_size} demonstrations a step"


def _grpo(settings: Settings) -> str:
    grpo = settings.grpo
    filtered = "overlong filtering" if grpo.overlong_filtering else "no overlong filtering"
    return (
        f"GRPO, {grpo.max_steps:,} steps, budget {grpo.max_response_length:,} tokens, "
        f"{grpo.prompts_per_step} x {grpo.rollouts_per_prompt} rollouts, T {grpo.temperature}, {filtered}"
    )
