"""Every check of one command, and of every step of a curriculum in one go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recipes.curriculum.steps import final_hf, generates_data
from recipes.data.tokenizer import TokenizerError, load_tokenizer
from recipes.preflighting import checkpoints, data_files, machine
from recipes.preflighting.data_files import DataFiles
from recipes.preflighting.findings import Findings
from recipes.records import Problem
from recipes.rollouts.ledger import read_solve_rates
from recipes.rollouts.selection import SelectionError, SelectionRules, select_problems
from recipes.settings.benchmarks import benchmarks
from recipes.settings.checks import file_problems, value_problems, value_warnings
from recipes.settings.compose import SettingsCommand, compose
from recipes.settings.curriculum import StageCommand
from recipes.settings.errors import SettingsProblem
from recipes.settings.plan import launch_problems
from recipes.settings.schema import ExportSettings, Settings
from recipes.training.stage_prompts import selection_rules

TRAINING = ("sft", "grpo")


@dataclass(slots=True)
class Preflight:
    """The checks of one call; a file that several stages name is read once."""

    environ: Mapping[str, str]
    on_node: bool
    """True: this machine is one of the job's, so its devices and cores count."""
    files: DataFiles = field(default_factory=DataFiles)
    to_come: tuple[Path, ...] = ()
    """Folders that earlier steps of a curriculum will have filled: what lies in them is no missing file."""
    _tokenizers: dict[str, Any] = field(default_factory=dict)

    def command(self, settings: Settings | ExportSettings, command: str) -> Findings:
        """All that is wrong with one command, which is no curriculum."""
        values = value_problems(settings, command)
        findings = Findings(problems=[*values, *launch_problems(settings, command, self.environ)])
        missing = [p for p in file_problems(settings, command) if not self._will_come(p.found.rpartition(": ")[0])]
        findings.problems += missing
        if isinstance(settings, ExportSettings):
            findings.add(machine.writable("output", settings.output))
            return findings
        keys = {problem.key for problem in missing}
        findings.add(self._tokens(settings, command, keys, select=not values))
        if values:  # sizes and layouts mean nothing yet
            return findings
        findings.warnings += value_warnings(settings, command)
        findings.add(self._weights(settings, command, keys))
        findings.add(self._place(settings, command))
        if self.on_node:
            findings.add(machine.allocation(settings, self.environ))
            findings.add(machine.devices(settings))
            findings.add(machine.cores(settings))
        return findings

    def curriculum(self, settings: Settings, stages: Sequence[StageCommand]) -> Findings:
        """Every stage, the evaluation after each one and the export, with the outputs of earlier ones to come."""
        findings, root = Findings(), Path(settings.run.directory)
        generated = generates_data(settings)
        self.to_come = (Path(settings.data.directory), root / "initial") if generated else ()
        checkpoint = str(root / "initial" / "model.nemo") if generated else settings.curriculum.initial_model
        for stage in stages:
            folder = root / stage.name
            self.to_come = (*self.to_come, folder)
            training = replace(stage.settings, model=replace(stage.settings.model, restore_from=checkpoint))
            if checkpoints.is_finished(str(folder)):
                findings.looked_at.append(f"{folder}: finished")
            else:
                _take(findings, self.command(training, stage.command), f"stage {stage.name}")
            checkpoint = str(folder / "model.nemo")
            words = [*stage.overrides, f'evaluation.checkpoint="{checkpoint}"', "evaluation.engine=megatron"]
            evaluation: SettingsCommand = "evaluate"
            _take(findings, self.command(compose(evaluation, words), evaluation), "evaluation")
        findings.add(machine.writable("run.directory", str(final_hf(root))))
        findings.add(machine.disk("run.directory", self._disk_needs(root, stages)))
        return findings

    def _will_come(self, path: str) -> bool:
        return any(folder in (Path(path), *Path(path).parents) for folder in self.to_come)

    def _disk_needs(self, root: Path, stages: Sequence[StageCommand]) -> dict[str, tuple[int, int]]:
        todo = [stage for stage in stages if not checkpoints.is_finished(str(root / stage.name))]
        return {str(root / stage.name): machine.stage_bytes(stage.settings, stage.command) for stage in todo}

    def _place(self, settings: Settings, command: str) -> Findings:
        """Where the command writes."""
        if command == "evaluate":
            return machine.writable("evaluation.output", settings.evaluation.output)
        findings = machine.writable("run.directory", settings.run.directory)
        if command in TRAINING:
            findings.add(checkpoints.run_directory(settings, settings.run.directory))
            if not self.to_come and not checkpoints.is_finished(settings.run.directory):
                needs = {settings.run.directory: machine.stage_bytes(settings, command)}
                findings.add(machine.disk("run.directory", needs))
        return findings

    def _weights(self, settings: Settings, command: str, missing: set[str]) -> Findings:
        if command == "evaluate":
            key, path = "evaluation.checkpoint", settings.evaluation.checkpoint
        else:
            key, path = "model.restore_from", settings.model.restore_from
        if path is None or key in missing or not Path(path).exists():
            return Findings()
        if command == "evaluate" and settings.evaluation.engine == "hf":
            return Findings()
        needs = command != "evaluate" and settings.run.require_parent_manifest
        return checkpoints.weights(key, path, settings, needs_manifest=needs)

    def _tokenizer(self, settings: Settings, command: str, missing: set[str], findings: Findings) -> Any:
        """The tokenizer, None where there is none (yet); one that cannot be used is a problem."""
        hugging_face = command == "evaluate" and settings.evaluation.engine == "hf"
        key = "evaluation.checkpoint" if hugging_face else "model.tokenizer"
        folder = str(settings.evaluation.checkpoint) if hugging_face else settings.model.tokenizer
        if key in missing or not Path(folder).is_dir():
            return None
        if folder not in self._tokenizers:
            try:
                self._tokenizers[folder] = load_tokenizer(folder)
            except TokenizerError as error:
                self._tokenizers[folder] = None
                expected = "a Hugging Face tokenizer with a chat template and an end token"
                findings.problems.append(SettingsProblem(key, str(error), expected, f"{key}=FOLDER of a chat model"))
        tokenizer = self._tokenizers[folder]
        if tokenizer is not None and not hugging_face and len(tokenizer) > settings.model.vocab_size:
            findings.problems.append(
                SettingsProblem(
                    key,
                    f"{folder}: {len(tokenizer):,} tokens",
                    f"at most model.vocab_size={settings.model.vocab_size:,}, the rows of the embedding",
                    f"{key}=FOLDER of the model's own tokenizer",
                )
            )
        return tokenizer

    def _tokens(self, settings: Settings, command: str, missing: set[str], *, select: bool) -> Findings:
        """Rows and their lengths."""
        findings = Findings()
        tokenizer = self._tokenizer(settings, command, missing, findings)
        if command == "sft":
            self._demonstrations(settings, tokenizer, findings)
        elif command == "evaluate":
            for benchmark in benchmarks(settings):
                key = f"benchmark.path of {benchmark.name}"
                rows = self._problems(settings, key, benchmark.path, tokenizer, benchmark.instruction, findings)
                findings.problems += _wrong_grader(benchmark.grader, benchmark.path, rows)
        else:
            data = settings.data
            train = self._problems(settings, "data.train", data.train, tokenizer, data.instruction, findings)
            if train and select:
                findings.add(self._selection(settings, train))
            if settings.validation.every_steps > 0:
                rows = self._problems(
                    settings, "data.validation", data.validation, tokenizer, data.instruction, findings
                )
                findings.warnings += _large_validation(settings, len(train), len(rows))
        return findings

    def _problems(
        self, settings: Settings, key: str, path: str, tokenizer: Any, instruction: str, findings: Findings
    ) -> list[Problem]:
        if not Path(path).is_file():
            return []
        rows, read = self.files.problems(key, path)
        findings.add(read)
        if not rows:
            return []
        findings.add(data_files.gradable(key, path, rows, settings.grading))
        if tokenizer is not None:
            try:
                limit = settings.data.max_prompt_length
                findings.add(data_files.prompt_lengths(key, rows, tokenizer, instruction, limit))
            except ValueError as error:
                findings.problems.append(SettingsProblem(key, f"{path}: {error}", "texts", f"correct {path}"))
        return rows

    def _demonstrations(self, settings: Settings, tokenizer: Any, findings: Findings) -> None:
        for key, path in (("data.train", settings.data.train), ("data.validation", settings.data.validation)):
            if not Path(path).is_file():
                continue
            rows, read = self.files.demonstrations(key, path)
            findings.add(read)
            if rows and tokenizer is not None and key == "data.train":
                whole = self.files.whole(path)
                findings.add(data_files.demonstration_lengths(settings, rows, tokenizer, whole=whole))

    def _selection(self, settings: Settings, problems: Sequence[Problem]) -> Findings:
        """Whether the rules of ``prompts`` leave a batch; those that wait for rollouts to come are left out."""
        findings, rules = Findings(), selection_rules(settings.prompts)
        rates = {}
        runs = [Path(run) for run in settings.prompts.ledgers]
        waiting = [run for run in runs if self._will_come(str(run)) and not checkpoints.is_finished(str(run))]
        if not self.files.whole(settings.data.train):
            return findings
        try:
            if waiting and settings.prompts.read_ledgers:
                rules = _without_ledgers(rules, problems)
            elif settings.prompts.read_ledgers and all(run.is_dir() for run in runs):
                rates = read_solve_rates(runs)
            selection = select_problems(problems, rules, rates, settings.grpo.prompts_per_step)
        except SelectionError as error:
            expected = "rules of prompts that leave a batch"
            fix = "loosen the rules, as said there, or give more problems in data.train"
            findings.problems.append(SettingsProblem("prompts", str(error), expected, fix))
        except ValueError as error:
            fix = "prompts.ledgers=[RUN,...] with the folders of stages that have trained"
            findings.problems.append(SettingsProblem("prompts.ledgers", str(error), "folders with rollouts", fix))
        else:
            later = (
                f"; rates come from {', '.join(map(str, waiting))}" if waiting and settings.prompts.read_ledgers else ""
            )
            findings.looked_at.append(f"{settings.data.train}: {selection.report()}{later}")
        return findings


