"""Every key of the configuration: its type, its unit and what it means.

Values live in ``conf/`` (one default for each key, in ``conf/base``); this file holds no default, so a key that no
YAML sets is an error at set-up and never a silent fallback.
"""

from __future__ import annotations

from dataclasses import dataclass

from recipes.memory.engines import trtllm_most_tokens
from recipes.settings.deployment_schema import DeploymentSettings, FinishSettings
from recipes.settings.evaluation_schema import BenchmarkSettings, EngineSettings, EvaluationSettings
from recipes.settings.grading_schema import GradingSettings
from recipes.settings.prepare_schema import PrepareSettings
from recipes.settings.trtllm_schema import TrtllmSettings


@dataclass
class RunSettings:
    """Where a run lives and how it repeats."""

    name: str
    directory: str
    """Everything the run writes lies below this folder."""
    seed: int
    """Seed of weights, data order and sampling."""
    resume: bool
    """True: go on from the newest complete checkpoint in ``directory``. False: refuse a directory that has one."""
    require_parent_manifest: bool
    """True: start from weights that this recipe wrote and finished alone. False: from a .nemo of any origin."""


@dataclass
class ModelSettings:
    """Architecture, weights and how they are cut over ranks."""

    name: str
    architecture: str
    """``qwen2`` (bias on QKV) or ``llama`` (no bias)."""
    restore_from: str | None
    """A ``.nemo`` file or folder whose weights start the run; null: random weights."""
    tokenizer: str
    """Folder of a Hugging Face tokenizer with a chat template."""
    num_layers: int
    hidden_size: int
    ffn_hidden_size: int
    num_attention_heads: int
    num_query_groups: int
    """Key/value heads (grouped-query attention)."""
    vocab_size: int
    """Rows of the embedding, padding included (152,064 for Qwen2.5-Math-7B)."""
    max_position_embeddings: int
    """Longest sequence, prompt and response together, in tokens."""
    rope_theta: float
    rms_norm_eps: float
    tie_word_embeddings: bool
    init_method_std: float
    """Standard deviation of random initial weights."""
    tensor_model_parallel_size: int
    pipeline_model_parallel_size: int
    sequence_parallel: bool
    recompute: str
    """Activation recomputation: ``none``, ``selective`` or ``full``."""

    @property
    def width_multiple(self) -> int:
        """What the padded width of a batch is a multiple of: sequence parallelism cuts the sequence."""
        return self.tensor_model_parallel_size if self.sequence_parallel else 1


@dataclass
class ClusterSettings:
    """The machine: the same code runs on every one of these profiles."""

    name: str
    accelerator: str
    """``cpu`` or ``gpu``."""
    nodes: int
    devices_per_node: int
    """Processes on a node: one per GPU, or one per gloo rank on a CPU."""
    precision: str
    """``32`` or ``bf16``."""
    layer_spec: str
    """Megatron layer implementation: ``local`` (plain torch) or ``transformer_engine``."""
    fused_kernels: bool
    """Apex, Transformer Engine and Megatron fusions."""
    distributed_timeout_minutes: int
    threads_per_process: int
    """CPU threads of one process; 0 leaves torch's own choice."""
    memory_gib: float | None
    """Of one device; the memory plan of every command that trains or samples must fit. null: not checked."""
    memory_reserve_gib: float
    """Of it, what the plan leaves to CUDA, NCCL and the allocator."""


@dataclass
class DataSettings:
    """Prompt and demonstration files (JSONL)."""

    directory: str
    """Folder of the stages' files (``sft_train.jsonl``, ``math1.jsonl`` ...) and of ``tokenizer/``."""
    train: str
    """Rows: ``problem`` with ``answer`` (math) or ``tests`` (code); SFT: with ``response`` too."""
    validation: str
    """Held-out rows of the same form."""
    instruction: str
    """Sentence appended to every problem (Appendix A of the paper)."""
    max_prompt_length: int
    """Tokens; a longer prompt is an error at set-up."""


