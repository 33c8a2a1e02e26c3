"""From a command line to typed settings: Hydra lays the files of ``conf/`` over each other, the schema decides."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, overload

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recipes.mpirun_ranks import take_ranks_of_mpirun
from recipes.settings.bounds import value_of
from recipes.settings.checks import file_problems, value_problems
from recipes.settings.commands import COMMANDS, Command
from recipes.settings.errors import SettingsError, SettingsProblem
from recipes.settings.fields import fields_of
from recipes.settings.folder_checks import folder_problems
from recipes.settings.help_page import help_page
from recipes.settings.overrides import group_options, lengthened, literal, sort_overrides
from recipes.settings.plan import launch_problems, plan, stage_lines
from recipes.settings.schema import AnySettings, DeploymentSettings, ExportSettings, PrepareSettings, Settings
from recipes.settings.stage_words import split_words
from recipes.settings.typed import CONF, build, is_open, typed_values

SettingsCommand = Literal["sft", "grpo", "calibrate", "curriculum", "evaluate"]

OmegaConf.register_new_resolver("beside", lambda folder, name: str(Path(folder).parent / name), replace=True)
OmegaConf.register_new_resolver("scores_of", lambda engine, checkpoint: scores_folder(engine, checkpoint), replace=True)
OmegaConf.register_new_resolver(
    "by_grader", lambda grader, math, code: code if grader == "code" else math, replace=True
)
OmegaConf.register_new_resolver("product", lambda *factors: math.prod(map(int, factors)), replace=True)


def scores_folder(engine: str, checkpoint: str | None) -> str:
    """Where an evaluation goes unless told otherwise: beside the checkpoint, a folder for each checkpoint.

    ``RUN/model.nemo``, a stage's last weights, has ``RUN/evaluation``; ``base.nemo`` has ``base_evaluation`` and a
    folder ``hf`` has ``hf_evaluation``. Empty where nothing lies on this disk.
    """
    if checkpoint is None or engine == "openai":
        return ""
    path = Path(checkpoint) if Path(checkpoint).name else Path(checkpoint).absolute()  # "." has no name
    own = path.name == "model.nemo" or not path.name
    return str(path.parent / ("evaluation" if own else f"{path.name.removesuffix('.nemo')}_evaluation"))


@overload
def compose(command: SettingsCommand, overrides: Sequence[str] = ()) -> Settings: ...
@overload
def compose(command: Literal["export"], overrides: Sequence[str] = ()) -> ExportSettings: ...
@overload
def compose(command: Literal["prepare"], overrides: Sequence[str] = ()) -> PrepareSettings: ...
def compose(command: str, overrides: Sequence[str] = ()) -> AnySettings:
    """Composes the configuration of a command. Looks neither at the values' sense nor at the disk (``checks``).

    Args:
        command: one of ``COMMANDS``.
        overrides: Hydra overrides, later ones win, for instance ``["stage=math2", "grpo.temperature=0.85"]``. Those
            of a curriculum's single stages (``math2.grpo.top_p=1``) are checked and change nothing here.

    Raises:
        SettingsError: unknown keys and options, values of another type, keys without a value: all that there are.
    """
    settings, still_open = compose_as_far(command, overrides)
    if still_open:
        raise SettingsError(still_open)
    return settings


def compose_as_far(command: str, overrides: Sequence[str] = ()) -> tuple[AnySettings, list[SettingsProblem]]:
    """As ``compose``, but keys that may be null and that nobody has given are null, so that a check can name them
    beside everything else.

    Returns:
        The settings, and a problem for each of these keys.
    """
    entry = COMMANDS[command]
    own_problems: list[SettingsProblem] = []
    if command == "curriculum":
        words = split_words(overrides, _options(entry))
        overrides, own_problems = words.shared, words.problems
    if entry.short is not None:
        overrides = [lengthened(word, entry.short, entry.schema) for word in overrides]
    accepted, problems = sort_overrides(overrides, entry.schema, _options(entry))
    given = {word.partition("=")[0] for word in accepted}
    values, more = typed_values(_lay_over(entry, accepted), entry.schema, entry.unread, given)
    still_open = [problem for problem in more if is_open(problem, entry.schema)]
    if problems or own_problems or len(more) > len(still_open):
        raise SettingsError([*problems, *own_problems, *more])
    settings = build(entry.schema, values | dict.fromkeys(problem.key for problem in still_open))
    assert isinstance(settings, AnySettings)
    return settings, still_open


@overload
def settings_from_command_line(
    command: SettingsCommand,
    description: str,
    argv: Sequence[str] | None = None,
    *,
    require_files: bool = True,
    module: str | None = ...,
) -> Settings: ...
@overload
def settings_from_command_line(
    command: Literal["export"],
    description: str,
    argv: Sequence[str] | None = None,
    *,
    require_files: bool = True,
    dry_run_lines: Callable[[Any], Sequence[str]] = ...,
) -> ExportSettings: ...
@overload
def settings_from_command_line(
    command: Literal["prepare"], description: str, argv: Sequence[str] | None = None, *, require_files: bool = True
) -> PrepareSettings: ...
def settings_from_command_line(
    command: Any,
    description: str,
    argv: Sequence[str] | None = None,
    *,
    require_files: bool = True,
    module: str | None = None,
    dry_run_lines: Callable[[Any], Sequence[str]] = lambda _: (),
) -> AnySettings:
    """What every entry point calls first: the checked settings, or help, a dry run or the errors, and then the end.

    ``--help`` explains the command with the defaults that the other words give. ``--dry-run`` prints the resolved
    configuration as YAML with the plan as comments. Both exit with 0, an error exits with 2. Of several ranks the first
    one prints.

    Args:
        command: one of ``COMMANDS``.
        description: what the command does, for its help.
        argv: words after the program's name; None takes those of the process.
        require_files: whether the files that the command reads must exist already.
        module: what ``python -m`` runs, where it is not the module of ``COMMANDS``; help and errors name it.
        dry_run_lines: what ``--dry-run`` prints below the plan, of the settings.
    """
    take_ranks_of_mpirun()
    entry = COMMANDS[command] if module is None else dataclasses.replace(COMMANDS[command], module=module)
    words = list(sys.argv[1:] if argv is None else argv)
    overrides = [word for word in words if word not in ("--help", "-h", "--dry-run")]
    dry_run = "--dry-run" in words
    try:
        if "--help" in words or "-h" in words:
            _print_and_exit(_help(entry, description, overrides))
        settings, still_open = compose_as_far(command, overrides)
        problems = [*still_open, *value_problems(settings, command), *launch_problems(settings, command, os.environ)]
        missing, stages = file_problems(settings, command), list[str]()
        if require_files and not dry_run:
            problems += [*missing, *folder_problems(settings, command)]
        if problems:
            raise SettingsError(problems)
        if dry_run and command == "curriculum":
            assert isinstance(settings, Settings)
            missing, stages = _of_the_stages(settings, overrides)
    except SettingsError as error:
        if _first_rank():
            print(f"python -m {entry.module}: {error}\n(--help explains the keys)", file=sys.stderr)
        raise SystemExit(2) from None
    if dry_run:
        lines = [*plan(settings, command, missing, entry.module), *stages]
        printed = [*(f"# {line}".rstrip() for line in lines), *dry_run_lines(settings)]
        _print_and_exit(to_yaml(settings) + "\n".join(printed))
    return settings


def _of_the_stages(settings: Settings, overrides: Sequence[str]) -> tuple[list[SettingsProblem], list[str]]:
    """The files of all stages of a curriculum that are missing, and a line for each stage."""
    from recipes.settings.curriculum import missing_inputs, stage_commands  # composes the stages with this module

    stages = stage_commands(overrides)
    return missing_inputs(settings, stages), stage_lines((one.name, one.command, one.settings) for one in stages)


def to_yaml(settings: AnySettings) -> str:
    """The settings as YAML, in the order of the schema, resolved; ends with a newline."""
    return OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(settings)))


def deployment_words(deployment: DeploymentSettings) -> list[str]:
    """``deployment.max_seq_len=8192`` for each value that is not the default one."""
    default = compose("export", ["checkpoint=a", "output=b"]).deployment
    changed = {name: value for name, value in dataclasses.asdict(deployment).items() if value != getattr(default, name)}
    return [
        literal(f"deployment.{name}", value) if isinstance(value, str) else f"deployment.{name}={json.dumps(value)}"
        for name, value in changed.items()
    ]


def flatten(settings: AnySettings) -> dict[str, Any]:
    """Dotted key -> value, in the order of the schema; lists stay lists."""
    return {key: value_of(settings, key) for key in fields_of(type(settings))}


def _options(entry: Command) -> Mapping[str, Sequence[str]]:
    return group_options(CONF, entry.groups)


def _lay_over(entry: Command, overrides: Sequence[str]) -> DictConfig:
    """The files of ``conf/`` and the overrides as one untyped tree, references unresolved."""
    if not CONF.is_dir():
        fix = "run from a checkout of the project (pip install -e .)"
        raise SettingsError([SettingsProblem("conf", f"no folder {CONF}", "the project's configuration files", fix)])
    try:
        with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
            return hydra_compose(entry.root, [*entry.preset, *overrides])
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        reason = " ".join(f"{error} {error.__cause__ or ''}".split())
        problem = SettingsProblem("conf", reason, "files that compose", "correct the file or the override named there")
        raise SettingsError([problem]) from error


def _help(entry: Command, description: str, overrides: Sequence[str]) -> str:
    options = _options(entry)
    accepted, _ = sort_overrides(overrides, entry.schema, options)
    values, _ = typed_values(_lay_over(entry, accepted), entry.schema, entry.unread)
    return help_page(entry, description, values, options)


def _first_rank() -> bool:
    return int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or 0) == 0


def _print_and_exit(text: str) -> NoReturn:
    if _first_rank():
        try:
            print(text, flush=True)
        except BrokenPipeError:  # the reader, `head` for instance, had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(0)
