"""How the model and the batch are cut over ranks: what must divide what.

Ranks = nodes x devices per node = tensor parallel x pipeline parallel x data parallel (Megatron-core's order).
"""

from __future__ import annotations

from collections.abc import Iterator

from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import Settings

_TP = "model.tensor_model_parallel_size"
_PP = "model.pipeline_model_parallel_size"


def world_size(settings: Settings) -> int:
    """Processes of a run."""
    return settings.cluster.nodes * settings.cluster.devices_per_node


def model_parallel_size(settings: Settings) -> int:
    """Ranks that hold one copy of the model."""
    return settings.model.tensor_model_parallel_size * settings.model.pipeline_model_parallel_size


def data_parallel_size(settings: Settings) -> int:
    """Copies of the model; meaningful where ``problems`` finds nothing."""
    return world_size(settings) // model_parallel_size(settings)


def replica_rollouts(settings: Settings) -> int:
    """Rollouts that one copy of the model samples and trains on in a step of GRPO."""
    return settings.grpo.prompts_per_step // data_parallel_size(settings) * settings.grpo.rollouts_per_prompt


def grading_workers(settings: Settings) -> int:
    """Grader processes of one replica: those of a node, shared out over the replicas that a node holds."""
    replicas = settings.cluster.devices_per_node // model_parallel_size(settings)
    return max(1, settings.grading.workers // max(1, replicas))


def problems(settings: Settings, command: str) -> list[SettingsProblem]:
    """What does not divide: the model, then the ranks, then the batch, each only where the one before is sound."""
    found = [*_architecture(settings), *_tensor_parallel(settings), *_pipeline_parallel(settings)]
    return found or [*_world(settings)] or [*_batch(settings, command)]


def _architecture(settings: Settings) -> Iterator[SettingsProblem]:
    model = settings.model
    heads, groups = model.num_attention_heads, model.num_query_groups
    if model.hidden_size % heads or model.hidden_size // heads % 2:
        works = _multiple(model.hidden_size, 2 * heads)
        expected = f"an even multiple of model.num_attention_heads={heads} (rotary embeddings pair channels)"
        yield SettingsProblem("model.hidden_size", str(model.hidden_size), expected, f"model.hidden_size={works}")
    if heads % groups:
        works = _largest_divisor(heads, below=groups)
        expected = f"a divisor of model.num_attention_heads={heads}"
        yield SettingsProblem("model.num_query_groups", str(groups), expected, f"model.num_query_groups={works}")


def _tensor_parallel(settings: Settings) -> Iterator[SettingsProblem]:
    model = settings.model
    tensor = model.tensor_model_parallel_size
    cut = {
        "model.num_attention_heads": model.num_attention_heads,
        "model.num_query_groups": model.num_query_groups,
        "model.ffn_hidden_size": model.ffn_hidden_size,
        "model.vocab_size": model.vocab_size,
    }
    uneven = [f"{key}={size}" for key, size in cut.items() if size % tensor]
    if uneven:
        works = [size for size in range(1, model.num_query_groups + 1) if not any(v % size for v in cut.values())]
        best = max((size for size in works if size <= tensor), default=1)
        listing = ", ".join(map(str, works))
        yield SettingsProblem(_TP, str(tensor), f"a divisor of {', '.join(uneven)}", f"{_TP}={best} ({listing} work)")
    if model.sequence_parallel and tensor == 1:
        yield SettingsProblem(
            "model.sequence_parallel", "true", f"false with {_TP}=1", f"model.sequence_parallel=false, or {_TP} above 1"
        )


def _pipeline_parallel(settings: Settings) -> Iterator[SettingsProblem]:
    layers, pipeline = settings.model.num_layers, settings.model.pipeline_model_parallel_size
    if layers % pipeline:
        works = ", ".join(str(size) for size in range(1, layers + 1) if layers % size == 0)
        fix = f"{_PP}={_largest_divisor(layers, below=pipeline)} ({works} work)"
        yield SettingsProblem(_PP, str(pipeline), f"a divisor of model.num_layers={layers}", fix)


def _world(settings: Settings) -> Iterator[SettingsProblem]:
    ranks, needed = world_size(settings), model_parallel_size(settings)
    if ranks % needed == 0:
        return
    nodes, devices = settings.cluster.nodes, settings.cluster.devices_per_node
    # A GPU node has the devices it has, so nodes are what can grow there; gloo ranks on a CPU are free to choose.
    if settings.cluster.accelerator == "gpu":
        works = next(count for count in range(nodes, nodes + needed + 1) if count * devices % needed == 0)
        key, fix = "cluster.nodes", f"cluster.nodes={works}"
    else:
        works = next(count for count in range(devices, devices + needed + 1) if count * nodes % needed == 0)
        key, fix = "cluster.devices_per_node", f"cluster.devices_per_node={works}"
    yield SettingsProblem(
        key,
        f"{ranks} processes (cluster.nodes={nodes} x cluster.devices_per_node={devices})",
        f"a multiple of {needed} ({_TP} x {_PP})",
        fix,
    )


def _batch(settings: Settings, command: str) -> Iterator[SettingsProblem]:
    copies = data_parallel_size(settings)
    if command == "sft":
        batch, micro = settings.sft.global_batch_size, settings.sft.micro_batch_size
        if batch % copies == 0 and batch // copies % micro:
            yield SettingsProblem(
                "sft.micro_batch_size",
                f"{micro} demonstrations",
                f"a divisor of {batch // copies}: sft.global_batch_size={batch} over {copies} data-parallel copies",
                f"sft.micro_batch_size={_largest_divisor(batch // copies, below=micro)}",
            )
        elif batch % copies:
            yield SettingsProblem(
                "sft.global_batch_size",
                f"{batch} demonstrations",
                f"a multiple of {copies * micro}: {copies} data-parallel copies x sft.micro_batch_size={micro}",
                f"sft.global_batch_size={_multiple(batch, copies * micro)}",
            )
    if command == "grpo":
        prompts, group, micro = (
            settings.grpo.prompts_per_step,
            settings.grpo.rollouts_per_prompt,
            settings.grpo.micro_batch_size,
        )
        if prompts % copies:
            yield SettingsProblem(
                "grpo.prompts_per_step",
                f"{prompts} prompts",
                f"a multiple of {copies}, the data-parallel copies",
                f"grpo.prompts_per_step={_multiple(prompts, copies)}",
            )
        elif prompts // copies * group % micro:
            rollouts = prompts // copies * group
            yield SettingsProblem(
                "grpo.micro_batch_size",
                f"{micro} rollouts",
                f"a divisor of {rollouts}: {prompts} prompts x {group} rollouts over {copies} data-parallel copies",
                f"grpo.micro_batch_size={_largest_divisor(rollouts, below=micro)}",
            )


def _multiple(number: int, of: int) -> int:
    """The smallest multiple of ``of`` that is at least ``number``."""
    return -(-number // of) * of


def _largest_divisor(number: int, below: int) -> int:
    return max(size for size in range(1, min(number, below) + 1) if number % size == 0)
