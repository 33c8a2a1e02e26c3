"""What the screen shows at the end: where the rows are, and what each step made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from recipes.preparation.publish import FILES
from recipes.preparation.sft_files import report_lines
from recipes.reporting.tab_aligned import tab_aligned

Report = Mapping[str, Any]


def summary(report: Report) -> list[str]:
    """The lines of ``report.json`` for people: rows by source, then the steps that are in it."""
    lines = _rows(report)
    for step, of_step in (("keep", _keep), ("rebalance", _rebalance), ("blend", _blend), ("select", _select)):
        if step in report:
            lines += ["", *of_step(report[step])]
    return [*lines, "", *report_lines(report["sft"])] if "sft" in report else lines


def _rows(report: Report) -> list[str]:
    kinds = ["read", "output", *FILES]
    rows = [["source", *kinds]]
    rows += [[name, *(f"{found.get(kind, 0):,}" for kind in kinds)] for name, found in report["by_source"].items()]
    if len(rows) != 2:
        rows.append(["all", *(f"{report['counts'].get(kind, 0):,}" for kind in kinds)])
    return tab_aligned(rows)


def _keep(report: Report) -> list[str]:
    """Every reason why a response was not kept has a count of its own."""
    own = ("teacher", "keep")
    counts = {name: count for name, count in report.items() if name not in own and count}
    return [
        f"responses (teacher.keep={report['keep']})",
        *tab_aligned([[name, f"{counts[name]:,}"] for name in counts]),
    ]


def _rebalance(report: Report) -> Iterator[str]:
    rows = [["prompts by tokens", "before", "without short", "after", "share", "target"]]
    remarks = []
    for domain, found in report["domains"].items():
        for one in found["bins"]:
            target = "" if one["target"] is None else f"{one['target']:.1%}"
            counts = (f"{one[name]:,}" for name in ("before", "after_short", "after"))
            rows.append([f"{domain} {one['bin']}", *counts, f"{one['share']:.1%}", target])
        if found["limited_by"]:
            limits = ", ".join(found["limited_by"])
            remarks.append(f"more {domain} prompts of {limits} tokens would make the set larger")
    yield from tab_aligned(rows)
    yield from remarks
    if report["prompts_without_response"]:
        yield f"{report['prompts_without_response']:,} prompts without a response"


def _blend(report: Report) -> Iterator[str]:
    rows = [["blend", "domain", "prompts", "samples", "responses a prompt"]]
    for name, domains in report["blends"].items():
        for domain, one in domains.items():
            rows.append(
                [name, domain, f"{one['prompts']:,}", f"{one['samples']:,}", f"{one['responses_per_prompt']:.2f}"]
            )
    yield from tab_aligned(rows)
    for what, key in (("all sizes", "prompts_scale"), ("responses beyond one a prompt", "responses_scale")):
        if report[key] != 1:
            yield f"{what} scaled by {report[key]:g} (blends.{key})"
    for domain in report["domains_without_samples"]:
        yield f"no {domain} sample was there"
    unused = [f"{one['samples']:,} {domain} samples" for domain, one in report["in_no_blend"].items() if one["samples"]]
    if unused:
        yield f"in no blend: {', '.join(unused)}"
    if report["repeated_responses"]:
        yield f"in no blend: {report['repeated_responses']:,} responses that repeat another of their prompt"


def _select(report: Report) -> list[str]:
    return tab_aligned([["file", "problems"], *([f"rl/{name}.jsonl", f"{n:,}"] for name, n in report["files"].items())])
