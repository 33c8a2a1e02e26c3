"""What a single value may be: ranges and enumerations, one line a key."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from recipes.settings.errors import SettingsProblem
from recipes.settings.fields import fields_of


@dataclass(frozen=True, slots=True)
class Range:
    """An interval of finite numbers."""

    low: float
    works: float | int
    """A value to propose."""
    high: float = math.inf
    above_low: bool = False
    """True: ``low`` itself is outside."""
    or_also: int | None = None
    """One number outside the interval that means something of its own."""
    or_word: str | None = None
    """A word that may stand in place of a number."""

    def __contains__(self, value: float | str) -> bool:
        if isinstance(value, str) or value == self.or_also:
            return value in (self.or_word, self.or_also)
        inside = self.low < value if self.above_low else self.low <= value
        return math.isfinite(value) and inside and value <= self.high

    def __str__(self) -> str:
        text = f"above {self.low:g}" if self.above_low else f"at least {self.low:g}"
        text += f" and at most {self.high:g}" if self.high < math.inf else ""
        others = [str(other) for other in (self.or_also, self.or_word) if other is not None]
        return f"a number {text}" + "".join(f", or {other}" for other in others)


def _at_least(low: int, works: int | None = None) -> Range:
    return Range(low, low if works is None else works)


_PROBABILITY_MASS = Range(0, 1.0, high=1, above_low=True)

RANGES: dict[str, Range] = {
    "run.seed": Range(0, 1234, high=2**31 - 1),
    "model.num_layers": _at_least(1),
    "model.hidden_size": _at_least(1),
    "model.ffn_hidden_size": _at_least(1),
    "model.num_attention_heads": _at_least(1),
    "model.num_query_groups": _at_least(1),
    "model.vocab_size": _at_least(1),
    "model.max_position_embeddings": _at_least(2, 512),
    "model.rope_theta": Range(0, 10000.0, above_low=True),
    "model.rms_norm_eps": Range(0, 1e-6, above_low=True),
    "model.init_method_std": Range(0, 0.02, above_low=True),
    "model.tensor_model_parallel_size": _at_least(1),
    "model.pipeline_model_parallel_size": _at_least(1),
    "cluster.nodes": _at_least(1),
    "cluster.devices_per_node": _at_least(1),
    "cluster.distributed_timeout_minutes": _at_least(1, 60),
    "cluster.threads_per_process": _at_least(0),
    "cluster.memory_gib": Range(0, 79.6, above_low=True),
    "cluster.memory_reserve_gib": _at_least(0, 6),
    "data.max_prompt_length": _at_least(1, 2048),
    "optimizer.learning_rate": Range(0, 1e-6, above_low=True),
    "optimizer.min_learning_rate": _at_least(0),
    "optimizer.warmup_steps": _at_least(0),
    "optimizer.weight_decay": _at_least(0),
    "optimizer.gradient_clip": Range(0, 1.0, above_low=True),
    "sft.epochs": _at_least(1),
    "sft.max_steps": Range(1, -1, or_also=-1),
    "sft.global_batch_size": _at_least(1, 128),
    "sft.micro_batch_size": _at_least(1),
    "sft.max_sequence_length": _at_least(2, 4096),
    "grpo.max_steps": _at_least(1),
    "grpo.prompts_per_step": _at_least(1, 128),
    "grpo.rollouts_per_prompt": _at_least(2, 8),
    "grpo.micro_batch_size": _at_least(1),
    "grpo.max_response_length": _at_least(1, 8192),
    "grpo.temperature": Range(0, 0.85, above_low=True, or_word="auto"),
    "grpo.top_p": _PROBABILITY_MASS,
    "grpo.kl_coefficient": _at_least(0),
    "prompts.min_solve_rate": Range(0, 0.1, high=1),
    "prompts.max_solve_rate": Range(0, 0.375, high=1),
    "prompts.min_response_tokens": _at_least(0, 2000),
    "prompts.max_response_tokens": _at_least(1, 4000),
    "prompts.max_difficulty": _at_least(0, 5),
    "stopping.min_steps": _at_least(0, 100),
    "stopping.patience_steps": _at_least(1, 200),
    "stopping.min_improvement": _at_least(0),
    "stopping.window_steps": _at_least(1, 50),
    "validation.every_steps": _at_least(0, 50),
    "validation.n": _at_least(1, 4),
    "calibration.prompts": _at_least(2, 32),
    "calibration.rollouts_per_prompt": _at_least(1, 4),
    "calibration.target_entropy": Range(0, 0.3, above_low=True),
    "calibration.lowest_entropy": _at_least(0),
    "calibration.highest_entropy": Range(0, 0.45, above_low=True),
    "rollouts.batch_size": _at_least(1, 64),
    "trtllm.max_num_tokens": _at_least(1, 16384),
    "trtllm.gate_prompts": _at_least(0, 4),
    "trtllm.gate_tokens": _at_least(1, 32),
    "trtllm.gate_difference": Range(0, 0.05, above_low=True),
    "grading.workers": _at_least(1, 2),
    "grading.timeout_seconds": Range(0, 10.0, above_low=True),
    "grading.seconds_per_test": Range(0, 6.0, above_low=True),
    "grading.seconds_per_assert_code": Range(0, 10.0, above_low=True),
    "grading.memory_mb": _at_least(32, 1024),
    "checkpoint.save_every_steps": _at_least(1, 50),
    "checkpoint.keep": _at_least(1, 3),
    "evaluation.shards": _at_least(1, 8),
    "evaluation.shard": _at_least(0),
    "evaluation.n": _at_least(1, 64),
    "benchmark.problems": _at_least(1, 30),
    "benchmark.n": _at_least(1, 64),
    "evaluation.temperature": Range(0, 0.6),
    "evaluation.top_p": _PROBABILITY_MASS,
    "evaluation.max_response_length": _at_least(1, 32768),
    "engine.batch_size": _at_least(1, 64),
    "engine.concurrency": _at_least(1, 256),
    "engine.timeout_seconds": Range(0, 7200.0, above_low=True),
    "engine.stall_seconds": Range(0, 600.0, above_low=True),
    "engine.attempts": _at_least(1, 10),
    "deployment.tp_size": _at_least(1),
    "deployment.pp_size": _at_least(1),
    "deployment.max_batch_size": _at_least(1, 256),
    "deployment.max_input_len": _at_least(1, 2048),
    "deployment.max_seq_len": _at_least(2, 34816),
    "deployment.max_num_tokens": _at_least(1, 8192),
    "deployment.workers": _at_least(1),
    "deployment.kv_cache_free_gpu_memory_fraction": Range(0, 0.9, high=1, above_low=True),
    "deployment.verify_prompts": Range(1, 32, high=32),
    "deployment.verify_tokens": _at_least(1, 64),
    "deployment.verify_margin": _at_least(0),
    "seed": Range(0, 1234, high=2**63 - 1),
    "parts.count": Range(1, 16, high=4096),
    "parts.workers": _at_least(0),
    "parts.cpus_per_task": _at_least(1),
    "parts.memory_gb_per_cpu": _at_least(1, 8),
    "deduplicate.ngram": _at_least(1, 3),
    "deduplicate.permutations": _at_least(3, 128),
    "deduplicate.threshold": Range(0, 0.5, high=1),
    "decontaminate.ngram": _at_least(2, 9),
    "decontaminate.code_ngram": _at_least(2, 14),
    "decontaminate.stock_phrase": _at_least(2, 3),
    "teacher.responses": _at_least(1, 8),
    "teacher.temperature": Range(0, 0.6),
    "teacher.top_p": _PROBABILITY_MASS,
    "teacher.max_response_length": _at_least(1, 32768),
    "teacher.agreement": Range(0, 0.5, high=1, above_low=True),
    "teacher.concurrency": _at_least(1, 256),
    "teacher.timeout_seconds": Range(0, 7200.0, above_low=True),
    "teacher.stall_seconds": Range(0, 600.0, above_low=True),
    "teacher.attempts": _at_least(1, 10),
    "rebalance.short_tokens": _at_least(0, 2000),
    "rebalance.short_keep": Range(0, 0.5, high=1),
    "rebalance.tolerance": Range(0, 0.05, high=1),
    "rebalance.math_prompts": _at_least(0, 247000),
    "rebalance.code_prompts": _at_least(0, 136000),
    "blends.prompts_scale": Range(0, 1.0, above_low=True, or_word="auto"),
    "blends.responses_scale": Range(0, 1.0, or_word="auto"),
    "blends.strata": _at_least(1, 20),
    "sft.validation_prompts": _at_least(1, 128),
    "selection.held_out": _at_least(0, 128),
    "selection.min_tests": _at_least(1, 5),
    "selection.same_tests": _at_least(1, 3),
    "selection.references": _at_least(0, 3),
    "selection.max_prompt_length": _at_least(1, 2048),
}
"""Every number of the schema. Two rollouts are the fewest whose standard deviation (Eq. 2) can differ from zero."""

CHOICES: dict[str, tuple[str, ...]] = {
    "stage.kind": ("sft", "grpo"),
    "stage.domain": ("math", "code", "math+code"),
    "model.architecture": ("qwen2", "llama"),
    "model.recompute": ("none", "selective", "full"),
    "cluster.accelerator": ("cpu", "gpu"),
    "cluster.precision": ("32", "bf16"),
    "cluster.layer_spec": ("local", "transformer_engine"),
    "optimizer.schedule": ("constant", "cosine"),
    "optimizer.gradient_dtype": ("fp32", "bf16"),
    "grpo.token_normalization": ("group", "batch"),
    "prompts.unseen": ("keep", "drop"),
    "stopping.metric": ("none", "reward", "validation"),
    "rollouts.engine": ("megatron", "trtllm"),
    "grading.sandbox": ("bubblewrap", "none"),
    "benchmark.format": ("problems", "math", "gsm8k", "humaneval", "mbpp", "livecodebench"),
    "benchmark.grader": ("math", "code"),
    "engine.name": ("megatron", "hf", "trtllm", "openai"),
    "engine.api": ("chat", "completions"),
    "format": ("hf", "trtllm"),
    "export.on_finish": ("hf", "trtllm"),
    "deployment.backend": ("tensorrt", "pytorch"),
    "deployment.dtype": ("bfloat16", "float16", "float32"),
    "deployment.gemm_plugin": ("auto", "bfloat16", "float16", "float32", "disable"),
    "deployment.gpt_attention_plugin": ("auto", "bfloat16", "float16", "float32"),
    "deployment.kv_cache_type": ("paged", "continuous"),
    "data.domain": ("math", "code"),
    "parts.executor": ("local", "slurm"),
    "teacher.keep": ("all", "right", "majority"),
}


def value_of(settings: Any, key: str) -> Any:
    """The value below a dotted key."""
    value = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value


def bound_problems(settings: Any) -> Iterator[SettingsProblem]:
    """Every number outside its range and every word that is no choice, in the order of the schema."""
    for key in fields_of(type(settings)):
        value = value_of(settings, key)
        if value is None:
            continue
        if key in RANGES and value not in RANGES[key]:
            allowed = RANGES[key]
            yield SettingsProblem(key, f"{value}", str(allowed), f"{key}={allowed.works}")
        elif key in CHOICES:
            wrong = [one for one in (value if isinstance(value, list) else [value]) if one not in CHOICES[key]]
            yield from (_no_choice(key, one, CHOICES[key], many=isinstance(value, list)) for one in wrong)


def _no_choice(key: str, value: str, choices: Sequence[str], *, many: bool) -> SettingsProblem:
    near = (difflib.get_close_matches(value, choices, n=1, cutoff=0.4) or choices)[0]
    return SettingsProblem(key, value, f"one of {', '.join(choices)}", f"{key}=[{near}]" if many else f"{key}={near}")
