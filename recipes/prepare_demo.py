"""Writes the demo's data, tokenizer and first weights.

python -m recipes.prepare_demo OUTPUT_DIR [--seed N]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from recipes.data.demo_files import write_demo
from recipes.data.tiny_model import Architecture
from recipes.settings.compose import compose


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.prepare_demo``."""
    parser = argparse.ArgumentParser(prog="python -m recipes.prepare_demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("output", type=Path, metavar="OUTPUT_DIR", help="folder to write; its files are replaced")
    parser.add_argument("--seed", type=int, default=1, help="of problems, teacher and first weights (default 1)")
    given = parser.parse_args(arguments)
    if given.output.exists() and not given.output.is_dir():
        parser.error(f"OUTPUT_DIR {given.output} is a file; expected a folder or a path that does not exist")
    print(write_demo(given.output, demo_architecture(), given.seed))


def demo_architecture() -> Architecture:
    """The sizes of ``conf/model/tiny.yaml``, where they are set."""
    model = compose("sft", ["stage=sft", "model=tiny"]).model
    return Architecture(**{field.name: getattr(model, field.name) for field in fields(Architecture)})


if __name__ == "__main__":
    main()
