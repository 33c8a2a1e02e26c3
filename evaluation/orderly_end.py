"""Ends of a command that keep what was sampled and say so in one line: Ctrl-C, a full disk, a server that gives up."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluation.store import SampleStore
from recipes.servers.openai_client import ServerError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def orderly_end(command: str, output: Path) -> Iterator[None]:
    """Around the work of an evaluation.

    Args:
        output: the folder of the evaluation.

    Raises:
        SystemExit: 130 after Ctrl-C, 1 for a server or disk that cannot go on; everything else passes.
    """
    try:
        yield
    except KeyboardInterrupt:
        print(f"{command}: interrupted; {_kept(output)}, the same command goes on", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except ServerError as error:
        sys.exit(f"{command}: {error}")
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        sys.exit(f"{command}: {error.strerror} ({output}); {_kept(output)}: make room, then the same command goes on")


def _kept(output: Path) -> str:
    folders = [path.parent for pattern in ("*", "*/shards/*") for path in output.glob(f"{pattern}/sampling.json")]
    count = sum(len(SampleStore(folder).load()) for folder in folders)
    return f"{count:,} samples are kept in {output}"
