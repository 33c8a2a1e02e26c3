"""What an evaluation left in its folder, as the report and the comparison read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.json_files import read_identity, read_scores
from evaluation.paired import Paired, PairingError, pair
from evaluation.samples import SamplesError

MODEL_KEYS = ("engine", "weights", "model", "api", "extra", "seed")
"""Of ``sampling.json``: what two models that are compared may well differ in."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One benchmark of a folder."""

    name: str
    folder: Path
    """Of the benchmark."""
    row: Mapping[str, Any]
    """Of ``scores.json``."""
    identity: Mapping[str, Any]
    """``sampling.json``."""


def scored(output: Path) -> dict[str, Scored]:
    """The benchmarks of an evaluation in the order of its ``scores.json``.

    Raises:
        SamplesError: no such folder, no scores, or files that are damaged.
    """
    path = output / "scores.json"
    if not path.is_file():
        there = sorted(found.parent.name for found in output.glob("*/sampling.json"))
        fix = f"python -m evaluation.score output={output}" if there else "name a folder that evaluation.run wrote"
        raise SamplesError(f"{output}: no scores.json there; {fix}")
    rows = read_scores(output)
    return {name: Scored(name, output / name, row, _identity(output / name)) for name, row in rows.items()}


def compare(a: Scored, b: Scored) -> Paired:
    """b against a.

    Raises:
        PairingError: other problems, or problems without a sample.
    """
    ours, theirs = (str(one.identity["problems_sha256"]) for one in (a, b))
    if ours != theirs:
        raise PairingError(
            f"{a.name}: {a.folder} and {b.folder} were sampled from different problems (sha256 {ours[:12]}... and "
            f"{theirs[:12]}...); sample one of them again with the other's benchmark.path"
        )
    try:
        stderr_a, stderr_b = (one.row.get("stderr_sampling") for one in (a, b))
        return pair(a.row["per_problem"], b.row["per_problem"], stderr_a, stderr_b)
    except PairingError as error:
        raise PairingError(f"{a.name}: {a.folder} against {b.folder}: {error}") from error


def sampled_otherwise(a: Scored, b: Scored) -> list[str]:
    """``temperature 0.6 and 1.0``: what differs besides the models."""
    known: Sequence[str] = [key for key in dict.fromkeys([*a.identity, *b.identity]) if key not in MODEL_KEYS]
    found = [(key, a.identity.get(key), b.identity.get(key)) for key in known if key != "problems_sha256"]
    found.append(("n", a.row.get("n"), b.row.get("n")))
    return [f"{key} {first} and {second}" for key, first, second in found if first != second]


def _identity(folder: Path) -> Mapping[str, Any]:
    path = folder / "sampling.json"
    if not path.is_file():
        raise SamplesError(f"{path} is missing: it says which problems the scores are of; sample {folder.name} again")
    found = read_identity(folder)
    if "problems_sha256" not in found:
        raise SamplesError(f"{path}: expected the key problems_sha256, found {', '.join(found) or 'none'}")
    return found
