"""How many sequences of the training length demonstrations would fill if several shared one."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Packing:
    """What best-fit decreasing makes of a set of lengths."""

    limit: int
    """Tokens of a sequence."""
    demonstrations: int
    tokens: int
    """Of all demonstrations together."""
    sequences: int
    """That they fill."""

    @property
    def efficiency(self) -> float:
        """Tokens per token of the sequences; 0 where there is none."""
        return self.tokens / (self.sequences * self.limit) if self.sequences else 0.0


def best_fit_decreasing(lengths: Iterable[int], limit: int) -> Packing:
    """Packs demonstrations, the longest first, each into the fullest sequence that still has room for it.

    Equal lengths and equally full sequences are dealt with together: time goes with the number of different lengths,
    not with the number of demonstrations.

    Args:
        lengths: 1 to ``limit`` tokens each.

    Raises:
        ValueError: a length is outside.
    """
    counts = Counter(lengths)
    if counts and not 1 <= min(counts) <= max(counts) <= limit:
        raise ValueError(f"lengths from {min(counts)} to {max(counts)} tokens; expected 1 to {limit}")
    rooms: list[int] = []  # different amounts of room that open sequences have, ascending
    having: Counter[int] = Counter()
    sequences = 0

    def add(room: int, number: int) -> None:
        if number and room:
            if not having[room]:
                insort(rooms, room)
            having[room] += number

    for length in sorted(counts, reverse=True):
        left = counts[length]
        while left:
            place = bisect_left(rooms, length)
            if place == len(rooms):
                room, number = limit, -(-left // (limit // length))
                sequences += number
            else:
                room = rooms.pop(place)
                number = having.pop(room)
            each = room // length  # the fullest sequence stays the fullest until nothing more fits
            full, rest = divmod(min(left, number * each), each)
            add(room - each * length, full)
            add(room - rest * length, 1 if rest else 0)
            add(room, number - full - (1 if rest else 0))
            left -= full * each + rest
    return Packing(limit, counts.total(), sum(length * count for length, count in counts.items()), sequences)
