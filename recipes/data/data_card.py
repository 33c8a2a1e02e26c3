"""The card of a blend: what is in it, from where, under which licences, how long, and how it was made."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

BINS = (0, 1000, 2000, 4000, 8000, 16000, 32000)
"""Least tokens of the rows in the table of lengths."""

UNORDERED = ("data.inputs", "data.sources", "data.against", "data.benchmarks", "steps")
"""Keys with lists whose order means nothing."""


@dataclass(frozen=True, slots=True)
class CardFile:
    """One file of the blend."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Made:
    """How the blend came to be."""

    name: str
    contains: Sequence[str]
    """The smaller blends."""
    prompts_scale: float
    responses_scale: float
    """Factors of the sizes; 1 where the blend has the sizes of the configuration."""
    missing: Sequence[str]
    """Domains that were wanted and of which there was no sample."""
    command: Sequence[str]
    """Words of a command that makes the same bytes (``reproducing``)."""
    teachers: Mapping[str, int]
    """Samples of each."""
    content_sha256: str
    """Of id, sample, problem, instruction and response of every row in order."""


def card_facts(members: pl.DataFrame) -> dict[str, Any]:
    """The counts of a blend, as JSON.

    Args:
        members: one row for each sample: ``id``, ``domain``, ``source``, ``licence``, ``tokens`` (of the response).
    """
    tokens = {domain: _of(members, domain)["tokens"].to_numpy() for domain in _domains(members)}
    return {
        "prompts": members["id"].n_unique(),
        "samples": members.height,
        "tokens": int(members["tokens"].sum()),
        "domains": {domain: _domain_facts(_of(members, domain)) for domain in _domains(members)},
        "sources": _counted(members, ("domain", "source", "licence")),
        "licences": _counted(members, ("licence",)),
        "lengths": [
            {
                "from": low,
                "below": high,
                **{name: int(((own >= low) & (own < (high or np.inf))).sum()) for name, own in tokens.items()},
            }
            for low, high in zip(BINS, (*BINS[1:], None), strict=True)
        ],
    }


def card_markdown(facts: Mapping[str, Any], made: Made, files: Sequence[CardFile], picture: str) -> str:
    """The card as Markdown.

    Args:
        facts: of ``card_facts``.
        picture: name of the file with the histogram.
    """
    domains = list(facts["domains"])
    parts = [
        f"# SFT blend {made.name}\n\n{facts['samples']:,} samples of {facts['prompts']:,} prompts, "
        f"{facts['tokens']:,} response tokens under the training tokenizer. {_sizes(made)}",
        "## Domains\n\n"
        + _table(
            ("domain", "prompts", "samples", "responses a prompt", "tokens: mean", "median", "90%", "longest"),
            (
                (
                    *(domain, one["prompts"], one["samples"], f"{one['samples'] / one['prompts']:.2f}"),
                    *(one[name] for name in ("mean", "median", "ninety_percent", "longest")),
                )
                for domain, one in facts["domains"].items()
            ),
        ),
        "## Sources\n\n"
        + _table(
            ("domain", "source", "licence", "prompts", "samples", "tokens"), (one.values() for one in facts["sources"])
        ),
        "## Licences\n\nAs the sources state them, of their problems and of the responses that they carry.\n\n"
        + _table(("licence", "prompts", "samples", "tokens"), (one.values() for one in facts["licences"])),
        "## Teachers\n\n" + _table(("model, or source of the response", "samples"), sorted(made.teachers.items())),
        f"## Lengths of responses\n\n![tokens of the responses]({picture})\n\n"
        + _table(("tokens", *(f"{domain} samples" for domain in domains)), _length_rows(facts, domains)),
        "## Files\n\n"
        + _table(("file", "rows", "bytes", "SHA-256"), ((f.name, f.rows, f.bytes, f.sha256) for f in files))
        + f"\n\nContent: SHA-256 {made.content_sha256} over id, sample, problem, instruction and response of every row "
        "in order, whatever the format.",
        f"## Command\n\n```\n{shlex.join(made.command)}\n```\n\nmanifest.json of the run has it as it was given.",
    ]
    return "\n\n".join(parts) + "\n"


def reproducing(program: Sequence[str], words: Sequence[str]) -> tuple[str, ...]:
    """A command without what does not change a byte of the result: the same for the same data.

    Words about the output folder and about where the work runs (``parts.*``) are left out, and lists whose order means
    nothing are sorted.

    Args:
        program: what stands before the words, ``("python", "-m", "recipes.prepare_data")``.
        words: ``KEY=VALUE`` as they were given.
    """
    kept = []
    for word in words:
        key, equals, value = word.partition("=")
        if key == "output" or key.startswith("parts."):
            continue
        if key in UNORDERED and value.startswith("[") and value.endswith("]") and not set(value) & set("'\"\\"):
            value = f"[{','.join(sorted(name.strip() for name in value[1:-1].split(',')))}]"
        kept.append(f"{key}{equals}{value}")
    return (*program, *kept, "output=DIR")


def _sizes(made: Made) -> str:
    text = f"Contains every sample of {', '.join(made.contains)}." if made.contains else "The smallest blend."
    scales = {"prompts": made.prompts_scale, "responses beyond one a prompt": made.responses_scale}
    changed = [f"{scale:g} times the configured {what}" for what, scale in scales.items() if scale != 1]
    text += f" Scaled to what there was: {' and '.join(changed)}." if changed else ""
    return text + (f" No sample of {' and '.join(made.missing)} was there." if made.missing else "")


def _domain_facts(members: pl.DataFrame) -> dict[str, Any]:
    tokens: npt.NDArray[Any] = members["tokens"].to_numpy()
    return {
        "prompts": members["id"].n_unique(),
        "samples": members.height,
        "tokens": int(tokens.sum()),
        "mean": round(float(tokens.mean()), 1),
        "median": int(np.percentile(tokens, 50, method="lower")),
        "ninety_percent": int(np.percentile(tokens, 90, method="lower")),
        "longest": int(tokens.max()),
    }


def _counted(members: pl.DataFrame, keys: Sequence[str]) -> list[dict[str, Any]]:
    counts = members.group_by(*keys).agg(
        prompts=pl.col("id").n_unique(), samples=pl.len(), tokens=pl.col("tokens").cast(pl.Int64).sum()
    )
    return counts.sort(*keys).to_dicts()


def _domains(members: pl.DataFrame) -> list[str]:
    return sorted(members["domain"].unique().to_list(), reverse=True)


def _of(members: pl.DataFrame, domain: str) -> pl.DataFrame:
    return members.filter(pl.col("domain") == domain)


def _length_rows(facts: Mapping[str, Any], domains: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    for one in facts["lengths"]:
        name = f"{one['from']:,} and more" if one["below"] is None else f"{one['from']:,} to {one['below'] - 1:,}"
        yield (name, *(f"{one[d]:,} ({one[d] / facts['domains'][d]['samples']:.1%})" for d in domains))


def _table(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return " ".join(str(value).replace("|", "\\|").split()) or "(empty)"
