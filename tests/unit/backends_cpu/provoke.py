"""For every patch the smallest call of a framework that fails without it, and what that call must answer with it.

Every call runs in a child process, forked from one that has imported the frameworks and applied no patch but those that
must come before the import.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def gpu_packages() -> None:
    """Frameworks ask as here, and take an ImportError alone for "not installed"."""
    import importlib

    for name in ("apex", "transformer_engine"):
        try:
            importlib.import_module(name)
        except ImportError:
            expect(importlib.util.find_spec(name), None)
        else:
            raise RuntimeError(f"{name} was imported")


def current_device() -> None:
    import torch
    from nemo_aligner.utils.distributed import masked_global_mean_var

    group = _gloo()
    values, mask = torch.tensor([1.0, 2.0, 6.0, 50.0]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    mean, variance = masked_global_mean_var(values, mask, group)
    # (1 + 2 + 6) / 3 = 3; squared distances 4 + 1 + 9 = 14, over 3
    expect((mean.item(), round(variance.item(), 4)), (3.0, 4.6667))


def synchronize() -> None:
    from megatron.core.dist_checkpointing.strategies.async_utils import DistributedAsyncCaller

    _gloo()
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "written"
        caller = DistributedAsyncCaller()
        caller.schedule_async_call(written.touch, ())
        expect(caller.is_current_async_call_done(blocking=True), True)
        expect(written.exists(), True)


def tensor_cuda() -> None:
    import torch
    from nemo_aligner.utils.distributed import broadcast_tensor

    sent = torch.arange(6.0).reshape(2, 3)
    received = broadcast_tensor(sent, 0, _gloo())
    expect(received is sent, True)
    module = torch.nn.Linear(2, 2)
    expect(module.cuda().weight is module.weight, True)


def tensor_types() -> None:
    import torch
    from nemo_aligner.utils.text_generation_utils import tokenize_batch

    tokenizer = SimpleNamespace(text_to_ids=lambda text: [ord(c) for c in text], eos_id=0)
    tokens, lengths = tokenize_batch(["ab", "c"], tokenizer, max_len=3, add_BOS=False)
    expect(tokens.tolist(), [[97, 98, 0], [99, 0, 0]])
    expect(lengths.tolist(), [2, 1])
    expect((tokens.dtype, tokens.device.type), (torch.int64, "cpu"))
    expect(isinstance(tokens, torch.cuda.LongTensor), False)


def megatron_device_literals() -> None:
    import torch
    from megatron.core.optimizer.clip_grads import get_grad_norm_fp32
    from megatron.core.transformer.utils import get_default_causal_mask

    grads = [torch.tensor([3.0]), torch.tensor([0.0, 4.0])]
    expect(get_grad_norm_fp32(grads, 2, _gloo()), 5.0)
    expect(get_grad_norm_fp32(grads, float("inf"), _gloo()), 4.0)
    expect(get_default_causal_mask(2).tolist(), [[False, True], [False, False]])


def megatron_parameter_types() -> None:
    import torch
    from megatron.core.optimizer.clip_grads import clip_grad_by_total_norm_fp32

    p = torch.nn.Parameter(torch.zeros(2))
    p.grad = torch.tensor([3.0, 4.0])
    clip_grad_by_total_norm_fp32([p], max_norm=1.0, total_norm=5.0)
    torch.testing.assert_close(p.grad, torch.tensor([0.6, 0.8]))


def megatron_rng() -> None:
    import torch
    from megatron.core import parallel_state
    from megatron.core.tensor_parallel.random import checkpoint, get_cuda_rng_tracker

    from recipes.backends.cpu.install import after_model_parallel_setup

    _gloo()
    parallel_state.initialize_model_parallel()
    after_model_parallel_setup(7)
    outside = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with get_cuda_rng_tracker().fork():
            draws.append(torch.rand(3))
        expect(torch.equal(torch.get_rng_state(), outside), True)
    # Megatron seeds tensor-parallel rank r with seed + 2718 + r; the second fork goes on where the first ended.
    stream = torch.Generator().manual_seed(7 + 2718)
    expect([d.tolist() for d in draws], [torch.rand(3, generator=stream).tolist() for _ in range(2)])
    expect(torch.rand(1).item(), torch.rand(1, generator=torch.Generator().manual_seed(7)).item())
    # Recomputation draws the same dropout mask as the forward pass, or the gradient would not be the mask.
    x = torch.ones(64, requires_grad=True)
    y = checkpoint(lambda t: torch.nn.functional.dropout(t, 0.5), False, x)
    y.sum().backward()
    expect(torch.equal(x.grad, y.detach()), True)


def megatron_adam() -> None:
    import torch
    from megatron.core.optimizer import Adam, distrib_optimizer

    _gloo()
    p = torch.nn.Parameter(torch.ones(2, 3))
    p.grad = torch.ones_like(p)
    optimizer = Adam([p], lr=0.1)
    optimizer.step()
    stand_in = SimpleNamespace(optimizer=optimizer, grad_scaler=None)
    saved = distrib_optimizer.DistributedOptimizer.state_dict(stand_in)
    expect(saved["optimizer"]["param_groups"][0]["step"], 1)
    # Every state tensor is sharded like its parameter, so it must have the parameter's shape.
    for name, value in optimizer.state[p].items():
        if value.shape != p.shape:
            raise ValueError(f"state '{name}' of shape {tuple(value.shape)} cannot be sharded as {tuple(p.shape)}")


def dist_ckpt_write_item() -> None:
    _save_and_load()


def dist_ckpt_write_results() -> None:
    import multiprocessing

    _save_and_load()
    if left := multiprocessing.active_children():
        for child in left:
            child.terminate()
        raise RuntimeError(f"the save left processes behind: {[child.name for child in left]}")


def nemo_apex_flag() -> None:
    from nemo.collections.nlp.parts import nlp_overrides
    from nemo.core.optim.mcore_optim import McoreDistributedOptimizer

    expect(nlp_overrides.NLPDDPStrategy(no_ddp_communication_hook=True).no_ddp_communication_hook, True)
    expect(nlp_overrides.McoreDistributedOptimizer, McoreDistributedOptimizer)
    expect(isinstance(object(), nlp_overrides.MegatronDistributedFusedAdam), False)


def nemo_apex_names() -> None:
    import torch
    from nemo.collections.nlp.modules.common.megatron.build_model import build_model
    from nemo.collections.nlp.modules.common.megatron.utils import get_params_for_weight_decay_optimization

    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.RMSNorm(2))
    decayed, not_decayed = get_params_for_weight_decay_optimization(model)
    expect([p is q for p, q in zip(decayed["params"], (model[0].weight, model[1].weight), strict=True)], [True, True])
    expect((len(not_decayed["params"]), not_decayed["weight_decay"]), (1, 0.0))
    expect(not_decayed["params"][0] is model[0].bias, True)

    from megatron.core import parallel_state

    _gloo()
    parallel_state.initialize_model_parallel()
    [built] = build_model(lambda pre_process, post_process: model, wrap_with_ddp=False, on_cpu=True)
    expect(built[0].weight.tensor_model_parallel, False)


def nemo_layer_spec() -> None:
    from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
    from megatron.core.transformer.torch_norm import WrappedTorchNorm
    from nemo.collections.nlp.models.language_modeling import megatron_gpt_model

    local = megatron_gpt_model.get_specs("", None, False)
    expect(local, get_gpt_layer_local_spec(None, False))
    expect(local.submodules.input_layernorm, WrappedTorchNorm)
    try:
        megatron_gpt_model.get_specs("", None, True)
    except ValueError as error:
        expect("model.transformer_engine=false (found True)" in str(error), True)
    else:
        raise RuntimeError("a spec of Transformer Engine was handed out")


def nemo_bert_models() -> None:
    from nemo.collections.nlp.models import nlp_model

    expect(nlp_model.get_megatron_pretrained_bert_models(), [])


def nemo_nvidia_container() -> None:
    from nemo.collections.nlp.models.language_modeling.megatron_base_model import MegatronBaseModel

    os.environ.pop("NVIDIA_PYTORCH_VERSION", None)
    expect(MegatronBaseModel._enable_nvidia_optimizations(SimpleNamespace()), None)


def nemo_context_parallel_stream() -> None:
    from nemo.collections.nlp.models.language_modeling.megatron_base_model import MegatronBaseModel

    expect(MegatronBaseModel.setup_transformer_engine_cp_groups(SimpleNamespace(get_model_module_list=list)), None)


def nemo_model_cuda() -> None:
    import torch
    from nemo.core.classes.modelPT import ModelPT

    class Model(torch.nn.Linear):
        cuda = ModelPT.cuda

    model = Model(2, 2)
    expect(model.cuda() is model, True)
    expect(model.weight.device.type, "cpu")


def nemo_device_literals() -> None:
    """The first pipeline stage receives the log-probabilities of the last: here a broadcast of sevens."""
    import torch
    from nemo.collections.nlp.modules.common import text_generation_utils as generation

    _gloo()
    generation.parallel_state = SimpleNamespace(
        is_pipeline_last_stage=lambda: False,
        is_pipeline_first_stage=lambda: True,
        get_pipeline_model_parallel_last_rank=lambda: 0,
        get_embedding_group=lambda: None,
    )
    prompts = torch.ones(2, 6, dtype=torch.long)
    generation.sample_sequence_batch = lambda *args, **kwargs: iter([(prompts, None, None, None)])
    torch.distributed.broadcast = lambda tensor, src, group: tensor.fill_(7.0)
    model = SimpleNamespace(tokenizer=None, _trainer=SimpleNamespace(precision=32), padded_vocab_size=5)
    tokens, log_probs, every_log_prob = generation.synced_generate(
        model, None, prompts, torch.tensor([3, 4]), 1, True, 1.0, compute_logprob=True
    )
    expect((tokens.shape, log_probs.shape, every_log_prob.shape), ((2, 4), (2, 3), (2, 3, 5)))
    expect((log_probs.unique().item(), every_log_prob.unique().item()), (7.0, 7.0))


def aligner_device_literals() -> None:
    from nemo_aligner.utils.distributed import Timer

    _gloo()
    for duration, finished in (("00:00:00:00", True), ("01:00:00:00", False), (None, False)):
        timer = Timer(duration)
        timer.start_time()
        expect(timer.is_finished(), finished)


def aligner_trt_llm() -> None:
    from nemo_aligner.models.nlp.gpt import megatron_gpt_reinforce_actor

    try:
        megatron_gpt_reinforce_actor.GPTGenerateTRTLLM()
    except RuntimeError as error:
        expect("trt_llm.enable=false" in str(error), True)
    else:
        raise RuntimeError("the stand-in for TensorRT-LLM was constructed")


def megatron_compile() -> None:
    import torch
    from megatron.core.fusions.fused_bias_swiglu import swiglu

    if "torch._inductor.compile_fx" in sys.modules:
        raise RuntimeError("the compiler torch._inductor was imported")
    gate, up = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 4.0])
    torch.testing.assert_close(swiglu(torch.cat([gate, up])), gate * torch.sigmoid(gate) * up)


def _save_and_load() -> None:
    import torch
    from megatron.core import dist_checkpointing

    _gloo()
    value = torch.arange(12.0).reshape(3, 4)

    def sharded(tensor: torch.Tensor) -> dict[str, Any]:
        return {"w": dist_checkpointing.ShardedTensor.from_rank_offsets("w", tensor), "step": 3}

    with tempfile.TemporaryDirectory() as folder:
        dist_checkpointing.save(sharded(value), folder)
        loaded = dist_checkpointing.load(sharded(torch.zeros(3, 4)), folder)
    expect((loaded["w"].tolist(), loaded["step"]), (value.tolist(), 3))


def _gloo() -> Any:
    """The world: this process alone."""
    import torch

    if not torch.distributed.is_initialized():
        store = tempfile.mktemp()
        torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    return torch.distributed.group.WORLD


def expect(found: Any, expected: Any) -> None:
    if found != expected:
        raise AssertionError(f"found {found}, expected {expected}")


PROVOKE: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        gpu_packages,
        current_device,
        synchronize,
        tensor_cuda,
        tensor_types,
        megatron_compile,
        megatron_device_literals,
        megatron_parameter_types,
        megatron_rng,
        megatron_adam,
        dist_ckpt_write_item,
        dist_ckpt_write_results,
        nemo_apex_flag,
        nemo_apex_names,
        nemo_layer_spec,
        nemo_bert_models,
        nemo_nvidia_container,
        nemo_context_parallel_stream,
        nemo_model_cuda,
        nemo_device_literals,
        aligner_trt_llm,
        aligner_device_literals,
    )
}
