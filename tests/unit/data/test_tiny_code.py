"""The demo's programming problems, their tests and the teacher's responses."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import subprocess
import sys

import pytest

from recipes.data import tiny_code
from recipes.data.jsonl import demonstration_row
from recipes.data.tiny_code_kinds import KINDS, CodeInstance, Solution
from recipes.data.tiny_pools import DIFFICULTIES, SPLITS, Dice
from recipes.grading.code_extraction import extract_code
from recipes.grading.code_test_format import parse_tests
from recipes.grading.code_tests import grade_program
from recipes.grading.code_verdict import CodeOptions

CELLS = list(itertools.product(KINDS, DIFFICULTIES))


def drawn(kind: str, difficulty: int, seed: int, count: int = 20) -> list[CodeInstance]:
    dice = Dice(seed)
    return [KINDS[kind].draw(dice, difficulty) for _ in range(count)]


def outputs(instance: CodeInstance, program: str) -> list[object]:
    """What a program gives on the problem's tests; the inputs are read back from the tests as a grader would."""
    tests = tiny_code.tests_of(instance)
    if tests["kind"] == "stdin":
        return [tiny_code.run(program, text.split(), True) for text in tests["inputs"]]
    return [tiny_code.run(program, arguments, False) for arguments in tests["inputs"]]


@pytest.mark.parametrize(("kind", "difficulty"), CELLS)
def test_the_reference_passes_and_the_slip_fails(kind: str, difficulty: int) -> None:
    for instance in drawn(kind, difficulty, seed=3):
        right, slipped = (KINDS[kind].solve(instance, slip) for slip in (False, True))
        tests = tiny_code.tests_of(instance)
        assert outputs(instance, right.program) == tests["outputs"]
        assert outputs(instance, slipped.program) != tests["outputs"]
        assert right.plan != slipped.plan
        assert parse_tests(tests).total == tiny_code.TESTS
        assert len({json.dumps(given) for given in tests["inputs"]}) == tiny_code.TESTS


@pytest.mark.parametrize(("kind", "difficulty"), [(kind, d) for kind, d in CELLS if kind in ("condition", "list")])
def test_a_bound_that_is_off_by_one_fails_nearly_always(kind: str, difficulty: int) -> None:
    """Nearly: where both branches agree at the bound, the program with the other comparison is right too."""
    pairs = [
        (instance, rival)
        for instance in drawn(kind, difficulty, seed=4, count=60)
        for rival in tiny_code.rivals(KINDS[kind].solve(instance, False).program)
    ]
    passed = sum(outputs(instance, rival) == tiny_code.tests_of(instance)["outputs"] for instance, rival in pairs)
    assert passed <= len(pairs) * 0.05


WANTED = {
    ("formula", 1): ("x minus 7", lambda x: x - 7),
    ("formula", 2): ("b minus a plus 3", lambda a, b: b - a + 3),
    ("formula", 3): ("x plus 2, all times 5", lambda x: (x + 2) * 5),
    ("formula", 4): ("a times 3 minus b, then plus 4", lambda a, b: a * 3 - b + 4),
    ("condition", 1): ("4 if x is at least 9, else 6", lambda x: 4 if x >= 9 else 6),
    ("condition", 3): ("x times 4 if x is less than 9, else x", lambda x: x * 4 if x < 9 else x),
    ("list", 1): ("the sum of x plus 2 for all x in v", lambda v: sum(x + 2 for x in v)),
    ("list", 2): ("the list of all x in v divisible by 3", lambda v: [x for x in v if x % 3 == 0]),
    ("list", 3): ("the number of x in v at most 8", lambda v: len([x for x in v if x <= 8])),
    ("list", 4): ("the list of x times 2 for all x in v less than 9", lambda v: [2 * x for x in v if x < 9]),
    ("series", 1): ("the list of all x from 4 to n", lambda n: list(range(4, n + 1))),
    ("series", 4): ("the sum of x minus 2 for all x from 5 to n", lambda n: sum(range(3, n - 1))),
    ("text", 1): ("s with every a replaced by b", lambda s: "".join("b" if c == "a" else c for c in s)),
    ("text", 2): ("the first 3 letters of s, reversed", lambda s: s[2] + s[1] + s[0]),
    ("text", 4): ("the last 2 letters of s, in capitals, repeated 3 times", lambda s: 3 * s[-2:].swapcase()),
}


