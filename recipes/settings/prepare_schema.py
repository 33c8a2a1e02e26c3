"""Every key of ``python -m recipes.prepare_data``: its type, its unit and what it means. Values live in ``conf/``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class SourcesSettings:
    """What goes in, and what must not be in it (paper §3.1.1)."""

    name: str
    """Of the file in ``conf/data``."""
    inputs: list[str]
    """Local files, JSONL (``.jsonl``, ``.jsonl.gz``) or Parquet."""
    sources: list[str]
    """Published data sets: names of files in ``conf/source``."""
    domain: str | None
    """``math`` or ``code``, of local rows without tests; null: rows with tests are code, all others math."""
    source: str
    """Name of a local row's source where the row has no key ``source``."""
    licence: str
    """The same of its licence."""
    problem_key: str
    """Key of the problem in local rows."""
    answer_key: str
    tests_key: str
    response_key: str
    require_reference: bool
    """True: a row with neither answer nor tests is rejected. False: it may serve for SFT."""
    against: list[str]
    """Local benchmark files that no prompt may overlap with."""
    benchmarks: list[str]
    """Benchmarks of ``conf/benchmark`` that no prompt may overlap with; ``all`` for every one of them."""


@dataclass
class SourceSettings:
    """One published data set (``conf/source``)."""

    name: str
    place: str
    """``hf:NAME[@REVISION]#CONFIG,SPLIT``."""
    path: str | None
    """A local copy, JSONL or Parquet, file or folder; it goes before ``place``."""
    format: str
    """Which adapter reads its rows."""
    domain: str
    licence: str


@dataclass
class PartsSettings:
    """How the work is cut, and where it runs."""

    count: int
    """Parts of the tables; what comes out does not depend on it."""
    workers: int
    """Processes on this machine; 0: one for each core."""
    executor: str
    """``local``, or ``slurm``: every step as a job array, submitted by this command."""
    partition: str | None
    """Slurm partition."""
    time: str
    """Longest time of one task, HH:MM:SS."""
    cpus_per_task: int
    memory_gb_per_cpu: int


@dataclass
class DeduplicateSettings:
    """Exact and near duplicates of prompts."""

    ngram: int
    """Words of a shingle."""
    permutations: int
    """Values of a MinHash signature."""
    threshold: float
    """Jaccard similarity of the shingles from which two prompts may be duplicates."""


@dataclass
class DecontaminateSettings:
    """Prompts that share an n-gram of words with a benchmark (paper §3.1.1)."""

    ngram: int
    """Words of an n-gram, for math prompts."""
    code_ngram: int
    """The same for code prompts."""


@dataclass
class PrepareSettings:
    """The configuration of ``python -m recipes.prepare_data``."""

    data: SourcesSettings
    parts: PartsSettings
    deduplicate: DeduplicateSettings
    decontaminate: DecontaminateSettings
    steps: list[str]
    """Which steps, in the pipeline's order whatever the order here."""
    output: str
    """Folder of everything that is written; the same command goes on there."""
    seed: int
    """Of every draw."""
