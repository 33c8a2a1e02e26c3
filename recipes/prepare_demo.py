"""Writes the demo's data, tokenizer and initial model: ``python -m recipes.prepare_demo OUTPUT_DIR [--seed N]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from recipes.data.demo_files import write_demo


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m recipes.prepare_demo", description=__doc__)
    parser.add_argument("output", type=Path, metavar="OUTPUT_DIR", help="folder to write; existing files are replaced")
    parser.add_argument("--seed", type=int, default=1, help="of problems, teacher and initial weights (default 1)")
    arguments = parser.parse_args()
    if arguments.output.exists() and not arguments.output.is_dir():
        parser.error(f"OUTPUT_DIR {arguments.output} is a file; expected a folder or a path that does not exist")
    print(write_demo(arguments.output, arguments.seed))


if __name__ == "__main__":
    main()
