"""A folder that a command may empty: it is new, or the command's own marker lies in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from recipes.atomic_files import write_text


def start_afresh(folder: Path, marker: str) -> None:
    """Empty ``folder``, or make it, and put ``marker`` into it.

    Raises:
        ValueError: the folder holds files and no ``marker``, so they are somebody else's; or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: found a file; expected a folder or nothing: set run.directory to another path")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / marker).is_file():
        raise ValueError(
            f"{folder}: the folder is not empty and not of an earlier run (no {marker} in it), so it is left as it is; "
            "set run.directory to a new folder"
        )
    if folder.is_dir():
        # The marker goes last: a kill in between leaves a folder that the next run may still empty.
        for entry in sorted(folder.iterdir(), key=lambda path: path.name == marker):
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    write_text(folder / marker, "{}\n")
