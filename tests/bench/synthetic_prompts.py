"""Any number of made-up prompts; some are copies of others in another dress, some hold a problem of a benchmark."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.parity.planted_duplicates import DRESSES

COPIES = 0.10
"""Of the rows: copies of an earlier one."""
CONTAMINATED = 0.005
"""Of the rows: a problem of the benchmark inside a longer text."""
BENCHMARK = 1_000
"""Problems of the benchmark."""
NEAR = ("typo", "reordered, typo")
PLANTED = ("verbatim", "upper case", "wide", "LaTeX commands", "delimiters", "all layouts", "reordered", *NEAR)


def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split())


_NAMES = _split("Ada Ben Cleo Dana Emil Fay Gus Hana Ivo June Kai Lena Milo Nina Omar Pia Quin Rosa Sam Tara Uma Vito")
_PLACES = _split("market harbour library garden station museum bakery theatre quarry orchard workshop stadium")
_THINGS = _split("marbles ribbons lanterns pencils baskets candles bottles tickets stamps feathers pebbles buttons")
_SYLLABLES = _split("ba ce di fo gu ha ki lo mu ne pa ri so tu va we xi yo za")
_OPENINGS = (
    "{name} keeps {a} {thing} in a box at the {place} of {town}.",
    "In the town of {town} there are {a} {thing} for sale at the {place}.",
    "Every morning {name} of {town} counts {a} {thing} beside the {place}.",
)
_MIDDLES = (
    "Each of them costs $\\frac{{{b}}}{{{c}}}$ coins, and {other} buys {d} of the {thing} before noon.",
    "On the way to the {place} of {far} exactly {b} of the {thing} are lost, and {other} brings {c} new ones.",
    "Let $f(x) = {b}x^2 - {c}x + {d}$ for every real number $x$, and let $n \\leq {a}$ be a positive integer.",
    "A rectangle near {far} has sides of length ${b}$ and ${c}$, and its diagonal meets a circle of radius ${d}$.",
)
_QUESTIONS = (
    "How many {thing} does {other} of {far} have in the evening?",
    "Find the value of $f({c}) + {d}$ in lowest terms.",
    "What is the smallest number of {thing} that {name} still needs?",
    "Compute $\\left({b} + {d}\\right) \\cdot {a}$ and explain what it means for {town}.",
)


def write_prompts(folder: Path, rows: int, seed: int) -> None:
    """``rows.jsonl``, ``benchmark.jsonl`` and ``truth.jsonl``: of each row not made alone, what was planted."""
    folder.mkdir(parents=True, exist_ok=True)
    problems = [_foreign(random.Random(f"benchmark {number} {seed}")) for number in range(BENCHMARK)]
    with (folder / "benchmark.jsonl").open("w", encoding="utf-8") as file:
        for number, problem in enumerate(problems):
            file.write(json.dumps({"id": f"b{number}", "problem": problem, "answer": "1"}) + "\n")
    with (
        (folder / "rows.jsonl").open("w", encoding="utf-8") as made,
        (folder / "truth.jsonl").open("w", encoding="utf-8") as truth,
    ):
        for row, planted in _rows(rows, problems, seed):
            made.write(json.dumps(row, ensure_ascii=False) + "\n")
            if planted:
                truth.write(json.dumps({"number": row["number"], **planted}) + "\n")


def _rows(rows: int, benchmark: list[str], seed: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The rows with their numbers, and what was planted in them."""
    for number in range(rows):
        dice = random.Random(f"row {number} {seed}")
        kind, of = dice.random(), dice.randrange(rows)
        answer = str(dice.randrange(1000))
        if kind < CONTAMINATED:
            problem, planted = _around(dice.choice(benchmark), dice), {"kind": "contaminated"}
        elif kind < CONTAMINATED + COPIES and (original := _alone(of, rows, seed)) is not None:
            name = PLANTED[number % len(PLANTED)]
            problem, answer = original
            copy = problem if name == "verbatim" else DRESSES[name](problem, dice)
            planted, problem = {"kind": name, "of": of}, copy
        else:
            problem, planted = prompt(dice), {}
        yield {"number": number, "problem": problem, "answer": answer, "source": f"s{number % 3}"}, planted


def _alone(number: int, rows: int, seed: int) -> tuple[str, str] | None:
    """Problem and answer of a row that is neither copy nor contaminated."""
    dice = random.Random(f"row {number} {seed}")
    kind, _ = dice.random(), dice.randrange(rows)
    answer = str(dice.randrange(1000))
    return None if kind < CONTAMINATED + COPIES else (prompt(dice), answer)


def prompt(dice: random.Random) -> str:
    """A made-up word problem, some 300 characters."""
    sentences = [dice.choice(_OPENINGS), *dice.sample(_MIDDLES, dice.choice((1, 2, 2, 3))), dice.choice(_QUESTIONS)]
    slots = {
        "name": dice.choice(_NAMES), "other": dice.choice(_NAMES), "place": dice.choice(_PLACES),
        "thing": dice.choice(_THINGS), "town": _word(dice), "far": _word(dice),
        **{letter: dice.randrange(2, 400) for letter in "abcd"},
    }  # fmt: skip
    return " ".join(sentence.format(**slots) for sentence in sentences)


def _foreign(dice: random.Random) -> str:
    """A problem of the benchmark: 15 to 60 words that share no run of 8 with the others."""
    return f"{' '.join(_word(dice) for _ in range(dice.randrange(15, 60)))} = {dice.randrange(1000)}?"


def _around(problem: str, dice: random.Random) -> str:
    before = f"The following was asked in {_word(dice)} in {dice.randrange(1900, 2000)}."
    return f"{before} {problem} Give reasons for {_word(dice)}."


def _word(dice: random.Random) -> str:
    return "".join(dice.choice(_SYLLABLES) for _ in range(4)).capitalize()
