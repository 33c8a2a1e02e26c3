"""``tensorrt_llm.functional``: names of activations."""

GATED_ACT_2_ACT = {"swiglu": "silu", "fast-swiglu": "silu", "geglu": "gelu"}
ACTIVATIONS = {"relu", "gelu", "silu", "squared-relu", *GATED_ACT_2_ACT}


def non_gated_version(activation: str) -> str:
    assert activation in ACTIVATIONS
    return GATED_ACT_2_ACT.get(activation, activation)
