"""SFT files: what ``recipes.run_sft`` reads, made of one blend, and an account of what is too long for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recipes.atomic_files import atomic_file, write_text
from recipes.data.keyed_draws import draws
from recipes.data.packing import Packing, best_fit_decreasing
from recipes.preparation.blend import read_plan
from recipes.settings.prepare_schema import SftFilesSettings

TRAIN, VALIDATION, OVERLONG, REPORT = "sft_train.jsonl", "sft_validation.jsonl", "overlong.jsonl", "report.json"
HELD_OUT_SHARE = 10
"""At most one prompt in so many of the smallest blend is held out."""


def blend_number(settings: SftFilesSettings, names: Sequence[str]) -> int:
    """Place of the blend that the files are made of.

    Raises:
        ValueError: there is no blend of that name.
    """
    if settings.blend not in names:
        raise ValueError(f"sft.blend={settings.blend}: no such blend; expected one of {', '.join(names)}")
    return list(names).index(settings.blend)


def sft_task(
    plan: Path,
    blends: Path,
    names: Sequence[str],
    settings: SftFilesSettings,
    seed: int,
    output: Path,
    folder: Path,
    task: int,
) -> None:
    """The one task of this phase: ``sft_train.jsonl``, ``sft_validation.jsonl``, ``overlong.jsonl``, ``report.json``.

    The lines are those of the blend, in its order: every line is in train or in validation, or it is longer than
    ``settings.max_sequence_length`` and has a row ``{"id", "sample", "domain", "prompt_tokens", "tokens"}`` in
    ``overlong.jsonl`` instead. Nothing is cut.

    Args:
        plan: folder of ``blend.plan_task``.
        blends: folder of all blends, written.
        names: of the blends, smallest first.
        output: folder of the files.
        folder: of the phase; receives ``report.json`` as well.

    Raises:
        ValueError: no such blend, no sample fits, or the blend is not the planned one.
    """
    number = blend_number(settings, names)
    planned = read_plan(plan).with_columns(total=pl.col("prompt_tokens") + pl.col("tokens"))
    planned = planned.with_columns(overlong=pl.col("total") > settings.max_sequence_length)
    held_out = validation_prompts(planned, settings.validation_prompts, seed)
    members = planned.filter(pl.col("first") <= number).with_columns(held_out=pl.col("id").is_in(held_out))
    report = sft_report(members, settings)
    source = blends / settings.blend / f"{settings.blend}.jsonl"
    with (
        atomic_file(output / TRAIN, "wb") as train,
        atomic_file(output / VALIDATION, "wb") as validation,
        atomic_file(output / OVERLONG) as overlong,
        source.open("rb") as lines,
    ):
        columns = ("id", "sample", "domain", "prompt_tokens", "tokens")
        for row in members.select(*columns, "overlong", "held_out").iter_rows(named=True):
            line = lines.readline()
            if not line.startswith(f'{{"id": {json.dumps(row["id"])}, "sample": {row["sample"]},'.encode()):
                found = line[:60].decode(errors="replace")
                raise ValueError(f"{source}: found {found!r}; expected sample {row['sample']} of {row['id']}")
            if row["overlong"]:
                overlong.write(json.dumps({name: row[name] for name in columns}) + "\n")
            else:
                (validation if row["held_out"] else train).write(line)
        if lines.readline():
            raise ValueError(f"{source}: found more than the {members.height} rows of the plan")
    text = json.dumps(report, indent=1) + "\n"
    write_text(output / REPORT, text)
    write_text(folder / REPORT, text)


def validation_prompts(plan: pl.DataFrame, count: int, seed: int) -> list[str]:
    """Ids of the held-out prompts: of the smallest blend, so that they are the same ones for every blend.

    Args:
        plan: of all blends: ``id``, ``domain``, ``first``, ``overlong``.
        count: of each domain; at most a tenth of its prompts that fit, and at least one where there are two.
    """
    smallest = plan.filter((pl.col("first") == 0) & ~pl.col("overlong")).unique("id").sort("id")
    found: list[str] = []
    for domain in sorted(smallest["domain"].unique()):
        ids = smallest.filter(pl.col("domain") == domain)["id"]
        most = max(len(ids) // HELD_OUT_SHARE, int(len(ids) > 1))
        order = pl.DataFrame({"id": ids, "draw": draws(ids, seed, "validation")}).sort("draw", "id")
        found += order["id"][: min(count, most)].to_list()
    return found


def sft_report(members: pl.DataFrame, settings: SftFilesSettings) -> dict[str, Any]:
    """What is in the files, what is not, and what an epoch is.

    Args:
        members: of the blend: ``id``, ``domain``, ``tokens``, ``total`` (with the prompt), ``truncated``, ``held_out``,
            ``overlong``.

    Raises:
        ValueError: nothing fits.
    """
    limit, batch = settings.max_sequence_length, settings.global_batch_size
    fitting = members.filter(~pl.col("overlong"))
    train = fitting.filter(~pl.col("held_out"))
    long = members.filter("overlong")
    if not fitting.height:
        raise ValueError(
            f"sft.max_sequence_length={limit}: none of {members.height} samples fits; the shortest has "
            f"{int(members['total'].to_numpy().min())} tokens: raise it"
        )
    if not train.height or train.height == fitting.height:
        raise ValueError(
            f"{fitting['id'].n_unique()} prompts fit into sft.max_sequence_length={limit} tokens; expected at least "
            "two in the smallest blend, one to train on and one to hold out: more prompts, or a larger limit"
        )
    packing = best_fit_decreasing(train["total"].to_list(), limit)
    return {
        "blend": settings.blend,
        "max_sequence_length": limit,
        "train": _counts(train),
        "validation": _counts(fitting.filter("held_out")),
        "overlong": {
            "samples": long.height,
            "share": round(long.height / members.height, 6),
            "longest": long["total"].max(),
            "prompts_lost": len(set(members["id"]) - set(fitting["id"])),
        },
        "truncated_by_the_teacher": {
            "samples": int(members["truncated"].sum()),
            "not_known": members["truncated"].null_count(),
        },
        "epoch": {
            "global_batch_size": batch,
            "steps": train.height // batch,
            "left_over": train.height % batch,
        },
        "if_packed": _packed(packing, batch),
    }


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """The report in words."""
    train, long, epoch, packed = report["train"], report["overlong"], report["epoch"], report["if_packed"]
    lines = [
        f"{TRAIN}: {train['samples']:,} samples of {train['prompts']:,} prompts, {train['tokens']:,} tokens "
        f"(mean {train['mean']:,.0f}, median {train['median']:,}, 90% {train['ninety_percent']:,})",
        f"{VALIDATION}: {report['validation']['samples']:,} samples of {report['validation']['prompts']:,} prompts",
        f"{OVERLONG}: {long['samples']:,} samples ({long['share']:.2%}) have more than "
        f"{report['max_sequence_length']:,} tokens and are in neither file; nothing is cut",
        f"an epoch: {epoch['steps']:,} updates of {epoch['global_batch_size']} samples; {epoch['left_over']} samples, "
        "others each time, do not fill one. run_sft does not pack: a sample is a row, padded to the longest row of its "
        "micro-batch",
        f"packed, the samples would fill {packed['sequences']:,} sequences of {report['max_sequence_length']:,} tokens "
        f"to {packed['efficiency']:.1%}, {packed['steps']:,} updates of as many sequences",
    ]
    cut = report["truncated_by_the_teacher"]["samples"]
    if cut:
        lines.append(
            f"{cut:,} responses were cut by the teacher's length budget: training on them teaches to end in "
            "mid-thought; leave them out where the samples are kept"
        )
    if not epoch["steps"]:
        lines.append(
            f"fewer samples than an update takes: run_sft asks for sft.global_batch_size={train['samples']} at most"
        )
    return lines


def _counts(samples: pl.DataFrame) -> dict[str, Any]:
    total = samples["total"].to_numpy()
    lengths: dict[str, Any] = {"mean": 0.0, "median": 0, "ninety_percent": 0, "longest": 0}
    if samples.height:
        middle, high = (int(np.percentile(total, share, method="lower")) for share in (50, 90))
        mean = round(float(total.mean()), 1)
        lengths = {"mean": mean, "median": middle, "ninety_percent": high, "longest": int(total.max())}
    by_domain = samples.group_by("domain").len().sort("domain", descending=True)
    return {
        "samples": samples.height,
        "prompts": samples["id"].n_unique(),
        "by_domain": dict(by_domain.iter_rows()),
        "tokens": int(total.sum()),
        "response_tokens": int(samples["tokens"].cast(pl.Int64).sum()),
        **lengths,
    }


def _packed(packing: Packing, batch: int) -> dict[str, Any]:
    return {
        "method": "best fit, longest first",
        "sequences": packing.sequences,
        "efficiency": round(packing.efficiency, 6),
        "steps": packing.sequences // batch,
    }
