"""The files of the demo: which problems go where, and the data card beside them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from recipes.atomic_files import write_text
from recipes.data import tiny_code, tiny_math, tiny_model, tiny_tokenizer
from recipes.data.jsonl import demonstration_row, problem_row, write_jsonl
from recipes.data.prompts import ChatTokenizer, instruction_of, prompt_ids, response_ids
from recipes.data.tiny_model import Architecture
from recipes.data.tiny_pools import Dice, Split, seed_of
from recipes.data.tiny_tokenizer import INSTRUCTION
from recipes.records import Demonstration, Problem


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One file of the demo."""

    name: str
    split: Split
    math: int
    """Rows of ``tiny_math``."""
    code: int
    """Rows of ``tiny_code``; those of a file of both kinds are shuffled."""
    difficulties: tuple[int, ...]
    """Drawn in turn: a repeated difficulty weighs more."""
    demonstrations: bool
    """True: teacher responses, False: problems alone."""
    draw: int
    """Told apart from the other files of a split by this number, added to the seed."""
    purpose: str

    @property
    def rows(self) -> int:
        return self.math + self.code


KINDS = ("add", "subtract", "missing", "terms", "multiply", "word")
"""Of the demo's math: few enough that three epochs teach the arithmetic, so that slips are what is left for RL."""

FILES = (
    FilePlan("sft_train.jsonl", "train", 9600, 3200, (1, 1, 1, 2, 2, 3, 4), True, 0, "SFT"),
    FilePlan("sft_validation.jsonl", "validation", 192, 64, (1, 1, 1, 2, 2, 3, 4), True, 0, "held-out loss of SFT"),
    FilePlan("math1.jsonl", "train", 512, 0, (1, 1, 2), False, 1000, "GRPO, simple"),
    FilePlan("math2.jsonl", "train", 512, 0, (1, 2, 3), False, 2000, "GRPO, mixed, harder"),
    FilePlan("math3.jsonl", "train", 512, 0, (2, 3, 4), False, 3000, "GRPO, hard"),
    FilePlan("code1.jsonl", "train", 0, 512, (1, 2, 3, 4), False, 4000, "GRPO, code"),
    FilePlan("code2.jsonl", "train", 0, 512, (2, 3, 4), False, 5000, "GRPO, code, harder"),
    FilePlan("math4.jsonl", "train", 512, 0, (2, 3, 4, 4), False, 6000, "GRPO, hard"),
    FilePlan("heldout.jsonl", "heldout", 108, 0, (1, 1, 2, 2, 3, 4), False, 0, "avg@n, math"),
    FilePlan("heldout_code.jsonl", "heldout", 0, 72, (1, 2, 3, 4), False, 0, "avg@n, code"),
)


@dataclass(frozen=True, slots=True)
class FileReport:
    """What was written to one file."""

    plan: FilePlan
    kinds: Counter[str]
    tokens_median: int
    tokens_max: int
    """Of prompt and response where the rows have responses, else of the prompt."""
    checked: int
    """Long-winded teacher responses."""
    wrong: int
    """Teacher responses that end in a wrong answer or program."""
    sha256: str


def write_demo(output: Path, architecture: Architecture, seed: int) -> str:
    """Writes every file of ``FILES``, ``tokenizer/``, ``initial/`` and ``README.md`` below ``output``.

    Returns:
        A tab-aligned summary for the terminal.
    """
    tokenizer = tiny_tokenizer.save(output / "tokenizer", architecture.max_position_embeddings)
    parameters = tiny_model.save(output / "initial", architecture, seed, tokenizer)
    reports = [_write_file(output, plan, seed, tokenizer) for plan in FILES]
    samples = _samples(seed)
    write_text(output / "README.md", data_card(reports, samples, seed, parameters, len(tokenizer)))
    lines = ["file\trows\tkinds\ttokens median\ttokens max", *(_summary_line(report) for report in reports)]
    table = _aligned(lines)
    shown = "\n\n".join(f"{sample.problem.problem}\n{sample.response}" for sample in samples)
    return f"{table}\n\ninitial/: Qwen2, {parameters:,} random parameters\n\n{shown}\n\n{output}: ready"


def demonstrations_of(plan: FilePlan, seed: int) -> list[Demonstration]:
    """Teacher responses of both kinds; those to code problems carry their own instruction."""
    number = seed + plan.draw
    math = tiny_math.demonstrations(number, plan.split, plan.math, plan.difficulties, KINDS)
    code = tiny_code.demonstrations(number, plan.split, plan.code, plan.difficulties)
    return Dice(seed_of("mixture", number, plan.name)).shuffled([*math, *code])


def problems_of(plan: FilePlan, seed: int) -> list[Problem]:
    """The held-out problems are the same for every seed of the demo, so that scores of different seeds compare."""
    number = plan.draw + (0 if plan.split == "heldout" else seed)
    math = tiny_math.problems(number, plan.split, plan.math, plan.difficulties, KINDS)
    code = tiny_code.problems(number, plan.split, plan.code, plan.difficulties)
    return [*math, *code]


