"""NeMo-Aligner's own supervised fine-tuning and sampling on a GPT of 40 thousand parameters: what the room is for."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

PROBLEMS = [(a, b) for a in range(12) for b in range(12)]


def make_tokenizer(folder: Path) -> None:
    """One token per byte, and the special tokens that NeMo asks for."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = {"eos_token": "<|end|>", "pad_token": "<|pad|>", "bos_token": "<|start|>", "unk_token": "<|unknown|>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)


def make_data(file: Path) -> None:
    # NeMo-Aligner averages over the tokens of a micro-batch, then over micro-batches, and data-parallel ranks take
    # every other row: answers of one length make the loss the same for every topology.
    rows = [{"input": f"{a}+{b}=", "output": f"{a + b:02d}"} for a, b in PROBLEMS]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def sft(folder: Path, *, tensor: int, pipeline: int, data: int, steps: int) -> dict[str, Any]:
    """Train to ``steps``, saving at the end; goes on from the last checkpoint in ``folder``.

    Returns:
        ``losses``: (step, training loss) of this run; ``resumed``: the trainer's state that was restored, or None;
        ``sampled``: token ids of prompts with greedy responses; ``norm``: 2-norm of this rank's parameters.
    """
    import torch
    from nemo.utils.exp_manager import exp_manager
    from nemo_aligner.algorithms.supervised import SupervisedTrainer
    from nemo_aligner.data.nlp.builders import build_dataloader, build_sft_dataset
    from nemo_aligner.models.nlp.gpt.gpt_sft_model import GPTSFTModel
    from nemo_aligner.utils.distributed import Timer
    from nemo_aligner.utils.train_script_utils import (
        add_custom_checkpoint_callback,
        extract_optimizer_scheduler_from_ptl_model,
        init_distributed,
        init_using_ptl,
        resolve_and_create_trainer,
        retrieve_custom_trainer_state_dict,
    )

    from recipes.backends.cpu.install import after_model_parallel_setup

    torch.set_num_threads(1)
    config = _config(folder, tensor, pipeline, data, steps)
    trainer = resolve_and_create_trainer(config, "sft")
    exp_manager(trainer, config.exp_manager)
    model = GPTSFTModel(config.model, trainer)
    init_distributed(trainer, model, False)
    resumed = retrieve_custom_trainer_state_dict(trainer)
    dataset = build_sft_dataset(
        config.dataset, model.tokenizer, None, answer_only_loss=True, is_chat=False, special_tokens=None
    )
    loader = build_dataloader(
        cfg=config,
        dataset=dataset,
        consumed_samples=resumed["consumed_samples"] if resumed else 0,
        mbs=4,
        gbs=8,
        collate_fn=dataset.collate_fn,
        drop_last=True,
        pad_samples_to_global_batch_size=False,
        load_gbs=True,
        use_random_sampler=False,
    )
    init_using_ptl(trainer, model, loader, dataset)
    after_model_parallel_setup(1)
    optimizer, scheduler = extract_optimizer_scheduler_from_ptl_model(model)
    log = _Losses()
    loop = SupervisedTrainer(
        cfg=config.trainer.sft,
        model=model,
        optimizer=optimizer,
        scheduler=scheduler,
        train_dataloader=loader,
        val_dataloader=loader,
        test_dataloader=None,
        logger=log,
        ckpt_callback=add_custom_checkpoint_callback(trainer, model),
        run_timer=Timer(None),
    )
    if resumed:
        loop.load_state_dict(resumed)
    loop.fit()
    norm = math.sqrt(sum(p.detach().double().square().sum().item() for p in model.parameters()))
    return {"losses": log.losses, "resumed": resumed, "norm": norm, "sampled": _sample(model)}


def _sample(model: Any) -> list[list[int]]:
    import torch
    from nemo.collections.nlp.modules.common.text_generation_strategy import GPTModelTextGenerationStrategy
    from nemo.collections.nlp.modules.common.text_generation_utils import generate

    model.prepare_for_inference()
    prompts = [model.tokenizer.text_to_ids(f"{a}+{b}=") for a, b in PROBLEMS[:4]]
    longest = max(map(len, prompts))
    tokens = torch.tensor([p + [model.tokenizer.eos_id] * (longest + 6 - len(p)) for p in prompts])
    output = generate(
        model.cuda(),
        inputs=(tokens, torch.tensor([len(p) for p in prompts])),
        tokens_to_generate=6,
        greedy=True,
        end_strings=["<|end|>"],
        compute_logprob=True,
        strategy=GPTModelTextGenerationStrategy(model),
    )
    ids = output["token_ids"]
    assert all(row[: len(p)] == p for row, p in zip(ids, prompts, strict=True))
    assert all(torch.isfinite(log_probs).all() for log_probs in output["logprob"])
    return ids


