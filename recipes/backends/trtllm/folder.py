"""What TensorRT-LLM can load, looked at without TensorRT-LLM."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "tensorrt_llm"


class EngineFolderError(ValueError):
    """A folder or an installation that cannot sample; the message names the fix."""


@dataclass(frozen=True, slots=True)
class EngineFolder:
    """A Hugging Face model, or an engine that ``trtllm-build`` made of one."""

    path: Path
    is_engine: bool
    positions: int | None
    """Tokens of prompt and response together that it takes; None where it does not say."""
    tensor_parallel_size: int | None
    """Of an engine: GPUs that it was built for."""

    @property
    def config(self) -> Path:
        """Where ``positions`` stands."""
        return self.path / "config.json"

    @property
    def has_tokenizer(self) -> bool:
        """A built engine often lies there without one."""
        return (self.path / "tokenizer_config.json").is_file()


def engine_folder(path: Path) -> EngineFolder:
    """What lies in ``path``.

    An engine's ``config.json`` has ``build_config.max_seq_len`` and ``pretrained_config.mapping`` (TensorRT-LLM,
    ``EngineConfig``), a Hugging Face model's has ``max_position_embeddings``.

    Raises:
        EngineFolderError: neither.
    """
    config = path / "config.json"
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineFolderError(
            f"engine.checkpoint={path}: no readable config.json ({error}); expected a Hugging Face folder or an engine "
            f"that trtllm-build wrote"
        ) from error
    if "build_config" in found:
        parallel = found.get("pretrained_config", {}).get("mapping", {})
        if not list(path.glob("rank*.engine")):
            raise EngineFolderError(
                f"engine.checkpoint={path}: config.json of an engine, but no rank*.engine beside it"
            )
        return EngineFolder(path, True, found["build_config"].get("max_seq_len"), parallel.get("tp_size", 1))
    if "model_type" not in found:
        raise EngineFolderError(
            f"engine.checkpoint={path}: config.json is neither an engine's (build_config) nor a Hugging Face model's "
            f"(model_type); a TensorRT-LLM checkpoint is built first: trtllm-build --checkpoint_dir {path}"
        )
    return EngineFolder(path, False, found.get("max_position_embeddings"), None)


def require_tensorrt_llm(asked: str, instead: str) -> None:
    """Raises EngineFolderError where the package is missing.

    Args:
        asked: the words that ask for it.
        instead: what works without it.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise EngineFolderError(
            f"{asked}: no package {PACKAGE} in this Python. It needs an NVIDIA GPU and comes with the NeMo container "
            f"(CONTAINER_IMAGE of launcher/site.sh) or with: pip install tensorrt-llm. Without it: {instead}"
        )
