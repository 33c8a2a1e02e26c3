"""Rebalance: how long the responses are, then which prompts stay (paper §3.1.1)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from recipes.atomic_files import write_text
from recipes.data.lengths import BATCH_CHARACTERS, LENGTHS, response_counter
from recipes.data.prompts import prompt_ids
from recipes.data.rebalancing import Target, rebalance, target_problems
from recipes.data.rows import canonical
from recipes.data.tables import DECISIONS, read_table, write_table
from recipes.data.tokenizer import TokenizerError, load_tokenizer
from recipes.preparation.collect import rows_path
from recipes.preparation.part_rows import live_rows
from recipes.preparation.prompt_samples import prompts_with_samples
from recipes.preparation.teacher_responses import instruction_of
from recipes.settings.prepare_schema import RebalanceSettings, TeacherSettings

DOMAINS = ("math", "code")
_ROW_COLUMNS = ("domain", "problem", "source", "licence", "metadata")


def count_part(
    rows: Path,
    samples: Path,
    decided: Sequence[Path],
    tokenizer: str,
    teacher: TeacherSettings,
    folder: Path,
    part: int,
) -> None:
    """The lengths of a part's samples -> ``PART.parquet`` (``LENGTHS``), counted with the tokenizer that trains.

    Args:
        rows: folder of the sorted rows.
        samples: folder of the samples that are kept, one file for each part.
        decided: folders of the steps that took rows out.
        tokenizer: folder of a Hugging Face tokenizer with a chat template.
        teacher: its instructions, which training sees as well.

    Raises:
        TokenizerError: as in ``load_tokenizer``.
    """
    model = _tokenizer(tokenizer)
    count = response_counter(model)
    found: list[dict[str, Any]] = []
    texts: list[str] = []
    characters = 0

    def count_waiting() -> None:
        for row, tokens in zip(found[len(found) - len(texts) :], count(texts), strict=True):
            row["tokens"] = tokens
        texts.clear()

    for rows_of_prompt, responses in prompts_with_samples(
        rows, samples, decided, part, _ROW_COLUMNS, ("response", "truncated", "teacher")
    ):
        if not responses:
            continue
        prompt = rows_of_prompt[0]
        instruction = instruction_of(prompt["domain"], json.loads(prompt["metadata"]), teacher)
        shared = {"id": prompt["id"], "domain": prompt["domain"]}
        shared["prompt_tokens"] = len(prompt_ids(prompt["problem"], model, instruction))
        by_source = {row["source"]: row for row in rows_of_prompt}
        first: dict[str, int] = {}
        for sample in responses:
            earlier = first.setdefault(sample["response"], sample["sample"])
            own = {"sample": sample["sample"], "truncated": sample["truncated"]}
            own["repeats"] = None if earlier == sample["sample"] else earlier
            # a response that a source carries comes under that source's licence
            origin = by_source.get(sample["teacher"], prompt)
            found.append({**shared, **own, "source": origin["source"], "licence": origin["licence"]})
            texts.append(sample["response"])
            characters += len(sample["response"])
        if characters > BATCH_CHARACTERS:
            count_waiting()
            characters = 0
    count_waiting()
    write_table(rows_path(folder, part), pa.Table.from_pylist(found, LENGTHS))


def targets_of(settings: RebalanceSettings) -> dict[str, Target]:
    """Domain -> what its prompts are to look like."""
    by_domain = {
        "math": (settings.math_shares, settings.math_prompts),
        "code": (settings.code_shares, settings.code_prompts),
    }
    return {
        domain: Target(
            bins=tuple(settings.bins),
            shares=tuple(shares),
            short_tokens=settings.short_tokens,
            short_keep=settings.short_keep,
            tolerance=settings.tolerance,
            most=most,
        )
        for domain, (shares, most) in by_domain.items()
    }


def require_sound(settings: RebalanceSettings) -> None:
    """Raises ValueError with everything that is wrong with the targets."""
    problems = [
        f"rebalance: {domain}: {problem}"
        for domain, target in targets_of(settings).items()
        for problem in target_problems(target)
    ]
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))


def read_lengths(lengths: Path, parts: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The lengths of all samples (``LENGTHS``), in the order of id and sample."""
    frame = pl.from_arrow(read_table([rows_path(lengths, part) for part in range(parts)], columns))
    assert isinstance(frame, pl.DataFrame)
    return frame


def rebalance_task(
    rows: Path,
    lengths: Path,
    decided: Sequence[Path],
    parts: int,
    settings: RebalanceSettings,
    seed: int,
    folder: Path,
    task: int,
) -> None:
    """The one task of this phase: ``decisions.parquet`` (kind ``sampled_out``) and ``report.json``.

    A prompt's detail is ``{"bin", "rule", "tokens"}``: the mean length of its responses, the name of its bin, and
    ``short`` or ``distribution``. Prompts without a response have no length: ``{"rule": "no_response"}``.

    Args:
        rows: folder of the sorted rows.
        lengths: folder of ``count_part``.
        decided: folders of the steps that took rows out before.

    Raises:
        ValueError: unsound targets, or targets that the prompts cannot meet.
    """
    require_sound(settings)
    prompts = live_prompts(rows, decided, parts)
    known = read_lengths(lengths, parts, ["id", "tokens", "repeats"]).filter(pl.col("repeats").is_null())
    mean = known.group_by("id").agg(pl.col("tokens").mean())
    prompts = prompts.join(mean, on="id", how="left")
    without = prompts.filter(pl.col("tokens").is_null())
    gone = [without.select("row", detail=pl.lit(canonical({"rule": "no_response"})))]
    report: dict[str, Any] = {"prompts_without_response": without["id"].n_unique(), "domains": {}}
    for domain, target in targets_of(settings).items():
        own = prompts.filter((pl.col("domain") == domain) & pl.col("tokens").is_not_null())
        if own.is_empty():
            continue
        dropped, report["domains"][domain] = rebalance(own.unique("id").select("id", "tokens"), target, seed, domain)
        details = [
            canonical({"bin": name, "rule": rule, "tokens": round(tokens, 1)})
            for name, rule, tokens in dropped.select("bin", "rule", "tokens").iter_rows()
        ]
        why = dropped.select("id", detail=pl.Series(details, dtype=pl.String))
        gone.append(own.select("row", "id").join(why, on="id").select("row", "detail"))
    decisions = pl.concat(gone).sort("row").select("row", kind=pl.lit("sampled_out"), detail="detail")
    write_table(folder / "decisions.parquet", decisions.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(DECISIONS))
    write_text(folder / "report.json", json.dumps(report, indent=1) + "\n")


def live_prompts(rows: Path, decided: Sequence[Path], parts: int) -> pl.DataFrame:
    """``row``, ``id`` and ``domain`` of the rows that no step took out."""
    columns = ("row", "id", "domain")
    schema = {"row": pl.Int64, "id": pl.String, "domain": pl.String}
    frames = []
    for part in range(parts):
        found = [tuple(row[name] for name in columns) for row in live_rows(rows, decided, part, columns)]
        frames.append(pl.DataFrame(found, schema, orient="row"))
    return pl.concat(frames)


@cache
def _tokenizer(folder: str) -> Any:
    """A process counts several parts."""
    try:
        return load_tokenizer(folder)
    except TokenizerError as error:
        raise TokenizerError(str(error).replace("model.tokenizer", "rebalance.tokenizer")) from error
