"""Where weights come from: every checkpoint from the first weights to RUN, and whether the chain is unbroken.

    python -m recipes.lineage RUN [--json]

RUN is the directory of a finished stage, a .nemo with its manifest, or the folder of a curriculum (its newest stage):

    python -m recipes.lineage runs/demo/math4
    python -m recipes.lineage runs/demo --json | jq '.[].scores'

A finished stage records in its manifest.json the weights that it started from, by the hash of their manifest. Read back
from RUN, that gives a line for each checkpoint, the first weights first: stage, kind, steps, score (avg@n of the
evaluation, else the newest held-out value of the stage), wall and GPU hours over all starts. Below the table stand
commit (+ changes: tracked files differed from it), data files with the start of their SHA-256, and place of each. A
folder that was moved as a whole is followed.

problem: a parent is missing, its manifest is not the recorded one any more, or weights do not have the size and hash
that their manifest says (the hash of weights up to 1 GiB; of larger ones the size alone).

Exit status 0: the chain is unbroken; 1: it has problems; 2: RUN names no finished weights.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from recipes.checkpoints.lineage import checkpoint_of, lineage
from recipes.reporting.lineage import print_lineage
from recipes.user_input import checked_input


def main(arguments: Sequence[str] | None = None) -> int:
    """The command ``python -m recipes.lineage``; its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.lineage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="run directory, .nemo or folder of a curriculum")
    parser.add_argument("--json", action="store_true", help="the chain as a JSON list, with full hashes")
    words = parser.parse_args(arguments)
    with checked_input("python -m recipes.lineage"):
        chain = [link.as_dict() for link in lineage(checkpoint_of(words.run))]
    if words.json:
        print(json.dumps(chain, indent=1))
    else:
        print_lineage(chain, Console(highlight=False))
    return int(any(link["problems"] for link in chain))


if __name__ == "__main__":
    sys.exit(main())
