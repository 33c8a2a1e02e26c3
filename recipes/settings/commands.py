"""The commands that share one configuration: what each presets, leaves unread and shows in its help."""

from __future__ import annotations

from dataclasses import dataclass

from recipes.settings.overrides import GROUPS
from recipes.settings.schema import ExportSettings, PrepareSettings, Settings


@dataclass(frozen=True, slots=True)
class Command:
    """One entry point."""

    name: str
    module: str
    """What ``python -m`` runs."""
    preset: tuple[str, ...] = ()
    """Overrides below the user's own."""
    unread: tuple[str, ...] = ()
    """Keys that may stay unset: the command does not read them, and finds null there."""
    main_keys: tuple[str, ...] = ()
    """The keys that its help explains."""
    examples: tuple[str, ...] = ()
    """Overrides worth showing, without the program's name."""
    short: str | None = None
    """Section whose keys may be given without its name: ``n=64`` for ``evaluation.n=64``."""
    root: str = "recipe"
    """Root file in ``conf/``."""
    schema: type = Settings
    groups: tuple[str, ...] = tuple(group for group in GROUPS if group != "engine")
    """Folders of ``conf/`` of which an option is chosen."""
    values: str = "base"
    """Folder of ``conf/`` with every key's default, its unit and its source."""


_PARALLEL = ("model.tensor_model_parallel_size", "model.pipeline_model_parallel_size", "cluster.devices_per_node")
_RUN = ("run.directory", "run.seed", "run.resume", "model.restore_from", "model.tokenizer")
_EVALUATION = ("n", "temperature", "top_p", "max_response_length", "output", "shards", "shard")
_DEPLOYMENT = (
    "backend",
    "dtype",
    "tp_size",
    "max_batch_size",
    "max_input_len",
    "max_seq_len",
    "max_num_tokens",
    "examples",
    "verify",
)

_COMMANDS = (
    Command(
        name="sft",
        module="recipes.run_sft",
        preset=("stage=sft",),
        unread=("curriculum.initial_model",),
        main_keys=(
            "data.train",
            "data.validation",
            "sft.epochs",
            "sft.global_batch_size",
            "sft.micro_batch_size",
            "sft.max_sequence_length",
            "optimizer.learning_rate",
            "export.on_finish",
            *_RUN,
            *_PARALLEL,
        ),
        examples=("cluster=cpu sft.epochs=2", "cluster=h100 cluster.nodes=8 model.restore_from=base.nemo"),
    ),
    Command(
        name="grpo",
        module="recipes.run_grpo",
        unread=("curriculum.initial_model",),
        main_keys=(
            "data.train",
            "grpo.max_steps",
            "grpo.prompts_per_step",
            "grpo.rollouts_per_prompt",
            "grpo.micro_batch_size",
            "grpo.max_response_length",
            "grpo.temperature",
            "grpo.overlong_filtering",
            "grpo.token_normalization",
            "prompts.ledgers",
            "stopping.metric",
            "validation.every_steps",
            "optimizer.learning_rate",
            "export.on_finish",
            *_RUN,
            *_PARALLEL,
        ),
        examples=(
            "stage=math2 cluster=cpu model.tensor_model_parallel_size=2 grpo.temperature=0.85",
            "stage=math1 cluster=h100 cluster.nodes=16 model.restore_from=runs/sft/model.nemo",
        ),
    ),
    Command(
        name="calibrate",
        module="recipes.calibrate_temperature",
        unread=("curriculum.initial_model",),
        main_keys=(
            "calibration.temperatures",
            "calibration.prompts",
            "calibration.rollouts_per_prompt",
            "calibration.target_entropy",
            "grpo.max_response_length",
            "grpo.top_p",
            "data.train",
            *_RUN,
            *_PARALLEL,
        ),
        examples=("stage=math1 cluster=cpu model.restore_from=runs/demo/sft/model.nemo",),
    ),
    Command(
        name="curriculum",
        module="recipes.run_curriculum",
        preset=("curriculum=demo",),
        unread=("model.restore_from",),
        main_keys=("curriculum.stages", "curriculum.initial_model", "run.directory", "data.directory", "run.seed"),
        examples=(
            "curriculum=demo cluster=cpu",
            "curriculum=acereason_1_1 cluster=h100 curriculum.initial_model=q.nemo",
        ),
    ),
    Command(
        name="evaluate",
        module="evaluation.run",
        unread=("model.restore_from", "curriculum.initial_model"),
        main_keys=(
            "engine.checkpoint",
            "engine.url",
            "engine.model",
            "engine.concurrency",
            "engine.batch_size",
            *(f"evaluation.{name}" for name in _EVALUATION),
            "benchmark.path",
            "model.tokenizer",
        ),
        short="evaluation",
        groups=GROUPS,
        examples=(
            "engine.checkpoint=runs/demo/math4/model.nemo benchmark=tiny_math,tiny_code n=8 output=scores",
            "engine=hf engine.checkpoint=runs/demo/final/hf n=8 max_response_length=160 output=scores",
            "benchmark=aime24 engine=openai engine.url=http://host:8000/v1 engine.model=NAME output=scores",
        ),
    ),
    Command(
        name="export",
        module="recipes.export",
        main_keys=(
            "checkpoint",
            "format",
            "output",
            *(f"deployment.{name}" for name in _DEPLOYMENT),
        ),
        examples=(
            "checkpoint=runs/demo/math4/model.nemo format=hf output=exported",
            "checkpoint=runs/code2/model.nemo format=trtllm output=engine max_seq_len=34816 verify=true",
            "checkpoint=exported format=trtllm backend=pytorch output=served",
        ),
        short="deployment",
        root="export",
        schema=ExportSettings,
        groups=(),
        values="base/deployment.yaml",
    ),
    Command(
        name="prepare",
        module="recipes.prepare_data",
        main_keys=(
            "data.inputs",
            "data.against",
            "data.sources",
            "data.benchmarks",
            "steps",
            "output",
            "seed",
            "parts.workers",
            "parts.executor",
        ),
        examples=(
            "data.inputs=[A.jsonl,B.jsonl] data.against=[BENCH.jsonl] output=DIR",
            "data=sft output=DIR --dry-run",
        ),
        root="prepare",
        schema=PrepareSettings,
        groups=("data",),
        values="prepare",
    ),
)

COMMANDS: dict[str, Command] = {command.name: command for command in _COMMANDS}
