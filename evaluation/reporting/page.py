"""``report.html`` of an evaluation: one file, no network, light and dark."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from evaluation.intervals import error_of_exact_rates
from evaluation.paired import Paired, PairingError
from evaluation.reporting import plots, tables
from evaluation.reporting.folder import Scored, compare, sampled_otherwise, scored
from evaluation.reporting.page_request import PageRequest
from evaluation.reporting.paper_table import DEVIATIONS, SOURCE, column_of
from evaluation.reporting.sample_view import CHARACTERS, PER_PROBLEM, ShownProblem, shown_problems
from evaluation.samples import Sample
from evaluation.saved import saved_tasks
from evaluation.store import in_order
from evaluation.tasks import Task
from recipes.atomic_files import write_text
from recipes.reporting import figures
from recipes.sound_text import sound_text

FILE = "report.html"


@dataclass(frozen=True, slots=True)
class Against:
    """Another evaluation that this one is compared with."""

    label: str
    folder: Path
    benchmarks: Mapping[str, Scored]


@dataclass(frozen=True, slots=True)
class Part:
    """One benchmark with everything that its part of the page is made from."""

    scored: Scored
    task: Task
    samples: Sequence[Sample]
    """Graded ones that count, in order."""
    ungraded: int
    problems: Sequence[ShownProblem]

    @property
    def name(self) -> str:
        """Of the benchmark."""
        return self.scored.name

    @property
    def shown(self) -> int:
        """Samples on the page."""
        return sum(len(one.samples) for one in self.problems)


def write_report(
    output: Path, against: Sequence[Path] = (), words: Sequence[str] = (), per_problem: int = PER_PROBLEM
) -> Path:
    """Write ``output/report.html``, and ``report.json`` with what it was asked to show.

    Args:
        output: folder of an evaluation, scored.
        against: folders of other evaluations; benchmarks that these lack are not compared.
        words: ``key=value`` that change the settings of then, for instance ``benchmark.path=FILE``.
        per_problem: right samples of each problem on the page, and as many wrong ones.

    Returns:
        The file.

    Raises:
        SamplesError: no scores there, or problems that are not those that were sampled.
    """
    rows = scored(output)
    rank = {name: place for place, name in enumerate(rows)}
    tasks = saved_tasks([f"output={output}", *words], to_grade=False)
    tasks.sort(key=lambda task: rank.get(task.name, len(rank)))
    label, *names = labels([output, *against])
    others = [Against(name, folder, scored(folder)) for name, folder in zip(names, against, strict=True)]
    room = CHARACTERS // len(tasks)
    parts = [_part(rows[task.name], task, per_problem, room) for task in tasks if task.name in rows]
    warnings = [*_warnings(parts), *_without_score(rows, tasks)]
    folders = [Path(__file__).parent, Path(figures.__file__).parent]
    environment = Environment(loader=FileSystemLoader(folders), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("evaluation.html.j2")
    text = page.render(_content(output, label, parts, others), warnings=warnings)
    write_text(output / FILE, sound_text(text))  # a program's output may be no UTF-8
    PageRequest(against, per_problem).write(output)
    return output / FILE


def labels(folders: Sequence[Path]) -> list[str]:
    """Short names that tell the folders apart: without what all paths begin and end with."""
    parts = [Path(os.path.abspath(folder)).parts for folder in folders]
    if len(set(parts)) < 2:
        return [one[-2] if one[-1] == "evaluation" else one[-1] for one in parts]
    shortest = min(map(len, parts)) - 1
    first = next((i for i in range(shortest) if len({one[i] for one in parts}) > 1), shortest)
    last = next((i for i in range(shortest - first) if len({one[-1 - i] for one in parts}) > 1), shortest - first)
    return ["/".join(one[first : len(one) - last]) for one in parts]


def _part(row: Scored, task: Task, per_problem: int, characters: int) -> Part:
    """Samples with an index beyond n are in no score, so they are not here either."""
    samples = [one for one in in_order(task.store.load(), list(task.by_id)) if one.sample < row.row["n"]]
    graded = [one for one in samples if one.verdict is not None]
    shown = shown_problems(task.problems, graded, row.row["per_problem"], per_problem, characters)
    return Part(row, task, graded, len(samples) - len(graded), shown)


def _content(output: Path, label: str, parts: Sequence[Part], others: Sequence[Against]) -> dict[str, Any]:
    rows = {part.name: part.scored.row for part in parts}
    return {
        "title": label,
        "output": output,
        "source": SOURCE,
        "settings": [(part.name, _settings(part)) for part in parts],
        "score_table": tables.score_table(rows),
        "response_table": tables.response_table(rows),
        "pass_table": tables.pass_table(rows),
        "paper_table": tables.paper_table(rows, f"here: {label}"),
        "in_paper": [name for name in rows if column_of(name) is not None],
        "deviation_table": tables.deviation_table(rows),
        "deviations": list(_deviations(rows)),
        "figures": list(_figures(label, parts, others)),
        "comparisons": [_comparison(label, parts, other) for other in others],
        "benchmarks": parts,
        "verdicts": sorted({one.verdict for part in parts for problem in part.problems for one in problem.samples}),
    }


def _warnings(parts: Sequence[Part]) -> Iterator[str]:
    for part in parts:
        row = part.scored.row
        if row["missing"]:
            without = sum(rate is None for rate in row["per_problem"].values())
            more = f"; {without} problems have none at all, so there is no avg@{row['n']}" if without else ""
            yield (
                f"{part.name}: {row['missing']:,} of {row['n'] * row['problems']:,} samples are missing and are in no "
                f"mean{more}. The command that sampled them goes on where it was."
            )
        if part.ungraded or len(part.samples) != row["samples"]:
            yield (
                f"{part.name}: scores.json is of {row['samples']:,} samples, the folder has {len(part.samples):,} "
                f"graded and {part.ungraded:,} ungraded ones; evaluation.grade and evaluation.score renew it."
            )


def _without_score(rows: Mapping[str, Scored], tasks: Sequence[Task]) -> Iterator[str]:
    for task in tasks:
        if task.name not in rows:
            yield f"{task.name}: sampled, but without a score; python -m evaluation.score output=DIR adds it."


def _settings(part: Part) -> str:
    """How the samples were drawn is what ``sampling.json`` says: words may have changed the settings since."""
    settings, identity = part.task.settings, part.scored.identity
    model = identity.get("model") or settings.engine.checkpoint or identity.get("weights")
    return (
        f"{model} ({identity.get('engine', settings.engine.name)}), temperature {identity['temperature']:g}, "
        f"top-p {identity['top_p']:g}, up to {identity['max_response_length']:,} tokens, "
        f"problems sha256 {identity['problems_sha256'][:12]}..."
    )


def _deviations(rows: tables.Rows) -> Iterator[str]:
    """What the reader of ``deviation_table`` should see in the numbers of this evaluation."""
    for name, row in rows.items():
        error, ends = row.get("stderr_sampling"), row.get("ci95_problems")
        if not error or not ends or row["avg"] is None:
            continue
        half, over_problems = 100 * (ends[1] - ends[0]) / 2, row.get("stderr_problems")
        rest = half * error_of_exact_rates(over_problems, error) / over_problems if over_problems else 0.0
        wanted = 64
        shown = 100 * error * (row["n"] / wanted) ** 0.5
        yield (
            f"{name}: {100 * error:.2f} points at n={row['n']}, so {shown:.2f} at n={wanted}; the paper measured "
            f"{DEVIATIONS[wanted]} on AIME 2024. The interval over problems is ± {half:.1f} points wide; samples of "
            f"the same problems without end would {_narrowing(half, rest)}."
        )


def _narrowing(half: float, rest: float) -> str:
    """What samples without end would do to an interval of +- ``half`` points, of which ``rest`` would stay."""
    if not rest:
        return "narrow it, how far these cannot say"
    return "not narrow it" if f"{rest:.1f}" == f"{half:.1f}" else f"narrow it to about ± {rest:.1f}"


def _figures(label: str, parts: Sequence[Part], others: Sequence[Against]) -> Iterator[tuple[str, list[Markup]]]:
    """Benchmark -> panels. Curves and bars show the first of the others, scatters every one."""
    for place, part in enumerate(parts):
        name, unique = str(escape(part.name)), f"benchmark {place + 1}"
        beside = [(other.label, other.benchmarks[part.name]) for other in others if part.name in other.benchmarks]
        models = [plots.Model(label, part.scored.row), *(plots.Model(key, one.row) for key, one in beside[:1])]
        panels = [
            plots.pass_at_k(models, f"{unique}, {name}"),
            plots.solve_rates(models, f"{unique}, {name}"),
            plots.lengths(_lengths(part.samples), f"{unique}, {name}"),
        ]
        for number, (key, one) in enumerate(beside, start=1):
            pairs = _paired(one, part.scored)
            if isinstance(pairs, Paired):
                panels.append(plots.scatter(pairs.per_problem, (key, label), f"{unique}, pair {number}, {name}"))
        yield part.name, [Markup(svg) for svg in panels]


def _lengths(samples: Sequence[Sample]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {"right": [], "wrong": [], "truncated": []}
    for one in samples:
        if one.tokens is not None:
            groups["truncated" if one.truncated else "right" if one.solved else "wrong"].append(one.tokens)
    return groups


def _paired(a: Scored, b: Scored) -> Paired | str:
    try:
        return compare(a, b)
    except PairingError as error:
        return str(error)


def _comparison(label: str, parts: Sequence[Part], other: Against) -> dict[str, Any]:
    found = {
        part.name: _paired(other.benchmarks[part.name], part.scored) for part in parts if part.name in other.benchmarks
    }
    pairs = {name: pair for name, pair in found.items() if isinstance(pair, Paired)}
    notes = [reason for reason in found.values() if isinstance(reason, str)]
    notes += [f"{part.name}: {other.label} does not have it" for part in parts if part.name not in found]
    for part in parts:
        if part.name in pairs:
            differing = sampled_otherwise(other.benchmarks[part.name], part.scored)
            notes += [f"{part.name} was sampled otherwise: {what}" for what in differing]
    return {
        "label": other.label,
        "folder": other.folder,
        "table": tables.comparison_table(pairs, (other.label, label)),
        "lists": [
            (
                name,
                [(one, *pair.per_problem[one]) for one in pair.gained],
                [(one, *pair.per_problem[one]) for one in pair.lost],
            )
            for name, pair in pairs.items()
        ],
        "notes": notes,
    }
