"""The section of the TensorRT-LLM rollout engine (``rollouts.engine=trtllm``)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class TrtllmSettings:
    """Read where ``rollouts.engine=trtllm``; sizes follow from ``rollouts.batch_size`` and the length budgets."""

    directory: str
    """Folder in which the engine's files get a folder of their own; a disk of the node will do. They hold the weights
    of the start of the run alone, and go once they are loaded unless ``unload_after_sampling`` needs them again."""
    max_num_tokens: int | None
    """Prompt tokens that the engine takes in one pass, over a batch; null: rollouts.batch_size x
    data.max_prompt_length."""
    unload_after_sampling: bool
    """True: the engine leaves the GPU while the weights are updated, and is read from disk again."""
    offload_optimizer: bool
    """True: optimizer states and fp32 weights wait in CPU memory while the engine samples."""
    gate_prompts: int
    """Prompts whose sampled tokens are compared with the trained model's log-probs after every update; 0: never."""
    gate_tokens: int
    """Tokens sampled for each of them."""
    gate_difference: float
    """Nats; a larger mean difference of log-probs stops the run."""
