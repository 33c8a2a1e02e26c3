"""Settings -> the OmegaConf tree that NeMo-Aligner 0.7.0 and NeMo 2.2.1 read.

Free of framework imports, so that a test can hold every key. The architecture keys are those of NeMo's
``megatron_gpt_config.yaml``; what differs between a laptop and an H100 node hangs on ``cluster`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recipes.checkpoints.nemo_archive import ARCHITECTURE_KEYS
from recipes.settings.schema import ClusterSettings, ModelSettings, OptimizerSettings, Settings


def architecture_config(model: ModelSettings) -> dict[str, Any]:
    """The keys that describe the network itself, equal for every cluster and every parallel layout."""
    shared = {nemo: getattr(model, ours) for ours, nemo in ARCHITECTURE_KEYS.items()}
    return shared | {
        "mcore_gpt": True,
        "encoder_seq_length": model.max_position_embeddings,
        "max_position_embeddings": model.max_position_embeddings,
        "init_method_std": model.init_method_std,
        "normalization": "rmsnorm",
        "bias": False,
        "qkv_bias": model.architecture == "qwen2",
        "activation": "fast-swiglu",
        "position_embedding_type": "rope",
        "rotary_percentage": 1.0,
        # The embedding is exactly ``vocab_size`` rows (Hugging Face's padding is kept), never padded again.
        "make_vocab_size_divisible_by": 1,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "ffn_dropout": 0.0,
        "apply_query_key_layer_scaling": False,
    }


def kernel_config(cluster: ClusterSettings) -> dict[str, Any]:
    """Precision, layer implementation and fusions of one cluster profile."""
    fused = cluster.fused_kernels
    return {
        "transformer_engine": cluster.layer_spec == "transformer_engine",
        "precision": _precision(cluster),
        "megatron_amp_O2": cluster.precision == "bf16",
        "use_cpu_initialization": cluster.accelerator == "cpu",
        "gradient_as_bucket_view": fused,
        "masked_softmax_fusion": fused,
        "bias_activation_fusion": fused,
        "bias_dropout_add_fusion": fused,
        "apply_rope_fusion": fused,
        "gradient_accumulation_fusion": fused,
        "persist_layer_norm": fused,
        "use_flash_attention": False,  # Transformer Engine picks its own attention kernel
        "dist_ckpt_format": "torch_dist",
        "dist_ckpt_load_on_device": cluster.accelerator == "gpu",
        "dist_ckpt_parallel_save": True,
        "dist_ckpt_parallel_dist_opt": True,
        "batch_p2p_comm": cluster.accelerator == "gpu",
    }


def recompute_config(recompute: str) -> dict[str, Any]:
    """Activation recomputation; ``full`` recomputes every layer, one at a time."""
    full = recompute == "full"
    return {
        "activations_checkpoint_granularity": None if recompute == "none" else recompute,
        "activations_checkpoint_method": "uniform" if full else None,
        "activations_checkpoint_num_layers": 1 if full else None,
        "activations_checkpoint_layers_per_pipeline": None,
    }


def optimizer_config(optimizer: OptimizerSettings, cluster: ClusterSettings, max_steps: int) -> dict[str, Any]:
    """Megatron's distributed optimizer (AdamW) with a constant or cosine schedule after the warm-up.

    ``mcore_distributed_optim`` keeps fp32 weights and moments of bf16 weights, cut over the data-parallel ranks, and a
    whole buffer of gradients in ``gradient_dtype``, the type in which they are summed.
    """
    constant = optimizer.schedule == "constant"
    return {
        "name": "mcore_distributed_optim",
        "lr": optimizer.learning_rate,
        "weight_decay": optimizer.weight_decay,
        "betas": list(optimizer.betas),
        # Gloo has no averaging collective; Megatron then scales by 1 / data parallel size before the sum.
        "average_in_collective": False,
        "grad_sync_dtype": optimizer.gradient_dtype,
        "overlap_grad_sync": cluster.accelerator == "gpu",
        # Overlapped, new weights would arrive with the next forward pass: too late for an engine or a checkpoint.
        "overlap_param_sync": False,
        "sched": {
            "name": "WarmupPolicy" if constant else "CosineAnnealing",
            "warmup_steps": optimizer.warmup_steps,
            "max_steps": max_steps,
            "min_lr": optimizer.learning_rate if constant else optimizer.min_learning_rate,
        },
    }


def _precision(cluster: ClusterSettings) -> int | str:
    return 32 if cluster.precision == "32" else "bf16-mixed"


def model_config(settings: Settings, *, micro_batch_size: int, global_batch_size: int, max_steps: int) -> DictConfig:
    """NeMo's ``model`` node. Batch sizes count sequences; ``global_batch_size`` is over all data-parallel ranks."""
    model = settings.model
    batch = {"global_batch_size": global_batch_size, "micro_batch_size": micro_batch_size}
    parallel = {
        "tensor_model_parallel_size": model.tensor_model_parallel_size,
        "pipeline_model_parallel_size": model.pipeline_model_parallel_size,
        "sequence_parallel": model.sequence_parallel,
    }
    aligner = {
        "answer_only_loss": True,
        "data": {
            "dataloader_type": "single",
            "num_workers": 0,
            "train_ds": batch | {"add_eos": True},
            "validation_ds": dict(batch),
        },
        "peft": {"peft_scheme": "none", "restore_from_path": None},
        # Read by NeMo-Aligner's actor at construction; sampling itself goes through rollouts.engine.
        "reinforce": {
            "rollout_micro_batch_size": settings.rollouts.batch_size,
            "num_rollout_samples": settings.grpo.prompts_per_step,
            "forward_micro_batch_size": settings.grpo.micro_batch_size,
            "offload_adam_states": False,
            "sampling_params": {
                "use_greedy": False,
                "temperature": 1.0,
                "top_k": 0,
                "top_p": settings.grpo.top_p,
                "repetition_penalty": 1.0,
                "add_BOS": False,
                "all_probs": False,
                "compute_logprob": False,
                "end_strings": ["<|endoftext|>"],
            },
            "length_params": {"max_length": settings.grpo.max_response_length, "min_length": 1},
        },
    }
    return OmegaConf.create(
        architecture_config(model)
        | kernel_config(settings.cluster)
        | recompute_config(model.recompute)
        | parallel
        | batch
        | aligner
        | {
            "seed": settings.run.seed,
            "tokenizer": {"library": "huggingface", "type": model.tokenizer, "use_fast": True},
            "optim": optimizer_config(settings.optimizer, settings.cluster, max_steps),
        }
    )


