"""Patches of Megatron-core 0.11.0."""

from __future__ import annotations

import contextlib
import inspect
import os
import pickle
import queue
import tempfile
from collections.abc import Iterator
from typing import Any

import torch

from recipes.backends.cpu.condition import NO_FUSED_ADAM, TORCH_AFTER_2_6
from recipes.backends.cpu.patch import Patch, PatchTargetMoved, replace_constants, require_parameters

LIBRARY = "megatron-core 0.11.0"
CORE = "megatron.core."
RANDOM = CORE + "tensor_parallel.random"
WRITER = CORE + "dist_checkpointing.strategies.filesystem_async"
DISTRIBUTED_OPTIMIZER = CORE + "optimizer.distrib_optimizer"

DEVICE_LITERALS = (
    "pipeline_parallel.schedules.forward_backward_no_pipelining",
    "optimizer.optimizer.MixedPrecisionOptimizer.__init__",
    "optimizer.optimizer.FP32Optimizer.__init__",
    "optimizer.clip_grads.get_grad_norm_fp32",
    "optimizer.clip_grads.clip_grad_by_total_norm_fp32",
    "optimizer.clip_grads.count_zeros_fp32",
    "transformer.utils.get_default_causal_mask",
    "tensor_parallel.data._build_key_size_numel_dictionaries",
    "utils.local_multi_tensor_l2_norm",
    "dist_checkpointing.strategies.state_dict_saver.verify_global_md_reuse",
    "dist_checkpointing.exchange_utils._get_empty_tensor_for_exchange",
    "dist_checkpointing.exchange_utils.exchange_loaded_tensors_gather_rounds",
)
"""Functions on the path of a dense GPT model that name the device "cuda" in a literal."""


def _compile() -> None:
    compiled = torch.compile

    def eager(function: Any = None, **options: Any) -> Any:
        return function if function is not None else eager

    torch.compile = eager
    try:
        import megatron.core  # noqa: F401
        import nemo.collections.nlp.models.language_modeling.megatron_gpt_model  # noqa: F401
    finally:
        torch.compile = compiled


def _device_literals() -> None:
    for name in DEVICE_LITERALS:
        replace_constants("megatron_device_literals", CORE + name, {"cuda": "cpu"})


def _parameter_type_literals() -> None:
    patch = "megatron_parameter_types"
    cpu_name = {f"torch.cuda.{kind}Tensor": f"torch.{kind}Tensor" for kind in ("Half", "BFloat16", "Float")}
    of_parameter = DISTRIBUTED_OPTIMIZER + ".DistributedOptimizer"
    replace_constants(patch, of_parameter + "._build_model_and_main_param_groups", cpu_name)
    half = {name: cpu_name[name] for name in ("torch.cuda.HalfTensor", "torch.cuda.BFloat16Tensor")}
    replace_constants(patch, of_parameter + ".__init__", half)
    replace_constants(
        patch,
        CORE + "optimizer.clip_grads.clip_grad_by_total_norm_fp32",
        {"torch.cuda.FloatTensor": "torch.FloatTensor"},
    )


