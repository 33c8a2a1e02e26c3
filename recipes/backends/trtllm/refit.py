"""New weights into a loaded engine, all of them or none.

NeMo's ``refit`` logs names that do not meet and goes on: a weight that the engine calls otherwise keeps its first value
for the whole run. TensorRT-LLM's build renames two kinds: it fuses ``mlp.gate`` and ``mlp.fc`` into ``mlp.fused_fc``
(``PluginConfig.use_fused_mlp``, on by default in 0.17), and keeps one table where embedding and head are equal. Here
the engine's own names decide, what does not meet is an error, and so is a weight that TensorRT refuses.

Checked against sources, not run with TensorRT-LLM: see ``tests/stand_ins/README.md``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch

EMBEDDING, HEAD = "transformer.vocab_embedding.weight", "lm_head.weight"
CONSTANTS = ("embed_positions", "rotary_inv_freq", "embed_positions_for_gpt_attention")
"""Tables of the rotary embedding, named weights of an engine that no checkpoint has (``layers/attention.py``)."""
FUSED = "mlp.fused_fc.weight"


class EngineWeightsError(RuntimeError):
    """The engine's weights and the model's do not meet; no rollout may be sampled from it."""


def weights_by_engine_name(weights: Mapping[str, torch.Tensor], names: Collection[str]) -> dict[str, torch.Tensor]:
    """The model's weights under the names that the engine has for them.

    Args:
        weights: converted by Megatron-core, ``transformer.layers.N.attention.qkv.weight`` ...
        names: every refittable weight of the engine.

    Raises:
        EngineWeightsError: names every weight of the model that the engine has no place for, and every one of the
            engine's that the model lacks.
    """
    left = dict(weights)
    found: dict[str, torch.Tensor] = {}
    for name in names:
        if name in left:
            found[name] = left.pop(name)
        elif name.endswith(FUSED):
            parts = [name.replace(FUSED, f"mlp.{part}.weight") for part in ("gate", "fc")]
            if all(part in left for part in parts):
                found[name] = torch.cat([left.pop(part) for part in parts])
    _share_table(found, left, names)
    dropped = sorted(left)
    missing = sorted(name for name in names if name not in found and name not in CONSTANTS)
    if dropped or missing:
        raise EngineWeightsError(
            f"the rollout engine does not hold the model: it has no place for {dropped or 'nothing'}, and gets no "
            f"value for {missing or 'nothing'}. Expected the same weights on both sides; look at the architecture "
            "that the engine was built for (recipes/backends/trtllm/qwen2.py) and at the names that its build gave the "
            "weights"
        )
    return found


def _share_table(found: dict[str, torch.Tensor], left: dict[str, torch.Tensor], names: Collection[str]) -> None:
    """Embedding and head, where the engine or the model has one table for both."""
    for own, other in ((EMBEDDING, HEAD), (HEAD, EMBEDDING)):
        if own in names and own not in found and other in found:
            found[own] = found[other]
        elif own in names and own not in found and other in left:
            found[own] = left.pop(other)
        if own in left and other in found and own not in names and torch.equal(left[own], found[other]):
            del left[own]


def refit_engine(decoder: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Give a loaded engine new weights, in memory only.

    Args:
        decoder: ``tensorrt_llm.runtime.ModelRunner``.
        weights: as in ``weights_by_engine_name``.

    Raises:
        EngineWeightsError: as there; or TensorRT refuses a weight or the refit.
    """
    import tensorrt as trt
    from nemo.export.trt_llm.tensorrt_llm_run import maybe_cast_to_trt_dtype

    refitter = trt.Refitter(engine=decoder.session.runtime.engine, logger=trt.Logger(trt.Logger.ERROR))
    named = weights_by_engine_name(weights, refitter.get_all_weights())
    torch.cuda.synchronize()  # the converter copies to pinned memory without waiting
    refused = []
    for name, weight in named.items():
        memory = trt.Weights(maybe_cast_to_trt_dtype(weight.dtype), weight.data_ptr(), weight.numel())
        place = trt.TensorLocation.DEVICE if weight.is_cuda else trt.TensorLocation.HOST
        if not weight.is_contiguous() or not refitter.set_named_weights(name, memory, place):
            refused.append(f"{name} {tuple(weight.shape)} {weight.dtype}")
    if refused or not refitter.refit_cuda_engine():
        raise EngineWeightsError(
            f"TensorRT refused the refit of {refused or 'the engine as a whole'}; expected weights of the shapes and "
            "types that the engine was built with"
        )
