"""Files that are whole or not there: written beside their place, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_file(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write, which takes the place of ``path`` in one rename when the block ends well; parents are made.

    What a killed process left is overwritten by the next writer. One writer at a time. Text is UTF-8 with ``\\n``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with partial.open(mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically, parents included."""
    with atomic_file(path) as file:
        file.write(text)


def file_in_the_way(folder: str | Path) -> Path | None:
    """What is no folder and stands where ``folder`` or one of its parents should; None: it is there or can be made."""
    folder = Path(folder)
    found = next((path for path in (folder, *folder.parents) if path.exists()), None)
    return None if found is None or found.is_dir() else found


def share_weights(folder: Path) -> None:
    """Weights may be read by whom ``config.json`` beside them may: safetensors 0.8 writes for its owner alone."""
    for weights in folder.glob("*.safetensors"):
        shutil.copymode(folder / "config.json", weights)
