"""Bytes that the forward pass of one pipeline stage leaves for the backward pass.

The bookkeeping is that of Korthikanti et al. 2022 ("Reducing Activation Recomputation in Large Transformer Models",
their Equations 1 to 6), for another layer: grouped-query attention, SwiGLU, RMSNorm, no dropout, and fused attention.
With h hidden, f feed-forward, k key/value channels, a heads, s tokens and b bytes a number, one token of one layer
leaves::

    norms       b 4h            the inputs of the two norms and their outputs, the inputs of QKV and of the MLP
    attention   b (2h + 2k)     rotated queries and keys, values, and the output, which is the projection's input
    MLP         b 3f            gate and up together, and their product, the input of the second matrix
    softmax     4a              fused attention: one log-sum per head; else a s (4 + b): the matrix in fp32 and as cast

Tensor parallelism divides the last three by t, and the norms too under sequence parallelism (their Equations 2 and 4).
Their own layer has 34 h bytes and 5 a s of softmax and dropout instead. What is kept was read in Megatron-core 0.11
(``fusions/fused_bias_swiglu.py``, ``transformer/attention.py``) and in Transformer Engine's sources of 2024, whose
``pytorch/module/layernorm_linear.py`` keeps its input and its norm's output, before the ranks gather it; not measured.

Selective recomputation leaves out the softmax, full recomputation keeps nothing but the layer's input, b h (divided by
t under sequence parallelism), and has one layer at a time whole again.
"""

from __future__ import annotations

from recipes.memory.architecture import Architecture, Layout


def layer_bytes(
    model: Architecture, layout: Layout, *, tokens: int, length: int, width: int, fused_attention: bool, recompute: str
) -> int:
    """What one layer keeps of one micro-batch; equation: the module's.

    Args:
        tokens: of the micro-batch, its padding included.
        length: tokens of one sequence, s.
        width: bytes of a number, b.
        fused_attention: no [s, s] matrix is written (Transformer Engine).
        recompute: ``none``, ``selective`` or ``full``.
    """
    hidden, cut = model.hidden_size, layout.tensor if layout.sequence_parallel else 1
    if recompute == "full":
        return tokens * width * hidden // cut
    softmax = 0
    if recompute == "none":
        softmax = model.num_attention_heads * (4 if fused_attention else length * (4 + width))
    split = width * (2 * hidden + 2 * model.kv_channels + 3 * model.ffn_hidden_size) + softmax
    return tokens * (width * 4 * hidden // cut + split // layout.tensor)


def stage_bytes(
    model: Architecture,
    layout: Layout,
    stage: int,
    *,
    micro_batches: int,
    tokens: int,
    length: int,
    width: int,
    fused_attention: bool,
    recompute: str,
) -> int:
    """What pipeline stage ``stage`` (from 0) keeps at most::

        min(p - stage, micro-batches) * L / p * layer  [+ one layer without recomputation]  [+ last stage: b 2h a token]

    Micro-batches in flight under 1F1B (Korthikanti et al. 2022, section 4.2.3); the final norm's input and output on
    the last stage. The layer that full recomputation makes anew comes after the loss has freed its logits; both are
    counted.
    """

    def layer(kind: str) -> int:
        return layer_bytes(
            model,
            layout,
            tokens=tokens,
            length=length,
            width=width,
            fused_attention=fused_attention,
            recompute=kind,
        )

    in_flight = min(layout.pipeline - stage, micro_batches)
    kept = in_flight * (model.num_layers // layout.pipeline) * layer(recompute)
    if recompute == "full":
        kept += layer("none")
    if stage == layout.pipeline - 1:
        kept += tokens * width * 2 * model.hidden_size // (layout.tensor if layout.sequence_parallel else 1)
    return kept
