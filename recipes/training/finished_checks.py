"""Whether a finished stage is the one that the settings describe: what its result depends on, now and then.

The machine, the layout, how the work is cut into batches, and what is written or measured beside the result may change
between two starts; the same words must find the stage finished, whatever was moved meanwhile.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from recipes.checkpoints.manifest import MANIFEST_NAME, Manifest, data_file, file_sha256, manifest_path
from recipes.settings.errors import SettingsProblem
from recipes.settings.grading_schema import VERDICT_KEYS, GradingSettings
from recipes.settings.schema import ModelSettings, Settings

LAYOUT = (
    "model.tensor_model_parallel_size",
    "model.pipeline_model_parallel_size",
    "model.sequence_parallel",
    "model.recompute",
)
"""How the model is cut and recomputed: not what it learns."""
_MODEL = tuple(f"model.{field.name}" for field in fields(ModelSettings))
_FREE = ("model.name", "sft.micro_batch_size", "grpo.micro_batch_size", *LAYOUT)
_VERDICTS = {name for names in VERDICT_KEYS.values() for name in names} - {"sandbox"}
"""Where programs run is the machine's affair."""
_GRADING = [field.name for field in fields(GradingSettings) if field.name in _VERDICTS]
_CALIBRATION = ("temperatures", "prompts", "rollouts_per_prompt", "target_entropy")
_BOTH = ("stage.name", "stage.kind", "stage.domain", "run.seed", *_MODEL, "data.train", "data.instruction", "optimizer")
_BINDING = {
    "sft": (*_BOTH, "sft", "data.validation"),
    "grpo": (*_BOTH, "grpo", "prompts", "stopping", "validation", *(f"grading.{name}" for name in _GRADING)),
}
"""Stage kind -> keys, or whole sections, that the result depends on."""
_FILES = ("data.train", "data.validation")


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that is not what it was."""

    key: str
    now: Any
    then: Any

    def __str__(self) -> str:
        return f"{self.key} found {_shown(self.now)}, was {_shown(self.then)}"


def differences(settings: Settings, manifest: Manifest, folder: Path) -> list[Difference]:
    """What the result depends on and is not what the finished stage was trained with, in the order of the schema.

    Args:
        settings: of this start.
        manifest: of the finished stage; keys that it does not know count as equal.
        folder: the stage's.
    """
    now, then = asdict(settings), manifest.settings
    found = [Difference(key, _at(now, key), _at(then, key)) for key in _keys(settings, now) if _knows(then, key)]
    return [one for one in found if one.now != one.then and not _same(one, settings, manifest, folder)]


def layout_differences(settings: Settings, manifest: Manifest) -> list[Difference]:
    """How the model was cut otherwise."""
    now, then = asdict(settings), manifest.settings
    found = [Difference(key, _at(now, key), _at(then, key)) for key in LAYOUT if _knows(then, key)]
    return [one for one in found if one.now != one.then]


def how_to_go_on(found: Sequence[Difference], settings: Settings, manifest: Manifest, folder: Path) -> str:
    """What to type to train with the settings of now.

    A GRPO stage that differs in nothing but its end may take more steps: its last checkpoint is there, and its learning
    rate does not depend on their number. SFT's decay does.
    """
    ends = all(one.key == "grpo.max_steps" or one.key.startswith("stopping.") for one in found)
    if ends and settings.grpo.max_steps > manifest.steps and settings.optimizer.schedule == "constant":
        kept = folder / f"manifest_of_step_{manifest.steps}.json"
        move = shlex.join(["mv", str(folder / MANIFEST_NAME), str(kept)])
        return f"to add steps to this stage: {move}, then the same words; or run.directory=NEW_FOLDER"
    return "run.directory=NEW_FOLDER to train with these, or the words of then"


def finished_problems(settings: Settings, manifest: Manifest, folder: Path) -> list[SettingsProblem]:
    """``differences`` as problems."""
    found = differences(settings, manifest, folder)
    return [
        SettingsProblem(
            one.key,
            f"{_shown(one.now)}, but {folder} is finished",
            f"{_shown(one.then)}, what it was trained with",
            how_to_go_on(found, settings, manifest, folder),
        )
        for one in found
    ]


def _keys(settings: Settings, now: Mapping[str, Any]) -> Iterator[str]:
    names: list[str] = []
    for name in _BINDING[settings.stage.kind]:
        names += [name] if "." in name else [f"{name}.{key}" for key in now[name]]
    if settings.stage.kind == "grpo" and settings.grpo.temperature == "auto":
        names += [f"calibration.{name}" for name in _CALIBRATION]
    if settings.validation.every_steps > 0 and settings.stage.kind == "grpo":
        names.append("data.validation")
    if not settings.prompts.read_ledgers and "prompts.ledgers" in names:
        names.remove("prompts.ledgers")
    if settings.stopping.metric == "none":
        names = [name for name in names if not name.startswith("stopping.") or name == "stopping.metric"]
    if settings.validation.every_steps == 0 and "validation.n" in names:
        names.remove("validation.n")
    yield from (name for name in names if name not in _FREE)


def _same(one: Difference, settings: Settings, manifest: Manifest, folder: Path) -> bool:
    """Whether two values that are written otherwise mean the same."""
    if one.key == "grpo.temperature":  # the manifest holds what was measured
        return one.now == "auto" and (folder / "temperature.json").is_file()
    if one.key == "prompts.ledgers":
        pairs = list(zip(map(Path, one.now), map(Path, one.then), strict=False))
        return len(one.now) == len(one.then) and all(_same_run(now, then) for now, then in pairs)
    if not isinstance(one.now, str) or not isinstance(one.then, str):
        return False
    same_file: dict[str, Callable[[], bool]] = {
        "model.restore_from": lambda: _same_parent(Path(one.now), manifest),
        "model.tokenizer": lambda: _same_tokenizer(Path(one.now), Path(one.then)),
        **dict.fromkeys(_FILES, lambda: _same_rows(Path(one.now), one.key, manifest)),
    }
    if one.key not in same_file:
        return False
    return Path(one.now).resolve() == Path(one.then).resolve() or same_file[one.key]()


def _same_parent(now: Path, manifest: Manifest) -> bool:
    """The same place, or the same manifest elsewhere: a run folder may be copied or moved as a whole."""
    parent, path = manifest.parent, manifest_path(now)
    if parent is None:
        return False
    if str(now.absolute()) == parent.checkpoint:
        return True
    return path.is_file() and parent.manifest_sha256 == file_sha256(path)


def _same_run(now: Path, then: Path) -> bool:
    """The same folder; or one of its name where the old one is gone: a curriculum's runs lie beside each other."""
    return now.resolve() == then.resolve() or (now.name == then.name and not then.exists())


def _same_tokenizer(now: Path, then: Path) -> bool:
    """Nothing is recorded of a tokenizer but its place, so where the old one is gone nothing tells them apart."""
    files = [folder / "tokenizer.json" for folder in (now, then)]
    if not files[1].is_file():
        return True
    return files[0].is_file() and files[0].read_bytes() == files[1].read_bytes()


def _same_rows(now: Path, key: str, manifest: Manifest) -> bool:
    read = manifest.data.get(key)
    if read is None or not now.is_file():
        return False
    return str(now.absolute()) == read.path or data_file(now).sha256 == read.sha256


def _knows(tree: Mapping[str, Any], key: str) -> bool:
    section, _, name = key.partition(".")
    return name in tree.get(section, {})


def _at(tree: Mapping[str, Any], key: str) -> Any:
    section, _, name = key.partition(".")
    return tree.get(section, {}).get(name)


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ",".join(map(str, value)) + "]" if isinstance(value, list) else str(value)
