"""NeMo's configuration on H100: the profile turns on what it promises, and NeMo's installed sources read every key."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest

from recipes.backends.aligner import nemo_config
from tests.unit.settings.composing import PRETRAINED, composed

SOURCES = {
    "nemo": (
        "collections/nlp/models/language_modeling/megatron_base_model.py",
        "collections/nlp/models/language_modeling/megatron_gpt_model.py",
        "collections/nlp/models/nlp_model.py",
        "core/classes/modelPT.py",
        "core/optim/lr_scheduler.py",
        "utils/callbacks/dist_ckpt_io.py",
        "collections/nlp/parts/megatron_trainer_builder.py",
    ),
    "megatron": ("core/model_parallel_config.py", "core/transformer/transformer_config.py"),
}
"""Where keys are read; NeMo hands every field of Megatron-core's two configurations on by its name."""


@cache
def source(package: str, file: str) -> str:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations is not None
    return (Path(next(iter(spec.submodule_search_locations))) / file).read_text(encoding="utf-8")


def is_read(key: str) -> bool:
    asked = re.compile(rf"""[\[(]\s*['"]{key}['"]|['"]{key}['"] in |cfg\.(model\.)?{key}\b""")
    field = re.compile(rf"^    {key}: ", flags=re.MULTILINE)
    return any(asked.search(source("nemo", file)) for file in SOURCES["nemo"]) or any(
        field.search(source("megatron", file)) for file in SOURCES["megatron"]
    )


def config(*words: str):
    settings = composed("grpo", "cluster=h100", "stage=math4", PRETRAINED, *words)
    return nemo_config.model_config(settings, micro_batch_size=1, global_batch_size=2048, max_steps=10)


OWN = ("answer_only_loss", "data", "peft", "reinforce", "tokenizer", "optim", "seed")
"""Not Megatron's: NeMo-Aligner's own and nodes with keys of their own."""


@pytest.mark.parametrize("key", [key for key in config() if key not in OWN])
def test_nemo_reads_the_model_s_key(key: str) -> None:
    assert is_read(key)


@pytest.mark.parametrize("key", [key for key in config().optim if key != "sched"])
def test_nemo_reads_the_optimizer_s_key(key: str) -> None:
    assert is_read(key)


def test_a_key_that_nobody_reads_is_found() -> None:
    assert not is_read("sync_batch_comm")  # of older NeMo


def test_h100_trains_in_bf16_with_fp32_master_weights_and_gradients() -> None:
    found = config()
    assert (found.precision, found.megatron_amp_O2, found.transformer_engine) == ("bf16-mixed", True, True)
    assert found.optim.name == "mcore_distributed_optim"
    assert found.optim.grad_sync_dtype == "fp32"
    assert config("optimizer.gradient_dtype=bf16").optim.grad_sync_dtype == "bf16"
    gpt = source("nemo", SOURCES["nemo"][1])
    assert "grad_reduce_in_fp32=(self.cfg.optim.get('grad_sync_dtype', 'fp32') == 'fp32')" in gpt
    assert "use_distributed_optimizer=True" in gpt


def test_h100_cuts_the_model_and_recomputes() -> None:
    found = config()
    assert (found.tensor_model_parallel_size, found.pipeline_model_parallel_size) == (4, 1)
    assert found.sequence_parallel
    assert found.activations_checkpoint_granularity == "full"
    assert (found.activations_checkpoint_method, found.activations_checkpoint_num_layers) == ("uniform", 1)


def test_gradients_travel_beside_the_backward_pass_on_gpus_alone_and_weights_never() -> None:
    assert config().optim.overlap_grad_sync
    cpu = nemo_config.optimizer_config(composed().optimizer, composed().cluster, 10)
    assert not cpu["overlap_grad_sync"]
    assert not config().optim.overlap_param_sync
