"""Does the recipe compute on this GPU what it computes on a CPU, and how fast?

    python -m recipes.gpu_check [run.directory=runs/gpu_check] [--require-gpu] [KEY=VALUE ...]

1. Says what is there: GPU, driver, CUDA, torch, and which packages of NVIDIA's container; what is used instead of those
   that are missing (Apex, Transformer Engine and TensorRT-LLM may be).
2. CPU, fp32, in a process of its own: a Qwen2 of 25 million random weights, three SFT updates, rollouts from the
   Megatron engine, their log-probabilities, one GRPO update.
3. One GPU, bf16, the best layers that are installed: the same weights, tokens and steps; then speeds.
4. Losses, log-probabilities and gradient norms side by side. The tolerances are what bf16's rounding explains; a
   dropped bias or another rotary base lies far outside (recipes/gpu_checking/agreement.py derives and measures them).
5. Tokens per second, and model FLOP utilisation where the GPU's peak is known.

Everything is also in run.directory/result.json, with the names of device and packages; run.directory starts afresh
every time. Keys worth changing (any other key of the recipe works too):

    sft.max_sequence_length=2048      tokens of the sequences that the SFT speed is measured with
    rollouts.batch_size=128           responses sampled at a time, and rollouts of the timed GRPO update
    grpo.max_response_length=256      their tokens
    model.num_layers=16 model.hidden_size=1024 model.ffn_hidden_size=4096   a larger model: the small one waits for
                                      kernel launches. The CPU computes it once; tolerances were measured up to 8 x 512
    cluster.layer_spec=local cluster.fused_kernels=false   without Transformer Engine and Apex though they are there

Exit status: 0 all checks passed, or no GPU and nothing was run (1 with --require-gpu, for a machine that must have
one); 1 a check or a step failed; 2 wrong settings, or packages are missing: all are named, with their sizes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.atomic_files import write_text
from recipes.data.work_folder import start_afresh
from recipes.gpu_checking.agreement import compare, unsound
from recipes.gpu_checking.flops import peak_flops, utilisation
from recipes.gpu_checking.gpus import Gpu, visible_gpus
from recipes.gpu_checking.inventory import find_packages, import_chain, missing_packages, package_rows, profile_words
from recipes.gpu_checking.measurements import Half, Speed
from recipes.reporting.tab_aligned import tab_aligned
from recipes.settings.schema import Settings
from recipes.user_input import checked_input

if TYPE_CHECKING:  # on a machine without the packages this module has to say which are missing
    from recipes.reporting.checklist import Checklist

COMMAND = "python -m recipes.gpu_check"
RESULT = "result.json"
PRESET = (
    "stage=math1",
    "cluster=one_gpu",
    "run.directory=runs/gpu_check",
    "model.restore_from=${run.directory}/model.nemo",
    "model.tokenizer=${run.directory}/hf",
    "data.max_prompt_length=64",
    "sft.max_sequence_length=2048",
    "grpo.max_response_length=256",
    "grpo.temperature=1.0",
    "rollouts.batch_size=128",
    "validation.every_steps=0",
    "optimizer.learning_rate=1e-3",  # the tolerances after an update were measured with it
    "logging.tensorboard=false",
)
ON_CPU = (
    "cluster.accelerator=cpu",
    "cluster.precision=32",
    "cluster.layer_spec=local",
    "cluster.fused_kernels=false",
    f"cluster.threads_per_process={min(os.cpu_count() or 1, 16)}",
)
"""Words of the reference, after those of the device."""
FAMILY = ("model.architecture=qwen2", "model.vocab_size=512")
"""What the model's maker and its tokenizer ask for."""


def main(arguments: Sequence[str] | None = None, find_gpus: Callable[[], list[Gpu]] = visible_gpus) -> None:
    """The command ``python -m recipes.gpu_check``.

    Args:
        arguments: words after the program's name; None takes those of the process.
        find_gpus: the devices of this machine.

    Raises:
        SystemExit: always; the status is explained in the help.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if {"--help", "-h"} & {*given}:
        print(__doc__)
        sys.exit(0)
    words = [word for word in given if word != "--require-gpu"]
    chain = import_chain(container="NVIDIA_PYTORCH_VERSION" in os.environ)
    found, gpus, missing = find_packages(), find_gpus(), missing_packages(chain)
    print(*tab_aligned(package_rows(found)), "", sep="\n")
    if gpus:
        print(*tab_aligned([Gpu.HEAD, *(gpu.row for gpu in gpus)]), "", sep="\n")
    if gpus and missing:
        print(f"{COMMAND}: {missing}", file=sys.stderr)
        sys.exit(2)
    if not missing:
        checks = _check_words(device_words(found, words), gpus)
    if not gpus:
        print("No GPU (torch sees no CUDA device): skipped, nothing was run and nothing is proven.")
        sys.exit(1 if "--require-gpu" in given else 0)
    checks.run(gpus, found)
    sys.exit(0 if checks.checks.passed else 1)


def _check_words(words: Sequence[str], gpus: Sequence[Gpu]) -> GpuCheck:
    """The steps to come; where there is a GPU, in a folder that is empty but for its marker."""
    from recipes.reporting.checklist import Checklist
    from recipes.settings.compose import settings_from_command_line

    settings = settings_from_command_line("grpo", __doc__ or "", words, require_files=False, module="recipes.gpu_check")
    root = Path(settings.run.directory)
    with checked_input(COMMAND):
        require_known_model(settings)
        if gpus:
            start_afresh(root, RESULT)
    return GpuCheck(settings, words, Checklist(f"{gpus[0].name if gpus else 'no GPU'} in {root}", steps=3))


def device_words(found: Mapping[str, str | None], own: Sequence[str]) -> list[str]:
    """The overrides of the GPU's half: the preset, what is installed, and last the user's."""
    return [*PRESET, *profile_words(found), *own]


def require_known_model(settings: Settings) -> None:
    """Raises ValueError for settings that the check's model, tokenizer and single process cannot be."""
    wrong = [word for word in FAMILY if str(_value(settings, word)) != word.partition("=")[2]]
    model, cluster = settings.model, settings.cluster
    sizes = (
        cluster.nodes,
        cluster.devices_per_node,
        model.tensor_model_parallel_size,
        model.pipeline_model_parallel_size,
    )
    if wrong:
        raise ValueError(f"the model is made here, with the demo's tokenizer: leave {', '.join(wrong)}")
    if sizes != (1, 1, 1, 1):
        raise ValueError(
            "one process on one GPU is compared with one on the CPU: leave nodes, devices, parallel sizes at 1"
        )
    if cluster.accelerator != "gpu" or cluster.precision != "bf16":
        raise ValueError("the tolerances are those of bf16 on a GPU: leave cluster.accelerator and cluster.precision")