def _without_ledgers(rules: SelectionRules, problems: Sequence[Problem]) -> SelectionRules:
    """The rules that the rows alone decide."""
    rules = replace(rules, min_solve_rate=None, max_solve_rate=None, unseen="keep")
    if not any("teacher_tokens" in problem.metadata for problem in problems):
        rules = replace(rules, min_response_tokens=None, max_response_tokens=None)
    return rules


def _wrong_grader(grader: str, path: str, problems: Sequence[Problem]) -> list[SettingsProblem]:
    wrong = [p.id for p in problems if (p.tests is None) != (grader == "math")]
    if not wrong:
        return []
    key, other = ("answer", "code") if grader == "math" else ("tests", "math")
    named = ", ".join(wrong[:5]) + (", ..." if len(wrong) > 5 else "")
    found = f"{grader}, but {len(wrong):,} of {len(problems):,} rows of {path} have no {key!r}: {named}"
    fix = f"benchmark.grader={other}, or benchmark.path=PATH of another file"
    return [SettingsProblem("benchmark.grader", found, f"{key!r} in every row", fix)]


def _large_validation(settings: Settings, train: int, validation: int) -> list[SettingsProblem]:
    """Held-out samples of one measurement against the rollouts of the steps in between."""
    every, grpo = settings.validation.every_steps, settings.grpo
    held_out = validation * settings.validation.n
    between = every * grpo.prompts_per_step * grpo.rollouts_per_prompt
    if not train or held_out <= between:
        return []
    found = f"{validation:,} problems x validation.n={settings.validation.n} = {held_out:,} samples every {every} steps"
    expected = f"fewer than the {between:,} rollouts that those steps train on"
    fix = f"validation.every_steps={-(-held_out // (between // every)) * 10}, or a smaller data.validation"
    return [SettingsProblem("data.validation", found, expected, fix)]


def _take(findings: Findings, step: Findings, name: str) -> None:
    """Add what one step has to say, with its name, but for what an earlier step said already."""
    for mine, theirs in ((findings.problems, step.problems), (findings.warnings, step.warnings)):
        said = {(problem.key.partition(" (")[0], problem.found) for problem in mine}
        mine += [replace(p, key=f"{p.key} ({name})") for p in theirs if (p.key, p.found) not in said]
    findings.add(Findings(looked_at=step.looked_at))
