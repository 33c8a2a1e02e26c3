"""What a model is made of and how it is cut, and how many parameters a rank holds."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder with grouped-query attention and SwiGLU."""

    num_layers: int
    hidden_size: int
    ffn_hidden_size: int
    num_attention_heads: int
    num_query_groups: int
    """Key/value heads."""
    vocab_size: int
    """Rows of the embedding, padding included."""
    qkv_bias: bool
    tied: bool
    """The output layer is the embedding."""

    @property
    def kv_channels(self) -> int:
        """Channels of all keys (or all values) of one token in one layer."""
        return self.num_query_groups * (self.hidden_size // self.num_attention_heads)


@dataclass(frozen=True, slots=True)
class Layout:
    """Ranks = tensor x pipeline x data."""

    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    sequence_parallel: bool = False


def parameters(model: Architecture) -> int:
    """Parameters of the whole model (7,615,616,512 for Qwen2.5-Math-7B), those of ``rank_parameters`` on one rank."""
    return rank_parameters(model, Layout(), 0)


def rank_parameters(model: Architecture, layout: Layout, stage: int) -> int:
    """Parameters on one rank of pipeline stage ``stage`` (from 0).

    With h hidden, f feed-forward, k key/value channels, V vocabulary, L layers, t tensor and p pipeline ranks::

        layer = (h (h + 2k) + h h + 3 h f + [h + 2k]) / t + 2 h       QKV, projection, SwiGLU, [QKV bias]; two norms
        rank  = L / p * layer + [V h / t] + [V h / t + h]             [first: embedding], [last: output, final norm]

    Norms are held whole by every tensor-parallel rank. A tied model has one embedding on a single stage, and a copy of
    it on the last one of several (Megatron-core, ``models/gpt/gpt_model.py``: ``setup_embeddings_and_output_layer``).
    """
    hidden, qkv = model.hidden_size, model.hidden_size + 2 * model.kv_channels
    cut = hidden * qkv + hidden * hidden + 3 * hidden * model.ffn_hidden_size + (qkv if model.qkv_bias else 0)
    held = model.num_layers // layout.pipeline * (cut // layout.tensor + 2 * hidden)
    embedding = model.vocab_size * hidden // layout.tensor
    first, last = stage == 0, stage == layout.pipeline - 1
    if first:
        held += embedding
    if last:
        held += hidden + (0 if model.tied and first else embedding)
    return held


def engine_parameters(model: Architecture, tensor: int) -> int:
    """Parameters on a rank of a rollout engine: every layer, cut over the tensor-parallel ranks alone.

    NeMo's export gathers the pipeline stages of a model on each of their ranks (``reshard_model``).
    """
    return rank_parameters(model, replace(Layout(), tensor=tensor), 0)
