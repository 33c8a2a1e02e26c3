"""The small JSON files of an evaluation's folder (``sampling.json``, ``scores.json``), read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evaluation.samples import SamplesError


def read_object(path: Path, fix: str) -> dict[str, Any]:
    """The object that a file holds.

    Args:
        fix: what to do about a file that holds something else.

    Raises:
        SamplesError: the file is missing, empty, torn or something else.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise SamplesError(f"{path} is missing; {fix}") from error
    try:
        found = json.loads(raw)
    except ValueError as error:
        what = f"malformed JSON ({error})" if raw.strip() else "an empty file"
        raise SamplesError(f"{path}: {what}; expected a JSON object: {fix}") from error
    if not isinstance(found, dict):
        raise SamplesError(f"{path}: found a JSON {type(found).__name__}; expected an object: {fix}")
    return found


def read_identity(folder: Path) -> dict[str, Any]:
    """``sampling.json`` of a benchmark's folder: what its samples were drawn from.

    ``extra`` is an object or null; the text that earlier folders have in its place is read as that.

    Raises:
        SamplesError: as ``read_object``.
    """
    fix = f"bring the file back, or move {folder} away to sample it again"
    found = read_object(folder / "sampling.json", fix)
    if isinstance(found.get("extra"), str):
        found["extra"] = more_keys(found["extra"])
    return found


def read_scores(output: Path) -> dict[str, Any]:
    """``scores.json`` of an evaluation's folder, benchmark -> its row; raises as ``read_object``."""
    path = output / "scores.json"
    return read_object(path, f"remove it, then: python -m evaluation.score output={output}")


def more_keys(extra: str | None) -> dict[str, Any] | None:
    """``engine.extra`` as what a server gets, however it is written; None for no keys."""
    try:
        return json.loads(extra or "{}") or None
    except ValueError as error:
        raise SamplesError(f"extra of sampling.json: {extra!r} is no JSON; bring the file back") from error
