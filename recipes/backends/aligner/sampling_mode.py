"""The trained model as sampling needs it, for the time of a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_FLAGS = ("sequence_parallel", "reduce_scatter_embeddings")


@contextmanager
def sampling_mode(model: Any) -> Iterator[None]:
    """Evaluation mode without sequence parallelism; whatever it was comes back.

    In training mode full recomputation runs the layers without their key/value cache (Megatron-core 0.11,
    ``TransformerBlock._checkpointed_forward`` takes no ``inference_params``). Sequence parallelism cuts the sequence
    over the tensor-parallel ranks, and one token cannot be cut. NeMo's ``_reset_sequence_parallelism_args`` leaves the
    embedding's ``reduce_scatter_embeddings`` on, which Megatron decides when it is built.

    Args:
        model: NeMo ``MegatronGPTModel``.
    """
    chunks = model.model if isinstance(model.model, list) else [model.model]
    modules = [module for chunk in chunks for module in chunk.modules()]
    trained = [(chunk, chunk.training) for chunk in chunks]
    configs = {id(config): config for config in (getattr(module, "config", None) for module in modules)}
    owners = [*modules, *configs.values(), model.transformer_config, model.model_parallel_config]
    flags = [(owner, name) for owner in owners for name in _FLAGS if getattr(owner, name, False) is True]
    for chunk in chunks:
        chunk.eval()
    for owner, name in flags:
        setattr(owner, name, False)
    try:
        yield
    finally:
        for owner, name in flags:
            setattr(owner, name, True)
        for chunk, training in trained:
            chunk.train(training)
