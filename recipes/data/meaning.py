"""Whether two similar prompts ask the same: every difference between them must be known to be harmless.

Similarity of words alone would merge "the greatest" with "the least", and each problem of a template with the same one
with other numbers. So the differing stretches are looked at: they may hold words that only frame a question (``find``,
``determine``, ``the``), one word written as two, and words misspelt by one letter. Any other difference, of a number, a
sign, a variable, a name or a word, makes them different problems. Words of which one letter makes another meaning
(``fifth`` and ``fifty``, ``cm`` and ``mm``) are no misspellings of each other.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from recipes.data.canonical_symbols import COMMANDS, NAMES
from recipes.data.canonical_text import Sentences


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FRAMING = _words("the that please then thus now also find compute calculate determine value what is are of and")
"""May be there or not."""

NUMBERS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred "
    "thousand million billion dozen half halves third thirds quarter quarters first second fourth fifth "
    "sixth seventh eighth ninth tenth eleventh twelfth thirteenth fifteenth twentieth once twice thrice "
    "single double triple quadruple"
)

MEANING = (
    _words(
        "not no nor none never neither without with within and or either both only all any each every "
        "some least most more less fewer many much greatest greater largest larger smallest smaller "
        "highest higher lowest lower maximum minimum maximal minimal even odd evens odds increasing "
        "decreasing increase decrease increased decreased before after above below over under inside "
        "outside interior exterior inner outer left right top bottom same different distinct equal "
        "unequal positive negative nonnegative nonpositive nonzero rational irrational real complex "
        "prime composite integer integers natural whole mean median mode sum difference product "
        "quotient ratio times plus minus row rows column columns width length height depth radius "
        "diameter area perimeter volume convex concave open closed inclusive exclusive symmetric "
        "asymmetric typical atypical regular irregular up down sell buy add adds daily weekly monthly "
        "yearly hourly day days week weeks month months year years hour hours minute minutes penny "
        "nickel dime quarter dollar dollars cent cents inch inches foot feet yard yards mile miles "
        "meter meters gram grams pound pounds ounce ounces ton tons cm mm km kg mg ml "
        "kilogram milligram kilometer centimeter millimeter decimeter "
        "liter liters north south east west morning evening today tomorrow yesterday red "
        "blue green white black girl girls mother father brother sister short cube cubes cubed square "
        "squares squared root roots edge edges vertex vertices heads tails substring subsequence "
        "ascending descending lowercase uppercase undirected directed cyclic acyclic unsorted sorted"
    )
    | NUMBERS
    | NAMES
    | frozenset(COMMANDS)
)
"""None of these is a misspelling of another."""

ALIKE = _words(
    "from for form to too in on at by out if of off his her he she they there their where here win "
    "wins won give gave take took lose loses lost sun son sons cost coast post past last lest list "
    "sale sales sail side sides site man men woman women card cards face faces die dice long new boy "
    "boys toy toys old then than tree trees through though thought angle angel"
)
"""Words that look alike: no misspellings of each other or of the above either, unless the answers agree."""
_DOUBTFUL = ALIKE | MEANING

_CAPITALS = re.compile(r"\b[A-Z]{2,}\b")
_IN_FORMULA = re.compile(r"(?<=[=+*/^_{|<>])[A-Za-z]{2,4}\b|\b[A-Za-z]{2,4}(?=\s?[=+*/^_}|<>])")
_DRAWING = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)
_FIRST_LETTERS = frozenset("abcdefgh")
_VOWELS = frozenset("aeiou")
_LONGEST = 4_000
"""Tokens of what differs; beyond it two prompts count as different."""


def letter_names(text: str) -> frozenset[str]:
    """Runs of letters that name points or multiply variables, in lower case: ``ABC``, and ``xy`` beside an operator.

    ``ABC`` and ``ACB`` are one swap apart and are two angles, so these are never misspelt.
    """
    text = _DRAWING.sub(" ", text)
    found = _IN_FORMULA.findall(text)
    if not text.isupper():  # capitals would tell nothing
        found += _CAPITALS.findall(text)
    return frozenset(map(str.lower, found))


@dataclass(frozen=True, slots=True)
class Spelling:
    """What may count as a spelling mistake."""

    names: frozenset[str] = frozenset()
    """Words that are spelt right, whatever they look like: ``letter_names`` of both prompts."""
    answers_agree: bool = False
    """Both prompts have an answer, and it is the same."""


def same_meaning(left: Sentences, right: Sentences, spelling: Spelling) -> bool:
    """Whether everything in which the prompts differ is harmless. The order of sentences counts for nothing.

    Args:
        left, right: ``canonical_sentences`` of two prompts.
    """
    ours, theirs = _remaining(left, right)
    if _all_harmless(ours, theirs, spelling):
        return True
    if not spelling.answers_agree:
        return False
    ours_left, theirs_left = ([one for one in rest if not _is_about_form(one)] for rest in (ours, theirs))
    return (ours_left, theirs_left) != (ours, theirs) and _all_harmless(ours_left, theirs_left, spelling)


def _all_harmless(ours: Sentences, theirs: Sentences, spelling: Spelling) -> bool:
    """The same of the sentences that are not in both."""
    if not ours and not theirs:
        return True
    if max(sum(map(len, ours)), sum(map(len, theirs))) > _LONGEST:
        return False
    if not _may_be_harmless(_flat(ours), _flat(theirs), spelling):
        return False
    if harmless(_flat(ours), _flat(theirs), spelling):
        return True
    return _paired(*_cut_alike(ours, theirs), spelling)


def harmless(left: list[str], right: list[str], spelling: Spelling) -> bool:
    """Whether two runs of tokens differ in framing words, spelling and word division alone."""
    blocks = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    return all(kind == "equal" or _harmless_change(left[a:b], right[c:d], spelling) for kind, a, b, c, d in blocks)


def misspelt(left: str, right: str, spelling: Spelling) -> bool:
    """Whether one word may be the other with one letter left out, added or replaced, or two neighbours swapped.

    A plural always may be the singular. Numbers in digits, single letters and signs never are.
    """
    if not (left.isalpha() and right.isalpha()) or {left, right} & spelling.names:
        return False
    shorter, longer = sorted((left, right), key=len)
    if len(shorter) < 3 or len(longer) - len(shorter) > 1:
        return False
    if f"{shorter}s" == longer:
        return True
    if MEANING.issuperset((left, right)):
        return False
    doubtful = _DOUBTFUL.issuperset((left, right)) or (_like_points(left) and _like_points(right))
    if doubtful and not spelling.answers_agree:
        return False
    start = next((place for place, (a, b) in enumerate(zip_longest(shorter, longer)) if a != b), len(longer))
    swapped = (
        shorter[start : start + 2] == longer[start : start + 2][::-1] and shorter[start + 2 :] == longer[start + 2 :]
    )
    if len(shorter) == len(longer) and swapped:
        return True
    if len(longer) < 4 or (start == 0 and len(shorter) < 6):
        return False
    return shorter[start + (len(shorter) == len(longer)) :] == longer[start + 1 :]


def _may_be_harmless(left: list[str], right: list[str], spelling: Spelling) -> bool:
    """Whether every word that one side has more often than the other may find its counterpart: quickly told."""
    ours, theirs = Counter(left), Counter(right)
    more, fewer = set(ours - theirs), set(theirs - ours)
    return _have_counterparts(more, fewer, spelling) and _have_counterparts(fewer, more, spelling)


def _have_counterparts(words: set[str], others: set[str], spelling: Spelling) -> bool:
    return all(
        any(word in other or other in word or misspelt(word, other, spelling) for other in others)
        for word in words - FRAMING
    )


def _is_about_form(sentence: list[str]) -> bool:
    """Whether it only says in which form the answer is wanted: of no account where the answers are the same."""
    return len(sentence) <= 12 and sentence[:1] in (["express"], ["give"], ["write"]) and sentence[2:3] == ["answer"]


def _remaining(left: Sentences, right: Sentences) -> tuple[Sentences, Sentences]:
    """The sentences of each that the other has not, in their order."""
    shared = Counter(map(tuple, left)) & Counter(map(tuple, right))

    def without_shared(sentences: Sentences) -> Sentences:
        taken = shared.copy()
        rest = []
        for sentence in sentences:
            key = tuple(sentence)
            if taken[key] > 0:
                taken[key] -= 1
            else:
                rest.append(sentence)
        return rest

    return without_shared(left), without_shared(right)


def _like_points(word: str) -> bool:
    return (len(word) <= 6 and _FIRST_LETTERS.issuperset(word)) or _VOWELS.isdisjoint(word)


def _paired(ours: Sentences, theirs: Sentences, spelling: Spelling) -> bool:
    """Each sentence against the one that is most like it; what has no partner against nothing."""
    free = list(theirs)
    for sentence in ours:
        counted = Counter(sentence)
        best = max(
            free, key=lambda other: (counted & Counter(other)).total() / (len(sentence) + len(other)), default=[]
        )
        if not harmless(sentence, best, spelling):
            return False
        if best:
            free.remove(best)
    return all(harmless([], sentence, spelling) for sentence in free)


def _cut_alike(left: Sentences, right: Sentences) -> tuple[Sentences, Sentences]:
    """Both without the sentences of one that stand inside a longer one of the other.

    The last sentence of a prompt may lack its full stop; in another place it makes one with the next.
    """
    ours, theirs = list(left), list(right)
    for parts, wholes in ((ours, theirs), (theirs, ours)):
        for part in sorted(parts, key=lambda sentence: (-len(sentence), sentence)):
            places = ((whole, at) for whole in wholes if (at := _place(part, whole)) >= 0)
            whole, at = next(places, (part, -1))
            if at >= 0:
                parts.remove(part)
                wholes.remove(whole)
                wholes += [rest for rest in (whole[:at], whole[at + len(part) :]) if rest]
    return ours, theirs


def _place(part: list[str], whole: list[str]) -> int:
    """Where the part begins; -1: it is not there."""
    starts = range(len(whole) - len(part) + 1)
    return next((at for at in starts if whole[at] == part[0] and whole[at : at + len(part)] == part), -1)


def _flat(sentences: Sentences) -> list[str]:
    return [token for sentence in sentences for token in sentence]


def _harmless_change(left: list[str], right: list[str], spelling: Spelling) -> bool:
    if all(token.isalpha() and len(token) > 1 for token in (*left, *right)):
        joined = "".join(left)
        if len(joined) >= 6 and joined == "".join(right):
            return True
    ours = [token for token in left if token not in FRAMING]
    theirs = [token for token in right if token not in FRAMING]
    if len(ours) == len(theirs):
        return all(a == b or misspelt(a, b, spelling) for a, b in zip(ours, theirs, strict=True))
    if len(left) == len(right):  # a framing word misspelt
        return all(a == b or misspelt(a, b, spelling) for a, b in zip(left, right, strict=True))
    return False
