"""The frameworks' half of the update tests, one process for all of it.

    python -m tests.distributed.update_on_ranks FOLDER

For every parallel layout: load ``FOLDER/imported.nemo`` (imported here from ``FOLDER/hf``), compute the GRPO gradient
of the fixed rollouts for every case, write it as a Hugging Face state dict; greedy-decode and sample a few prompts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from unittest import mock

import torch

from recipes.memory import engines
from tests.distributed.rollouts import fixed_groups
from tests.parity.forked_ranks import run_on_forked_ranks
from tests.parity.tiny_models import ZOO

MODEL = ZOO[0]
LAYOUTS = ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2))
"""Tensor, pipeline and data parallel size."""
CASES = [
    (normalization, filtering, temperature, 2)
    for normalization, filtering, temperature in product(("group", "batch"), (True, False), (1.0, 0.85))
] + [("group", True, 0.85, 1), ("group", True, 0.85, 4), ("batch", False, 1.0, 1), ("batch", False, 1.0, 4)]
"""Token normalization, overlong filtering, temperature, micro-batch size."""
REFERENCE_TEMPERATURE = 0.85
PROMPTS = [[5, 17, 200], [9, 9, 31, 4, 77], [250, 3], [1, 2, 3, 4, 5, 6]]
NEW_TOKENS = 9


def case_name(layout: tuple[int, int, int], case: tuple[str, bool, float, int]) -> str:
    """File stem of one result."""
    return "_".join(map(str, (*layout, *case)))


def main(folder: Path) -> None:
    """Import the frameworks once, then fork the ranks of each layout."""
    from recipes.backends.quiet import quiet_frameworks

    quiet_frameworks(folder / "frameworks.log")
    from recipes.backends.cpu.install import install_cpu_room

    install_cpu_room()
    torch.set_num_threads(1)
    import recipes.backends.aligner.actor
    import recipes.backends.aligner.session  # noqa: F401 - shared by the forks
    from recipes.backends.aligner.hf_import import import_hf

    import_hf(folder / "hf", folder / "imported.nemo", MODEL.overrides)
    for layout in LAYOUTS:
        tensor, pipeline, data = layout
        run_on_forked_ranks(tensor * pipeline * data, partial(_run_rank, folder, layout), timeout_seconds=240)


def _run_rank(folder: Path, layout: tuple[int, int, int]) -> None:
    from recipes.backends.aligner.actor import GrpoActor
    from recipes.backends.aligner.ranks import MegatronRanks
    from recipes.backends.aligner.session import open_session

    session = open_session(
        GrpoActor,
        _settings(folder, layout),
        micro_batch_size=2,
        global_batch_size=16,
        max_steps=1,
        keep_reference=True,
    )
    ranks = MegatronRanks()
    _sample(folder, layout, session, ranks)
    _reference(folder, layout, session, ranks)
    for case in CASES:
        _gradient(folder, layout, case, session, ranks)


def _sample(folder: Path, layout: tuple[int, int, int], session, ranks) -> None:
    from recipes.backends.aligner.rollouts import MegatronEngine

    engine = MegatronEngine(session.model, end_tokens=[256], pad_token=256, batch_size=3)
    results = {}

    def sample(name: str, temperature: float) -> None:
        generations = engine.generate(PROMPTS, max_new_tokens=NEW_TOKENS, temperature=temperature, top_p=1.0, seed=11)
        results[name] = [[list(g.tokens), g.truncated] for g in generations]

    sample("greedy", 0.0)
    sample("sampled", 0.85)
    with mock.patch.object(engines, "PREFILL_TOKENS", 6):  # rows of two prompts at a time, then of one
        sample("prefill_in_parts", 0.0)
    with as_on_h100(session.model) as unchanged:
        sample("while_training", 0.0)
    results["given_back"] = unchanged
    if ranks.is_main:
        (folder / f"generations_{'_'.join(map(str, layout))}.json").write_text(json.dumps(results))


@contextmanager
def as_on_h100(model) -> Iterator[list[bool]]:
    """Training mode, full recomputation and, over tensor-parallel ranks, sequence parallelism, as after an update.

    Sequence parallelism is switched on behind the back of torch's norm, which refuses it when it is built and computes
    the same for each token. The list tells afterwards whether sampling gave everything back.
    """
    config, (chunk,) = model.transformer_config, model.model
    flags = [
        (module, name)
        for module in chunk.modules()
        for name in ("sequence_parallel", "reduce_scatter_embeddings")
        if hasattr(module, name) and model.cfg.tensor_model_parallel_size > 1
    ]
    owners = [*flags, *([(config, "sequence_parallel")] if flags else [])]
    for owner, name in owners:
        setattr(owner, name, True)
    config.recompute_granularity, config.recompute_method, config.recompute_num_layers = "full", "uniform", 1
    chunk.train()
    unchanged: list[bool] = []
    yield unchanged
    unchanged.append(chunk.training and all(getattr(owner, name) for owner, name in owners))
    for owner, name in owners:
        setattr(owner, name, False)
    config.recompute_granularity = config.recompute_method = config.recompute_num_layers = None


def _reference(folder: Path, layout: tuple[int, int, int], session, ranks) -> None:
    """Log-probs of the weights the session started from, after they have moved; then the weights are put back."""
    from recipes.backends.aligner.policy import AlignerPolicy
    from recipes.training.batching import policy_batch

    settings = _settings(folder, layout).grpo
    settings.temperature = REFERENCE_TEMPERATURE
    batch = policy_batch(
        fixed_groups()[ranks.replica :: ranks.replicas], settings, ranks, pad_token=256, width_multiple=1
    )
    start = {parameter: parameter.data.clone() for parameter in session.model.parameters()}
    for parameter in start:
        parameter.data.mul_(1.5)
    values = AlignerPolicy(session, settings).reference_log_probs(batch)
    moved = all(torch.equal(parameter.data, weight * 1.5) for parameter, weight in start.items())
    for parameter, weight in start.items():
        parameter.data.copy_(weight)
    entropy = AlignerPolicy(session, settings).entropy(batch, REFERENCE_TEMPERATURE)
    if ranks.is_main:
        result = {"log_probs": values, "mask": batch.response_mask, "weights_given_back": moved, "entropy": entropy}
        torch.save(result, folder / f"reference_{'_'.join(map(str, layout))}.pt")


def _gradient(folder: Path, layout, case, session, ranks) -> None:
    from nemo_aligner.utils.utils import configure_batch_sizes

    from recipes.training.batching import policy_batch

    normalization, filtering, temperature, micro_batch_size = case
    settings = _settings(folder, layout).grpo
    settings.token_normalization, settings.overlong_filtering = normalization, filtering
    mine = fixed_groups()[ranks.replica :: ranks.replicas]
    batch = policy_batch(mine, settings, ranks, pad_token=256, width_multiple=1)
    configure_batch_sizes(mbs=micro_batch_size, gbs=16, dp=ranks.replicas)
    session.optimizer.zero_grad()
    session.model.prepare_for_training_step()
    sums = session.model.forward_backward(
        batch, micro_batch_size=micro_batch_size, temperature=temperature, kl_coefficient=0.0
    )
    session.model.finish_training_step()
    gradient = _gathered_gradient(session.model, folder)
    if ranks.is_main:
        torch.save(
            {"loss": sums.loss, "entropy": sums.entropy, "tokens": sums.tokens, "gradient": gradient},
            folder / f"{case_name(layout, case)}.pt",
        )


def _gathered_gradient(model, folder: Path) -> dict[str, torch.Tensor] | None:
    """The whole gradient under Hugging Face names: put in the weights' place, written and exported as they would be."""
    from megatron.core import parallel_state
    from safetensors.torch import load_file

    from recipes.backends.aligner.hf_export import export_hf
    from recipes.backends.aligner.nemo_file import write_nemo

    for chunk in model.model:
        for buffer in chunk.buffers:
            for bucket in buffer.buckets:
                # The distributed optimizer leaves each data-parallel rank with its part of the reduced gradient.
                parts = bucket.grad_data.chunk(parallel_state.get_data_parallel_world_size())
                mine = parts[parallel_state.get_data_parallel_rank()].clone()
                torch.distributed.all_gather(list(parts), mine, group=parallel_state.get_data_parallel_group())
    weights = {parameter: parameter.data.clone() for parameter in model.parameters()}
    for parameter in weights:
        parameter.data.copy_(parameter.main_grad)
    write_nemo(model, folder / "gradient.nemo", folder / "hf")
    for parameter, weight in weights.items():
        parameter.data.copy_(weight)
    if torch.distributed.get_rank() != 0:
        return None
    export_hf(folder / "gradient.nemo", folder / "gradient")
    return load_file(folder / "gradient" / "model.safetensors")


