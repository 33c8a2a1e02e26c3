"""The files that tell a person how a run went: ``summary.json``, ``learning_curve.png`` and ``report.html``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from recipes.atomic_files import atomic_file
from recipes.records import Problem
from recipes.reporting import rollout_examples, table
from recipes.reporting.figures import Curves, png, score_svg, steps_svg
from recipes.reporting.solve_rates import solve_rates_svg
from recipes.reporting.summary import EDGE_STEPS, StageFolder, summarise


@dataclass(frozen=True)
class Report:
    """A run so far; unfinished stages are not in it."""

    root: Path
    title: str
    benchmarks: Mapping[str, Sequence[Problem]]
    """Name -> problems, in the order of the table's columns."""
    final_hf: Path
    stages: Sequence[StageFolder]

    @property
    def page(self) -> Path:
        """The report for a browser."""
        return self.root / "report.html"

    @property
    def evaluation_page(self) -> Path | None:
        """The last evaluation's own report; None before there is one."""
        pages = [stage.folder / "evaluation" / "report.html" for stage in self.stages if stage.scores()]
        return pages[-1] if pages and pages[-1].is_file() else None

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Content of ``summary.json``."""
        return summarise(self.stages, self.final_hf)

    def write(self) -> None:
        """Write the three files, each one atomically."""
        curves = self._curves()
        _write(self.root / "summary.json", (json.dumps(self.summary, indent=1) + "\n").encode())
        _write(self.root / "learning_curve.png", png(curves))
        _write(self.page, self._html(curves).encode())

    def _curves(self) -> Curves:
        done = [stage for stage in self.stages if stage.finished]
        return Curves(
            scores={f"{name} {table.average(self.summary, name)}": self._scores(name) for name in self.benchmarks},
            grpo=[(stage.name, stage.metrics()) for stage in done if stage.kind == "grpo"],
            solve_rates=[(stage.name, stage.solve_rates()) for stage in done if stage.kind == "grpo"],
            sft=[row for stage in done if stage.kind == "sft" for row in stage.metrics()],
        )

    def _scores(self, benchmark: str) -> list[tuple[str, float, float | None]]:
        """(stage, avg@n, standard error) of the stages that were evaluated on a benchmark."""
        scores = [(stage["name"], stage["scores"].get(benchmark)) for stage in self.summary["stages"]]
        return [(name, score["avg"], score["stderr"]) for name, score in scores if score and score["avg"] is not None]

    def _html(self, curves: Curves) -> str:
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
        )
        return environment.get_template("page.html.j2").render(
            title=self.title,
            root=self.root,
            benchmarks=list(self.benchmarks),
            stage_names=[stage.name for stage in self.stages],
            leads=list(_leads(curves)),
            score_svg=Markup(score_svg(curves)),
            steps_svg=Markup(steps_svg(curves)),
            solve_rates_svg=Markup(solve_rates_svg(curves)),
            columns=table.columns(self.summary, list(self.benchmarks)),
            rows=table.rows(self.summary, list(self.benchmarks)),
            caption=table.caption(self.summary),
            edge_steps=EDGE_STEPS,
            examples=list(self._examples()),
            places=self._places(),
            evaluation_page=self.evaluation_page and os.path.relpath(self.evaluation_page, self.root),
        )

    def _examples(self) -> Iterator[dict[str, Any]]:
        """For each benchmark that was evaluated twice: first against last model."""
        gains = 3 if len(self.benchmarks) == 1 else 2
        for benchmark, problems in self.benchmarks.items():
            evaluated = [stage for stage in self.stages if stage.samples(benchmark)]
            if len(evaluated) > 1:
                before, after = evaluated[0], evaluated[-1]
                examples = rollout_examples.choose(
                    problems, before.samples(benchmark), after.samples(benchmark), gains=gains
                )
                yield {"benchmark": benchmark, "before": before.name, "after": after.name, "examples": examples}

    def _places(self) -> list[tuple[str, str]]:
        hf = os.path.relpath(self.final_hf, self.root)
        return [
            ("these numbers, for programs", "summary.json"),
            ("this picture, for a README", "learning_curve.png"),
            ("the last model, for transformers, vLLM or TensorRT-LLM", hf),
            ("weights after a stage (Megatron, any tensor and pipeline parallel size)", "STAGE/model.nemo"),
            ("metrics of every step (TensorBoard: STAGE/logs)", "STAGE/metrics.jsonl"),
            ("every rollout of every step", "STAGE/rollouts/"),
            ("solve rate of every problem in every epoch", "STAGE/rollouts/solve_rates.jsonl"),
            ("problems that a stage left out, and why", "STAGE/selection.json"),
            ("settings of a stage, resolved", "STAGE/settings.yaml"),
            *(
                (f"every sample of {name} with its verdict", f"STAGE/evaluation/{name}/samples.jsonl")
                for name in self.benchmarks
            ),
            ("scores, solve rate of every problem, both standard errors", "STAGE/evaluation/scores.json"),
        ]


def _leads(curves: Curves) -> Iterator[dict[str, str]]:
    """The sentences at the top: first against last score of each benchmark."""
    for name, scores in curves.scores.items():
        if len(scores) > 1:
            (first_stage, first, _), (last_stage, last, _) = (scores[0], scores[-1])
            yield {
                "score": name,
                "first": f"{first:.1%}",
                "first_stage": first_stage,
                "last": f"{last:.1%}",
                "last_stage": last_stage,
            }


def _write(path: Path, content: bytes) -> None:
    with atomic_file(path, "wb") as file:
        file.write(content)
