"""Grade responses by rule: the training reward and the benchmarks' grader, as a command.

    python -m recipes.grade math IN.jsonl OUT.jsonl
    python -m recipes.grade code IN.jsonl OUT.jsonl --workers 8 --all-tests
    python -m recipes.grade math IN.jsonl OUT.jsonl --thinking required     (the training reward, to the letter)

Output order is input order, one row for each row.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf
from tqdm import tqdm

from recipes.grading.code_grader import CodeGrader
from recipes.grading.grade_file import check_file, grade_file
from recipes.grading.graders import GradingOptions
from recipes.grading.math_grader import MathGrader
from recipes.grading.worker_pool import WorkerPoolError
from recipes.settings.typed import CONF
from recipes.user_input import checked_input

THINKING = {"auto": None, "required": True, "anywhere": False}
MATH = """\
rows in:  {"id", "response", "answer"}      answer: the gold answer, or a list of acceptable ones
rows out: {"id", "correct", "extracted", "verdict", "seconds"}
          verdict: correct, wrong, no_answer, timeout or error

The answer is the last \\boxed{} after the last </think>. How two answers are compared: recipes/grading/POLICY.md"""
CODE = """\
rows in:  {"id", "response", "tests"}
rows out: {"id", "correct", "passed", "total", "verdict", "first_failure", "seconds"}
          verdict: pass, wrong_answer, time_limit, memory_limit, output_limit, runtime_error, no_code or sandbox_error

The program is the last ```python block after the last </think>. Kinds of tests:
  {"kind": "stdin", "inputs": [str, ...], "outputs": [str, ...]}
  {"kind": "functional", "fn_name": str, "inputs": [...], "outputs": [...]}
  {"kind": "assert", "code": str, "entry_point": str}
each with "time_limit_s", "memory_limit_mb" and "tolerance" where the problem has its own.
Programs run in a bubblewrap sandbox: no network, no files of this machine, limited time, memory, processes, output."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.grade``."""
    words = _parser().parse_args(arguments)
    source, target = Path(words.input), Path(words.output)
    options = _options(words)
    with checked_input("python -m recipes.grade"):
        rows = check_file(source, words.domain, keep_going=words.keep_going)
        grader: MathGrader | CodeGrader
        if words.domain == "math":
            grader = MathGrader(options.workers, options.timeout_seconds, options.require_thinking)
        else:
            grader = CodeGrader(options.workers, options.code(all_tests=words.all_tests), options.require_thinking)
    started = time.monotonic()
    with grader, tqdm(total=rows, desc=f"grading {source.name}", unit="row", dynamic_ncols=True) as bar:
        right = 0

        def progress(verdict: str) -> None:
            nonlocal right
            right += verdict in ("correct", "pass")
            bar.set_postfix_str(f"right {right}", refresh=False)
            bar.update()

        try:
            counts = grade_file(source, target, words.domain, grader, progress)
        except WorkerPoolError as error:
            sys.exit(f"python -m recipes.grade: {error}")
    print(_summary(target, counts, time.monotonic() - started))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.grade",
        description=__doc__,
        epilog=f"math\n\n{MATH}\n\ncode\n\n{CODE}\n\nOptions: python -m recipes.grade math --help, or code --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    domains = parser.add_subparsers(dest="domain", required=True, metavar="{math,code}")
    defaults = OmegaConf.load(CONF / "base" / "grading.yaml")
    for domain, epilog in (("math", MATH), ("code", CODE)):
        command = domains.add_parser(
            domain, help=f"grade {domain}", epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        command.add_argument("input", metavar="IN.jsonl")
        command.add_argument("output", metavar="OUT.jsonl")
        command.add_argument("--workers", type=_count, default=os.cpu_count() or 1, help="processes (%(default)s)")
        command.add_argument("--keep-going", action="store_true", help="grade the rest where rows are malformed")
        command.add_argument(
            "--thinking",
            choices=THINKING,
            default="auto",
            help="required: nothing counts without </think>, as in the training reward and in evaluations "
            "(grading.require_thinking=true); anywhere: the whole response counts; auto (default): required where a "
            "response shows a <think> or </think>, so one with neither is graded as a whole and may be right here "
            "although training gives it no reward",
        )
        command.set_defaults(**{str(key): value for key, value in defaults.items() if key != "workers"})
    code, math = domains.choices["code"], domains.choices["math"]
    math.add_argument("--seconds", dest="timeout_seconds", type=_positive, help="budget of one answer (%(default)s)")
    code.add_argument("--all-tests", action="store_true", help="go on after the first failure")
    code.add_argument("--sandbox", choices=("bubblewrap", "none"), help="none: no protection, for trusted programs")
    code.add_argument(
        "--seconds", dest="seconds_per_test", type=_positive, help="CPU seconds of a test without a limit (%(default)s)"
    )
    code.add_argument("--memory-mb", type=_count, help="MiB of a program without a limit (%(default)s)")
    code.add_argument("--packages", nargs="*", metavar="NAME", help="installed packages that programs may import")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected an integer of at least 1")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number above 0")
    return value


def _options(words: argparse.Namespace) -> GradingOptions:
    return GradingOptions(
        workers=words.workers,
        timeout_seconds=words.timeout_seconds,
        require_thinking=THINKING[words.thinking],
        sandbox=words.sandbox,
        seconds_per_test=words.seconds_per_test,
        seconds_per_assert_code=words.seconds_per_assert_code,
        memory_mb=words.memory_mb,
        packages=tuple(words.packages),
    )


def _summary(target: Path, counts: Counter[str], seconds: float) -> str:
    rows = counts.total()
    right = counts["correct"] + counts["pass"]
    shares = ", ".join(f"{verdict} {count}" for verdict, count in counts.most_common())
    return f"{target}: {rows} rows, {right / rows:.1%} right ({shares}); {seconds:.1f} s, {rows / seconds:.0f} rows/s"


if __name__ == "__main__":
    main()
