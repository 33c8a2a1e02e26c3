r"""Problems whose gold answer cannot serve as a reward, seen from the texts alone (1.0 §3.2.1, 1.1 §3.2.2).

A rule-based grader compares one final answer with one gold answer. Out are: no answer, words in place of one, several
parts with an answer each, a choice's letter without the choices, proofs, pictures that the text cannot show. The rules
are cautious: what they do not recognise stays, and the grader has the last word (``recipes.preparation.gold_checks``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST_ANSWER = 1000
"""Characters: the graders compare a longer one as text alone (``recipes.grading.math_answers``)."""
MOST_WORDS = 8
"""Of prose in an answer: nobody writes nine words exactly as the gold answer has them."""

_PLACEHOLDERS = frozenset(
    (
        "proof",
        "proved",
        "not found",
        "notfound",
        "n/a",
        "na",
        "see solution",
        "see explanation",
        "omitted",
        "tbd",
        "qed",
    )
)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_COMMAND = re.compile(r"\\(?:text|textbf|textit|mbox|mathrm|mathbf|operatorname)\b|\\[A-Za-z]+")
_LETTER = re.compile(r"\(?\s*([A-H])\s*\)?")
_WRAPPING = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|boxed)\s*\{|[${}]|\\[()]|\\ ")
_AT_LINE_START = r"(?:^|\n|[.?!;:]\s+|\s{2,})\s*(?:\*\*|\\textbf\{|\\item\s*\[?)?"
_ANYWHERE = r"(?:^|(?<=[\s,;$.:]))"
_LABELS: tuple[Sequence[str], ...] = ("abcdefg", ("i", "ii", "iii", "iv", "v"), "1234567")
_PROOF = re.compile(
    r"(?:^|[.;:?!\n$]\s*|\b(?:and|then|to|also)\s+)(?:prove|show|demonstrate|verify|justify|disprove)(?:\s*,[^,]*,\s*|\s+)"
    r"(?:that|the (?:following|identity|inequality|statement)|why|whether|:|it\b|\$)",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\?|\b(?:find|determine|compute|calculate|evaluate|what|which|how many|how much|express|solve|simplify|give|list|"
    r"write|state|enter|answer|area|value|number of)\b",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\?|\b(?:find|determine|compute|calculate|evaluate|what (?:is|are)|which of|how many|how much|solve|prove|"
    r"show that|express|write|sketch|explain|discuss)\b",
    re.IGNORECASE,
)
_PICTURE = re.compile(r"!\[[^\]]*\]\(|<img\b", re.IGNORECASE)
_QUESTIONS = re.compile(r"\?(?=\s|$|[\"')])")
_NAMED = re.compile(r"(?<![A-Za-z\\])([A-Za-z](?:_\{?\w{1,3}\}?)?)\s*=(?!=)")


def gold_defect(problem: str, answer: str) -> str | None:
    """Why the answer cannot serve as the gold answer of the problem; None where nothing speaks against it.

    Args:
        problem: the statement.
        answer: the gold answer as the source has it, dollars and boxes included.
    """
    bare = _bare(answer)
    if not bare:
        return "no answer"
    if len(answer) > LONGEST_ANSWER:
        return (
            f"an answer of {len(answer):,} characters; the graders compare one beyond {LONGEST_ANSWER:,} as text alone"
        )
    if bare.casefold().strip(" .!") in _PLACEHOLDERS:
        return f"{bare[:40]!r} in place of an answer"
    if _PICTURE.search(problem) or _PICTURE.search(answer):
        return "a picture that the text cannot show"
    words = len(_WORD.findall(_COMMAND.sub(" ", answer)))
    if words > MOST_WORDS:
        return f"an answer of {words} words, which a response would have to repeat exactly"
    if _is_proof(problem):
        return "a proof: its end says nothing about it"
    if (labels := part_labels(answer)) and len(labels) > 1:
        return f"an answer in parts {', '.join(labels)}"
    if len(asked := _parts_that_ask(problem)) > 1:
        return f"a problem with a question in each of the parts {', '.join(asked)}"
    if len(set(_NAMED.findall(answer))) > 1 and len(_QUESTIONS.findall(problem)) > 1:
        return f"several questions, and an answer with a value for each: {bare[:60]}"
    letter = _LETTER.fullmatch(bare)
    if letter and not mentions_letter(problem, letter[1]):
        return f"the letter of a choice, {letter[1]}, and no choices in the problem"
    return None


def part_labels(text: str) -> list[str]:
    """The labels of parts from the first on, ``(a)``, ``(b)`` or ``(i)``, ``(ii)`` or ``1)``, ``2)``; one is none."""
    return [match["label"] for match in _labels(text, _ANYWHERE)]


def mentions_letter(problem: str, letter: str) -> bool:
    """Whether a capital letter stands for something in the problem: a choice, a point, a set; the article does not.

    A problem that asks for a letter mentions them all.
    """
    if re.search(r"\bletter\b", problem):
        return True
    around = (
        rf"[(\[](?:{letter}|{letter.lower()})[)\]]"
        rf"|(?<![A-Za-z]){letter}(?:[).:,;]|\s*$)"
        rf"|[${{]\s*{letter}\s*[}}$]"
        rf"|\\text\w*\{{\(?{letter}"
    )
    alone = rf"|(?<![A-Za-z\\]){letter}(?![A-Za-z])" if letter not in "AI" else ""
    return re.search(around + alone, problem, re.MULTILINE) is not None


def _labels(text: str, before: str) -> list[re.Match[str]]:
    for labels in _LABELS:
        found: list[re.Match[str]] = []
        for label in labels:
            after = "" if label.isdigit() else r"(?=[\s.:$\\*}])"
            pattern = rf"{before}(?P<label>[(\[]{label}[)\]]|{label}\)){after}"
            match = re.compile(pattern).search(text, found[-1].end() if found else 0)
            if match is None:
                break
            found.append(match)
        if len(found) > 1:
            return found
    return []


def _parts_that_ask(problem: str) -> list[str]:
    """Labels of the parts that ask something themselves; conditions in a list do not."""
    labels = _labels(problem, _AT_LINE_START)
    ends = [match.start() for match in labels[1:]] + [len(problem)]
    parts = zip(labels, ends, strict=True) if labels else ()
    return [match["label"] for match, end in parts if _ASKED.search(problem, match.end(), end)]


def _bare(answer: str) -> str:
    return _WRAPPING.sub("", answer).strip().strip(".").strip()


def _is_proof(problem: str) -> bool:
    found = list(_PROOF.finditer(problem))
    if not found:
        return False
    return not _ASKS.search(problem[found[-1].end() :]) and not _ASKS.search(problem[: found[0].start()])
