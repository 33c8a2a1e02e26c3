"""An export to TensorRT-LLM: the model's limits, the tools, the GPUs, the room on disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from recipes.checkpoints.export_record import is_hugging_face
from recipes.checkpoints.export_rules import architecture_of_nemo
from recipes.checkpoints.hf_config import Architecture, architecture_of
from recipes.checkpoints.hf_config import read_config as read_hugging_face
from recipes.checkpoints.nemo_archive import read_config
from recipes.preflighting.findings import Findings
from recipes.preflighting.installation import is_installed
from recipes.preflighting.machine import bytes_of, existing, size_in_words, visible_gpus
from recipes.settings.deployment_checks import (
    ModelLimits,
    builds_engine,
    deployment_problems,
    fitting_problems,
    gpus_of_build,
    tool_problems,
)
from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import DeploymentSettings, ExportSettings

BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes that an export writes, about."""

    hugging_face: int
    """0 where a folder is there already."""
    checkpoint: int
    """TensorRT-LLM's form of the weights; gone at the end."""
    engine: int

    @property
    def at_most(self) -> int:
        """While everything is there; a ``.nemo`` is unpacked first, which takes its own size."""
        return 2 * self.hugging_face + self.checkpoint + self.engine


def architecture(checkpoint: Path) -> Architecture:
    """Of a ``.nemo`` or of a Hugging Face folder.

    Raises:
        CheckpointMismatch: it is neither.
        ConversionError: a model that this recipe does not have.
    """
    if is_hugging_face(checkpoint):
        return architecture_of(read_hugging_face(checkpoint), checkpoint)
    return architecture_of_nemo(read_config(checkpoint), checkpoint)


def deployment(settings: ExportSettings, model: Architecture, *, here: bool) -> Findings:
    """All that stands in the way of an engine, or of a folder for the PyTorch backend.

    Args:
        model: of the checkpoint.
        here: whether this machine is the one that builds: its tools, GPUs and packages count.
    """
    findings, wanted = Findings(), settings.deployment
    if not [*deployment_problems(wanted)]:  # those are problems of the values, which are found before
        findings.problems += fitting_problems(wanted, limits_of(model))
    if here:
        findings.problems += tool_problems(wanted)
        findings.problems += _gpus(settings)
        if wanted.verify and not is_installed("tensorrt_llm"):
            findings.problems.append(
                SettingsProblem(
                    "deployment.verify",
                    "true, without the package tensorrt_llm in this Python",
                    "TensorRT-LLM, which loads the engine for the comparison",
                    "the NeMo container (CONTAINER_IMAGE of launcher/site.sh), or deployment.verify=false",
                )
            )
    findings.add(_room(settings, model))
    return findings


def limits_of(model: Architecture) -> ModelLimits:
    """What of an architecture bounds an engine."""
    return ModelLimits(
        model.family,
        model.num_layers,
        model.num_attention_heads,
        model.num_query_groups,
        model.ffn_hidden_size,
        model.max_position_embeddings,
    )


def sizes(checkpoint: Path, model: Architecture, wanted: DeploymentSettings) -> Sizes:
    """What an export of ``checkpoint`` writes."""
    there, kept = is_hugging_face(checkpoint), bytes_of(checkpoint)
    if wanted.backend == "pytorch":
        return Sizes(0 if there else kept, 0, 0)
    engine = parameters(model) * BYTES[wanted.dtype]
    return Sizes(0 if there else kept, engine, engine)


def parameters(model: Architecture) -> int:
    """Weights, embedding padding included (7,615,616,512 for Qwen2.5-Math-7B)."""
    hidden, heads, groups = model.hidden_size, model.num_attention_heads, model.num_query_groups
    qkv = model.head_dim * (heads + 2 * groups)
    layer = hidden * qkv + hidden * hidden + (qkv if model.qkv_bias else 0)
    layer += 3 * hidden * model.ffn_hidden_size + 2 * hidden
    return model.num_layers * layer + hidden * model.vocab_size * (1 if model.tie_word_embeddings else 2) + hidden


def _gpus(settings: ExportSettings) -> list[SettingsProblem]:
    """The build uses one GPU for each worker, the comparison one for each rank."""
    wanted = settings.deployment
    if not builds_engine(wanted):
        return []
    needed = gpus_of_build(wanted)
    found, source = visible_gpus()
    if found >= needed:
        return []
    return [
        SettingsProblem(
            "format",
            f"trtllm, with {found} GPUs to be seen here ({source})",
            f"{needed} for deployment.{'verify' if wanted.verify else 'workers'}, of the kind that will serve",
            f"sbatch --gpus-per-node={needed} launcher/export.sh with the same words, or format=hf, or backend=pytorch "
            "without verify",
        )
    ]


def _room(settings: ExportSettings, model: Architecture) -> Findings:
    findings, place = Findings(), existing(Path(settings.output))
    if not place.is_dir():
        return findings
    needed = sizes(Path(settings.checkpoint), model, settings.deployment).at_most
    free = shutil.disk_usage(place).free
    findings.looked_at.append(f"{place}: {size_in_words(free)} free, about {size_in_words(needed)} needed")
    if free < needed:
        findings.problems.append(
            SettingsProblem(
                "output",
                f"{settings.output}: {size_in_words(free)} free",
                f"about {size_in_words(needed)} while the engine is built",
                "output=FOLDER on a larger file system",
            )
        )
    return findings
