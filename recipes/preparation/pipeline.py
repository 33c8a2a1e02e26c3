"""The steps of data preparation in their order, each as phases (paper §3.1, §3.2.2)."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from recipes.data.lengths import tokenizer_state
from recipes.data.rows import canonical
from recipes.data.sources.reading import Read, plan_reads
from recipes.preparation.blend import BlendInputs, plan_task, wanted_of, write_task
from recipes.preparation.collect import read_task, sort_task
from recipes.preparation.decontaminate import benchmark_texts, scan_part, write_texts
from recipes.preparation.deduplicate import decide_task, sign_task
from recipes.preparation.phases import Phase
from recipes.preparation.publish import FILES, PROBLEMS, publish_task
from recipes.preparation.rebalance import count_part, rebalance_task, require_sound
from recipes.preparation.report import report_task
from recipes.preparation.selection import select_task
from recipes.preparation.selection_checks import check_part, reject_pasted
from recipes.preparation.selection_files import write_stages_task
from recipes.preparation.sft_files import blend_number, sft_task
from recipes.preparation.solve_rates import run_states
from recipes.preparation.teacher_grading import grade_part, grading_key
from recipes.preparation.teacher_keeping import keep_part, write_dropped_task
from recipes.preparation.teacher_responses import claim_task, identity_of, respond_part
from recipes.settings.prepare_checks import chosen_steps, source_settings
from recipes.settings.prepare_schema import PrepareSettings

WORK = "work"
PART_BYTES = 1 << 29
"""Of text in a part, about."""
EXPANSION = {"parquet": 4, "jsonl.gz": 4}
"""How much more text there is than bytes on the disk, about."""


def phases_of(settings: PrepareSettings, command: Sequence[str]) -> list[Phase]:
    """Everything that ``settings`` asks for, down to the published files.

    Args:
        command: words of the command line, for the manifest and the data cards.

    Raises:
        ValueError: inputs or benchmarks that cannot be read, targets and sizes that are none; all of them at once.
    """
    pipeline = Pipeline(settings, tuple(command))
    pipeline.collect()
    for step in chosen_steps(settings):
        getattr(pipeline, step)()
    pipeline.publish()
    return pipeline.phases


def require_own_folder(output: Path) -> None:
    """Files of somebody else are left as they are.

    Raises:
        ValueError: the folder is not empty and this command did not make it.
    """
    if output.exists() and not output.is_dir():
        raise ValueError(f"output={output}: found a file; expected a folder or nothing: give another path")
    if output.is_dir() and any(output.iterdir()) and not (output / WORK).is_dir():
        raise ValueError(
            f"output={output}: the folder is not empty and not of an earlier run (no {WORK}/ in it), so it is left as "
            f"it is: give a new folder"
        )


def _require_small_parts(reads: Sequence[Read], parts: int) -> None:
    """A part is sorted in memory.

    Raises:
        ValueError: parts that are too large, with the number that works. (How much the hub will send is not known.)
    """
    total = sum(read.bytes * EXPANSION.get(read.kind, 1) for read in reads)
    if total > parts * PART_BYTES:
        enough = 1 << (total // PART_BYTES).bit_length()
        raise ValueError(
            f"parts.count={parts}: about {total / 1e9:.0f} GB of text in parts of {total / parts / 1e9:.1f} GB, each "
            f"of which a process sorts in memory; expected {PART_BYTES / 1e9:.1f} GB at most: parts.count={enough}"
        )


class Pipeline:
    """Phases as the steps add them; each step knows the folders of the ones before it.

    A method with the name of a step adds its phases.
    """

    def __init__(self, settings: PrepareSettings, command: tuple[str, ...]) -> None:
        self.settings = settings
        self.command = command
        self.output = Path(settings.output).resolve()
        self.work = self.output / WORK
        self.parts = settings.parts.count
        self.phases: list[Phase] = []
        self.decided: tuple[Path, ...] = ()
        """Folders of the phases that took rows out, in order."""
        self.rows = self.work / "collect.sort"
        self.reads = 0
        self.kept: Path | None = None
        self.lengths: Path | None = None

    def add(
        self, name: str, tasks: int, run: Any, *, decides: bool = False, writes: Sequence[str] = (), **follows_from: Any
    ) -> Path:
        """One more phase; gives its folder.

        Args:
            decides: it takes rows out.
            writes: files and folders below ``output``.
        """
        outputs = tuple(self.output / name for name in writes)
        self.phases.append(Phase(name, tasks, run, follows_from, outputs))
        folder = self.work / name
        if decides:
            self.decided = (*self.decided, folder)
        return folder

    def collect(self) -> None:
        """Read every source, then bring the rows into the order of their content."""
        data = self.settings.data
        reads = plan_reads(data.inputs, data, [source_settings(name) for name in data.sources])
        _require_small_parts(reads, self.parts)
        self.reads = len(reads)
        told = [repr(one) for one in reads]  # with the files' sizes and times
        read = self.add("collect.read", len(reads), partial(read_task, reads, self.parts), parts=self.parts, reads=told)
        self.add("collect.sort", self.parts, partial(sort_task, read, len(reads)))

    def deduplicate(self) -> None:
        """One row for each problem, within and across sources."""
        rule = self.settings.deduplicate
        sign = partial(sign_task, self.rows, rule.ngram, rule.permutations)
        signed = self.add("deduplicate.sign", self.parts, sign, ngram=rule.ngram, permutations=rule.permutations)
        sources = tuple(self.settings.data.sources)
        decide = partial(decide_task, self.rows, signed, self.parts, rule.threshold, sources)
        self.add("deduplicate.decide", 1, decide, decides=True, threshold=rule.threshold, sources=sources)

    def decontaminate(self) -> None:
        """No prompt that a benchmark has."""
        rule, texts = self.settings.decontaminate, benchmark_texts(self.settings.data)
        content = canonical([[one.benchmark, one.id, one.text] for one in texts])
        digest = hashlib.sha256(content.encode()).hexdigest()
        told = self.add("decontaminate.benchmarks", 1, partial(write_texts, texts), sha256=digest)
        scan = partial(scan_part, self.rows, told / "texts.parquet", self.decided, rule)
        self.add("decontaminate.scan", self.parts, scan, decides=True, **dataclasses.asdict(rule))

    def respond(self) -> None:
        """k responses of the teacher to each problem."""
        teacher, seed = self.settings.teacher, self.settings.seed
        asked = {"store": str(Path(teacher.store).resolve()), **identity_of(teacher, seed)}
        self.add("respond.claim", 1, partial(claim_task, teacher, seed), **asked)
        ask = partial(respond_part, self.rows, self.decided, self.parts, teacher, seed)
        self.add("respond.ask", self.parts, ask, responses=teacher.responses)

    def keep(self) -> None:
        """Responses graded, those of the sources among them, and the ones kept that ``teacher.keep`` asks for.

        Where all are kept and nothing asks how hard a problem is, none is graded.
        """
        teacher, grading = self.settings.teacher, self.settings.grading
        judged = (self.rows, self.decided, self.parts, teacher, grading)
        store, key = str(Path(teacher.store).resolve()), grading_key(grading)
        grade, responses = partial(grade_part, *judged), teacher.responses
        if teacher.keep != "all" or "select" in self.settings.steps:
            self.add("keep.grade", self.parts, grade, store=store, grading=key, responses=responses)
        rule: dict[str, Any] = {"keep": teacher.keep, "agreement": teacher.agreement, "responses": responses}
        self.kept = self.add("keep.choose", self.parts, partial(keep_part, *judged), decides=True, **rule)
        write = partial(write_dropped_task, self.kept, self.parts, self.output)
        self.add("keep.dropped", 1, write, writes=["dropped_samples.jsonl"])

    def rebalance(self) -> None:
        """Prompts by the length of their responses."""
        rule, seed = self.settings.rebalance, self.settings.seed
        require_sound(rule)
        decide = partial(rebalance_task, self.rows, self._lengths(), self.decided, self.parts, rule, seed)
        self.add("rebalance.decide", 1, decide, decides=True, seed=seed, **dataclasses.asdict(rule))

    def blend(self) -> None:
        """The nested blends."""
        rule, seed, teacher = self.settings.blends, self.settings.seed, self.settings.teacher
        wanted_of(rule)
        assert self.kept is not None, "checked with the settings"
        decide = partial(plan_task, self.rows, self._lengths(), self.decided, self.parts, rule, seed)
        plan = self.add("blend.plan", 1, decide, seed=seed, **dataclasses.asdict(rule))
        inputs = BlendInputs(self.rows, self.kept / "samples", plan, self.decided, self.parts, teacher)
        write = partial(write_task, inputs, tuple(rule.names), self.command, self.output / "blends")
        self.add("blend.write", len(rule.names), write, writes=[f"blends/{name}" for name in rule.names])

    def sft(self) -> None:
        """The files that run_sft reads."""
        rule, names, seed = self.settings.sft, tuple(self.settings.blends.names), self.settings.seed
        blend_number(rule, names)
        write = partial(
            sft_task, self.work / "blend.plan", self.output / "blends", names, rule, seed, self.output / "sft"
        )
        self.add("sft.write", 1, write, writes=["sft"], seed=seed, **dataclasses.asdict(rule))

    def select(self) -> None:
        """The problems of the RL stages."""
        rule, seed = self.settings.selection, self.settings.seed
        teacher, grading = self.settings.teacher, self.settings.grading
        answers = None if self.kept is None else self.kept / "answers"
        facts = None if self.kept is None else self.kept / "facts"
        texts = {name: value for name, value in dataclasses.asdict(teacher).items() if "instruction" in name}
        names = ("min_tests", "references", "tokenizer", "max_prompt_length")
        bounds = {name: getattr(rule, name) for name in names}
        check = partial(check_part, self.rows, self.decided, answers, rule, teacher, grading)
        follows = {"grading": grading_key(grading), **texts, **bounds}
        checked = self.add("select.check", self.parts, check, decides=True, **follows)
        pasted = partial(reject_pasted, checked, self.parts, rule.same_tests)
        self.add("select.pasted", 1, pasted, decides=True, same_tests=rule.same_tests)
        before = self.decided
        choose = partial(select_task, self.rows, before, facts, self.lengths, self.parts, rule, seed)
        rules = {**dataclasses.asdict(rule), "seed": seed, "runs": run_states(rule.runs)}
        chosen = self.add("select.choose", 1, choose, decides=True, **rules)
        stages = self.output / "rl"
        write = partial(write_stages_task, self.rows, before, answers, chosen, self.parts, teacher, stages)
        self.add("select.write", 1, write, writes=["rl"])

    def publish(self) -> None:
        """The files for people and programs, and the counts."""
        read = self.work / "collect.read"
        write = partial(
            publish_task, self.rows, read, self.reads, self.parts, self.decided, self.settings.teacher, self.output
        )
        published = self.add("publish.rows", 1, write, writes=[PROBLEMS, *FILES.values()])
        tell = partial(report_task, self.settings, self.work, published, self.command)
        self.add("publish.report", 1, tell, writes=["report.json", "manifest.json"])

    def _lengths(self) -> Path:
        """Lengths of the samples under the training tokenizer, counted once."""
        if self.lengths is None:
            assert self.kept is not None, "checked with the settings"
            tokenizer, teacher = self.settings.rebalance.tokenizer, self.settings.teacher
            count = partial(count_part, self.rows, self.kept / "samples", self.decided, tokenizer, teacher)
            told = dataclasses.asdict(teacher)
            instructions = {name: value for name, value in told.items() if "instruction" in name}
            self.lengths = self.add(
                "lengths.count", self.parts, count, tokenizer=tokenizer_state(tokenizer), **instructions
            )
        return self.lengths
