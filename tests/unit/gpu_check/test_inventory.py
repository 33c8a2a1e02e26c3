"""What is found, what stands in for it, the profile that follows, and what to carry: with made-up installations."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.backends.aligner.nemo_config import model_config
from recipes.gpu_check import device_words
from recipes.gpu_checking.gpus import driver_version
from recipes.gpu_checking.inventory import (
    PACKAGES,
    Needed,
    find_packages,
    import_chain,
    installed_version,
    missing_packages,
    package_rows,
)
from recipes.reporting.tab_aligned import tab_aligned
from recipes.settings.checks import value_problems
from recipes.settings.compose import compose

CORE = {"torch", "nemo", "nemo_aligner", "megatron"}
OPTIONAL = {"apex", "transformer_engine", "tensorrt_llm", "flash_attn"}


def _found(*optional: str) -> dict[str, str | None]:
    installed = CORE | set(optional)
    return find_packages(lambda distribution, module: "1.0" if module in installed else None)


@pytest.mark.parametrize(
    ("optional", "layer_spec", "fused"),
    [
        ((), "local", False),
        (("apex",), "local", False),
        (("transformer_engine",), "transformer_engine", False),
        (("apex", "transformer_engine"), "transformer_engine", True),
        (("apex", "transformer_engine", "tensorrt_llm", "flash_attn"), "transformer_engine", True),
        (("tensorrt_llm",), "local", False),
    ],
)
def test_the_profile_uses_what_is_installed(optional: tuple[str, ...], layer_spec: str, fused: bool) -> None:
    settings = compose("grpo", device_words(_found(*optional), []))
    cluster = settings.cluster
    assert (cluster.layer_spec, cluster.fused_kernels) == (layer_spec, fused)
    assert (cluster.accelerator, cluster.precision, cluster.devices_per_node) == ("gpu", "bf16", 1)
    assert value_problems(settings, "grpo") == []
    nemo = model_config(settings, micro_batch_size=4, global_batch_size=8, max_steps=1)
    assert nemo.transformer_engine == (layer_spec == "transformer_engine")
    assert (nemo.megatron_amp_O2, nemo.precision, nemo.use_cpu_initialization) == (True, "bf16-mixed", False)
    fusions = ("masked_softmax_fusion", "bias_activation_fusion", "apply_rope_fusion", "gradient_accumulation_fusion")
    assert {nemo[name] for name in fusions} == {fused}
    assert nemo.qkv_bias


def test_the_users_words_win() -> None:
    words = device_words(_found("apex", "transformer_engine"), ["cluster.layer_spec=local", "model.num_layers=4"])
    settings = compose("grpo", words)
    assert (settings.cluster.layer_spec, settings.model.num_layers) == ("local", 4)


def test_the_table_says_what_is_used_instead() -> None:
    rows = package_rows(_found("apex"))
    assert [row[0] for row in rows[1:]] == [package.distribution for package in PACKAGES]
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["apex"] == ["1.0", "fused kernels, with Transformer Engine"]
    assert by_name["transformer-engine"] == ["missing", "instead: Megatron's local layer spec"]
    assert len(tab_aligned(rows)) == len(PACKAGES) + 1
    nothing = package_rows(dict.fromkeys(CORE | OPTIONAL))
    assert [row[0] for row in nothing if row[2] == "NEEDED"] == [
        "torch",
        "nemo-toolkit",
        "nemo-aligner",
        "megatron-core",
    ]


def test_this_python_has_the_stack() -> None:
    assert installed_version("megatron-core", "megatron") == "0.11.0"
    assert installed_version("protobuf", "google.protobuf") is not None
    assert installed_version("nothing", "no_such_module") is None
    assert installed_version("nothing", "no_such_module.part") is None
    assert missing_packages(import_chain()) is None


def test_everything_that_is_missing_is_named_at_once_with_its_size() -> None:
    chain = [Needed("nemo-toolkit", "nemo", 5.42), Needed("lightning", "lightning", 0.81), Needed("numpy", "numpy", 18)]
    message = missing_packages(chain, lambda _, module: None if module in ("torch", "nemo", "lightning") else "1.0")
    assert message is not None
    assert "torch is not installed" in message
    assert "2 packages are not installed (MB of each wheel): nemo-toolkit 5.5, lightning 0.9. 6 MB in all." in message
    assert "requirements.lock" in message
    assert "numpy" not in message
    assert missing_packages(chain, lambda *_: "4.48.3") is None


def test_a_transformers_that_is_too_new_is_named() -> None:
    message = missing_packages([], lambda *_: "5.1.0")
    assert message == "transformers: found 5.1.0, expected 4.48: 5.x is too new for NeMo 2.2.1"


def test_the_chain_is_sorted_by_size_and_has_the_frameworks() -> None:
    chain = import_chain()
    assert {"nemo", "nemo_aligner", "megatron", "lightning", "transformers"} <= {needed.module for needed in chain}
    sizes = [needed.megabytes for needed in chain]
    assert sizes == sorted(sizes, reverse=True)
    assert {needed.module for needed in import_chain(container=True)} == {"nemo", "nemo_aligner", "megatron"}


def test_the_lock_has_the_version_of_every_package_to_carry() -> None:
    lines = (Path(__file__).parents[3] / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    assert [needed.distribution for needed in import_chain() if needed.distribution not in pinned] == []


def test_the_driver() -> None:
    def fail(*_: object, **__: object) -> str:
        raise FileNotFoundError("nvidia-smi")

    assert driver_version(lambda *_, **__: "550.54.15\n550.54.15\n") == "550.54.15"
    assert driver_version(lambda *_, **__: "") == "unknown"
    assert driver_version(fail) == "unknown"