class _TorchWithCpuGenerator:
    """`torch` as seen by megatron.core.tensor_parallel.random, whose CUDA generator is the CPU generator."""

    class cuda:
        get_rng_state = staticmethod(lambda device="cuda": torch.get_rng_state())
        manual_seed = staticmethod(torch.manual_seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def _rng() -> None:
    from megatron.core.tensor_parallel import random

    def get_rng_state(device: Any = "cuda", clone: bool = False, graph_safe: bool = False) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(new_state: torch.Tensor, device: int = -1, graph_safe: bool = False) -> None:
        torch.set_rng_state(new_state)

    @contextlib.contextmanager
    def fork(self: Any, name: str = random._MODEL_PARALLEL_RNG_TRACKER_NAME) -> Iterator[None]:
        # Megatron's own fork warns when the CPU generator moved inside the CUDA context: here the two are one.
        if name not in self.states_:
            raise RuntimeError(
                f"random state {name} is not added: call after_model_parallel_setup(seed) after the set-up"
            )
        outside = torch.get_rng_state()
        torch.set_rng_state(self.states_[name])
        try:
            yield
        finally:
            self.states_[name] = torch.get_rng_state()
            torch.set_rng_state(outside)

    for function in ("_get_cuda_rng_state", "_set_cuda_rng_state"):
        first = "device" if function == "_get_cuda_rng_state" else "new_state"
        require_parameters("megatron_rng", f"{RANDOM}.{function}", (first,))
    random._get_cuda_rng_state = get_rng_state
    random._set_cuda_rng_state = set_rng_state
    random.CudaRNGStatesTracker.fork = fork
    random.torch = _TorchWithCpuGenerator()


def _adam() -> None:
    from megatron.core import optimizer
    from megatron.core.optimizer import distrib_optimizer

    from recipes.backends.cpu.adamw import GroupStepAdamW

    for module in (optimizer, distrib_optimizer):
        if module.Adam is not torch.optim.AdamW:
            raise PatchTargetMoved(
                "megatron_adam", f"{module.__name__}.Adam", f"is {module.Adam}, expected torch.optim.AdamW"
            )
        module.Adam = GroupStepAdamW
    distrib_optimizer.HAVE_APEX_OR_TE = True


def _write_item() -> None:
    import megatron.core.dist_checkpointing.strategies.filesystem_async as writer
    import torch.distributed.checkpoint.filesystem as torch_writer

    write_item = torch_writer._write_item
    parameters = tuple(inspect.signature(write_item).parameters)
    if parameters == ("stream", "data", "write_item", "storage_key"):  # torch 2.6: as Megatron calls it
        return
    if parameters != ("transforms", "stream", "data", "write_item", "storage_key", "serialization_format"):
        raise PatchTargetMoved(
            "dist_ckpt_write_item", "torch.distributed.checkpoint.filesystem._write_item", str(parameters)
        )
    transforms = torch_writer._StorageWriterTransforms()
    torch_save = torch_writer.SerializationFormat.TORCH_SAVE

    def write_item_as_in_torch_2_6(stream: Any, data: Any, item: Any, storage_key: str) -> Any:
        return write_item(transforms, stream, data, item, storage_key, torch_save)

    writer._write_item = write_item_as_in_torch_2_6


class _ForkedResult:
    """A one-slot queue between a process and its forked child: an unlinked temporary file that the fork inherits."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the process)

    def put(self, item: Any) -> None:
        data = pickle.dumps(item)
        os.ftruncate(self._file.fileno(), 0)
        os.pwrite(self._file.fileno(), data, 0)

    def get_nowait(self) -> Any:
        size = os.fstat(self._file.fileno()).st_size
        if size == 0:
            raise queue.Empty
        data = os.pread(self._file.fileno(), size, 0)
        os.ftruncate(self._file.fileno(), 0)
        return pickle.loads(data)


def _write_results() -> None:
    from megatron.core.dist_checkpointing.strategies import filesystem_async

    require_parameters("dist_ckpt_write_results", WRITER + "._get_write_results_queue", ())
    filesystem_async._get_write_results_queue = _ForkedResult  # one for each save: ranks may be forks of one process


PATCHES = (
    Patch(
        "megatron_compile",
        LIBRARY,
        ("torch.compile",),
        "functions are decorated with torch.compile at import: takes seconds, and a call needs a C++ compiler",
        "none: the same functions, eager",
        "the decorator is lazy, or Megatron-core has a switch for it",
        _compile,
        before_import=True,
    ),
    Patch(
        "megatron_device_literals",
        LIBRARY,
        tuple(CORE + name for name in DEVICE_LITERALS),
        'device="cuda" inside functions raises "Torch not compiled with CUDA enabled" (or finds no driver)',
        "none",
        "Megatron-core names no device in literals",
        _device_literals,
    ),
    Patch(
        "megatron_parameter_types",
        LIBRARY,
        (
            DISTRIBUTED_OPTIMIZER + ".DistributedOptimizer._build_model_and_main_param_groups",
            CORE + "optimizer.clip_grads.clip_grad_by_total_norm_fp32",
        ),
        'param.type() is compared with CUDA type names: TypeError "must be one of torch.cuda.FloatTensor"',
        "none",
        "Megatron-core compares param.dtype",
        _parameter_type_literals,
    ),
    Patch(
        "megatron_rng",
        LIBRARY,
        (f"{RANDOM}.CudaRNGStatesTracker.fork", f"{RANDOM}.model_parallel_cuda_manual_seed"),
        "the tracker of model-parallel random states reads and writes CUDA's generator",
        "random numbers come from the CPU generator, so dropout masks differ from a GPU's",
        "Megatron-core's tracker accepts a CPU generator",
        _rng,
    ),
    Patch(
        "megatron_adam",
        LIBRARY,
        (CORE + "optimizer.Adam", DISTRIBUTED_OPTIMIZER + ".Adam", DISTRIBUTED_OPTIMIZER + ".HAVE_APEX_OR_TE"),
        'torch.optim.AdamW keeps "step" per parameter, which the distributed checkpoint cannot shard',
        "none: equal to torch.optim.AdamW",
        "Megatron-core saves torch.optim.AdamW",
        _adam,
        condition=NO_FUSED_ADAM,
    ),
    Patch(
        "dist_ckpt_write_item",
        LIBRARY,
        (
            WRITER + "._write_item",
            "torch.distributed.checkpoint.filesystem._write_item",
        ),
        "torch after 2.6 added two arguments to the private function that Megatron calls",
        "none",
        "Megatron-core passes them",
        _write_item,
        condition=TORCH_AFTER_2_6,
    ),
    Patch(
        "dist_ckpt_write_results",
        LIBRARY,
        (WRITER + "._get_write_results_queue", WRITER + ".FileSystemWriterAsync.retrieve_write_results"),
        "spawns a manager process that imports the main module again (seconds), and that outlives a killed run",
        "none",
        "Megatron-core's synchronous save needs no manager process",
        _write_results,
    ),
)
