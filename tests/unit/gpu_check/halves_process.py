"""The halves of the check on a CPU, one process for all: ``python -m tests.unit.gpu_check.halves_process FOLDER``.

bf16 runs on a CPU through the same Megatron code (gloo, local layers) as on a GPU. Below FOLDER, each with the files
of ``recipes.measure_steps``: ``run`` (both halves), ``again`` (the reference a second time), and ``run``'s device half
with a wrong model: ``no_qkv_bias``, ``rope``. ``imported.json`` lists the distributions that the imports pulled in.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from importlib import metadata
from pathlib import Path

import torch

from tests.parity.forked_ranks import run_on_forked_ranks

SIZES = (
    "model.num_layers=2",
    "model.hidden_size=64",
    "model.ffn_hidden_size=192",
    "model.max_position_embeddings=256",
    "sft.max_sequence_length=64",
    "rollouts.batch_size=8",
    "grpo.max_response_length=16",
)
OTHER_ROPE = ("model.rope_theta=100",)


def main(folder: Path, sizes: Sequence[str] = SIZES) -> None:
    """Import once, then fork a child for each half."""
    from recipes.backends.quiet import quiet_frameworks

    quiet_frameworks(folder / "frameworks.log")
    from recipes.backends.cpu.install import install_cpu_room

    install_cpu_room()
    torch.set_num_threads(1)
    import recipes.backends.aligner.actor
    import recipes.backends.aligner.sft  # noqa: F401  (shared by the forks)
    from recipes.backends.aligner.hf_import import import_hf

    (folder / "imported.json").write_text(json.dumps(sorted(_imported())))
    run = folder / "run"
    _half(run, sizes, reference=True)
    _half(folder / "again", sizes, reference=True)
    _half(run, sizes, reference=False)
    for name, words in (("no_qkv_bias", ()), ("rope", OTHER_ROPE)):
        wrong = folder / name
        shutil.copytree(run, wrong)
        if name == "no_qkv_bias":
            _without_bias(wrong / "hf")
        import_hf(wrong / "hf", wrong / "model.nemo", {"model.rope_theta": 100.0} if words else {})
        _half(wrong, [*sizes, *words], reference=False)


def _half(folder: Path, words: Sequence[str], *, reference: bool) -> None:
    folder.mkdir(exist_ok=True)
    run_on_forked_ranks(1, partial(_measure, folder, words, reference), timeout_seconds=600)


def _measure(folder: Path, words: Sequence[str], reference: bool) -> None:
    from recipes.gpu_check import ON_CPU, PRESET
    from recipes.measure_steps import measure
    from recipes.settings.compose import compose

    precision = "32" if reference else "bf16"
    own = [*words, f"run.directory={folder}", *ON_CPU, f"cluster.precision={precision}"]
    half = measure(compose("grpo", [*PRESET, *own]), reference=reference)
    half.write(folder / ("reference.json" if reference else "device.json"))


def _without_bias(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    [file] = folder.glob("*.safetensors")
    weights = load_file(file)
    biases = [name for name in weights if name.endswith("proj.bias")]
    assert biases
    save_file(weights | {name: torch.zeros_like(weights[name]) for name in biases}, file, metadata={"format": "pt"})


def _imported() -> set[str]:
    """Distributions of every imported top-level module."""
    of_module = metadata.packages_distributions()
    found = {name for module in sys.modules for name in of_module.get(module.split(".")[0], [])}
    return {name.lower().replace("_", "-") for name in found}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or SIZES)
