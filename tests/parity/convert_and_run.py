"""The frameworks' half of the parity tests, one process for all of it.

    python -m tests.parity.convert_and_run FOLDER

For every model of the zoo in ``FOLDER/<name>/hf``: import it; load the ``.nemo`` at every parallel layout and save the
logits of ``FOLDER/tokens.pt``; write a ``.nemo`` from the model under the largest layout; export that.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import torch

from tests.parity.forked_ranks import run_on_forked_ranks
from tests.parity.tiny_models import FFN, HEADS, HIDDEN, LAYERS, ZOO, TinyModel

LAYOUTS = ((1, 1), (2, 1), (1, 2), (2, 2))
"""Tensor parallel size, pipeline parallel size."""


def main(folder: Path) -> None:
    """Import the frameworks, then fork the ranks of each job."""
    from recipes.backends.quiet import quiet_frameworks

    quiet_frameworks(folder / "frameworks.log")
    from recipes.backends.cpu.install import install_cpu_room

    install_cpu_room()
    torch.set_num_threads(1)
    import recipes.backends.aligner.session  # noqa: F401 - shared by the forks
    from recipes.backends.aligner.hf_export import export_hf
    from recipes.backends.aligner.hf_import import import_hf

    for model in ZOO:
        home = folder / model.name
        import_hf(home / "hf", home / "imported.nemo", model.overrides)
        for tensor, pipeline in LAYOUTS:
            job = partial(_run_rank, model, home, folder / "tokens.pt", tensor, pipeline)
            run_on_forked_ranks(tensor * pipeline, job, timeout_seconds=120)
        export_hf(home / "written.nemo", home / "exported", max_shard_bytes=60_000)


def _run_rank(model: TinyModel, home: Path, tokens: Path, tensor: int, pipeline: int) -> None:
    from nemo.collections.nlp.models.language_modeling.megatron_gpt_model import MegatronGPTModel

    from recipes.backends.aligner.nemo_file import write_stage_model
    from recipes.backends.aligner.session import open_session

    settings = _settings(model, home, tensor, pipeline)
    session = open_session(
        MegatronGPTModel, settings, micro_batch_size=1, global_batch_size=1, max_steps=1, inference_only=True
    )
    logits = _logits(session.model, torch.load(tokens))
    if logits is not None:
        torch.save(logits, home / f"logits_tp{tensor}_pp{pipeline}.pt")
    if (tensor, pipeline) == LAYOUTS[-1]:
        write_stage_model(session.model, home / "written.nemo", settings.model)


def _settings(model: TinyModel, home: Path, tensor: int, pipeline: int):
    from recipes.settings.compose import compose

    values = {
        "run.directory": home / "run",
        "cluster.devices_per_node": tensor * pipeline,
        "model.architecture": model.family,
        "model.restore_from": home / "imported.nemo",
        "model.tokenizer": home / "hf",
        "model.num_layers": LAYERS,
        "model.hidden_size": HIDDEN,
        "model.ffn_hidden_size": FFN,
        "model.num_attention_heads": HEADS,
        "model.num_query_groups": model.groups,
        "model.vocab_size": model.vocab_size,
        "model.max_position_embeddings": model.positions,
        "model.rope_theta": model.rope_theta,
        "model.rms_norm_eps": 1e-6,
        "model.init_method_std": 0.02,
        "model.tie_word_embeddings": model.tied,
        "model.tensor_model_parallel_size": tensor,
        "model.pipeline_model_parallel_size": pipeline,
        "logging.tensorboard": "false",
    }
    return compose("sft", ["cluster=cpu", "model=tiny", *(f"{key}={value}" for key, value in values.items())])


@torch.no_grad()
def _logits(model, tokens: torch.Tensor) -> torch.Tensor | None:
    """[B, S, V] of the whole vocabulary, on the first tensor rank of the last pipeline stage; None elsewhere."""
    from megatron.core import parallel_state
    from megatron.core.pipeline_parallel.schedules import get_forward_backward_func
    from megatron.core.tensor_parallel import gather_from_tensor_model_parallel_region

    def forward_step(batches, network):
        batch = next(batches)
        positions = torch.arange(batch.size(1)).expand_as(batch)
        return network(batch, positions, None), lambda output: (output.new_zeros(()), {"logits": output})

    model.eval()
    outputs = get_forward_backward_func()(
        forward_step_func=forward_step,
        data_iterator=iter(tokens.split(1)),
        model=model.model,
        num_microbatches=len(tokens),
        forward_only=True,
        seq_length=tokens.size(1),
        micro_batch_size=1,
    )
    if not parallel_state.is_pipeline_last_stage():
        return None
    logits = gather_from_tensor_model_parallel_region(torch.cat([output["logits"] for output in outputs]))
    return logits if parallel_state.get_tensor_model_parallel_rank() == 0 else None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
