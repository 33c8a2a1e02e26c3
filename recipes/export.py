"""A checkpoint as something that is served: a Hugging Face folder, or a folder for TensorRT-LLM.

    python -m recipes.export checkpoint=CHECKPOINT format=FORMAT output=FOLDER [KEY=VALUE ...]

format=hf loads with AutoModelForCausalLM and AutoTokenizer; the .nemo may come from any tensor and pipeline parallel
size. No GPU, and memory for a few tensors only.

format=trtllm: .nemo -> Hugging Face -> TensorRT-LLM checkpoint (examples/qwen/convert_checkpoint.py) -> trtllm-build,
with the flags of deployment.*, whose section may be left out (max_seq_len=8192). The folder has the engine, tokenizer,
chat template and generation configuration, export.json (source, commit, versions, flags, commands) and a README.md
that says how to serve it. It takes TensorRT-LLM 0.17 to 1.2 and a GPU of the kind that will serve the engine.
backend=pytorch builds nothing: the Hugging Face folder with a serving.yaml, for TensorRT-LLM 1.x. verify=true compares
greedy responses with those of transformers first. --dry-run prints every command, to copy, and what will be written.

The output is complete or absent: a failed or killed export leaves nothing there, and the same command starts anew. What
the tools printed is build.log in the folder; of a failed build it is OUTPUT.log.
"""

from __future__ import annotations

import gc
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recipes.backends.start import is_first_rank
from recipes.checkpoints.export_record import is_export_of, is_hugging_face
from recipes.checkpoints.hf_config import ConversionError
from recipes.checkpoints.nemo_archive import CheckpointMismatch
from recipes.preflighting import deployment as limits
from recipes.preflighting.machine import bytes_of, size_in_words
from recipes.settings.compose import deployment_words, settings_from_command_line
from recipes.settings.deployment_checks import convert_script
from recipes.settings.errors import SettingsError
from recipes.settings.overrides import literal
from recipes.settings.schema import ExportSettings, Settings
from recipes.training.ports import Ranks
from recipes.training.run_folder import RunFolder
from recipes.training.run_lock import writing
from recipes.user_input import checked_input

COMMAND = "python -m recipes.export"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.export``.

    Raises:
        SystemExit: 2 for wrong settings, 1 for a checkpoint that cannot be converted or a tool that failed; the message
            says why.
    """
    settings = settings_from_command_line("export", __doc__ or "", arguments, dry_run_lines=_dry_run)
    with checked_input(COMMAND):
        _require_possible(settings)
    _quiet()
    try:
        _write(settings)
    except _failures() as error:
        sys.exit(f"error: {_reason(error)}")
    print(f"wrote {settings.output}")


def export_by_ranks(settings: Settings, folder: RunFolder, ranks: Ranks) -> None:
    """The formats of ``export.on_finish`` that need no process of their own, right after the training: the main process
    writes while the others wait, so that no launcher takes them for the ones that hang. Called on every rank.

    Raises:
        SystemExit: the export failed; the stage is finished nevertheless.
    """
    failure = None
    if ranks.is_main:
        missing = _missing(settings, folder)
        failure = _export(settings, folder, [kind for kind in missing if kind == "hf"])
        if later := [kind for kind in missing if kind != "hf"]:
            print(f"{', '.join(later)}: exported when the ranks have given the GPUs back, or by the same command again")
    ranks.barrier()
    if failure:
        sys.exit(failure)


def export_finished(settings: Settings, folder: RunFolder) -> None:
    """Whatever ``export.on_finish`` asks for and is not there, of a finished stage; of several processes the first one
    writes.

    Raises:
        SystemExit: an export failed, or another start is at work in the run directory.
    """
    if not is_first_rank() or not _missing(settings, folder):
        return
    _quiet()
    with ExitStack() as stack:
        with checked_input(COMMAND):
            stack.enter_context(writing(folder.directory, is_main=True))
        failure = _export(settings, folder, _missing(settings, folder))
    if failure:
        sys.exit(failure)


def _missing(settings: Settings, folder: RunFolder) -> list[str]:
    """Formats that are not there for the weights of now, in the order in which they are written."""
    expected: dict[str, dict[str, Any]] = {"hf": {}, "trtllm": {"deployment": asdict(settings.deployment)}}
    asked = [kind for kind in expected if kind in settings.export.on_finish]
    if not folder.manifest.is_file():  # a stage that a signal stopped
        return []
    return [kind for kind in asked if not is_export_of(folder.export(kind), folder.model, kind, **expected[kind])]


def _export(settings: Settings, folder: RunFolder, kinds: Sequence[str]) -> str | None:
    """Write the formats; None, or why one of them failed and what to type."""
    for kind in kinds:
        output, hugging_face = folder.export(kind), folder.export("hf")
        there = kind == "trtllm" and is_export_of(hugging_face, folder.model, "hf")
        job = ExportSettings(str(hugging_face if there else folder.model), kind, str(output), settings.deployment)
        try:
            _require_possible(job)
            _write(job)
        except _failures() as error:
            return (
                f"error: the training of {folder.directory} is finished and kept, but its export to {output} failed: "
                f"{_reason(error)}\nMend that; the same command again exports what is missing, or the export alone:\n  "
                f"{export_command(job)}"
            )
        print(f"wrote {output}", flush=True)
    return None


def export_command(job: ExportSettings) -> str:
    """What a user would type for an export, as a line for a shell; values of ``deployment`` that are the defaults stay
    away."""
    words = [literal("checkpoint", job.checkpoint), f"format={job.format}", literal("output", job.output)]
    if job.format == "trtllm":
        words += deployment_words(job.deployment)
    return shlex.join(["python", "-m", "recipes.export", *words])


def _require_possible(settings: ExportSettings) -> None:
    """Raises SettingsError for what would end an export to TensorRT-LLM after minutes, and ConversionError or
    CheckpointMismatch for a checkpoint of another kind."""
    if settings.format != "trtllm":
        return
    checkpoint = Path(settings.checkpoint)
    if problems := limits.deployment(settings, limits.architecture(checkpoint), here=True).problems:
        raise SettingsError(problems)


def _write(settings: ExportSettings) -> None:
    checkpoint, output = Path(settings.checkpoint), Path(settings.output)
    if settings.format == "hf":
        _to_hugging_face(checkpoint, output)
        return
    from recipes.backends.trtllm.build_commands import Tools
    from recipes.backends.trtllm.deployment import export_deployment

    _free_gpu()
    deployment = settings.deployment
    tools = Tools(sys.executable, convert_script(deployment.examples), deployment.build_tool)
    export_deployment(checkpoint, output, deployment, tools, _to_hugging_face)


def _to_hugging_face(checkpoint: Path, output: Path) -> None:
    from recipes.backends.aligner.hf_export import export_hf

    export_hf(checkpoint, output)


def _quiet() -> None:
    """The frameworks' chatter goes nowhere, but for that of a stage, which has a log of its own."""
    if "nemo" not in sys.modules:
        from recipes.backends.quiet import quiet_frameworks

        quiet_frameworks(None)