def _write_file(output: Path, plan: FilePlan, seed: int, tokenizer: ChatTokenizer) -> FileReport:
    path = output / plan.name
    checked = wrong = 0
    if plan.demonstrations:
        rows = demonstrations_of(plan, seed)
        checked = sum(row.problem.metadata["style"] == "checked" for row in rows)
        wrong = sum(not row.problem.metadata["correct"] for row in rows)
        write_jsonl(path, map(demonstration_row, rows))
        asked = [row.problem for row in rows]
        responses = [len(response_ids(row.response, tokenizer)) for row in rows]
    else:
        asked = problems_of(plan, seed)
        responses = [0] * len(asked)
        write_jsonl(path, map(problem_row, asked))
    prompts = {problem.id: len(_prompt(problem, tokenizer)) for problem in asked}
    lengths = [prompts[problem.id] + response for problem, response in zip(asked, responses, strict=True)]
    return FileReport(
        plan=plan,
        kinds=Counter(str(problem.metadata["kind"]) for problem in asked),
        tokens_median=int(median(lengths)),
        tokens_max=max(lengths),
        checked=checked,
        wrong=wrong,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _prompt(problem: Problem, tokenizer: ChatTokenizer) -> tuple[int, ...]:
    instruction = INSTRUCTION if problem.tests is None else tiny_code.INSTRUCTION
    return prompt_ids(problem.problem, tokenizer, instruction_of(problem, instruction))


def _samples(seed: int) -> list[Demonstration]:
    """One concise and one checked response, to a math and to a code problem."""
    rows = [tiny_math.demonstrations(seed, "train", 64, (2,), KINDS), tiny_code.demonstrations(seed, "train", 64, (2,))]
    return [
        next(row for row in some if row.problem.metadata["style"] == style)
        for some, style in zip(rows, ("concise", "checked"), strict=True)
    ]


def _summary_line(report: FileReport) -> str:
    return f"{report.plan.name}\t{report.plan.rows}\t{len(report.kinds)}\t{report.tokens_median}\t{report.tokens_max}"


def _aligned(lines: Sequence[str]) -> str:
    cells = [line.split("\t") for line in lines]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _share(report: FileReport, count: int) -> str:
    return f"{count / report.plan.rows:.1%}" if report.plan.demonstrations else ""


def data_card(
    reports: Sequence[FileReport], samples: Sequence[Demonstration], seed: int, parameters: int, vocabulary: int
) -> str:
    """The README.md of the data folder."""
    rows = "\n".join(
        f"| {report.plan.name} | {report.plan.purpose} | {report.plan.split} | {report.plan.rows} "
        f"| {', '.join(map(str, sorted(set(report.plan.difficulties))))} "
        f"| {report.tokens_median} / {report.tokens_max} "
        f"| {_share(report, report.checked)} | {_share(report, report.wrong)} | `{report.sha256}` |"
        for report in reports
    )
    names = sorted({kind for report in reports for kind in report.kinds})
    kinds = "\n".join(
        f"| {kind} | {' | '.join(str(report.kinds.get(kind, 0)) for report in reports)} |" for kind in names
    )
    shown = "\n\n".join(f"```\n{sample.problem.problem}\n\n{sample.response}\n```" for sample in samples)
    return f"""# Data of the demo
Small math and programming problems with worked solutions, generated by `python -m recipes.prepare_demo` with seed
{seed}: the same seed gives the same bytes. Apache-2.0, no third-party text.

| file | for | split | rows | difficulties | tokens median / max | re-checked | wrong answers | sha256 |
|---|---|---|---|---|---|---|---|---|
{rows}

Tokens count the prompt, and the response where there is one. `tokenizer/` is a byte-level BPE of {vocabulary} tokens in
the shape of Qwen2's, `initial/` a Qwen2 of {parameters:,} random parameters as a Hugging Face folder.

## Splits
Train, validation and held-out problems are disjoint by content: a hash of what is asked (17 + 26 is 26 + 17, and 15 - 7
is "which number plus 7 makes 15") decides the split, whatever the seed. `heldout.jsonl` and `heldout_code.jsonl` are
the same for every seed.

## Code
Expected outputs come from running the reference solution; the tests of a problem tell it from the solution with the
kind's slip. Rows of `sft_train.jsonl` that ask for a program carry their own `instruction`.

## Teacher
Responses imitate distilled reasoning data, faults included. A draw is long-winded and re-checks itself in
{tiny_math.CHECKED_FRACTION:.0%} of the cases, else concise. {tiny_math.SLIP_FRACTION:.0%} of first passes
({tiny_code.SLIP_FRACTION:.0%} in code) carry a slip (a forgotten carry or last step, the wrong operation, a comparison
the wrong way round); a re-check catches it in {tiny_math.CATCH_FRACTION:.0%} of the cases.
A draw that repeats an earlier response to the problem is drawn again, which favours the rarer ones: the shares that
result are in the table.

{shown}

## Rows of each kind
| kind | {" | ".join(report.plan.name for report in reports)} |
|---|{"---|" * len(reports)}
{kinds}
"""
