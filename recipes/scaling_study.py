"""How accuracy grows with prompts and with responses for each: the paper's regression (§4.4.2) on your own blends.

    python -m recipes.scaling_study RESULTS.csv

RESULTS.csv has a head line and one line for each SFT blend, at least four:

    blend,prompts,responses_per_prompt,aime24,aime25,livecodebench_v5,livecodebench_v6
    v1,36000,1,40.1,30.2,30.9,29.0
    ...

prompts               unique prompts of the blend (its card.json: prompts)
responses_per_prompt  samples / prompts; or a column samples instead
aime24 ...            avg@n of the model trained on it, in percent or as fractions; or their mean as a column accuracy
blend                 a name (optional)

The fit is z = a*log2(prompts) + b*log2(responses) + c with both logarithms brought to mean 0 and standard deviation 1.
So a and b say how many percentage points one standard deviation of each is worth; the column "a doubling" says it for
twice as many. Published, from seven blends: a = 4.831, b = 2.635, R^2 = 0.989. With few points the intervals are wide,
and where prompts and responses grew together (correlation near 1) no fit can say which of them it was.

Writes RESULTS.scaling.json and RESULTS.scaling.png beside the file, or into --output, and prints the table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recipes.atomic_files import atomic_file, write_text
from recipes.data.scaling_fit import PUBLISHED, Results, ScalingFit, fit_scaling, read_results
from recipes.reporting.scaling import scaling_png, scaling_table
from recipes.user_input import checked_input

CLOSE = 0.95
"""Correlation of the inputs from which the fit comes with a warning."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.scaling_study``."""
    given = _parser().parse_args(arguments)
    with checked_input("python -m recipes.scaling_study"):
        results = read_results(given.results)
    record = _record(results, fit_scaling(results.points, given.confidence, given.deviation))
    folder = given.output or given.results.parent
    stem = folder / f"{given.results.stem}.scaling"
    write_text(stem.with_name(f"{stem.name}.json"), json.dumps(record, indent=1) + "\n")
    with atomic_file(stem.with_name(f"{stem.name}.png"), "wb") as picture:
        picture.write(scaling_png(record))
    print(scaling_table(record))
    print(f"\n{stem}.json, {stem}.png")


def _record(results: Results, fit: ScalingFit) -> dict[str, Any]:
    """All numbers as JSON."""
    slopes = dict(zip("ab", fit.per_doubling, strict=True))
    return {
        "results": results.path.name,
        "points": [
            {
                "blend": point.name,
                "prompts": point.prompts,
                "responses_per_prompt": point.responses,
                "accuracy": point.accuracy,
                "fitted": fitted,
            }
            for point, fitted in zip(results.points, fit.fitted, strict=True)
        ],
        "coefficients": {
            key: asdict(getattr(fit, key)) | ({"per_doubling": slopes[key]} if key in slopes else {}) for key in "abc"
        },
        "r_squared": fit.r_squared,
        "confidence": fit.confidence,
        "degrees_of_freedom": fit.degrees_of_freedom,
        "correlation_of_inputs": fit.correlation,
        "standard_deviation": fit.deviation,
        "published": PUBLISHED,
        "notes": list(_notes(results, fit)),
    }


def _notes(results: Results, fit: ScalingFit) -> list[str]:
    divisor = "n" if fit.deviation == "population" else "n - 1"
    notes = [
        f"{len(results.points)} points, {fit.degrees_of_freedom} degrees of freedom; inputs log2, standardised with "
        f"the {fit.deviation}'s standard deviation (divided by {divisor}; which is not published)"
    ]
    if abs(fit.correlation) > CLOSE:
        notes.append(
            f"prompts and responses grew together (correlation {fit.correlation:.3f}): a and b are uncertain apart"
        )
    if results.fractions:
        notes.append("the accuracies stand in the file as fractions; here they are in percent")
    if results.unused:
        notes.append(f"not used: the columns {', '.join(results.unused)}")
    return notes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.scaling_study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, metavar="RESULTS.csv")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the two files (that of RESULTS.csv)")
    parser.add_argument("--confidence", type=_confidence, default=0.95, help="of the intervals (%(default)s)")
    parser.add_argument(
        "--deviation",
        choices=("population", "sample"),
        default="population",
        help="which standard deviation becomes 1: divided by n (population, the default) or by n - 1",
    )
    return parser


def _confidence(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number between 0 and 1")
    return value


if __name__ == "__main__":
    main()
