"""A Hugging Face folder as a .nemo file, the weights that training starts from.

    python -m recipes.import_hf HF_DIR OUT.nemo [KEY=VALUE ...]
    python -m recipes.import_hf Qwen2.5-Math-7B base.nemo model.rope_theta=1000000 model.max_position_embeddings=131072

Any machine will do: no GPU, and memory for a few tensors only. OUT.manifest.json is written last: a training stage
starts from weights that have it. The tokenizer stays where it is: model.tokenizer=HF_DIR, or copy its files to
DATA/tokenizer.

Two values of HF_DIR/config.json may be changed; both leave every weight as it is:
  model.rope_theta               base of the rotary embedding. Qwen2.5-Math-7B has 10,000; the paper trains with
                                 1,000,000, for responses longer than the 4,096 positions of that model
  model.max_position_embeddings  longest sequence; the paper has 131072 (128K)
Left out, they stay what config.json says.

Exit status 0: written; 2: wrong words, or a checkpoint that cannot be converted.
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
        SystemExit: 2 for wrong arguments or a checkpoint that cannot be converted; the message says why.
    """
    parser = argparse.ArgumentParser(
        prog="python -m recipes.import_hf", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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
        print(f"python -m recipes.import_hf: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"wrote {arguments.output} and {manifest_path(arguments.output).name}")


if __name__ == "__main__":
    main()
