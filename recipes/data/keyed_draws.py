"""Random numbers that belong to a row, not to its place: the same whatever else there is and in whatever order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

UNIT = 1 / 2.0**64
"""A draw times this is uniform in [0, 1)."""


def draws(keys: Iterable[str], seed: int, purpose: str) -> npt.NDArray[np.uint64]:
    """One uniform 64-bit number for each key: the first eight bytes of the SHA-256 of seed, purpose and key.

    Args:
        keys: ids; of a sample ``ID/NUMBER``.
        seed: of the run.
        purpose: draws for different purposes do not depend on each other.
    """
    start = hashlib.sha256(f"{seed}\x1f{purpose}\x1f".encode())
    found = bytearray()
    for key in keys:
        own = start.copy()
        own.update(key.encode())
        found += own.digest()[:8]
    return np.frombuffer(bytes(found), dtype=">u8").astype(np.uint64)