class _Losses:
    def __init__(self) -> None:
        self.losses: list[tuple[int, float]] = []

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None, prefix: str = "") -> None:
        if prefix.startswith("train"):
            self.losses.append((int(step or 0), float(metrics["loss"])))

    def finalize(self) -> None: ...


def _config(folder: Path, tensor: int, pipeline: int, data: int, steps: int) -> Any:
    from omegaconf import OmegaConf

    fusions = ("masked_softmax", "bias_activation", "bias_dropout_add", "gradient_accumulation")
    sizes = {"global_batch_size": 8, "micro_batch_size": 4}
    model = {
        **sizes,
        **{f"{name}_fusion": False for name in fusions},
        **{
            f"activations_checkpoint_{key}": None
            for key in ("granularity", "method", "num_layers", "layers_per_pipeline")
        },
        "apply_rope_fusion": False,
        "mcore_gpt": True,
        "transformer_engine": False,
        "megatron_amp_O2": False,
        "precision": 32,
        "use_cpu_initialization": True,
        "tensor_model_parallel_size": tensor,
        "pipeline_model_parallel_size": pipeline,
        "seed": 1,
        "encoder_seq_length": 32,
        "max_position_embeddings": 32,
        "num_layers": 2,
        "hidden_size": 32,
        "ffn_hidden_size": 64,
        "num_attention_heads": 4,
        "num_query_groups": 2,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "ffn_dropout": 0.0,
        "init_method_std": 0.02,
        "normalization": "rmsnorm",
        "layernorm_epsilon": 1e-6,
        "bias": False,
        "qkv_bias": True,
        "activation": "fast-swiglu",
        "position_embedding_type": "rope",
        "rotary_percentage": 1.0,
        "share_embeddings_and_output_weights": False,
        "make_vocab_size_divisible_by": 136,  # times tensor: 272 tokens for one and for two ranks
        "gradient_as_bucket_view": False,
        "persist_layer_norm": False,
        "sequence_parallel": False,
        "sync_batch_comm": False,
        "answer_only_loss": True,
        "tokenizer": {"library": "huggingface", "type": str(folder.parent / "tokenizer"), "use_fast": True},
        "data": {
            "dataloader_type": "single",
            "num_workers": 0,
            "train_ds": {**sizes, "add_eos": True, "drop_last": True},
            "validation_ds": {**sizes, "add_eos": True, "drop_last": True},
        },
        "optim": {
            "name": "mcore_distributed_optim",
            "lr": 1e-2,
            "weight_decay": 0.01,
            "betas": [0.9, 0.98],
            "sched": {"name": "CosineAnnealing", "warmup_steps": 0, "constant_steps": 0, "min_lr": 1e-2},
        },
        "peft": {"peft_scheme": "none", "restore_from_path": None},
    }
    loop = {
        "max_epochs": 1,
        "max_steps": steps,
        "val_check_interval": steps,
        "save_interval": steps,
        "limit_train_batches": 1.0,
        "limit_val_batches": 1,
        "gradient_clip_val": 1.0,
    }
    trainer = {
        "num_nodes": 1,
        "devices": tensor * pipeline * data,
        "accelerator": "cpu",
        "precision": 32,
        "logger": False,
        "enable_checkpointing": False,
        "use_distributed_sampler": False,
        "max_epochs": 1,
        "max_steps": steps,
        "gradient_clip_val": 1.0,
        "sft": loop,
    }
    checkpoint = {
        "monitor": "val_loss",
        "save_top_k": 1,
        "mode": "min",
        "filename": "tiny-{step}-{consumed_samples}-{epoch}",
        "model_parallel_size": tensor * pipeline,
        "save_best_model": False,
        "save_nemo_on_train_end": True,
    }
    experiment = {
        "explicit_log_dir": str(folder),
        "exp_dir": None,
        "name": "tiny",
        "create_wandb_logger": False,
        "create_tensorboard_logger": False,
        "resume_if_exists": True,
        "resume_ignore_no_checkpoint": True,
        "create_checkpoint_callback": True,
        "checkpoint_callback_params": checkpoint,
    }
    dataset = {
        **sizes,
        "file_path": str(folder.parent / "train.jsonl"),
        "shuffle": False,
        "memmap_workers": 1,
        "max_seq_length": 32,
        "min_seq_length": 1,
        "drop_last": True,
        "label_key": "output",
        "add_eos": True,
        "add_sep": False,
        "add_bos": False,
        "truncation_field": "input",
        "index_mapping_dir": None,
        "prompt_template": "{input} {output}",
        "hf_dataset": False,
        "truncation_method": "right",
        "output_original_text": True,
    }
    return OmegaConf.create({"trainer": trainer, "model": model, "exp_manager": experiment, "dataset": dataset})
