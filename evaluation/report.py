"""The page of an evaluation for a person: DIR/report.html, one file, no network.

    python -m evaluation.report output=DIR [against=OTHER ...] [samples=2] [benchmark.path=FILE]

Scores beside the paper's Table 1, pass@K, solve rates, lengths, and samples with their verdicts. against: a folder of
another evaluation of the same benchmarks, to compare with problem by problem; may be given several times. samples:
right samples of each problem on the page, and as many wrong ones; DIR/<benchmark>/samples.jsonl has them all.
benchmark.path: where the problems lie now, for a folder with one benchmark that was sampled elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from evaluation.reporting.page import write_report
from evaluation.reporting.sample_view import PER_PROBLEM
from evaluation.samples import SamplesError
from evaluation.saved import path_of
from recipes.user_input import checked_input


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m evaluation.report``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"--help", "-h"} & set(words):
        print(__doc__)
        return
    with checked_input("python -m evaluation.report"):
        given = [word.partition("=") for word in words]
        outputs = [path_of(value) for key, _, value in given if key in ("output", "evaluation.output")]
        if len(outputs) != 1:
            raise SamplesError(f"expected output=DIR once, found {words}")
        against = [path_of(value) for key, _, value in given if key == "against"]
        counts = [value for key, _, value in given if key == "samples"] or [str(PER_PROBLEM)]
        if not counts[-1].isdecimal():
            raise SamplesError(f"samples={counts[-1]}: expected a number of samples, 0 or more")
        known = ("output", "evaluation.output", "against", "samples")
        more = ["=".join((key, value)) for key, _, value in given if key not in known]
        page = write_report(outputs[0], against, more, int(counts[-1]))
    print(f"Report: {page}")


if __name__ == "__main__":
    main()