def trainer_config(settings: Settings, *, max_steps: int) -> DictConfig:
    """NeMo's ``trainer`` node; the ``loop`` child is read by our loop and taken out before Lightning sees it."""
    cluster = settings.cluster
    return OmegaConf.create(
        {
            "num_nodes": cluster.nodes,
            "devices": cluster.devices_per_node,
            "accelerator": cluster.accelerator,
            "precision": _precision(cluster),
            "gradient_clip_val": settings.optimizer.gradient_clip,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "use_distributed_sampler": False,
            "max_epochs": -1,
            "max_steps": max_steps,
            "loop": {},
        }
    )


def experiment_config(settings: Settings, runs: Mapping[str, str]) -> DictConfig:
    """NeMo's ``exp_manager`` node: TensorBoard, W&B and MLflow; checkpoints are written by our own store.

    Args:
        runs: ``wandb``, ``mlflow`` -> id of the run to go on with.
    """
    logging = settings.logging
    return OmegaConf.create(
        {
            "explicit_log_dir": f"{settings.run.directory}/logs",
            "exp_dir": None,
            "name": settings.run.name,
            "create_tensorboard_logger": logging.tensorboard,
            "create_wandb_logger": logging.wandb_project is not None,
            "wandb_logger_kwargs": {
                "project": logging.wandb_project,
                "name": settings.run.name,
                "id": runs.get("wandb"),
            },
            "create_mlflow_logger": logging.mlflow_tracking_uri is not None,
            "mlflow_logger_kwargs": {
                "experiment_name": logging.mlflow_experiment,
                "tracking_uri": logging.mlflow_tracking_uri,
                "run_id": runs.get("mlflow"),
            },
            "create_checkpoint_callback": False,
            "resume_if_exists": False,
            "log_step_timing": False,
            "log_tflops_per_sec_per_gpu": False,
        }
    )
