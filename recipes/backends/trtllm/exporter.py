"""NeMo's in-flight TensorRT-LLM export of a Megatron model on its ranks, with what it leaves out for Qwen2.5.

The engine of a replica is built once, from the weights of that moment, and refitted in memory afterwards; the files on
disk stay as they were built.
"""

from __future__ import annotations

import contextlib
import gc
import io
import shutil
from pathlib import Path
from typing import Any

import tensorrt_llm
import torch
from nemo.export.tensorrt_llm import TensorRTLLM
from nemo.export.trt_llm import tensorrt_llm_run
from nemo.export.utils import torch_dtype_from_precision

from recipes.backends.trtllm.qwen2 import qwen2_as_llama
from recipes.backends.trtllm.refit import EngineWeightsError, refit_engine


class BoundedHelper:
    """Megatron-core's ``TRTLLMHelper`` with a bound that NeMo does not pass on, and a look at the weights first."""

    def __init__(self, helper: Any, max_num_tokens: int) -> None:
        self._helper, self._max_num_tokens = helper, max_num_tokens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._helper, name)

    def build_and_save_engine(self, **options: Any) -> Any:
        """``TRTLLMHelper.build_and_save_engine`` with ``max_num_tokens``.

        Without it TensorRT-LLM takes batch x longest sequence: 32K x 64 tokens of activations, beyond TensorRT's
        tensors.

        Raises:
            EngineWeightsError: as ``require_every_weight_used``.
        """
        require_every_weight_used(options["trtllm_model_config"], options["trtllm_model_weights"])
        return self._helper.build_and_save_engine(**options, max_num_tokens=self._max_num_tokens)


def require_every_weight_used(config: Any, weights: dict[str, torch.Tensor]) -> None:
    """What TensorRT-LLM's ``PretrainedModel.load`` warns of ("Provided but not required tensors"), as an error.

    Args:
        config: TensorRT-LLM's ``PretrainedConfig``.
        weights: converted by Megatron-core.

    Raises:
        EngineWeightsError: names every weight that the network has no parameter for.
    """
    names = {"LlamaForCausalLM": "LLaMAForCausalLM"}  # as Megatron-core's engine builder spells it
    network = getattr(tensorrt_llm.models, names.get(config.architecture, config.architecture)).from_config(config)
    dropped = sorted(set(weights) - {name for name, _ in network.named_parameters()})
    if dropped:
        raise EngineWeightsError(
            f"TensorRT-LLM's {config.architecture} has no parameter for {dropped} and would drop them; expected the "
            "network of model.architecture: qwen2 where QKV has a bias (backends/trtllm/qwen2.py), llama without"
        )


class RolloutExporter(TensorRTLLM):
    """``TensorRTLLM`` for one replica's rollouts: build once, refit often."""

    def __init__(self, directory: Path, *, qwen2: bool, max_num_tokens: int, keep_files: bool) -> None:
        """Args:
        directory: for the engine's files.
        qwen2: whether QKV has a bias.
        max_num_tokens: packed prompt tokens of a batch at most.
        keep_files: whether the engine will be read again (``trtllm.unload_after_sampling``).
        """
        super().__init__(str(directory), load_model=False)
        self._mapping = qwen2_as_llama if qwen2 else contextlib.nullcontext
        self._max_num_tokens = max_num_tokens
        self._keep_files = keep_files
        self._directory = directory
        self._helper: Any = None

    @property
    def trtllm_helper(self) -> Any:
        """Megatron-core's helper, which ``build`` makes and ``refit`` uses again."""
        return self._helper

    @trtllm_helper.setter
    def trtllm_helper(self, helper: Any) -> None:
        self._helper = BoundedHelper(helper, self._max_num_tokens)

    def build(self, **options: Any) -> None:
        """``TensorRTLLM.build``; afterwards the engine is loaded and holds the weights of now.

        Raises:
            EngineWeightsError: the engine would not hold every weight of the model.
        """
        if self.decoder is not None:  # NeMo would go on with the engine that this process has
            self.unload_engine()
        with self._mapping():
            super().build(**options)
        torch.distributed.barrier()
        if self.mp_rank == 0:
            self._leave_files() if self._keep_files else self._remove_files()

    def _leave_files(self) -> None:
        note = "An engine with the weights of the start of this run, for the run itself alone. Not to be deployed.\n"
        Path(self.model_dir, "NOT_FOR_DEPLOYMENT.txt").write_text(note, encoding="utf-8")

    def _remove_files(self) -> None:
        shutil.rmtree(self.model_dir)
        with contextlib.suppress(OSError):  # the replicas share the folder above
            self._directory.rmdir()

    def refit(self, model: Any, model_config: Any, use_mcore_path: bool = True) -> None:
        """``TensorRTLLM.refit``, but every weight arrives or it raises; loads the engine where it was unloaded.

        Raises:
            EngineWeightsError: weights that do not meet.
        """
        dtype = torch_dtype_from_precision(model_config.precision)
        state = self.gather_and_reshard_model(model_config, model, dtype)
        converter = self.trtllm_helper.weights_converter
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar of its own at every update
            converter.convert(
                model_state_dict=state,
                trtllm_conversion_dict=self.get_nemo_to_trtllm_conversion_dict(state),
                tokenizer_vocab_size=self.tokenizer.vocab_size,
            )
        tensorrt_llm_run.load_distributed(self.model_dir, self.mp_rank, self.gpus_per_node)
        gc.collect()
        torch.cuda.empty_cache()
        refit_engine(self.decoder, converter.trtllm_model_weights)

    @property
    def decoder(self) -> Any:
        """The loaded ``ModelRunner``; None before ``build`` and after ``unload_engine``."""
        return tensorrt_llm_run.tensorrt_llm_worker_context.decoder
