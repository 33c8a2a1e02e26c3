"""Patches of nemo_toolkit 2.2.1."""

from __future__ import annotations

from typing import Any

from recipes.backends.cpu.condition import NO_APEX, NO_APEX_OR_NO_TE, NO_CONTAINER
from recipes.backends.cpu.patch import Patch, PatchTargetMoved, replace_constants

LIBRARY = "nemo_toolkit 2.2.1"
NLP = "nemo.collections.nlp."
OVERRIDES = NLP + "parts.nlp_overrides"
BASE_MODEL = NLP + "models.language_modeling.megatron_base_model.MegatronBaseModel"
GPT_MODEL = NLP + "models.language_modeling.megatron_gpt_model"
MEGATRON = NLP + "modules.common.megatron."
LAYER_SPECS = "megatron.core.models.gpt.gpt_layer_specs"
WITHOUT_APEX = "NeMo needs no Apex for models built by Megatron-core"


class _NoDistributedFusedAdam:
    """Stands for Apex's optimizer in isinstance checks; nothing is ever an instance."""


def _apex_flag() -> None:
    from nemo.collections.nlp.parts import nlp_overrides
    from nemo.core.optim.mcore_optim import McoreDistributedOptimizer

    if nlp_overrides.HAVE_APEX:
        raise PatchTargetMoved("nemo_apex_flag", f"{OVERRIDES}.HAVE_APEX", "is already True: is Apex installed?")
    nlp_overrides.HAVE_APEX = True
    nlp_overrides.McoreDistributedOptimizer = McoreDistributedOptimizer
    nlp_overrides.MegatronDistributedFusedAdam = _NoDistributedFusedAdam


def _apex_names() -> None:
    import nemo.collections.nlp.modules.common.megatron.utils as megatron_parts
    from megatron.core.tensor_parallel.layers import set_defaults_if_not_set_tensor_model_parallel_attributes
    from nemo.collections.nlp.modules.common.megatron import build_model

    def listify_model(model: Any) -> list[Any]:
        return model if isinstance(model, list) else [model]

    megatron_parts.listify_model = listify_model
    for norm in ("FusedLayerNorm", "FastLayerNorm", "MixedFusedRMSNorm"):
        setattr(megatron_parts, norm, type(norm, (), {"__doc__": "Stands for Apex's class in isinstance checks."}))
    build_model.set_defaults_if_not_set_tensor_model_parallel_attributes = (
        set_defaults_if_not_set_tensor_model_parallel_attributes
    )


def _layer_spec() -> None:
    from megatron.core.models.gpt import gpt_layer_specs
    from megatron.core.transformer import transformer_block
    from megatron.core.transformer.torch_norm import WrappedTorchNorm
    from nemo.collections.nlp.models.language_modeling import megatron_gpt_model

    def get_specs(
        spec_name: str,
        transformer_config: Any = None,
        use_te: bool = True,
        hyena_cfg: Any = None,
        fp8: bool = False,
    ) -> Any:
        experts = transformer_config.num_moe_experts if transformer_config else None
        grouped_gemm = transformer_config.moe_grouped_gemm if transformer_config else False
        if spec_name == "" and not use_te and not fp8:
            return gpt_layer_specs.get_gpt_layer_local_spec(experts, grouped_gemm)
        if spec_name in ("", "te_gpt") and gpt_layer_specs.HAVE_TE:
            return gpt_layer_specs.get_gpt_layer_with_transformer_engine_spec(experts, grouped_gemm, fp8=fp8)
        raise ValueError(
            "Without Transformer Engine only Megatron's local layer spec exists: set model.name='' (found "
            f"{spec_name!r}), model.transformer_engine=false (found {use_te}), model.fp8=false (found {fp8})."
        )

    megatron_gpt_model.get_specs = get_specs
    if not gpt_layer_specs.HAVE_TE:  # with Apex, the local spec would take its FusedLayerNorm, which is no RMSNorm
        gpt_layer_specs.LNImpl = transformer_block.LayerNormImpl = WrappedTorchNorm


def _bert_models() -> None:
    from nemo.collections.nlp.models import nlp_model

    nlp_model.get_megatron_pretrained_bert_models = list


