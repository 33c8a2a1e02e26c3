"""The sections ``export`` (what a finished stage leaves behind) and ``deployment`` (how an engine is built)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class FinishSettings:
    """What a stage exports once its training has ended."""

    on_finish: list[str]
    """``hf``: RUN/export/hf, a Hugging Face folder. ``trtllm``: RUN/export/engine, as ``deployment`` says. [] for
    nothing."""


@dataclass
class DeploymentSettings:
    """An engine of TensorRT-LLM, or a folder that its PyTorch backend serves; flags have their own names."""

    backend: str
    """``tensorrt``: an engine, built on a GPU of the kind that will serve it. ``pytorch``: the Hugging Face folder
    with a configuration for TensorRT-LLM 1.x; no build, no GPU."""
    examples: str
    """Folder of TensorRT-LLM's examples, in which qwen/convert_checkpoint.py is looked for, or that script itself."""
    build_tool: str
    """``trtllm-build``: a program on the PATH, or its path."""
    dtype: str
    """Of weights and activations: ``bfloat16``, ``float16`` or ``float32``."""
    tp_size: int
    """GPUs that one copy of the model is cut over; divides its key/value heads."""
    pp_size: int
    max_batch_size: int
    """Requests in flight."""
    max_input_len: int
    """Tokens of the longest prompt."""
    max_seq_len: int | None
    """Tokens of prompt and response together; null: the positions of the model."""
    max_num_tokens: int
    """Tokens of one step, prompts and one for each running response; sizes the activation memory."""
    gemm_plugin: str
    """``auto`` (the engine's dtype), a dtype or ``disable``."""
    gpt_attention_plugin: str
    """``auto`` (the engine's dtype), or a dtype."""
    kv_cache_type: str
    """``paged``, as servers need it, or ``continuous``."""
    remove_input_padding: bool
    use_paged_context_fmha: bool
    """Prompts of one beginning share its cache, long prompts may be cut."""
    workers: int
    """Ranks that are converted and built at the same time; one GPU each."""
    load_model_on_cpu: bool
    """True: the conversion needs no GPU memory, but the model in the machine's."""
    kv_cache_free_gpu_memory_fraction: float
    """Share of the memory that is left beside weights and activations, for the server's cache."""
    verify: bool
    """True: greedy responses of the engine and of transformers are compared before the folder appears."""
    verify_prompts: int
    """Of 32 fixed ones."""
    verify_tokens: int
    """Of each response, at most."""
    verify_margin: float
    """Nats: where the engine takes another token, the probability that transformers gives to it may be this much lower
    than that of its own choice; then the two were tied within rounding."""

    @property
    def world_size(self) -> int:
        """GPUs of one copy of the model, and engine files."""
        return self.tp_size * self.pp_size
