"""``report.json``: what a page was asked to show, so that a page with newer scores shows it too."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.json_files import read_object
from evaluation.reporting.folder import scored
from evaluation.reporting.sample_view import PER_PROBLEM
from evaluation.samples import SamplesError
from recipes.atomic_files import write_text

FILE = "report.json"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Beside the evaluation's own numbers."""

    against: Sequence[Path] = ()
    """Folders of other evaluations to compare with."""
    per_problem: int = PER_PROBLEM
    """Right samples of each problem on the page, and as many wrong ones."""

    def write(self, output: Path) -> None:
        """Keep it beside the page; folders are written as seen from ``output``, so that all may move together."""
        folders = [os.path.relpath(folder, output) for folder in self.against]
        write_text(output / FILE, json.dumps({"against": folders, "samples": self.per_problem}, indent=1) + "\n")


def read_request(output: Path) -> tuple[PageRequest, list[str]]:
    """What the page of a folder was asked to show, as far as it is still there.

    Returns:
        The request; and a line for each thing that can no longer be shown, with the reason.
    """
    path = output / FILE
    if not path.is_file():
        return PageRequest(), []
    try:
        found = read_object(path, "evaluation.report writes it anew")
        names, per_problem = found["against"], int(found["samples"])
        folders = [Path(os.path.normpath(output / name)) for name in names]
    except (SamplesError, KeyError, TypeError, ValueError) as error:
        return PageRequest(), [f"{path}: what the page was asked to show is not known ({error})"]
    there, gone = list[Path](), list[str]()
    for folder in folders:
        try:
            scored(folder)
            there.append(folder)
        except (SamplesError, OSError) as error:
            gone.append(f"no longer compared with {folder}: {error}")
    return PageRequest(there, per_problem), gone