def _nvidia_container() -> None:
    from nemo.collections.nlp.models.language_modeling.megatron_base_model import MegatronBaseModel

    MegatronBaseModel._enable_nvidia_optimizations = lambda self: None


def _context_parallel_stream() -> None:
    from nemo.collections.nlp.models.language_modeling.megatron_base_model import MegatronBaseModel

    MegatronBaseModel.setup_transformer_engine_cp_groups = lambda self: None


def _model_cuda() -> None:
    from nemo.core.classes.modelPT import ModelPT

    ModelPT.cuda = lambda self, device=None: self


def _device_literals() -> None:
    replace_constants(
        "nemo_device_literals", NLP + "modules.common.text_generation_utils.synced_generate", {"cuda": "cpu"}
    )


PATCHES = (
    Patch(
        "nemo_apex_flag",
        LIBRARY,
        (
            f"{OVERRIDES}.HAVE_APEX",
            f"{OVERRIDES}.NLPDDPStrategy",
            "nemo.core.optim.mcore_optim.McoreDistributedOptimizer",
        ),
        'NLPDDPStrategy() raises "Apex was not found", and its guarded imports leave two optimizer classes unbound',
        "none",
        WITHOUT_APEX,
        _apex_flag,
        condition=NO_APEX,
    ),
    Patch(
        "nemo_apex_names",
        LIBRARY,
        (MEGATRON + "build_model.build_model", MEGATRON + "utils.get_params_for_weight_decay_optimization"),
        "NameError: five names that building a model and its parameter groups needs are imported from Apex",
        "none: Megatron-core has the functions, and its distributed optimizer makes its own groups",
        WITHOUT_APEX,
        _apex_names,
        condition=NO_APEX,
    ),
    Patch(
        "nemo_layer_spec",
        LIBRARY,
        (
            f"{GPT_MODEL}.get_specs",
            f"{LAYER_SPECS}.get_gpt_layer_local_spec",
            f"{LAYER_SPECS}.get_gpt_layer_with_transformer_engine_spec",
            f"{LAYER_SPECS}.LNImpl",
            "megatron.core.transformer.transformer_block.LayerNormImpl",
        ),
        "get_specs() builds every known spec before it picks one, among them those of Transformer Engine",
        "without Transformer Engine torch kernels instead of its own: equal up to rounding",
        "NeMo builds only the spec that was asked for",
        _layer_spec,
        condition=NO_APEX_OR_NO_TE,
    ),
    Patch(
        "nemo_bert_models",
        LIBRARY,
        (NLP + "models.nlp_model.get_megatron_pretrained_bert_models",),
        "NLPModel.__init__ imports Megatron-BERT: NameError (ApexGuardDefaults) without Transformer Engine",
        "none: the list names downloadable BERT models",
        "NeMo's BERT imports without Transformer Engine",
        _bert_models,
        condition=NO_APEX_OR_NO_TE,
    ),
    Patch(
        "nemo_nvidia_container",
        LIBRARY,
        (BASE_MODEL + "._enable_nvidia_optimizations",),
        "TypeError: it matches a regular expression on the unset variable NVIDIA_PYTORCH_VERSION",
        "none: it sets nothing for containers newer than 23.11",
        "NeMo accepts the variable unset",
        _nvidia_container,
        condition=NO_CONTAINER,
    ),
    Patch(
        "nemo_context_parallel_stream",
        LIBRARY,
        (BASE_MODEL + ".setup_transformer_engine_cp_groups",),
        "makes a CUDA stream for Transformer Engine's context parallelism, whether or not it is used",
        "none: the local layer spec has no context parallelism",
        "NeMo makes the stream only for context_parallel_size > 1",
        _context_parallel_stream,
    ),
    Patch(
        "nemo_model_cuda",
        LIBRARY,
        ("nemo.core.classes.modelPT.ModelPT.cuda",),
        'builds torch.device("cuda", torch.cuda.current_device())',
        "none",
        "ModelPT.cuda respects trainer.accelerator=cpu",
        _model_cuda,
    ),
    Patch(
        "nemo_device_literals",
        LIBRARY,
        (NLP + "modules.common.text_generation_utils.synced_generate",),
        'device=torch.device("cuda") in the receiving pipeline stages raises',
        "none",
        "NeMo names no device in literals",
        _device_literals,
    ),
)
