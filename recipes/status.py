"""What a run is doing: stage, state, step, reward, entropy, truncation, speed, scores, time left, starts.

    python -m recipes.status RUN [--json] [--watch]

RUN is a stage's folder or that of a curriculum. Reads files only, so it may run anywhere that sees the folder, and
imports no framework.

--json   one object with a list of stages, for programs
--watch  renew the table every two seconds until every stage is finished (Ctrl-C ends it)

States: finished; running (somebody holds the folder's lock); interrupted (saved after a signal, the same command goes
on); stopped (killed or failed, the same command goes on from its newest checkpoint); to come.
"""

from __future__ import annotations

import argparse
import difflib
import json
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from omegaconf import OmegaConf
from rich.console import Console
from rich.live import Live

from recipes.reporting.status import StageStatus, is_stage_folder, read_status, started, status_tables
from recipes.settings.curriculum import stage_commands
from recipes.settings.errors import SettingsError
from recipes.settings.plan import planned_steps
from recipes.training.run_lock import HOLDER_NAME, RunLock, read_holder

REFRESH_SECONDS = 2.0
FRESH_SECONDS = 60.0
"""A lock held on another machine counts while its file is renewed within this time (every 3 s in fact)."""
PIPE_WIDTH = 120


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.status``."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.status", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--watch", action="store_true", help="renew until every stage is finished")
    given = parser.parse_args(arguments)
    if not given.run.is_dir():
        near = difflib.get_close_matches(given.run.name, _folders(given.run.parent), n=1)
        hint = f"; is it {given.run.parent / near[0]}?" if near else ""
        parser.error(f"{given.run}: no such folder{hint}")
    look = _reader(given.run)
    if not look():
        parser.error(f"{given.run}: no stage has begun here, and it is no folder of a curriculum")
    if given.json:
        print(json.dumps({"run": str(given.run), "stages": [stage.as_dict() for stage in look()]}, indent=1))
    elif given.watch:
        _watch(look)
    else:
        console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
        console.print(status_tables(look(), console.width))


def _watch(look: Callable[[], list[StageStatus]]) -> None:
    console = Console()
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                stages = look()
                live.update(status_tables(stages, console.width), refresh=True)
                if all(stage.state == "finished" for stage in stages):
                    return
                time.sleep(REFRESH_SECONDS)
        except KeyboardInterrupt:
            return


def _reader(run: Path) -> Callable[[], list[StageStatus]]:
    """What reads the status of every stage of a run again and again; what does not change is looked up once."""
    planned: dict[str, int | None] = {}
    if is_stage_folder(run):
        folders = {run.absolute().name: run}
    else:
        planned = _curriculum(run)
        folders = {name: run / name for name in planned}

    def look() -> list[StageStatus]:
        return [
            read_status(folder, name, _planned(folder, planned.get(name)), _writer(folder))
            for name, folder in folders.items()
        ]

    return look


def _planned(folder: Path, otherwise: int | None) -> int | None:
    """Updates that the settings of a stage that has begun ask for."""
    path = folder / "settings.yaml"
    if not path.is_file():
        return otherwise
    try:
        return planned_steps(OmegaConf.load(path))  # type: ignore[arg-type]
    except (OSError, ValueError, AttributeError):
        return otherwise


def _curriculum(root: Path) -> dict[str, int | None]:
    """Stage -> planned updates, in order; null where that is not known yet."""
    begun = [name for name in _folders(root) if is_stage_folder(root / name)]
    begun.sort(key=lambda name: started(root / name))
    path = root / "curriculum.json"
    if not path.is_file():
        return dict.fromkeys(begun)
    words = json.loads(path.read_text(encoding="utf-8"))["overrides"]
    known = [root / name / "settings.yaml" for name in begun if (root / name / "settings.yaml").is_file()]
    if known:  # the words do not hold the machine, which decides about the model
        first = OmegaConf.load(known[0])
        machine = [f"cluster.{key}={first.cluster[key]}" for key in ("nodes", "devices_per_node")]
        words = [f"cluster={first.cluster.name}", f"model={first.model.name}", *machine, *words]
    try:
        stages = stage_commands([*words, f'run.directory="{root}"', "curriculum.initial_model=any.nemo"])
    except SettingsError:  # conf/ is another one by now
        return dict.fromkeys(begun)
    return {stage.name: planned_steps(stage.settings) if known else None for stage in stages}


def _writer(folder: Path) -> str | None:
    """Who holds the lock of a stage's folder."""
    if not folder.is_dir():
        return None
    if holder := RunLock(folder, watch_seconds=0.0).holder():
        return str(holder)
    found = read_holder(folder)
    if found is None or found.host == socket.gethostname():
        return None
    try:
        age = time.time() - (folder / HOLDER_NAME).stat().st_mtime
    except OSError:
        return None
    return str(found) if age < FRESH_SECONDS else None


def _folders(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []


if __name__ == "__main__":
    main()
