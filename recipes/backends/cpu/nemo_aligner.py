"""Patches of NeMo-Aligner 0.7.0."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from recipes.backends.cpu.condition import NO_TENSORRT_LLM
from recipes.backends.cpu.patch import Patch, PatchTargetMoved, replace_constants

LIBRARY = "nemo_aligner 0.7.0"
TRT_LLM = "nemo_aligner.utils.trt_llm"

DEVICE_LITERALS = ("broadcast_tensor", "SyncTimer.sync_time", "Timer.is_finished")
"""Functions of nemo_aligner.utils.distributed that name the device "cuda" in a literal."""


class _NoTensorRTLLM:
    """Stands for GPTGenerateTRTLLM, which the actors construct only when model.<algorithm>.trt_llm.enable is true."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("TensorRT-LLM is not installed: set model.reinforce.trt_llm.enable=false.")


def _trt_llm() -> None:
    if importlib.util.find_spec("tensorrt_llm") is not None:
        return
    package = importlib.util.find_spec("nemo_aligner")
    source = Path(package.origin).parent / "utils" / "trt_llm.py" if package and package.origin else None
    if source is None or not source.is_file() or "class GPTGenerateTRTLLM" not in source.read_text(encoding="utf-8"):
        raise PatchTargetMoved("aligner_trt_llm", f"{TRT_LLM}.GPTGenerateTRTLLM", f"not in {source}")
    module = ModuleType(TRT_LLM, "Stand-in: TensorRT-LLM is not installed.")
    module.GPTGenerateTRTLLM = _NoTensorRTLLM  # type: ignore[attr-defined]
    sys.modules[TRT_LLM] = module


def _device_literals() -> None:
    for name in DEVICE_LITERALS:
        replace_constants("aligner_device_literals", f"nemo_aligner.utils.distributed.{name}", {"cuda": "cpu"})


PATCHES = (
    Patch(
        "aligner_trt_llm",
        LIBRARY,
        (),
        "the actors import tensorrt_llm unguarded: ModuleNotFoundError",
        "none: TensorRT-LLM samples on GPUs only",
        "NeMo-Aligner guards the import",
        _trt_llm,
        before_import=True,
        condition=NO_TENSORRT_LLM,
    ),
    Patch(
        "aligner_device_literals",
        LIBRARY,
        tuple(f"nemo_aligner.utils.distributed.{name}" for name in DEVICE_LITERALS),
        'device="cuda" inside functions raises',
        "none",
        "NeMo-Aligner names no device in literals",
        _device_literals,
    ),
)
