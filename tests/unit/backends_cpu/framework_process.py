"""One process that imports the frameworks once and forks a child for everything the tests of the room want to know.

Run as ``python -m tests.unit.backends_cpu.framework_process FOLDER``; writes ``FOLDER/answers.json``:

- ``patches``: ``{patch: {"without": text, "with": text}}``, "ok" or what the patch's provocation raised;
- ``ordinary``: ``{check: text}``, torch and transformers used as always after every patch was applied;
- ``sft``: ``{run: [{"error": text, "value": what tiny_sft.sft returned} for every rank]}``.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recipes.backends.cpu.condition import GPU_ONLY
from recipes.backends.master_port import free_master_port
from tests.unit.backends_cpu import ordinary, provoke, tiny_sft

RUNS = {
    # name: (starts from a copy of the run, tensor, pipeline, data, steps)
    "single": (None, 1, 1, 1, 3),
    "single_straight": (None, 1, 1, 1, 5),
    "single_resumed": ("single", 1, 1, 1, 5),
    "tensor_2_resumed": ("single", 2, 1, 1, 5),
    "pipeline_2_resumed": ("single", 1, 2, 1, 5),
    "data_2": (None, 1, 1, 2, 3),
    "data_2_resumed": ("data_2", 1, 1, 2, 5),
}


def main(folder: Path) -> None:
    from recipes.backends.cpu.install import registry
    from recipes.backends.quiet import quiet_frameworks

    quiet_frameworks(folder / "frameworks.log")
    sys.path.insert(0, str(_packages_that_need_cuda(folder / "site")))
    early = [patch for patch in registry() if patch.before_import]
    for patch in early:
        patch.install()
    import nemo_aligner.algorithms.supervised
    import nemo_aligner.models.nlp.gpt.gpt_sft_model
    import nemo_aligner.utils.text_generation_utils  # noqa: F401

    def provoked(name: str, without: bool) -> str:
        def run() -> None:
            _apply_later_patches(skip=name if without else None)
            if without and name in {patch.name for patch in early}:
                _take_back(name)
            provoke.PROVOKE[name]()

        return in_children([run])[0]["error"]

    def used_as_always(check: Callable[[], None]) -> str:
        def run() -> None:
            _apply_later_patches()
            check()

        return in_children([run])[0]["error"]

    answers: dict[str, Any] = {
        "patches": {name: {"without": provoked(name, True), "with": provoked(name, False)} for name in provoke.PROVOKE},
        "ordinary": {check.__name__: used_as_always(check) for check in ordinary.CHECKS},
        "sft": {},
    }
    tiny_sft.make_tokenizer(folder / "tokenizer")
    tiny_sft.make_data(folder / "train.jsonl")
    for name, (start, tensor, pipeline, data, steps) in RUNS.items():
        if start:
            shutil.copytree(folder / start, folder / name)
        answers["sft"][name] = _sft(folder / name, tensor, pipeline, data, steps)
    (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


def _packages_that_need_cuda(site: Path) -> Path:
    """As in NVIDIA's container: Apex and Transformer Engine are installed, and importing them ends without a GPU."""
    for name in ("apex", "amp_C", "transformer_engine", "transformer_engine_torch"):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text(f"raise OSError('{name}: libcuda.so.1 is missing')\n")
    return site


def _sft(folder: Path, tensor: int, pipeline: int, data: int, steps: int) -> list[dict[str, Any]]:
    world = tensor * pipeline * data
    port = free_master_port()

    def rank_of(rank: int) -> Callable[[], Any]:
        def run() -> Any:
            os.environ.update(
                RANK=str(rank),
                LOCAL_RANK=str(rank),
                WORLD_SIZE=str(world),
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=str(port),
            )
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (progress bars)
            _apply_later_patches()
            return tiny_sft.sft(folder, tensor=tensor, pipeline=pipeline, data=data, steps=steps)

        return run

    return in_children([rank_of(rank) for rank in range(world)])


def in_children(functions: list[Callable[[], Any]], seconds: int = 90) -> list[dict[str, Any]]:
    """Run every function in a forked child of its own, all at once.

    Returns:
        Per function ``{"error": "ok" or the exception with its traceback, "value": what it returned}``.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / str(index) for index in range(len(functions))]
        pids = [_fork(function, file, seconds) for function, file in zip(functions, files, strict=True)]
        for pid in pids:
            os.waitpid(pid, 0)
        silent = {"error": f"no answer within {seconds} s", "value": None}
        return [json.loads(file.read_text()) if file.exists() else silent for file in files]


def _fork(function: Callable[[], Any], answer: Path, seconds: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.alarm(seconds)
        result = {"error": "ok", "value": function()}
    except BaseException as error:
        result = {"error": f"{type(error).__name__}: {error}\n{traceback.format_exc()}", "value": None}
    answer.write_text(json.dumps(result), encoding="utf-8")
    os._exit(0)


def _apply_later_patches(skip: str | None = None) -> None:
    from recipes.backends.cpu.install import registry

    for patch in registry():
        if not patch.before_import and patch.name != skip:
            patch.install()


def _take_back(name: str) -> None:
    """Undo, in this child, a patch that was applied before the import."""
    if name == "aligner_trt_llm":
        del sys.modules["nemo_aligner.utils.trt_llm"]
    elif name == "gpu_packages":
        for package in GPU_ONLY:
            del sys.modules[package]
    elif name == "megatron_compile":
        importlib.reload(importlib.import_module("megatron.core.jit"))
        importlib.reload(importlib.import_module("megatron.core.fusions.fused_bias_swiglu"))
    else:
        raise KeyError(name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