def _settings(folder: Path, layout: tuple[int, int, int]):
    from recipes.settings.compose import compose

    tensor, pipeline, data = layout
    values = {
        "run.directory": folder / "run",
        "cluster.devices_per_node": tensor * pipeline * data,
        "model.architecture": "qwen2",
        "model.restore_from": folder / "imported.nemo",
        "model.tokenizer": folder / "hf",
        "model.num_layers": 4,
        "model.hidden_size": 32,
        "model.ffn_hidden_size": 48,
        "model.num_attention_heads": 4,
        "model.num_query_groups": MODEL.groups,
        "model.vocab_size": MODEL.vocab_size,
        "model.max_position_embeddings": MODEL.positions,
        "model.rope_theta": MODEL.rope_theta,
        "model.tie_word_embeddings": str(MODEL.tied).lower(),
        "model.tensor_model_parallel_size": tensor,
        "model.pipeline_model_parallel_size": pipeline,
        "data.max_prompt_length": 8,
        "grpo.max_response_length": 12,
        "grpo.prompts_per_step": 4,
        "grpo.rollouts_per_prompt": 4,
        "grpo.micro_batch_size": 2,
        "logging.tensorboard": "false",
    }
    return compose("grpo", ["stage=math1", "cluster=cpu", "model=tiny", *(f"{k}={v}" for k, v in values.items())])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