@dataclass
class OptimizerSettings:
    """AdamW and its schedule."""

    learning_rate: float
    min_learning_rate: float
    schedule: str
    """``constant`` or ``cosine``."""
    warmup_steps: int
    betas: list[float]
    weight_decay: float
    gradient_clip: float
    gradient_dtype: str
    """Of the gradients' buffer and of their sum over micro-batches and ranks: ``fp32`` or ``bf16``."""


@dataclass
class SftSettings:
    """Supervised fine-tuning (paper §3.1)."""

    epochs: int
    max_steps: int
    """Stop after this many updates; -1: only ``epochs`` decides."""
    global_batch_size: int
    """Demonstrations per update."""
    micro_batch_size: int
    max_sequence_length: int
    """Tokens of prompt and response; a longer demonstration is counted and left out."""


@dataclass
class GrpoSettings:
    """Strictly on-policy GRPO (paper §3.2.1)."""

    max_steps: int
    prompts_per_step: int
    """Prompts of one global batch (128 in the paper)."""
    rollouts_per_prompt: int
    """G (8 or 16 in the paper)."""
    micro_batch_size: int
    """Rollouts per forward/backward pass of one data-parallel rank."""
    max_response_length: int
    """Length budget in tokens (8K ... 32K in the paper)."""
    temperature: float | str
    """Sampling temperature; log-probs and entropy are those of ``logits / temperature``. ``auto``: the one whose
    entropy is nearest to ``calibration.target_entropy``, measured at the start of the stage."""
    top_p: float
    token_normalization: str
    """``group``: Eq. 1, tokens of the prompt's group; ``batch``: all tokens of the global batch."""
    overlong_filtering: bool
    """True: truncated rollouts leave the loss. False: they count, with reward 0."""
    overlong_in_group_statistics: bool
    """Under overlong filtering, whether truncated rollouts still count in the group's mean and std (Eq. 2)."""
    kl_coefficient: float
    """0: no reference model in memory (the paper)."""

    @property
    def sampling_temperature(self) -> float:
        """The temperature as a number.

        Raises:
            ValueError: it is ``auto`` and not measured yet.
        """
        if isinstance(self.temperature, str):
            raise ValueError(f"grpo.temperature is {self.temperature}: it has to be measured first")
        return self.temperature


@dataclass
class PromptSettings:
    """Which problems of ``data.train`` a stage trains on, and in which order (paper §3.2.2, §3.2.3).

    A null bound filters nothing. Rates and lengths come from the rollouts of earlier runs (``ledgers``).
    """

    ledgers: list[str]
    """Run folders whose rollouts give a problem's solve rate and mean response length; [] for none."""
    min_solve_rate: float | None
    """Problems that were solved less often are left out."""
    max_solve_rate: float | None
    """Problems that were solved more often are left out (6/16 in 1.0's math stage 3)."""
    min_response_tokens: int | None
    max_response_tokens: int | None
    """Bounds of the teacher's response length (``teacher_tokens`` of a row), else of the mean length in ``ledgers``."""
    max_difficulty: int | None
    """Bound of ``difficulty`` of a row, for instance how many of 8 teacher responses failed (code stage I)."""
    unseen: str
    """Problems that a rule asks about and nothing is known of: ``keep`` or ``drop``."""
    drop_solved: bool
    """True: from the second epoch on without the problems that every rollout of the epoch before solved."""
    length_sorted_batches: bool
    """True: a batch holds problems of like response length, so that its rollouts end together."""

    @property
    def read_ledgers(self) -> bool:
        """Whether anything asks what the rollouts of ``ledgers`` say."""
        rules = (self.min_solve_rate, self.max_solve_rate, self.min_response_tokens, self.max_response_tokens)
        return self.length_sorted_batches or any(bound is not None for bound in rules)


@dataclass
class StoppingSettings:
    """When a stage ends before ``grpo.max_steps``."""

    metric: str
    """``none``, ``reward`` (of the rollouts) or ``validation`` (held-out avg@n)."""
    min_steps: int
    """Steps that are done in any case."""
    patience_steps: int
    """The stage ends when the best value is older than this."""
    min_improvement: float
    """A smaller gain over the best value does not count."""
    window_steps: int
    """Steps that ``reward`` is averaged over."""


@dataclass
class ValidationSettings:
    """Held-out avg@n while a stage trains, on ``data.validation``, with the sampling of ``evaluation``."""

    every_steps: int
    """0: never."""
    n: int
    """Samples per problem."""