def _value(settings: Settings, word: str) -> Any:
    section, name = word.partition("=")[0].split(".")
    return getattr(getattr(settings, section), name)


@dataclass(frozen=True, slots=True)
class GpuCheck:
    """The steps of the command."""

    settings: Settings
    words: Sequence[str]
    checks: Checklist

    def run(self, gpus: Sequence[Gpu], packages: Mapping[str, str | None]) -> None:
        """Both halves, the comparison, the speeds, and the file with all of it."""
        step, root = self.checks.step, Path(self.settings.run.directory)
        with step("CPU, fp32: SFT updates, rollouts, GRPO update"):
            self._half("reference", [*self.words, *ON_CPU], {"CUDA_VISIBLE_DEVICES": ""})
            reference = Half.read(root / "reference.json")
        with step("GPU, bf16: the same steps, and speeds"):
            self._half("device", self.words, {})
            device = Half.read(root / "device.json")
        with step(f"{device.measurements.where}, beside the {reference.measurements.where}"):
            add_checks(self.checks, reference, device)
        print(*tab_aligned(speed_rows(device.speeds, gpus[0].name)), "", sep="\n")
        print(f"Peak memory {device.peak_memory_gb:.1f} GB. {peak_in_words(gpus[0].name)}")
        self.checks.console.print(self.checks.table())
        write_text(root / RESULT, json.dumps(result(gpus, packages, device, self.checks), indent=1) + "\n")

    def _half(self, name: str, words: Sequence[str], environment: Mapping[str, str]) -> None:
        sys.stdout.flush()
        command = [sys.executable, "-m", "recipes.measure_steps", name, *words]
        status = subprocess.run(command, env={**os.environ, **environment}, check=False).returncode
        if status != 0:
            sys.exit(f"the {name} half ended with status {status}; its messages are above")


def result(gpus: Sequence[Gpu], packages: Mapping[str, str | None], device: Half, checks: Checklist) -> dict[str, Any]:
    """The content of ``result.json``."""
    peak = peak_flops(gpus[0].name)
    speeds = [
        {
            "name": speed.name,
            "tokens": speed.tokens,
            "seconds": speed.seconds,
            "tokens_per_second": speed.tokens_per_second,
            "model_flop_utilisation": None if speed.flops is None else utilisation(speed.flops, speed.seconds, peak),
        }
        for speed in device.speeds
    ]
    return {
        "gpus": [asdict(gpu) for gpu in gpus],
        "packages": dict(packages),
        "where": device.measurements.where,
        **json.loads(checks.as_json()),
        "speeds": speeds,
        "peak_flops": peak,
        "peak_memory_gb": device.peak_memory_gb,
    }


def add_checks(checks: Checklist, reference: Half, device: Half) -> None:
    """Sound numbers in both halves, then every comparison."""
    for name, half in (("CPU", reference), ("GPU", device)):
        defects = unsound(half.measurements)
        checks.check(f"{name}: finite numbers, gradients", not defects, "; ".join(defects) or half.measurements.where)
    for one in compare(reference.measurements, device.measurements):
        checks.check(one.name, one.passed, one.measured)


def speed_rows(speeds: Sequence[Speed], device: str) -> list[list[str]]:
    """Rows for ``tab_aligned``; no utilisation where the peak is unknown or memory bounds the step."""
    peak = peak_flops(device)
    rows = [["step", "tokens", "seconds", "tokens/s", "model FLOP utilisation"]]
    for speed in speeds:
        share = None if speed.flops is None else utilisation(speed.flops, speed.seconds, peak)
        rows.append(
            [
                speed.name,
                f"{speed.tokens:,}",
                f"{speed.seconds:.3f}",
                f"{speed.tokens_per_second:,.0f}",
                "not given" if share is None else f"{share:.1%}",
            ]
        )
    return rows


def peak_in_words(device: str) -> str:
    """What utilisation is a part of."""
    peak = peak_flops(device)
    if peak is None:
        return f"No peak FLOP/s of {device} is known here (recipes/gpu_checking/flops.py), so no utilisation is given."
    return f"Utilisation of {peak / 1e12:.0f} TFLOP/s, dense bf16; sampling is bound by memory and has none."


if __name__ == "__main__":
    main()
