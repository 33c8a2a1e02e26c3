"""A checkpoint -> a folder that TensorRT-LLM serves: complete or absent.

backend=tensorrt: Hugging Face folder -> TensorRT-LLM checkpoint -> engine, by the tools of the pinned version, then
tokenizer, chat template, generation configuration, ``export.json`` and ``README.md``. backend=pytorch: the Hugging Face
folder itself with ``serving.yaml``. The tools' output is ``build.log`` in the folder; of a failed build it stays beside
the output. The tools need a GPU and are checked against sources (``build_commands``), not run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from recipes.atomic_files import write_text
from recipes.backends.trtllm import readme
from recipes.backends.trtllm.agreement import disagreement
from recipes.backends.trtllm.build_commands import Tools, Workplace, build_commands, serving_options, shell_line
from recipes.backends.trtllm.folder import EngineFolderError, engine_folder
from recipes.backends.trtllm.tool_runs import ToolFailed, run_tool
from recipes.backends.trtllm.verification import verify
from recipes.checkpoints.export_record import is_hugging_face, record_of, source_of, write_record
from recipes.checkpoints.export_rules import MARKER_NAME, put_in_place, require_writable, staging_of
from recipes.checkpoints.hf_config import CONFIG_NAME, read_config
from recipes.settings.schema import DeploymentSettings

LOG_NAME = "build.log"
NOT_CARRIED = ("*.safetensors", "*.safetensors.index.json", CONFIG_NAME, MARKER_NAME, "README.md", LOG_NAME)
"""Of a Hugging Face folder: an engine has its own weights and configuration."""
TITLES = ("converting the checkpoint", "building the engine")


class NotTheSame(RuntimeError):
    """The engine does not compute what transformers computes; the message says at which prompt and token."""


def export_deployment(
    checkpoint: Path,
    output: Path,
    deployment: DeploymentSettings,
    tools: Tools,
    to_hugging_face: Callable[[Path, Path], None],
) -> None:
    """Make the folder; it appears by one rename, and what an earlier export left there goes.

    Args:
        checkpoint: a ``.nemo`` file or folder, or a Hugging Face folder.
        output: folder to write; one that this command wrote before is replaced, any other non-empty one refused.
        deployment: values that fit the checkpoint's model.
        tools: of the build; not looked at for ``backend=pytorch``.
        to_hugging_face: converts a ``.nemo`` into a folder.

    Raises:
        ConversionError: ``output`` is somebody else's, or the ``.nemo`` cannot be converted.
        ToolFailed: a tool of TensorRT-LLM failed, or left something else than an engine.
        NotTheSame: ``deployment.verify`` found a disagreement.
        OSError: a full disk, for instance.
    """
    require_writable(output)
    with _staging(output) as staging:
        there = checkpoint if is_hugging_face(checkpoint) else None
        place, log = Workplace.of(output, there), log_of(output)
        log.write_bytes(b"")
        if there is None:
            to_hugging_face(checkpoint, place.hugging_face)
        max_seq_len = deployment.max_seq_len or read_config(place.hugging_face)["max_position_embeddings"]
        commands = build_commands(tools, place, deployment, max_seq_len)
        seconds = [round(run_tool(*run), 1) for run in zip(commands, [log] * len(commands), TITLES, strict=False)]
        if deployment.backend == "tensorrt":
            _require_engine(place.engine, deployment, max_seq_len, log)
            shutil.rmtree(place.checkpoint)
            _carry(place.hugging_face, place.engine, NOT_CARRIED)
        else:
            _carry(place.hugging_face, place.engine, (MARKER_NAME, "README.md", LOG_NAME))
            options = yaml.safe_dump(serving_options(deployment), sort_keys=False)
            write_text(place.engine / readme.SERVING_CONFIG, options)
        report = _verified(place, deployment, log) if deployment.verify else None
        record = record_of(
            "trtllm",
            checkpoint,
            source_of(checkpoint, hashed=True),
            backend=deployment.backend,
            tensorrt_llm=_version(place.engine),
            gpu=_gpu(),
            deployment=asdict(deployment),
            commands=[shell_line(command) for command in commands],
            seconds=seconds,
            verification=report,
        )
        text = readme.readme(record, deployment, max_seq_len, _example(place.engine))
        write_text(place.engine / "README.md", text)
        shutil.copyfile(log, place.engine / LOG_NAME)
        record["files"] = {file.name: file.stat().st_size for file in sorted(place.engine.iterdir())}
        write_record(place.engine, record)
        put_in_place(place.engine, output)
        shutil.rmtree(staging)
        log.unlink()


def log_of(output: Path) -> Path:
    """Where the tools' output is while there is no folder to hold it."""
    return output.parent / f"{output.name}.log"


@contextmanager
def _staging(output: Path) -> Iterator[Path]:
    """The folder beside the output in which everything grows; gone when the block fails."""
    staging = staging_of(output)
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        log = log_of(output)
        if log.is_file() and log.stat().st_size == 0:  # it failed before a tool was started
            log.unlink()
        raise


def _require_engine(folder: Path, deployment: DeploymentSettings, max_seq_len: int, log: Path) -> None:
    """Whether ``trtllm-build`` left what it was asked for.

    Raises:
        ToolFailed: no engine, not every rank, or another length or cut.
    """
    try:
        found = engine_folder(folder)
    except EngineFolderError as error:
        raise ToolFailed(f"trtllm-build ended well, but left no engine: {error}\nThe whole output: {log}") from error
    problems = [
        f"rank{rank}.engine is missing"
        for rank in range(deployment.world_size)
        if not (folder / f"rank{rank}.engine").is_file()
    ]
    if not found.is_engine:
        problems.append("config.json is no engine's")
    elif (found.positions, found.tensor_parallel_size) != (max_seq_len, deployment.tp_size):
        problems.append(
            f"max_seq_len {found.positions} and tp_size {found.tensor_parallel_size}, asked for {max_seq_len} and "
            f"{deployment.tp_size}"
        )
    if problems:
        raise ToolFailed(f"trtllm-build ended well, but {'; '.join(problems)}\nThe whole output: {log}")


def _carry(source: Path, target: Path, left: tuple[str, ...]) -> None:
    """Files of a Hugging Face folder into the output; weights, which nobody changes, as links where that works."""
    target.mkdir(exist_ok=True)
    for file in sorted(source.iterdir()):
        if not file.is_file() or file.name.startswith(".") or any(map(file.match, left)):
            continue
        if file.suffix == ".safetensors":
            _link_or_copy(file, target / file.name)
        else:
            shutil.copyfile(file, target / file.name)


def _link_or_copy(file: Path, target: Path) -> None:
    try:
        os.link(file.resolve(), target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(file, target)


def _verified(place: Workplace, deployment: DeploymentSettings, log: Path) -> dict[str, Any]:
    """The report of a comparison that went well.

    Raises:
        NotTheSame: it did not; the report is in the log.
    """
    report = verify(place.engine, place.hugging_face, deployment)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"verification": report}, indent=1) + "\n")
    if reason := disagreement(report):
        raise NotTheSame(f"verification failed, nothing was written: {reason}\nThe whole comparison: {log}")
    return report


def _version(folder: Path) -> str | None:
    """Of the TensorRT-LLM that built an engine; None for a Hugging Face folder."""
    return read_config(folder).get("version")


def _example(folder: Path) -> str:
    """A question in the model's chat template."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    messages = [{"role": "user", "content": "What is 17 + 4 * 3?"}]
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)


def _gpu() -> str | None:
    """Name of the first GPU; None where there is none."""
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.splitlines()[0].strip() if found.returncode == 0 and found.stdout.strip() else None
