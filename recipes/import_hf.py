"""Hugging Face -> ``.nemo``.

    python -m recipes.import_hf HF_DIR OUT.nemo [model.rope_theta=1000000] [model.max_position_embeddings=131072]

Any machine will do: no GPU, and memory for a few tensors only. ``OUT.manifest.json`` is written last: a training stage
starts from weights that have it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from recipes.checkpoints.hf_config import OVERRIDES, ConversionError
from recipes.checkpoints.manifest import manifest_path


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and convert.

    Raises:
        SystemExit: wrong arguments, or a checkpoint that cannot be converted; the message says why.
    """
    parser = argparse.ArgumentParser(
        prog="python -m recipes.import_hf", description="Hugging Face folder -> .nemo file"
    )
    parser.add_argument(
        "hf_dir", type=Path, metavar="HF_DIR", help="folder with config.json, safetensors and tokenizer"
    )
    parser.add_argument("output", type=Path, metavar="OUT.nemo", help="file to write; an existing one is replaced")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=f"any of: {', '.join(OVERRIDES)}")
    arguments = parser.parse_args(argv)
    if malformed := [text for text in arguments.overrides if "=" not in text]:
        parser.error(f"expected KEY=VALUE, found {', '.join(malformed)}")

    from recipes.backends.quiet import quiet_frameworks

    quiet_frameworks(None)
    from recipes.backends.aligner.hf_import import import_hf

    try:
        import_hf(arguments.hf_dir, arguments.output, dict(text.split("=", 1) for text in arguments.overrides))
    except ConversionError as error:
        sys.exit(f"error: {error}")
    print(f"wrote {arguments.output} and {manifest_path(arguments.output).name}")


if __name__ == "__main__":
    main()
