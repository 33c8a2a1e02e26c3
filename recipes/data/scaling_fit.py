"""Which grows accuracy more, prompts or responses for each: the regression of the paper (§4.4.2).

z = a * log2(x) + b * log2(y) + c by least squares, one point for each SFT blend: x unique prompts, y responses per
prompt, z the mean accuracy over AIME24, AIME25 and LiveCodeBench v5 and v6. "x and y are transformed to a log base-2
scale [...]. Then, x and y are standardized (zero mean and unit variance)". Published: a = 4.831, b = 2.635,
R^2 = 0.989 from seven points; the points themselves are a picture (Figures 4 and 5).

Which variance is one is not published. Here it is the population's, divided by n, as in NumPy's ``std`` and
scikit-learn's ``StandardScaler``; divided by n - 1, the coefficients of seven points would be 8% larger. R^2 does not
depend on it. The intervals are those of ordinary least squares with n - 3 degrees of freedom: standardising is taken as
given, and the scatter about the plane as normal and equal at all points.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from recipes.data.jsonl import DataFileError

BENCHMARKS = ("aime24", "aime25", "livecodebench_v5", "livecodebench_v6")
"""Whose mean is the accuracy of a point."""
PUBLISHED = {"a": 4.831, "b": 2.635, "r_squared": 0.989}
FEWEST = 4
"""Points: a plane goes through any three."""
Deviation = Literal["population", "sample"]
_COLLINEAR = 1e-9


@dataclass(frozen=True, slots=True)
class Point:
    """One SFT blend and what the model that it trained scores."""

    name: str
    prompts: float
    """Unique ones, above 0."""
    responses: float
    """For each prompt, on average, above 0."""
    accuracy: float
    """Percent."""
    line: int
    """In the file."""


@dataclass(frozen=True, slots=True)
class Results:
    """A file of points."""

    path: Path
    points: tuple[Point, ...]
    fractions: bool
    """The accuracies stood there as fractions; the points have them in percent."""
    unused: tuple[str, ...]
    """Columns that the fit does not read."""


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One number of the fit."""

    value: float
    """Percentage points."""
    stderr: float
    low: float
    high: float
    """Ends of the confidence interval."""


@dataclass(frozen=True, slots=True)
class ScalingFit:
    """The plane through the points."""

    a: Coefficient
    """Of log2(prompts), standardised."""
    b: Coefficient
    """Of log2(responses per prompt), standardised."""
    c: Coefficient
    """The mean accuracy."""
    r_squared: float
    confidence: float
    degrees_of_freedom: int
    correlation: float
    """Of the two inputs: near 1 or -1 the fit cannot tell them apart."""
    per_doubling: tuple[float, float]
    """Percentage points that twice the prompts, and twice the responses, go with."""
    fitted: tuple[float, ...]
    """Accuracy on the plane, percent, of each point."""
    deviation: Deviation


