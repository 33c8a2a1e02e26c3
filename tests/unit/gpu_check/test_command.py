"""``python -m recipes.gpu_check``: without a GPU, what it refuses, what it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recipes import measure_steps
from recipes.gpu_check import add_checks, device_words, main, peak_in_words, require_known_model, result, speed_rows
from recipes.gpu_checking.gpus import Gpu
from recipes.gpu_checking.inventory import find_packages
from recipes.reporting.checklist import Checklist
from tests.unit.gpu_check.recorded import REFERENCE, SPEEDS, half
from tests.unit.settings.composing import changed, composed

ROOT = Path(__file__).parents[3]
H100 = Gpu("NVIDIA H100 80GB HBM3", 85.0, "9.0", "550.54", "12.8", "2.6.0")


def _status(*words: str, gpus: Sequence[Gpu] = ()) -> int:
    with pytest.raises(SystemExit) as end:
        main(words, lambda: list(gpus))
    assert isinstance(end.value.code, int)
    return end.value.code


def test_without_a_gpu_it_says_so_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _status(f"run.directory={tmp_path}/run") == 0
    shown = capsys.readouterr().out
    assert "No GPU" in shown
    assert "skipped, nothing was run" in shown
    assert "megatron-core\t\t0.11.0" in shown
    assert not (tmp_path / "run").exists()


def test_a_machine_that_must_have_one_fails(tmp_path: Path) -> None:
    assert _status(f"run.directory={tmp_path}/run", "--require-gpu") == 1


def test_help_explains_keys_and_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert _status("--help") == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("--require-gpu", "sft.max_sequence_length", "Exit status", "result.json"))


def test_a_misspelt_key_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert _status("model.num_layer=3") == 2
    assert "model.num_layers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.vocab_size", 1024, "the demo's tokenizer"),
        ("model.architecture", "llama", "the demo's tokenizer"),
        ("cluster.devices_per_node", 2, "one process"),
        ("model.tensor_model_parallel_size", 2, "one process"),
        ("cluster.precision", "32", "bf16 on a GPU"),
    ],
)
def test_what_cannot_be_compared_is_refused(key: str, value: Any, message: str) -> None:
    settings = composed("grpo", *device_words(find_packages(), []))
    require_known_model(changed(settings, {"model.num_layers": 28}))
    with pytest.raises(ValueError, match=message):
        require_known_model(changed(settings, {key: value}))


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert _status(f"run.directory={tmp_path}", gpus=[H100]) == 2
    assert "left as it is" in capsys.readouterr().err


ON_A_BARE_MACHINE = """
import importlib.machinery, sys
finder = importlib.machinery.PathFinder
class Bare:
    @staticmethod
    def find_spec(name, path=None, target=None):
        here = name.split(".")[0] in ("recipes", "torch", "numpy") or path is not None
        return finder.find_spec(name, path, target) if here or name in sys.stdlib_module_names else None
sys.meta_path[sys.meta_path.index(finder)] = Bare
from recipes.gpu_check import main
from recipes.gpu_checking.gpus import Gpu
main([], lambda: [Gpu("NVIDIA H100", 85.0, "9.0", "550.54", "12.8", "2.6.0")])
"""


def test_a_machine_with_nothing_but_torch_is_told_all_at_once() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ON_A_BARE_MACHINE], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert "packages are not installed" in ended.stderr
    missing = (
        "nemo-toolkit 5.5",
        "nemo-aligner 0.2",
        "megatron-core 1.8",
        "lightning 0.9",
        "hydra-core 0.2",
        "rich 0.4",
    )
    assert [name for name in missing if name not in ended.stderr] == []
    assert "numpy 18" not in ended.stderr
    assert "NEEDED" in ended.stdout


def test_speeds_and_utilisation() -> None:
    # 4.945e14 FLOPs in half a second are 9.89e14 a second: all that an H100 has
    assert speed_rows(SPEEDS, H100.name)[1:] == [
        ["SFT update", "1,000", "0.500", "2,000", "100.0%"],
        ["GRPO sampling", "300", "2.000", "150", "not given"],
    ]
    assert speed_rows(SPEEDS, "NVIDIA Unheard-of")[1][-1] == "not given"
    assert "989 TFLOP/s" in peak_in_words(H100.name)
    assert "No peak FLOP/s of NVIDIA Unheard-of" in peak_in_words("NVIDIA Unheard-of")


def _concluded(**changes: Any) -> dict[str, Any]:
    checks = Checklist("check", steps=0)
    device = half(replace(REFERENCE, where="NVIDIA H100, bf16, local layers", **changes), SPEEDS)
    add_checks(checks, half(REFERENCE), device)
    return json.loads(json.dumps(result([H100], find_packages(), device, checks)))


def test_the_result_names_the_device_and_every_figure() -> None:
    found = _concluded()
    assert found["passed"] is True
    assert (found["gpus"][0]["name"], found["where"]) == (H100.name, "NVIDIA H100, bf16, local layers")
    assert found["packages"]["megatron"] == "0.11.0"
    assert len(found["checks"]) == 10
    assert [speed["model_flop_utilisation"] for speed in found["speeds"]] == [pytest.approx(1.0), None]
    assert found["speeds"][0]["tokens_per_second"] == 2000
    assert found["peak_memory_gb"] == 1.5


def test_a_failed_check_fails_the_result() -> None:
    found = _concluded(grpo_gradient_norm=1.9)
    assert found["passed"] is False
    assert [check["name"] for check in found["checks"] if not check["passed"]] == ["GRPO: gradient norm, relative"]


@pytest.mark.parametrize(
    ("words", "status", "shown"),
    [
        (["--help"], 0, "usage: python -m recipes.measure_steps [-h] {reference,device}"),
        ([], 2, "the following arguments are required: half\n"),
        (["devise"], 2, "invalid choice: 'devise' (choose from"),
        (["device", "grpo.temprature=1"], 2, "the nearest right one is grpo.temperature"),
    ],
)
def test_a_half_is_named_or_nothing_starts(
    words: list[str], status: int, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure_steps, "start_frameworks", lambda *_: pytest.fail("the frameworks were started"))
    with pytest.raises(SystemExit) as end:
        measure_steps.main(words)
    assert end.value.code == status
    assert shown in "".join(capsys.readouterr())
