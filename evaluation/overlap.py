"""Contamination: which benchmark problems share a 9-gram of words with training data (paper §3.1.1).

    python -m evaluation.overlap training=train.jsonl benchmark=aime24,aime25 output=DIR
    python -m evaluation.overlap training=a.jsonl,b.jsonl.gz benchmark=humaneval output=DIR fail_above=0

training    JSON Lines files of prompts or demonstrations, plain or .gz, rows of any length; with commas between them,
            or a word training=FILE each; a name with a comma in quotes or by itself
benchmark   names in conf/benchmark; what they need (data.directory=..., benchmark.path=...) as in evaluation.run
output      folder: overlap.json has every problem, overlap.jsonl a row for each training text and problem alike
ngram       words of an n-gram, 9
prompt      key of the prompt in a training row, problem
response    key of the response, response; a row may lack it
fail_above  share of a benchmark's problems that may overlap, 0 to 1 (1); with more the exit status is 1

Words are compared, in lower case; punctuation, blanks and LaTeX's signs only separate them. A problem with fewer words
than an n-gram is looked for as a whole, one with fewer than four not at all; both are listed. Prompts and responses are
counted apart: a response repeats its own prompt, so what a problem shares with prompts says more. Any one 9-gram is an
overlap, as in the paper, stock phrases too ("m and n are relatively prime positive integers find"); the columns half
and whole count problems with half or all of their n-grams found, and the passages say which words they are.

Exit status 0: looked at everything; 1: more overlap than fail_above; 2: wrong input, training rows that cannot be read
included (what could be read is in output).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from evaluation.overlap_counts import PARTS, OverlapCounts
from evaluation.saved import path_of
from evaluation.tasks import Task, read_task
from evaluation.training_text import FileAccount, Place, training_texts
from recipes.atomic_files import atomic_file, file_in_the_way, write_text
from recipes.data.ngrams import NGRAM, SHORTEST, NgramIndex
from recipes.reporting.tab_aligned import tab_aligned
from recipes.settings.benchmarks import benchmark_problems, benchmarks
from recipes.settings.compose import compose
from recipes.settings.errors import SettingsError
from recipes.user_input import checked_input

SHOWN_DEFECTS = 20
_PART = re.compile(r"""\"[^\"]*\"|'[^']*'|[^,]+""")
"""Of a list with commas: in quotes, or up to the next comma."""
_KEYS = ("training", "output", "ngram", "prompt", "response", "fail_above")


