"""Shards put together: once, whole, and into what one job would have written."""

from __future__ import annotations

import fcntl
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.grading_record import (
    differs,
    keep_grading,
    replacing_verdicts,
    require_same_grading,
    without_other_verdicts,
    write_grading,
)
from evaluation.samples import Sample, SamplesError
from evaluation.saved import saved_task
from evaluation.shards import FOLDER, Shard, ShardPlan, read_plan, require_same_division, shard_folders
from evaluation.store import Key, SampleStore, in_order
from evaluation.tasks import Task
from recipes.atomic_files import write_text
from recipes.settings.compose import to_yaml
from recipes.settings.grading_schema import GradingSettings
from recipes.settings.overrides import literal

LOCK = ".merge.lock"
_MERGED = f".{FOLDER}_merged"
_LISTED = 5
"""Samples that a message names."""


class MergeError(SamplesError):
    """Shards that do not make a whole; the message names everything that is wrong with them."""


@dataclass(frozen=True, slots=True)
class ShardFolder:
    """One shard as it lies on the disk."""

    folder: Path
    plan: ShardPlan
    identity: Mapping[str, Any]
    """What its samples were drawn from (``Task.identity``)."""
    samples: Mapping[Key, Sample]


@contextmanager
def merge_lock(output: Path) -> Iterator[None]:
    """One merge at a time below ``output``, on all nodes that share the folder; waits for another one.

    The kernel drops the lock with the process, so one that was killed holds up nobody.

    Raises:
        MergeError: the file system has no locks.
    """
    output.mkdir(parents=True, exist_ok=True)
    with (output / LOCK).open("ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX)
        except OSError as error:
            raise MergeError(
                f"{output}: no locks there ({error.strerror}), which shards need; use another file system"
            ) from error
        yield


def begin(
    task: Task, identity: Mapping[str, Any], batches: Sequence[Sequence[Key]] | None, *, grades: bool = False
) -> None:
    """Before the first sample: say what the folder's samples are drawn from, and which are a shard's own.

    A shard of an evaluation that is whole already writes nothing.

    Args:
        identity: of the samples (``Task.identity``).
        batches: the samples of each batch, where they are drawn in batches.
        grades: this command will grade them too.

    Raises:
        SamplesError: the folder holds samples that were drawn otherwise, the shards of another division, or verdicts
            of other grading settings and this command ``grades``.
    """
    shard, evaluation = task.shard, task.settings.evaluation
    whole = task.whole.folder
    if shard is None:
        require_same_division(whole, None)
        if grades:
            _require_same_grading(task, identity)
    else:
        ids = [problem.id for problem in task.problems]
        with merge_lock(whole.parent):
            store = task.whole.store
            store.require_same(identity, replace=evaluation.replace)
            if grades:
                _require_same_grading(task, identity)
            there = {} if store.differences(identity) else store.load()
            if all((problem, sample) in there for problem in ids for sample in range(task.n)):
                if shard_folders(whole):  # a merge was killed before it removed them
                    merge(whole)
                return
            require_same_division(whole, shard)
            own = shard.own_keys(ids, task.n) if batches is None else shard.own_batches(batches)
            ShardPlan(shard, task.n, tuple(own), finished=False).write(task.folder)
    task.store.claim(identity, replace=evaluation.replace)
    if grades:
        write_grading(task.folder, task.settings)
    else:
        keep_grading(task.folder, task.settings)
    write_text(task.folder / "settings.yaml", to_yaml(task.settings))


def _require_same_grading(task: Task, identity: Mapping[str, Any]) -> None:
    """Of the whole and of every shard that is begun, as far as their samples stay."""
    whole = task.whole.folder
    for folder in (whole, *shard_folders(whole)):
        if not SampleStore(folder).differences(identity):
            require_same_grading(folder, task.settings)


def unfinished(benchmark: Path) -> list[Shard]:
    """Shards that are not finished or not begun; none where there are no shards at all.

    Raises:
        SamplesError: a folder that is no shard.
    """
    plans = [read_plan(folder) for folder in shard_folders(benchmark)]
    finished = {plan.shard for plan in plans if plan.finished}
    counts = {plan.shard.count for plan in plans}
    return sorted(
        Shard(index, count) for count in counts for index in range(count) if Shard(index, count) not in finished
    )


def merge(benchmark: Path, overrides: Sequence[str] = (), grading: GradingSettings | None = None) -> Task:
    """Put a benchmark's shards into its folder and remove them; the caller holds ``merge_lock``.

    Verdicts of other grading settings than those of the merge are not taken over: who calls grades what has none.

    A merge that is killed leaves the shards, or the whole: the next one goes on.

    Args:
        benchmark: its folder, ``DIR/<benchmark>``.
        overrides: ``key=value`` words over the settings that the shards were drawn with.
        grading: settings of the verdicts; None: those of the shards, with ``overrides``.

    Returns:
        The whole benchmark, its samples graded as far as the shards were.

    Raises:
        MergeError: a shard is missing, unfinished, doubled or of another evaluation, or samples are.
    """
    _remove_merged(benchmark)
    folders = shard_folders(benchmark)
    if not folders:
        raise MergeError(f"{benchmark}: no shards there; they are merged already, or were drawn into another folder")
    shards = [_read(folder) for folder in folders]
    if problems := list(_division_problems(shards)):
        raise _refusal(benchmark, problems)
    task = _whole_task(benchmark, folders[0], overrides)
    if grading is not None:
        task = replace(task, settings=replace(task.settings, grading=grading))
    ids = [problem.id for problem in task.problems]
    there = {} if task.store.differences(shards[0].identity) else task.store.load()
    if problems := list(_sample_problems(shards, there, ids)):
        raise _refusal(benchmark, problems)
    task.store.claim(shards[0].identity, replace=task.settings.evaluation.replace)
    merged = without_other_verdicts(benchmark, there, task.settings)
    for shard in shards:
        for key, sample in without_other_verdicts(shard.folder, shard.samples, task.settings).items():
            if key not in merged or merged[key].verdict is None:
                merged[key] = sample
    if differs(benchmark, task.settings):
        replacing_verdicts(benchmark)
    write_text(benchmark / "settings.yaml", to_yaml(task.settings))
    task.store.settle(in_order(merged, ids))
    write_grading(benchmark, task.settings)
    (benchmark / FOLDER).rename(benchmark / _MERGED)  # at once, so that no part of the shards is ever taken for all
    _remove_merged(benchmark)
    return task


def _remove_merged(benchmark: Path) -> None:
    if (benchmark / _MERGED).is_dir():
        shutil.rmtree(benchmark / _MERGED)


def _read(folder: Path) -> ShardFolder:
    plan = read_plan(folder)
    store = SampleStore(folder)
    return ShardFolder(folder, plan, store.identity, store.load())


def _whole_task(benchmark: Path, folder: Path, overrides: Sequence[str]) -> Task:
    places = [literal(key, benchmark.parent) for key in ("evaluation.output", "run.directory")]
    return saved_task(folder, [*overrides, *places], to_grade=False).whole


def _division_problems(shards: Sequence[ShardFolder]) -> Iterator[str]:
    """Folders that are not the shards 0..count - 1 of one evaluation, each once and finished."""
    count, _ = Counter(one.plan.shard.count for one in shards).most_common(1)[0]
    first = shards[0]
    seen: dict[int, Path] = {}
    for one in shards:
        shard = one.plan.shard
        if one.folder.name != shard.name:
            yield f"{one.folder.name}: holds {shard}; a shard stands in the folder of its name: remove the copy"
        elif shard.count != count:
            yield f"{one.folder.name}: of another division than the others, which are {count}; remove it"
        elif not 0 <= shard.index < count:
            yield f"{one.folder.name}: there is no {shard}; remove it"
        seen.setdefault(shard.index, one.folder)
        here = sum(key in one.samples for key in one.plan.keys)
        if not one.plan.finished:
            yield (
                f"{one.folder.name}: not finished, {here} of its {len(one.plan.keys)} samples are there; start it "
                f"again with evaluation.shards={count} evaluation.shard={shard.index}"
            )
        if one.plan.n != first.plan.n:
            yield f"{one.folder.name}: evaluation.n={one.plan.n}, but {first.plan.n} in {first.folder.name}"
        for key in dict.fromkeys([*first.identity, *one.identity]):
            if one.identity.get(key) != first.identity.get(key):
                yield (
                    f"{one.folder.name}: another evaluation: {key} is {one.identity.get(key)!r}, but "
                    f"{first.identity.get(key)!r} in {first.folder.name}"
                )
    for index in sorted(set(range(count)) - seen.keys()):
        yield f"{Shard(index, count).name}: missing; run it: evaluation.shards={count} evaluation.shard={index}"


def _sample_problems(shards: Sequence[ShardFolder], there: Mapping[Key, Sample], ids: Sequence[str]) -> Iterator[str]:
    """Samples that are nobody's, several shards' or not there."""
    owner: dict[Key, str] = {}
    for one in shards:
        name, own = one.folder.name, set(one.plan.keys)
        if doubled := [key for key in one.plan.keys if key in owner]:
            yield f"{name}: {_named(doubled)} of {owner[doubled[0]]} too; run both with the same n and batch size"
        owner.update(dict.fromkeys(one.plan.keys, name))
        if alien := [key for key in one.samples if key not in own]:
            yield f"{name}: {_named(alien)} not of this shard; remove these rows"
        if missing := [key for key in one.plan.keys if key not in one.samples and key not in there]:
            yield f"{name}: {_named(missing)} not there; start it again"
        if other := [key for key in one.samples if key in there and there[key].text != one.samples[key].text]:
            yield f"{name}: {_named(other)} merged before, with another response; remove one of the two"
    wanted = [(problem, sample) for problem in ids for sample in range(shards[0].plan.n)]
    if lost := [key for key in wanted if key not in owner]:
        yield f"{_named(lost)} of no shard; run all with the same n and batch size"


def _named(keys: Sequence[Key]) -> str:
    named = ", ".join(f"{problem}[{sample}]" for problem, sample in keys[:_LISTED])
    return f"{len(keys)} samples ({named}{', ...' if len(keys) > _LISTED else ''})"


def _refusal(benchmark: Path, problems: Sequence[str]) -> MergeError:
    return MergeError("\n".join([f"{benchmark / FOLDER}: not merged", *(f"  {problem}" for problem in problems)]))
