"""Ends of a command that keep what is there and say so in one line: Ctrl-C, a full disk, a server, a damaged file."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from evaluation.samples import Sample, SamplesError
from evaluation.store import SampleStore
from recipes.servers.openai_client import ServerError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def orderly_end(command: str, output: Path, kept: Callable[[Path], str] | None = None) -> Iterator[None]:
    """Around the work of an evaluation.

    Args:
        output: the folder of the evaluation.
        kept: what to say of it; None: how many samples are there.

    Raises:
        SystemExit: 130 after Ctrl-C, 1 for a server or disk that cannot go on, 2 for samples that cannot be read;
            everything else passes.
    """
    kept = _samples_kept if kept is None else kept
    try:
        yield
    except KeyboardInterrupt:
        print(f"{command}: interrupted; {kept(output)}, the same command goes on", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except SamplesError as error:
        print(f"{command}: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except ServerError as error:
        sys.exit(f"{command}: {error}")
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        sys.exit(f"{command}: {error.strerror} ({output}); {kept(output)}: make room, then the same command goes on")


def verdicts_kept(output: Path) -> str:
    """Of samples that had none yet."""
    count = _count(output, lambda sample: sample.verdict is not None)
    return f"{count:,} verdicts are kept in {output}"


def old_verdicts_stand(output: Path) -> str:
    """Grading again replaces all verdicts of a benchmark at its end."""
    return f"benchmarks that were not finished keep their old verdicts in {output}"


def _samples_kept(output: Path) -> str:
    return f"{_count(output, lambda _: True):,} samples are kept in {output}"


def _count(output: Path, counts: Callable[[Sample], bool]) -> int:
    folders = [path.parent for pattern in ("*", "*/shards/*") for path in output.glob(f"{pattern}/sampling.json")]
    count = 0
    for folder in folders:
        with suppress(SamplesError):  # a damaged file is told by the command that needs it
            count += sum(map(counts, SampleStore(folder).load().values()))
    return count