def _free_gpu() -> None:
    """What a stage that ran in this process has left."""
    import torch

    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _failures() -> tuple[type[Exception], ...]:
    """What an export may end with that is no defect of the recipe."""
    from recipes.backends.trtllm.deployment import NotTheSame, ToolFailed
    from recipes.backends.trtllm.engine import GenerationFailed

    return ConversionError, CheckpointMismatch, SettingsError, ToolFailed, NotTheSame, GenerationFailed, OSError


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
    return str(error)


def _dry_run(settings: ExportSettings) -> list[str]:
    """The commands of an export to TensorRT-LLM, one a line and without a comment sign, and what they write."""
    if settings.format != "trtllm":
        return []
    checkpoint, output, deployment = Path(settings.checkpoint), Path(settings.output), settings.deployment
    if not checkpoint.exists():
        return ["# commands  shown when the checkpoint is there: sizes and lengths follow from it"]
    try:
        model = limits.architecture(checkpoint)
    except (ConversionError, CheckpointMismatch) as error:
        return [f"# problem   {line}" for line in str(error).splitlines()]
    from recipes.backends.trtllm.build_commands import Tools, Workplace, build_commands

    findings = limits.deployment(settings, model, here=True)
    written = limits.sizes(checkpoint, model, deployment)
    kept = written.engine or bytes_of(checkpoint)
    place = Workplace.of(output, checkpoint if is_hugging_face(checkpoint) else None)
    tools = Tools(sys.executable, convert_script(deployment.examples), deployment.build_tool)
    lines = []
    if not is_hugging_face(checkpoint):
        job = ExportSettings(settings.checkpoint, "hf", str(place.hugging_face), deployment)
        lines.append(export_command(job))
    longest = deployment.max_seq_len or model.max_position_embeddings
    lines += [shlex.join(command) for command in build_commands(tools, place, deployment, longest)]
    done = "tokenizer, chat template, generation configuration, export.json and README.md are added"
    return [
        f"# size      about {size_in_words(kept)} at the end, {size_in_words(written.at_most)} on the way",
        *(f"# problem   {p.key}: {p.found}; {p.fix}" for p in findings.problems),
        "# commands, in order:",
        *lines,
        f"# then {done}, and {place.engine} becomes {output}",
    ]


if __name__ == "__main__":
    main()