@dataclass
class CalibrationSettings:
    """The temperature whose temperature-adjusted entropy is near a target (paper §4.5.2), and the watch over it."""

    temperatures: list[float]
    """Where the entropy is measured."""
    prompts: int
    rollouts_per_prompt: int
    target_entropy: float
    """Nats."""
    lowest_entropy: float
    highest_entropy: float
    """Nats; an entropy outside during training is warned of."""


@dataclass
class RolloutSettings:
    """The sampling engine."""

    engine: str
    """``megatron``: the training model itself; ``trtllm``: TensorRT-LLM, refitted after every update (``trtllm``)."""
    batch_size: int
    """Sequences that one engine decodes at a time."""


@dataclass
class CheckpointSettings:
    """Periodic checkpoints with everything needed to go on."""

    save_every_steps: int
    keep: int
    """Newest complete checkpoints that stay on disk."""


@dataclass
class LoggingSettings:
    """Where a run's metrics go besides the progress bar and ``metrics.jsonl``, and an evaluation's scores."""

    tensorboard: bool
    wandb_project: str | None
    mlflow_tracking_uri: str | None
    mlflow_experiment: str | None


@dataclass
class StageSettings:
    """Which stage of the curriculum this is."""

    name: str
    """``sft``, ``math1`` ... ``math4``, ``code1``, ``code2``."""
    kind: str
    """``sft`` or ``grpo``."""
    domain: str
    """``math``, ``code`` or ``math+code``: which grader gives the reward."""


@dataclass
class CurriculumSettings:
    """The stages of a whole run, in order (paper Figure 2)."""

    name: str | None
    """null: a stage that runs alone."""
    stages: list[str]
    """Names of files in ``conf/stage``; each stage starts from the checkpoint of the one before."""
    initial_model: str | None
    """The ``.nemo`` that the first stage starts from; null: random weights."""


@dataclass
class Settings:
    """The whole configuration of one command."""

    run: RunSettings
    stage: StageSettings
    model: ModelSettings
    cluster: ClusterSettings
    data: DataSettings
    optimizer: OptimizerSettings
    sft: SftSettings
    grpo: GrpoSettings
    prompts: PromptSettings
    stopping: StoppingSettings
    validation: ValidationSettings
    calibration: CalibrationSettings
    rollouts: RolloutSettings
    trtllm: TrtllmSettings
    grading: GradingSettings
    checkpoint: CheckpointSettings
    logging: LoggingSettings
    benchmark: BenchmarkSettings
    evaluation: EvaluationSettings
    engine: EngineSettings
    export: FinishSettings
    deployment: DeploymentSettings
    curriculum: CurriculumSettings

    @property
    def longest_rollout(self) -> int:
        """Response tokens that a GRPO run samples at most, held-out scores included."""
        held_out = self.evaluation.max_response_length if self.validation.every_steps > 0 else 0
        return max(self.grpo.max_response_length, held_out)

    @property
    def packed_prompt_tokens(self) -> int:
        """Prompt tokens that the TensorRT-LLM rollout engine takes in one pass.

        Unless set, those of a whole batch, and no more than a tensor of TensorRT holds.
        """
        if self.trtllm.max_num_tokens is not None:
            return self.trtllm.max_num_tokens
        most = trtllm_most_tokens(self.model.ffn_hidden_size, self.model.tensor_model_parallel_size)
        return min(self.rollouts.batch_size * self.data.max_prompt_length, most)


@dataclass
class ExportSettings:
    """The configuration of ``python -m recipes.export``."""

    checkpoint: str
    """A ``.nemo`` file or folder, or a run folder's checkpoint; with ``format=trtllm`` also a Hugging Face folder."""
    format: str
    """``hf``: a folder that ``AutoModelForCausalLM`` loads. ``trtllm``: a folder that TensorRT-LLM serves."""
    output: str
    """Folder to write; one that this command wrote before is replaced, any other non-empty one refused."""
    deployment: DeploymentSettings


AnySettings = Settings | ExportSettings | PrepareSettings
"""Of any command; the last two have root files of their own in ``conf/``."""
