"""One way to end a command that was given something wrong: the message alone, exit status 2."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from recipes.grading.sandbox_command import SandboxUnavailable


@contextmanager
def checked_input(command: str) -> Iterator[None]:
    """Around everything that reads what a user gave, before any long work.

    The rooms report bad input as ``ValueError`` (settings, data files, tokenizers, checkpoints), each with what was
    found, what is expected and the fix, and a machine without a sandbox as ``SandboxUnavailable``. Anything else is a
    defect of the recipe and keeps its traceback.
    """
    try:
        yield
    except (ValueError, SandboxUnavailable) as error:
        print(f"{command}: {error}", file=sys.stderr)
        raise SystemExit(2) from error
