"""The memory of one device in every phase of a command, from the settings alone (arithmetic: ``recipes.memory``)."""

from __future__ import annotations

from dataclasses import replace

from recipes.memory import activations, engines, kv_cache, logits
from recipes.memory.architecture import Architecture, Layout, engine_parameters, rank_parameters
from recipes.memory.model_states import BYTES, gradient_bytes, optimizer_bytes, weight_bytes
from recipes.memory.phases import GIB, Phase
from recipes.settings.parallelism import data_parallel_size, replica_rollouts
from recipes.settings.schema import ModelSettings, Settings

TRAINING, ROLLOUTS = "training", "rollouts"
"""Phases."""


def architecture(model: ModelSettings) -> Architecture:
    """The sizes that memory depends on."""
    return Architecture(
        num_layers=model.num_layers,
        hidden_size=model.hidden_size,
        ffn_hidden_size=model.ffn_hidden_size,
        num_attention_heads=model.num_attention_heads,
        num_query_groups=model.num_query_groups,
        vocab_size=model.vocab_size,
        qkv_bias=model.architecture == "qwen2",
        tied=model.tie_word_embeddings,
    )


def layout(settings: Settings) -> Layout:
    """How the model is cut; for settings that ``parallelism.problems`` finds sound."""
    model = settings.model
    return Layout(
        tensor=model.tensor_model_parallel_size,
        pipeline=model.pipeline_model_parallel_size,
        data=data_parallel_size(settings),
        sequence_parallel=model.sequence_parallel,
    )


def phases(settings: Settings, command: str) -> tuple[Phase, ...]:
    """The peaks of ``sft``, ``grpo``, ``calibrate`` and of ``evaluate`` with Megatron; none for other commands.

    Each is that of the rank that holds most. Settings must be sound otherwise.
    """
    if command == "sft":
        sft = settings.sft
        micro_batches = sft.global_batch_size // data_parallel_size(settings) // sft.micro_batch_size
        return (_training(settings, command, sft.max_sequence_length, sft.micro_batch_size, micro_batches),)
    if command == "grpo":
        grpo = settings.grpo
        length, micro_batches = rollout_length(settings, command), replica_rollouts(settings) // grpo.micro_batch_size
        trained = settings.data.max_prompt_length + grpo.max_response_length
        return (
            _training(settings, command, trained, grpo.micro_batch_size, micro_batches),
            _rollouts(settings, length, min(settings.rollouts.batch_size, replica_rollouts(settings)), trains=True),
        )
    if command == "calibrate":
        return (_rollouts(settings, rollout_length(settings, command), settings.rollouts.batch_size, trains=False),)
    if command == "evaluate" and settings.engine.name == "megatron":
        settings = replace(settings, rollouts=replace(settings.rollouts, engine="megatron"))
        return (_rollouts(settings, rollout_length(settings, command), settings.engine.batch_size, trains=False),)
    return ()


def rollout_length(settings: Settings, command: str) -> int:
    """Tokens of the longest prompt and response that the command samples, held-out ones of a stage included."""
    budgets = {
        "evaluate": settings.evaluation.max_response_length,
        "calibrate": settings.grpo.max_response_length,
        "grpo": settings.longest_rollout,
    }
    return settings.data.max_prompt_length + budgets[command]


def _training(settings: Settings, command: str, length: int, micro: int, micro_batches: int) -> Phase:
    """The pipeline stage that holds most: the first has most micro-batches in flight, the last has the logits."""
    cut, multiple = layout(settings), settings.model.width_multiple
    tokens = micro * -(-length // multiple) * multiple
    stages = [_stage(settings, command, stage, tokens, micro, micro_batches) for stage in range(cut.pipeline)]
    return max(stages, key=lambda phase: phase.total)


def _stage(settings: Settings, command: str, stage: int, tokens: int, micro: int, micro_batches: int) -> Phase:
    model, cut, cluster = architecture(settings.model), layout(settings), settings.cluster
    width = BYTES[cluster.precision]
    items = _states(settings, stage)
    items["activations"] = activations.stage_bytes(
        model,
        cut,
        stage,
        micro_batches=micro_batches,
        tokens=tokens,
        length=tokens // micro,
        width=width,
        fused_attention=cluster.layer_spec == "transformer_engine",
        recompute=settings.model.recompute,
    )
    if stage == cut.pipeline - 1:
        items["logits"] = (
            logits.sft_loss_bytes(model.vocab_size, cut.tensor, tokens, width)
            if command == "sft"
            else logits.grpo_loss_bytes(model.vocab_size, cut.tensor, tokens)
        )
    if command == "grpo" and settings.rollouts.engine == "trtllm" and not settings.trtllm.unload_after_sampling:
        items |= _trtllm(settings, settings.rollouts.batch_size)  # it stays loaded; its cache goes (RoomWatch)
    return Phase(TRAINING, items)


def _rollouts(settings: Settings, length: int, rows: int, *, trains: bool) -> Phase:
    """Sampling while the states of training stay where they are."""
    stages = [_sampling_stage(settings, stage, length, rows, trains) for stage in range(layout(settings).pipeline)]
    return max(stages, key=lambda phase: phase.total)


def _sampling_stage(settings: Settings, stage: int, length: int, rows: int, trains: bool) -> Phase:
    model, cut = architecture(settings.model), layout(settings)
    width = BYTES[settings.cluster.precision]
    items = _states(settings, stage, trains=trains)
    if settings.rollouts.engine == "trtllm":
        if settings.trtllm.offload_optimizer:
            items.pop("optimizer", None)
        per_token = kv_cache.token_bytes(model, cut.tensor, model.num_layers, width)
        items["KV cache"] = kv_cache.trtllm_bytes(per_token, rows, length)
        return Phase(ROLLOUTS, items | _trtllm(settings, rows))
    layers = model.num_layers // cut.pipeline
    items["KV cache"] = kv_cache.megatron_bytes(kv_cache.token_bytes(model, cut.tensor, layers, width), rows, length)
    prompt = settings.data.max_prompt_length
    items["engine buffers"] = engines.megatron_bytes(
        model,
        cut.tensor,
        tokens=engines.prefill_rows(rows, prompt) * prompt,
        rows=rows,
        key_bytes=items["KV cache"] // (2 * layers),
        width=width,
    )
    return Phase(ROLLOUTS, items)


def _states(settings: Settings, stage: int, *, trains: bool = True) -> dict[str, int]:
    """What stays on a rank in every phase."""
    cut, cluster = layout(settings), settings.cluster
    held = rank_parameters(architecture(settings.model), cut, stage)
    items = {
        "weights": weight_bytes(held, cluster.precision),
        "reserve": round(cluster.memory_reserve_gib * GIB),
    }
    if trains:
        items["gradients"] = gradient_bytes(held, cluster.precision, settings.optimizer.gradient_dtype)
        items["optimizer"] = optimizer_bytes(held, cluster.precision, cut.data)
    return items


def _trtllm(settings: Settings, rows: int) -> dict[str, int]:
    """The TensorRT-LLM engine itself: its copy of the weights and what it allocates for a pass."""
    model, tensor = architecture(settings.model), settings.model.tensor_model_parallel_size
    width = BYTES[settings.cluster.precision]
    buffers = engines.trtllm_buffer_bytes(
        model, tensor, max_num_tokens=settings.packed_prompt_tokens, rows=rows, width=width
    )
    return {
        "engine weights": weight_bytes(engine_parameters(model, tensor), settings.cluster.precision),
        "engine buffers": buffers,
    }
