"""Every check of one command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recipes.data.tokenizer import TokenizerError, load_tokenizer
from recipes.preflighting import checkpoints, data_files, demonstrations, installation, machine, prompt_rules
from recipes.preflighting.data_files import DataFiles
from recipes.preflighting.findings import Findings
from recipes.preflighting.memory import memory_lines
from recipes.records import Problem
from recipes.settings.benchmarks import benchmarks
from recipes.settings.checks import file_problems, value_problems, value_warnings
from recipes.settings.demonstration_checks import Fitting, enough_to_measure, enough_to_train
from recipes.settings.errors import SettingsProblem
from recipes.settings.plan import launch_problems
from recipes.settings.schema import ExportSettings, Settings
from recipes.settings.vocabulary_checks import vocabulary_problem

TRAINING = ("sft", "grpo")


@dataclass(slots=True)
class Preflight:
    """The checks of one call; a file that several stages name is read once."""

    environ: Mapping[str, str]
    on_node: bool
    """True: this machine is one of the job's, so its devices and cores count."""
    files: DataFiles = field(default_factory=DataFiles)
    check_files: bool = True
    """False: only what the settings alone say: neither data nor checkpoints, run folders or disks."""
    to_come: tuple[Path, ...] = ()
    """Folders that earlier steps of a curriculum will have filled: what lies in them is no missing file."""
    _tokenizers: dict[str, Any] = field(default_factory=dict)

    def command(self, settings: Settings | ExportSettings, command: str) -> Findings:
        """All that is wrong with one command, which is no curriculum."""
        values = value_problems(settings, command)
        findings = Findings(problems=[*values, *launch_problems(settings, command, self.environ)])
        if isinstance(settings, Settings):
            findings.looked_at += memory_lines(settings, command)
        if not self.check_files:
            findings.add(installation.frameworks(settings, command, on_node=self.on_node))
            return findings
        missing = [p for p in file_problems(settings, command) if not self.will_come(p.found.rpartition(": ")[0])]
        findings.problems += missing
        findings.add(installation.frameworks(settings, command, on_node=self.on_node))
        if isinstance(settings, ExportSettings):
            findings.add(checkpoints.export(settings, here=installation.is_here(on_node=self.on_node)))
            findings.add(machine.writable("output", settings.output))
            return findings
        if command in TRAINING and checkpoints.is_finished(settings.run.directory):
            other = checkpoints.finished_otherwise(settings)
            left = f"trained with {len(other)} other settings" if other else "nothing is left to do"
            findings.problems += other
            findings.looked_at.append(f"{settings.run.directory}: finished, {left}")
            return findings
        findings.add(installation.loggers(settings, on_node=self.on_node))
        keys = {problem.key for problem in missing}
        findings.add(self._tokens(settings, command, keys, sound=not values))
        if values:  # sizes and layouts mean nothing yet
            return findings
        findings.warnings += value_warnings(settings, command)
        findings.add(self._weights(settings, command, keys))
        findings.add(self._place(settings, command))
        if self.on_node:
            findings.problems += installation.ranks_without_launcher(settings, self.environ)
            findings.add(machine.allocation(settings, self.environ))
            findings.add(machine.devices(settings))
            findings.add(machine.cores(settings))
        return findings

    def will_come(self, path: str) -> bool:
        """Whether an earlier step of the curriculum writes there."""
        return any(folder in (Path(path), *Path(path).parents) for folder in self.to_come)

    def _place(self, settings: Settings, command: str) -> Findings:
        """Where the command writes."""
        if command == "evaluate":
            return machine.writable("evaluation.output", settings.evaluation.output)
        findings = machine.writable("run.directory", settings.run.directory)
        if command in TRAINING:
            findings.add(checkpoints.run_directory(settings, settings.run.directory))
            if not self.to_come:  # a curriculum counts all its stages together
                needs = {settings.run.directory: machine.stage_bytes(settings, command)}
                findings.add(machine.disk("run.directory", needs))
        return findings

    def _weights(self, settings: Settings, command: str, missing: set[str]) -> Findings:
        if command == "evaluate":
            key, path = "engine.checkpoint", settings.engine.checkpoint
        else:
            key, path = "model.restore_from", settings.model.restore_from
        if path is None or key in missing or not Path(path).exists():
            return Findings()
        if command == "evaluate" and settings.engine.name != "megatron":
            return Findings()  # _tokens looks at the folder
        needs = command != "evaluate" and settings.run.require_parent_manifest
        return checkpoints.weights(key, path, settings, needs_manifest=needs)

    def _tokenizer(self, settings: Settings, command: str, missing: set[str], findings: Findings) -> Any:
        """The tokenizer, None where there is none (yet); one that cannot be used is a problem."""
        engine = settings.engine
        if command == "evaluate" and engine.name == "openai" and engine.api == "chat":
            return None  # the server has it
        hugging_face = command == "evaluate" and (
            engine.name == "hf"
            or (engine.name == "trtllm" and Path(str(engine.checkpoint), "tokenizer_config.json").is_file())
        )
        key = "engine.checkpoint" if hugging_face else "model.tokenizer"
        folder = str(engine.checkpoint) if hugging_face else settings.model.tokenizer
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
        if tokenizer is not None and not (command == "evaluate" and engine.name != "megatron"):
            problem = vocabulary_problem(settings, key, folder, len(tokenizer))
            findings.problems += [problem] if problem else []
        return tokenizer

    def _tokens(self, settings: Settings, command: str, missing: set[str], *, sound: bool) -> Findings:
        """Rows and their lengths; enough of them where the values are sound."""
        findings = Findings()
        tokenizer = self._tokenizer(settings, command, missing, findings)
        if command == "sft":
            self._demonstrations(settings, tokenizer, findings, sound=sound)
        elif command == "evaluate":
            for benchmark in benchmarks(settings):
                key, place = f"benchmark.path of {benchmark.name}", benchmark.path or benchmark.source
                rows: list[Problem] = []
                if benchmark.path is None or Path(benchmark.path).is_file():
                    rows, read = self.files.benchmark(key, benchmark)
                    findings.add(read)
                self._look_at(settings, key, place, rows, tokenizer, benchmark.instruction, findings)
                findings.problems += _wrong_grader(benchmark.grader, place, rows)
                if settings.engine.name == "hf" and "engine.checkpoint" not in missing:
                    findings.problems += data_files.hugging_face_room(settings, rows, tokenizer, benchmark.instruction)
        else:
            data = settings.data
            train = self._problems(settings, "data.train", data.train, tokenizer, data.instruction, findings)
            if train and sound:
                whole = self.files.whole(data.train)
                findings.add(prompt_rules.selection(settings, train, self.will_come, whole=whole))
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
        self._look_at(settings, key, path, rows, tokenizer, instruction, findings)
        return rows

    def _look_at(
        self,
        settings: Settings,
        key: str,
        path: str,
        rows: Sequence[Problem],
        tokenizer: Any,
        instruction: str,
        findings: Findings,
    ) -> None:
        """What grades the rows, and how long their prompts are."""
        if not rows:
            return
        findings.add(data_files.gradable(key, path, rows, settings.grading))
        findings.problems += installation.sandbox_packages(rows, settings.grading.packages)
        if tokenizer is not None:
            try:
                limit = settings.data.max_prompt_length
                findings.add(data_files.prompt_lengths(key, rows, tokenizer, instruction, limit))
            except ValueError as error:
                findings.problems.append(SettingsProblem(key, f"{path}: {error}", "texts", f"correct {path}"))

    def _demonstrations(self, settings: Settings, tokenizer: Any, findings: Findings, *, sound: bool) -> None:
        fitting: dict[str, Fitting | None] = {}
        for key, path in (("data.train", settings.data.train), ("data.validation", settings.data.validation)):
            if not Path(path).is_file():
                continue
            rows, read = self.files.demonstrations(key, path)
            findings.add(read)
            if not rows or tokenizer is None:
                continue
            needed = (enough_to_train if key == "data.train" else enough_to_measure)(settings) if sound else 1
            try:
                whole = self.files.whole(path)
                found, fit = demonstrations.lengths(settings, key, rows, tokenizer, needed=needed, whole=whole)
                findings.add(found)
                fitting[key] = fit
                if key == "data.train" and whole and not found.problems:
                    findings.problems += demonstrations.other_than_before(settings, rows, tokenizer)
            except ValueError as error:
                findings.problems.append(SettingsProblem(key, f"{path}: {error}", "texts", f"correct {path}"))
        if sound:
            findings.add(demonstrations.counts(settings, fitting.get("data.train"), fitting.get("data.validation")))


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
