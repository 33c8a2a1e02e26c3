"""Every key of ``python -m recipes.prepare_data``: its type, its unit and what it means. Values live in ``conf/``."""

from __future__ import annotations

from dataclasses import dataclass

from recipes.settings.grading_schema import GradingSettings


@dataclass
class SourcesSettings:
    """What goes in, and what must not be in it (paper §3.1.1)."""

    name: str
    """Of the file in ``conf/data``."""
    inputs: list[str]
    """Local files, JSONL (``.jsonl``, ``.jsonl.gz``) or Parquet."""
    sources: list[str]
    """Published data sets: names of files in ``conf/source``."""
    copies: str | None
    """Folder with local copies of them, ``NAME.jsonl``, ``NAME.jsonl.gz``, ``NAME.parquet`` or a folder ``NAME`` of
    such files; null: the hub."""
    domain: str | None
    """``math`` or ``code``, of local rows without tests; null: rows with tests are code, all others math."""
    source: str
    """Name of a local row's source where the row has no key ``source``."""
    licence: str
    """The same of its licence."""
    problem_key: str
    """Key of the problem in local rows; of several, ``problem|question``, the first that the row has."""
    answer_key: str
    """The same of the gold answer."""
    tests_key: str
    """The same of the tests, an object or its JSON."""
    response_key: str
    """The same of a teacher's response."""
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
    """``hf:NAME[@REVISION]#CONFIG,SPLIT``, or ``hf:NAME[@REVISION]#A-*.parquet,B.jsonl``: files of the data set."""
    path: str | None
    """A local copy, JSONL or Parquet, file or folder; it goes before ``data.copies`` and ``place``."""
    format: str
    """Which adapter reads its rows (``recipes.data.sources.reading.ADAPTERS``)."""
    domain: str
    """``math`` or ``code``, of rows that do not say so themselves."""
    licence: str
    """As its card states it; a row's own goes before it."""


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
    stock_phrase: int | None
    """An n-gram that so many benchmark problems have is a stock phrase and counts for nothing ("m and n are relatively
    prime positive integers find"); null: every n-gram counts."""


@dataclass
class TeacherSettings:
    """Responses of a teacher (paper §3.1.1), from an OpenAI-compatible server, and which of them are kept."""

    store: str
    """Folder of the responses as they came; responses that are there are not asked for again."""
    url: str | None
    """Of the server, up to the version: ``http://host:8000/v1``."""
    model: str | None
    """The server's name for the teacher; it lays the teacher's chat template over a prompt."""
    responses: int
    """For each problem."""
    temperature: float
    top_p: float
    max_response_length: int
    """Length budget in tokens of the teacher; a response that used it up is never kept."""
    instruction: str
    """Follows a math problem after a blank line."""
    code_instruction: str
    """Follows a code problem without starter code."""
    code_instruction_with_starter: str
    """The same with starter code, which takes the place of ``<starter_code>``."""
    keep: str
    """``all``; ``right``: those that the grader finds right; ``majority``: those that give the answer which most give,
    where that is the gold answer or there is none (code: ``right``)."""
    agreement: float
    """Share of a problem's responses that must give one answer before it stands in for a missing gold answer."""
    stream: bool
    """Streamed replies show a stall at once; whole ones cost less of this machine's time."""
    concurrency: int
    """Requests under way, of one task."""
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
class SelectionSettings:
    """The problems of the RL stages (paper §3.2.2): what can be graded at all, then the rules of each stage.

    A rule is a word ``name:value``: ``min_solve_rate``, ``max_solve_rate``, ``min_response_tokens``,
    ``max_response_tokens``, ``max_difficulty`` and ``unseen`` as in ``prompts`` of a stage; ``share`` and ``at_most``
    keep that part, or that many, of what the others leave, at random.
    """

    math1: list[str]
    math2: list[str]
    math3: list[str]
    math4: list[str]
    code1: list[str]
    code2: list[str]
    runs: list[str]
    """Where solve rates come from: folders of GRPO runs, and of a benchmark in an evaluation; the last one counts."""
    held_out: int
    """Problems of each domain that no stage trains on."""
    min_tests: int
    """A code problem with fewer is rejected."""
    same_tests: int
    """Problems that may have the same tests; where more have, they were pasted under problems of others."""
    references: int
    """Reference solutions of a code problem that are run, one of which must pass; 0: none is run."""
    tokenizer: str | None
    """Folder of the tokenizer that trains, with its chat template; null: the lengths of prompts are not looked at."""
    max_prompt_length: int
    """Tokens; a longer prompt is rejected: a stage refuses a file with one (``data.max_prompt_length``)."""


@dataclass
class RebalanceSettings:
    """Which prompts stay, by the length of their responses (paper §3.1.1)."""

    tokenizer: str
    """Folder of the tokenizer that trains, with its chat template; lengths are counted with it."""
    short_tokens: int
    """A prompt whose responses have fewer tokens, on average, is short."""
    short_keep: float
    """Share of the short prompts that stays, at random."""
    bins: list[int]
    """Least tokens of each bin of lengths, ascending from 0."""
    math_shares: list[float]
    """Target share of each bin among the math prompts, sum 1; empty: as they come."""
    code_shares: list[float]
    """The same for code."""
    tolerance: float
    """How far the share of a bin may be from its target where that makes the set larger."""
    math_prompts: int
    """At most."""
    code_prompts: int
    """At most."""


@dataclass
class BlendsSettings:
    """The SFT blends, smallest first; each contains the ones before it (paper §3.1.2, §4.4.1)."""

    names: list[str]
    """Of the blends; each is a folder below ``output/blends``."""
    math_prompts: list[int]
    """Of each blend."""
    math_samples: list[int]
    """Responses to them."""
    code_prompts: list[int]
    code_samples: list[int]
    prompts_scale: float | str
    """Factor of all sizes; ``auto``: the largest up to 1 for which there are prompts."""
    responses_scale: float | str
    """Factor of the responses beyond one a prompt; ``auto``: the largest up to 1 for which there are responses."""
    strata: int
    """Groups of like length, each of which gives every blend its proportional part."""


@dataclass
class SftFilesSettings:
    """The files that ``recipes.run_sft`` reads, of one blend."""

    blend: str
    """One of ``blends.names``."""
    max_sequence_length: int
    """Tokens of prompt and response; longer samples are listed, and left out as run_sft would."""
    validation_prompts: int
    """Of each domain, from the smallest blend, so that they are the same ones for every blend; no response to them is
    trained on."""
    global_batch_size: int
    """Demonstrations of an update, for the steps per epoch in the report."""


@dataclass
class PrepareSettings:
    """The configuration of ``python -m recipes.prepare_data``."""

    data: SourcesSettings
    parts: PartsSettings
    deduplicate: DeduplicateSettings
    decontaminate: DecontaminateSettings
    teacher: TeacherSettings
    rebalance: RebalanceSettings
    blends: BlendsSettings
    sft: SftFilesSettings
    selection: SelectionSettings
    grading: GradingSettings
    steps: list[str]
    """Which steps, in the pipeline's order whatever the order here."""
    output: str
    """Folder of everything that is written; the same command goes on there."""
    seed: int
    """Of every draw."""
