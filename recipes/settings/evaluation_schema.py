"""The sections of an evaluation: what is asked, of whom, and how often."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class EvaluationSettings:
    """avg@n (paper §4.1)."""

    output: str
    """Folder for samples and scores."""
    replace: bool
    """Remove what lies in ``output`` and was sampled otherwise; false: refuse to go on with it."""
    report: bool
    """Write ``report.html`` beside the scores."""
    shards: int | None
    """Parts that the samples are shared out to, each drawn by a job of its own; null: one job draws everything."""
    shard: int | None
    """Which part this job draws, 0 to ``shards`` - 1; the last one to finish puts all of them together."""
    n: int
    """Samples per problem."""
    temperature: float
    top_p: float
    max_response_length: int


@dataclass
class EngineSettings:
    """What an evaluation samples from: a checkpoint in this process, or a server."""

    name: str
    """``megatron``, ``hf`` or ``openai``."""
    checkpoint: str | None
    """A ``.nemo`` (megatron) or a Hugging Face folder (hf)."""
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
    """Requests under way."""
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
    """A benchmark as data."""

    name: str
    path: str
    """JSONL with ``id``, ``problem`` and ``answer`` (math) or ``tests`` (code)."""
    grader: str
    instruction: str
    others: list[str]
    """More benchmarks of the same evaluation, names in ``conf/benchmark``; ``benchmark=a,b`` chooses a and this."""