def parts(kind: str, difficulty: int, words: str) -> tuple[str | int, ...]:
    """The parts of a drawn instance of the same shape, with the constants and words of ``words``."""
    numbers = [int(number) for number in re.findall(r"\d+", words)]
    return {
        ("formula", 1): lambda: ("x", "minus", 7),
        ("formula", 2): lambda: ("b", "minus", "a", "plus", 3),
        ("formula", 3): lambda: ("x", "plus", 2, "times", 5),
        ("formula", 4): lambda: ("a", "times", 3, "minus", "b", "plus", 4),
        ("condition", 1): lambda: ("at least", 9, "4", "6"),
        ("condition", 3): lambda: ("less than", 9, "x times 4", "x"),
        ("list", 1): lambda: ("sum", "plus", 2, "", 0),
        ("list", 2): lambda: ("list", "", 0, "divisible by", 3),
        ("list", 3): lambda: ("number", "", 0, "at most", 8),
        ("list", 4): lambda: ("list", "times", 2, "less than", 9),
        ("series", 1): lambda: ("list", numbers[0], "", 0),
        ("series", 4): lambda: ("sum", 5, "minus", 2),
        ("text", 1): lambda: ("replace a b",),
        ("text", 2): lambda: ("first 3", "reversed"),
        ("text", 4): lambda: ("last 2", "in capitals", "repeated 3 times"),
    }[kind, difficulty]()


@pytest.mark.parametrize(("kind", "difficulty"), WANTED)
def test_programs_do_what_the_words_say(kind: str, difficulty: int) -> None:
    """Against meanings written by hand, on the arguments of the kind."""
    words, meaning = WANTED[kind, difficulty]
    instance = CodeInstance(kind, difficulty, parts(kind, difficulty, words), words, (kind, words))
    program = KINDS[kind].solve(instance, False).program
    dice = Dice(9)
    for _ in range(30):
        arguments = KINDS[kind].arguments(dice, instance)
        assert tiny_code.run(program, arguments, False) == meaning(*arguments), program


@pytest.mark.parametrize(("kind", "difficulty"), WANTED)
def test_the_words_are_those_of_the_generator(kind: str, difficulty: int) -> None:
    """The sentences of ``WANTED`` have the shape of drawn ones: equal once numbers and choices are taken out."""

    def shape(text: str) -> str:
        text = re.sub(r"\d+", "9", text)
        text = re.sub(r"\b(plus|minus|times)\b(?=.* 9| 9| [ab])", "OP", text)
        text = re.sub(r"greater than|less than|at least|at most|divisible by", "COMPARED", text)
        text = re.sub(r"the (list|sum) of", "the AGGREGATE of", text)
        text = re.sub(r"the (first|last) 9 letters of s|s without its first 9 letters", "PIECE", text)
        text = re.sub(r"reversed|in capitals|repeated 9 \w+", "CHANGED", text)
        text = re.sub(r"every \w replaced by \w", "every LETTER replaced by LETTER", text)
        return re.sub(r"\b(a|b)\b", "NAME", text)

    shapes = {shape(instance.text.partition("returns ")[2]) for instance in drawn(kind, difficulty, 1, 300)}
    assert shape(WANTED[kind, difficulty][0] + ".") in shapes


def test_hand_worked_solutions() -> None:
    def solve(kind: str, *given: str | int, slip: bool = False) -> Solution:
        return KINDS[kind].solve(CodeInstance(kind, 1, given, "", ()), slip)

    assert solve("formula", "a", "times", "b", "plus", 3) == Solution(
        ("a * b", "a * b + 3"), "def f(a, b):\n    return a * b + 3"
    )
    assert solve("formula", "a", "times", "b", "plus", 3, slip=True).plan == ("a * b", "a * b - 3")
    assert solve("formula", "x", "plus", 2, "times", 5, slip=True).plan == ("x + 2", "(x + 2) + 5")
    assert solve("formula", "a", "times", 3, "minus", "b", "plus", 4, slip=True).plan == ("a * 3", "a * 3 - b")
    assert solve("program", "b", "minus", "a", "plus", 3).program == (
        "a = int(input())\nb = int(input())\nprint(b - a + 3)"
    )
    assert solve("condition", "at most", 5, "x plus 1", "7", slip=True).plan == ("x >= 5: x + 1", "else: 7")
    assert solve("list", "number", "", 0, "greater than", 4).program == (
        "def f(v):\n    return sum(1 for x in v if x > 4)"
    )
    assert solve("series", "sum", 2, "times", 3, slip=True).plan == ("range(2, n)", "sum of x * 3")
    assert solve("text", "replace a b", "reversed", slip=True).plan == ('s.replace("a", "b")',)
    assert solve("text", "replace a b", slip=True).plan == ('s.replace("b", "a")',)