class OverlapInputError(ValueError):
    """Words that the command cannot work with; the message names all of them."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the words of the command ask for."""

    training: tuple[Path, ...]
    output: Path
    ngram: int
    fields: dict[str, str]
    """Part -> its key in a training row."""
    fail_above: float
    settings_words: tuple[str, ...]
    """The words that choose benchmarks and their settings."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m evaluation.overlap``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"--help", "-h"} & set(words):
        print(__doc__)
        return
    command = "python -m evaluation.overlap"
    with checked_input(command):
        request = read_request(words)
        tasks = _benchmarks(request.settings_words)
        try:
            _require_text(request)
            report = scan(request, tasks)
        except OSError as error:
            raise OverlapInputError(str(error)) from error
    print(table(report))
    print(f"{request.output / 'overlap.json'}, {request.output / 'overlap.jsonl'}")
    if unread := [account for account in report["training"] if account["bad"]]:
        defects = [defect for account in unread for defect in account["defects"]]
        bad = sum(account["bad"] for account in unread)
        shown = "\n".join(f"  {defect}" for defect in defects[:SHOWN_DEFECTS])
        more = f"\n  ... and {bad - SHOWN_DEFECTS} more" if bad > SHOWN_DEFECTS else ""
        print(f"{command}: {bad} training rows could not be read and are in no count:\n{shown}{more}", file=sys.stderr)
        raise SystemExit(2)
    above = {
        name: found["share"] for name, found in report["benchmarks"].items() if found["share"] > request.fail_above
    }
    if above:
        told = ", ".join(f"{name} {share:.1%}" for name, share in above.items())
        print(f"{command}: more overlap than fail_above={request.fail_above:g}: {told}", file=sys.stderr)
        raise SystemExit(1)


def read_request(words: Sequence[str]) -> Request:
    """The request of a command line.

    Raises:
        OverlapInputError: names every word that is wrong or missing, with the fix.
    """
    given: dict[str, str] = {}
    named: list[str] = []
    others: list[str] = []
    for word in words:
        key, _, value = word.partition("=")
        if key == "training":
            named.append(value)
        elif key in _KEYS:
            given[key] = str(path_of(value)) if value else ""
        else:
            others.append(word)
    training, problems = _training(named)
    problems += _doubled(words)
    needed = {"training": "JSON Lines files, with commas between them", "output": "the folder to write to"}
    there = {"training": training, "output": given.get("output")}
    problems += [f"{key}=... is missing; expected {what}" for key, what in needed.items() if not there[key]]
    if given.get("output") and (file := file_in_the_way(given["output"])) is not None:
        problems.append(f"output={given['output']}: {file} is a file; expected a folder, or a place for one")
    problems += [f"training={path}: no such file; correct the path" for path in training if not path.is_file()]
    problems += [
        f"training={path}: named twice; name it once" for path in sorted(set(training)) if training.count(path) > 1
    ]
    ngram, fail_above = given.get("ngram", str(NGRAM)), given.get("fail_above", "1")
    if not ngram.isdecimal() or int(ngram) < 1:
        problems.append(f"ngram={ngram}: expected a whole number, at least 1: ngram={NGRAM}")
    try:
        share = float(fail_above)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        problems.append(f"fail_above={fail_above}: expected a share from 0 to 1: fail_above=0")
    fields = {"prompt": given.get("prompt", "problem"), "response": given.get("response", "response")}
    if fields["prompt"] == fields["response"]:
        problems.append(f"prompt and response are both {fields['prompt']!r}; expected two keys of a row")
    if problems:
        raise OverlapInputError(
            "\n".join(["wrong words", *(f"  {problem}" for problem in problems), "(--help explains them)"])
        )
    return Request(training, Path(given["output"]), int(ngram), fields, share, tuple(others))


def _training(values: Sequence[str]) -> tuple[tuple[Path, ...], list[str]]:
    """The files of all words ``training=``, and what is wrong with them.

    A word is one file where it is in quotes or where there is a file of that name, else a list with commas.
    """
    files: list[Path] = []
    problems = []
    for value in values:
        parts = [path_of(part) for part in _PART.findall(value)]
        whole = path_of(value)
        if len(parts) > 1 and whole.is_file():
            if all(part.is_file() for part in parts):
                problems.append(
                    f"training={value}: there is a file of this name, and one of each part; name each in quotes or by "
                    f"a word training=FILE of its own"
                )
            parts = [whole]
        files += parts
    return tuple(files), problems


def _doubled(words: Sequence[str]) -> Iterator[str]:
    """The last of two words would win, and nobody would see that the first one was not looked at."""
    values: dict[str, list[str]] = {}
    for word in words:
        key, _, value = word.partition("=")
        values.setdefault(key.lstrip("+"), []).append(value)
    for key, given in values.items():
        if key != "training" and len(given) > 1:
            fix = f"benchmark={','.join(dict.fromkeys(given))}" if key == "benchmark" else f"{key}={given[-1]}"
            yield f"{key} is given {len(given)} times ({', '.join(given)}); give it once: {fix}"


def _require_text(request: Request) -> None:
    """A key that no row has would read as no overlap."""
    problems = []
    for path in request.training:
        account = FileAccount(str(path))
        if next(training_texts(path, request.fields, account, lambda _: None), None) is None and not account.bad:
            keys = ", ".join(account.other_keys) or "none"
            wanted = " or ".join(request.fields.values())
            problems.append(
                f"{path}: no row has text at {wanted}; the first of {account.rows} rows has the keys {keys}: name "
                f"those of its texts, prompt=KEY response=KEY"
                if account.rows
                else f"{path}: found no row; expected JSON Lines: check how the file was made"
            )
    if problems:
        raise OverlapInputError("\n".join(problems))


def scan(request: Request, tasks: Sequence[Task]) -> dict[str, Any]:
    """Look through the training files; writes both files of the output folder.

    Returns:
        The content of ``overlap.json``.

    Raises:
        OSError: a training file that cannot be read to its end; no file is written then.
    """
    problems = [(task.name, problem) for task in tasks for problem in task.problems]
    index = NgramIndex([problem.problem for _, problem in problems], request.ngram)
    counts = OverlapCounts(index, [(name, problem.id) for name, problem in problems])
    accounts = [FileAccount(str(path)) for path in request.training]
    total = sum(path.stat().st_size for path in request.training)
    with (
        atomic_file(request.output / "overlap.jsonl") as out,
        tqdm(total=total, desc="training data", unit="B", unit_scale=True, dynamic_ncols=True) as bar,
    ):
        for place, overlaps in index.scan(_texts(request, accounts, bar)):
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in counts.add(place, overlaps))
    report = {
        "ngram": request.ngram,
        "shortest_whole_text": min(SHORTEST, request.ngram),
        "fields": request.fields,
        "training": [asdict(account) for account in accounts],
        "benchmarks": {task.name: counts.benchmark(task.name) for task in tasks},
    }
    write_text(request.output / "overlap.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return report


def table(report: dict[str, Any]) -> str:
    """What the screen shows: two lines for each benchmark, in columns that tabs align, and what they leave unsaid."""
    rows = [["benchmark", "problems", "training", "overlap", "half", "whole"]]
    notes = []
    ngram = report["ngram"]
    for name, found in report["benchmarks"].items():
        for part in PARTS:
            counted = [found[part][what] for what in ("overlapping", "half", "whole")]
            rows.append([name, str(found["problems"]), f"{part}s", *map(str, counted)])
        if short := len(found["looked_for_as_a_whole"]):
            notes.append(f"# {name}: short {short}: fewer words than {ngram}, looked for as a whole")
        if short := len(found["too_short"]):
            notes.append(f"# {name}: too short {short}: fewer words than {SHORTEST}, not looked for")
    lines = [f"# problems that share a {ngram}-gram of words with training prompts, with responses"]
    lines += [*tab_aligned(rows), *notes]
    for account in report["training"]:
        lines += [
            f"# {account['file']}:",
            f"#   {account['rows']} rows, {account['prompts']} prompts, {account['responses']} responses",
            f"#   {account['without_text']} rows without text, {account['bad']} rows that cannot be read",
        ]
    return "\n".join(lines)


def _texts(request: Request, accounts: Sequence[FileAccount], bar: Any) -> Iterator[tuple[Place, str]]:
    for path, account in zip(request.training, accounts, strict=True):
        yield from training_texts(path, request.fields, account, bar.update)


def _benchmarks(words: Sequence[str]) -> list[Task]:
    settings = compose("evaluate", words)
    if problems := list(benchmark_problems(settings)):
        raise SettingsError(problems)
    return [read_task(replace(settings, benchmark=one), to_grade=False) for one in benchmarks(settings)]


if __name__ == "__main__":
    main()