def read_results(path: Path) -> Results:
    """The points of a CSV file with a head line.

    Columns: ``prompts``; ``responses_per_prompt`` or ``samples``; ``accuracy`` or all of ``BENCHMARKS``; ``blend`` (a
    name) where there is one.

    Raises:
        DataFileError: all that is wrong with the file, by line.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise DataFileError(path, [f"{path}: found {found}; expected a CSV file: check the path"])
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            head = [str(name).strip() for name in reader.fieldnames or ()]
            reader.fieldnames = head
            rows: list[tuple[int, dict[Any, Any]]] = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataFileError(path, [f"{path}: {error}; expected a CSV file in UTF-8"]) from error
    defects = [f"{path}:1: {defect}" for defect in _head_defects(head)]
    if defects:
        raise DataFileError(path, defects)
    scores = ("accuracy",) if "accuracy" in head else BENCHMARKS
    amount = "responses_per_prompt" if "responses_per_prompt" in head else "samples"
    points = []
    for line, row in rows:
        problems = [f"{len(row[None])} cells more than the head line"] if None in row else []
        prompts, count = _number(row, "prompts", problems), _number(row, amount, problems)
        accuracies = [_number(row, name, problems, most=100.0) for name in scores]
        defects += [f"{path}:{line}: {problem}" for problem in problems]
        if not problems:
            responses = count if amount == "responses_per_prompt" else count / prompts
            name = row.get("blend") or f"line {line}"
            points.append(Point(name, prompts, responses, sum(accuracies) / len(accuracies), line))
    if not defects:
        defects = [f"{path}: {defect}" for defect in _set_defects(points, amount)]
    if defects:
        raise DataFileError(path, defects)
    fractions = max(point.accuracy for point in points) <= 1
    if fractions:
        points = [Point(p.name, p.prompts, p.responses, 100 * p.accuracy, p.line) for p in points]
    unused = tuple(name for name in head if name not in ("blend", "prompts", amount, *scores))
    return Results(path, tuple(points), fractions, unused)


def fit_scaling(points: Sequence[Point], confidence: float = 0.95, deviation: Deviation = "population") -> ScalingFit:
    """The paper's regression.

    Args:
        points: at least ``FEWEST``; neither input and no accuracy is the same for all, and the inputs do not go
            exactly together (``read_results`` sees to it).
        confidence: 0 to 1, of the intervals.
        deviation: which standard deviation of the inputs becomes one.
    """
    from scipy.stats import t

    count = len(points)
    inputs = _logarithms(points)
    spread = inputs.std(axis=0, ddof=1 if deviation == "sample" else 0)
    standard = (inputs - inputs.mean(axis=0)) / spread
    accuracy = np.array([point.accuracy for point in points])
    design = np.column_stack([standard, np.ones(count)])
    solution = np.linalg.lstsq(design, accuracy, rcond=None)[0]
    fitted = design @ solution
    residual = float(((accuracy - fitted) ** 2).sum())
    freedom = count - design.shape[1]
    errors = np.sqrt(residual / freedom * np.diag(np.linalg.inv(design.T @ design)))
    reach = float(t.ppf((1 + confidence) / 2, freedom)) * errors
    a, b, c = (
        Coefficient(float(value), float(error), float(value - half), float(value + half))
        for value, error, half in zip(solution, errors, reach, strict=True)
    )
    return ScalingFit(
        a=a,
        b=b,
        c=c,
        r_squared=1 - residual / float(((accuracy - accuracy.mean()) ** 2).sum()),
        confidence=confidence,
        degrees_of_freedom=freedom,
        correlation=float(np.corrcoef(inputs.T)[0, 1]),
        per_doubling=(a.value / float(spread[0]), b.value / float(spread[1])),
        fitted=tuple(float(value) for value in fitted),
        deviation=deviation,
    )


def _logarithms(points: Sequence[Point]) -> npt.NDArray[np.float64]:
    """[n, 2]: log2 of prompts and of responses per prompt."""
    return np.log2([[point.prompts, point.responses] for point in points])


def _head_defects(head: Sequence[str]) -> list[str]:
    found = f"found {', '.join(head) or 'no head line'}"
    defects = []
    if "prompts" not in head:
        defects.append(f"column prompts is missing; expected the number of unique prompts; {found}")
    amounts = [name for name in ("responses_per_prompt", "samples") if name in head]
    if len(amounts) != 1:
        what = "are both there" if amounts else "are missing"
        defects.append(f"columns responses_per_prompt and samples {what}; expected one of the two; {found}")
    absent = [name for name in BENCHMARKS if name not in head]
    if "accuracy" in head and len(absent) < len(BENCHMARKS):
        defects.append(f"columns accuracy and benchmarks are both there; expected one or the other; {found}")
    elif "accuracy" not in head and absent:
        way = "" if len(absent) == len(BENCHMARKS) else f" ({', '.join(absent)} missing)"
        defects.append(f"no column accuracy; expected it, or all of {', '.join(BENCHMARKS)}{way}; {found}")
    defects += [
        f"column {name!r} comes twice; expected it once" for name in sorted({n for n in head if head.count(n) > 1})
    ]
    return defects


def _number(row: Mapping[str, Any], name: str, problems: list[str], most: float = math.inf) -> float:
    """A number above 0 (an accuracy: 0 to 100); else 1.0 after noting what is wrong."""
    text = (row.get(name) or "").strip()
    try:
        value = float(text)
    except ValueError:
        problems.append(f"column {name} is {text!r}; expected a number such as 36000, without units or separators")
        return 1.0
    if not math.isfinite(value) or value < 0 or value > most or (value == 0 and most == math.inf):
        problems.append(f"column {name} is {text}; expected " + ("0 to 100" if most < math.inf else "a number above 0"))
        return 1.0
    return value


def _set_defects(points: Sequence[Point], amount: str) -> list[str]:
    """What keeps a plane from being fitted."""
    if len(points) < FEWEST:
        return [
            f"{len(points)} points; expected at least {FEWEST}: a plane goes through any three, so they say nothing"
        ]
    lines = f"lines {points[0].line} to {points[-1].line}"
    defects = []
    inputs = _logarithms(points)
    for place, name in enumerate(("prompts", "responses_per_prompt")):
        if np.ptp(inputs[:, place]) < _COLLINEAR:
            value = points[0].prompts if place == 0 else points[0].responses
            of = f" ({amount} / prompts)" if place and amount == "samples" else ""
            defects.append(f"{name}{of} is {value:g} in all of {lines}; expected at least two values of it")
    if len({point.accuracy for point in points}) == 1:
        defects.append(f"the accuracy is {points[0].accuracy:g} in all of {lines}; expected at least two values of it")
    if not defects and 1 - abs(float(np.corrcoef(inputs.T)[0, 1])) < _COLLINEAR:
        defects.append(
            f"prompts and responses_per_prompt go exactly together in {lines}, so no fit can tell them apart; expected "
            "a blend with more prompts and as many responses, or the other way round"
        )
    return defects