def test_splits_are_disjoint_by_text_and_by_program() -> None:
    def asked(split: str) -> tuple[set[str], set[str]]:
        found = [
            instance
            for seed in (0, 1, 2)
            for instance in tiny_code.instances(seed, split, 250, tuple(reversed(DIFFICULTIES)))  # type: ignore[arg-type]
        ]
        programs = [KINDS[instance.kind].solve(instance, False).program for instance in found]
        # Without the way of input and output: a function and a program that work out the same are one content.
        bodies = {re.sub(r"def f.*\n +|return |print\((.*)\)|.*input.*\n", r"\1", program) for program in programs}
        return {instance.text for instance in found}, bodies

    for one, other in itertools.combinations(SPLITS, 2):
        for ours, theirs in zip(asked(one), asked(other), strict=True):
            assert ours and theirs and not ours & theirs


def test_a_formula_and_the_program_that_prints_it_share_a_split() -> None:
    function, program = (
        next(i for i in drawn(kind, 1, 0, 2000) if i.text.endswith("x times 12.")) for kind in ("formula", "program")
    )
    assert function.content == program.content


def test_problems_are_distinct_and_balanced() -> None:
    found = tiny_code.problems(4, "train", 240)
    assert len({problem.id for problem in found}) == len({problem.problem for problem in found}) == 240
    per_kind = [sum(problem.metadata["kind"] == kind for problem in found) for kind in KINDS]
    assert per_kind == [40] * len(KINDS)


def test_demonstrations_have_the_documented_form_and_flag_wrong_programs() -> None:
    rows = tiny_code.demonstrations(2, "train", 400)
    assert len(rows) == len({(row.problem.id, row.response) for row in rows}) == 400
    for row in rows:
        assert re.fullmatch(r"<think>\n(.+\n)+</think>\n\n```python\n(.+\n)+```", row.response)
        assert row.problem.metadata["instruction"] == tiny_code.INSTRUCTION
        code = extract_code(row.response)
        assert code is not None
        tests = row.problem.tests
        assert tests is not None
        given = tests["inputs"]
        stdin = tests["kind"] == "stdin"
        found = [tiny_code.run(code, one.split() if stdin else one, stdin) for one in given]
        assert row.problem.metadata["correct"] == (found == tests["outputs"])


def test_slip_and_style_fractions() -> None:
    rows = tiny_code.demonstrations(3, "train", 2000, responses_per_problem=1)
    styles = {style: [r for r in rows if r.problem.metadata["style"] == style] for style in ("concise", "checked")}
    wrong = {
        style: sum(not row.problem.metadata["correct"] for row in found) / len(found) for style, found in styles.items()
    }
    assert wrong["concise"] == pytest.approx(tiny_code.SLIP_FRACTION, abs=0.05)
    assert wrong["checked"] == pytest.approx(tiny_code.SLIP_FRACTION / 2, abs=0.05)
    assert len(styles["checked"]) / len(rows) == pytest.approx(0.35, abs=0.04)


def test_more_responses_than_a_problem_has_are_refused() -> None:
    assert len(tiny_code.demonstrations(1, "train", 96, responses_per_problem=4)) == 96
    with pytest.raises(ValueError, match=r"responses_per_problem is 5; expected 1\.\.4"):
        tiny_code.demonstrations(1, "train", 96, responses_per_problem=5)


def test_the_judge_agrees() -> None:
    """One problem of every cell through the grader itself (in this process: the programs are the generator's own)."""
    options = CodeOptions(sandbox="none")
    for kind, difficulty in CELLS[:: len(DIFFICULTIES)]:
        (instance,) = drawn(kind, difficulty, 6, 1)
        for slip in (False, True):
            program = KINDS[kind].solve(instance, slip).program
            verdict = grade_program(program, parse_tests(tiny_code.tests_of(instance)), options)
            assert verdict.correct == (not slip), (program, verdict)


def test_same_arguments_same_bytes() -> None:
    """In two processes with different hash seeds, and as pinned."""
    rows = tiny_code.demonstrations(1, "train", 100)
    text = "".join(json.dumps(demonstration_row(row), sort_keys=True) for row in rows)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == PINNED
    script = (
        "import hashlib, json\nfrom recipes.data import tiny_code\nfrom recipes.data.jsonl import demonstration_row\n"
        'rows = tiny_code.demonstrations(1, "train", 100)\n'
        'text = "".join(json.dumps(demonstration_row(row), sort_keys=True) for row in rows)\n'
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == digest


PINNED = "8c9778e4640ea2c320035496bb7363ce29ef8854583b6fa5ab8ff127dbc8fdf7"
