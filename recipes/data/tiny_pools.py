"""How the demo's generators draw: reproducible dice, splits by content, pools of distinct instances.

Splits are disjoint by content: whether a problem is train, validation or heldout is decided by a hash of what it asks,
with no seed in it, so that no seed, count, difficulty or kind can leak a held-out problem into a training file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Literal, Protocol, TypeVar, get_args

T = TypeVar("T")
Content = tuple[str | int, ...]
Split = Literal["train", "validation", "heldout"]
Style = Literal["concise", "checked"]

DIFFICULTIES = (1, 2, 3, 4)
SPLITS: tuple[Split, ...] = get_args(Split)
SPLIT_PERCENT: dict[Split, int] = {"train": 80, "validation": 10, "heldout": 10}
"""Share of all contents that each split owns."""

_ATTEMPTS = 2000
"""Draws without a new problem after which a pool counts as exhausted."""


class Dice:
    """Draws that are the same on every platform and Python version.

    Only ``Random.random`` under an integer seed is used: the one stream whose reproducibility the standard library
    promises over versions (``randrange``, ``choice`` and ``shuffle`` carry no such promise).
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def between(self, low: int, high: int) -> int:
        """An integer of ``low .. high``, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        return options[self.between(0, len(options) - 1)]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Fisher-Yates."""
        shuffled = list(items)
        for last in range(len(shuffled) - 1, 0, -1):
            other = self.between(0, last)
            shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
        return shuffled


class HasContent(Protocol):
    """A drawn problem."""

    @property
    def content(self) -> Content:
        """What is asked, free of wording: equal for two problems that ask for the same."""
        ...


Instance = TypeVar("Instance", bound=HasContent)


def split_of(content: Content) -> Split:
    """The split that owns a content: a pure function of the content."""
    bucket = int.from_bytes(digest("split", *content)[:8], "big") % 100
    for split, percent in SPLIT_PERCENT.items():
        if bucket < percent:
            return split
        bucket -= percent
    raise AssertionError("SPLIT_PERCENT does not add up to 100")


def draw_pool(
    generator: str,
    draws: Mapping[str, Callable[[Dice, int], Instance]],
    seed: int,
    split: Split,
    count: int,
    difficulties: Sequence[int],
    kinds: Sequence[str],
) -> list[Instance]:
    """Draws ``count`` instances of distinct content, in random order.

    Kinds and difficulties get equal shares; where a small pool runs out (there are few sums of three digits), its
    share goes to the others.

    Args:
        generator: names the caller in errors.
        draws: kind -> draws one instance of a difficulty.
        seed: of the dice.
        split: whose contents to draw from.
        difficulties: 1..4; a repeated value weighs more, ``(1, 1, 2)`` gives two thirds of difficulty 1.
        kinds: names of ``draws``; a repeated name weighs more.

    Raises:
        ValueError: on an unknown split, difficulty or kind, and when all pools together are smaller than ``count``.
    """
    _refuse_unknown(generator, draws, split, difficulties, kinds)
    dice = Dice(seed)
    drawn: dict[Content, Instance] = {}
    exhausted: set[tuple[str, int]] = set()
    index = 0
    while len(drawn) < count:
        cell = (kinds[index // len(difficulties) % len(kinds)], difficulties[index % len(difficulties)])
        index += 1
        if cell in exhausted:
            continue
        instance = _draw_new(dice, draws[cell[0]], cell[1], split, drawn)
        if instance is not None:
            drawn[instance.content] = instance
            continue
        exhausted.add(cell)
        if len(exhausted) == len(set(kinds)) * len(set(difficulties)):
            raise ValueError(
                f"{generator}: split {split!r} has {len(drawn)} problems of kinds {tuple(kinds)} at difficulties "
                f"{tuple(difficulties)}, {count} asked for: ask for fewer, or for more kinds and difficulties"
            )
    return dice.shuffled(list(drawn.values()))


def _draw_new(
    dice: Dice,
    draw: Callable[[Dice, int], Instance],
    difficulty: int,
    split: Split,
    drawn: Mapping[Content, Instance],
) -> Instance | None:
    """An instance that is not drawn yet; None when its pool is exhausted."""
    for _ in range(_ATTEMPTS):
        instance = draw(dice, difficulty)
        if instance.content not in drawn and split_of(instance.content) == split:
            return instance
    return None


def _refuse_unknown(
    generator: str, known: Mapping[str, object], split: str, difficulties: Sequence[int], kinds: Sequence[str]
) -> None:
    found = []
    if split not in SPLITS:
        found.append(f"split {split!r}; expected one of {', '.join(SPLITS)}")
    if not difficulties or set(difficulties) - set(DIFFICULTIES):
        found.append(f"difficulties {tuple(difficulties)}; expected some of {DIFFICULTIES}")
    if not kinds or set(kinds) - set(known):
        found.append(f"kinds {tuple(kinds)}; expected some of {', '.join(known)}")
    if found:
        raise ValueError(f"{generator}: " + "; ".join(found))


def digest(*parts: object) -> bytes:
    """SHA-256 of the parts."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()


def seed_of(*parts: object) -> int:
    """A 128-bit seed that the parts decide."""
    return int.from_bytes(digest(*parts)[:16], "big")
