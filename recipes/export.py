"""``.nemo`` -> a Hugging Face folder for evaluation tools and inference servers.

    python -m recipes.export checkpoint=runs/demo/math4/model.nemo format=hf output=exported

The checkpoint may come from any tensor and pipeline parallel size. Any machine will do: no GPU, and memory for a few
tensors only. The folder loads with AutoModelForCausalLM and AutoTokenizer.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from recipes.checkpoints.hf_config import ConversionError
from recipes.settings.compose import settings_from_command_line

DESCRIPTION = (
    "Convert a .nemo checkpoint of any tensor and pipeline parallel size into a Hugging Face folder that "
    "AutoModelForCausalLM and AutoTokenizer load. Needs no GPU, and memory for a few tensors only."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.export``.

    Raises:
        SystemExit: wrong settings, or a checkpoint that cannot be converted; the message says why.
    """
    settings = settings_from_command_line("export", DESCRIPTION, arguments)

    from recipes.backends.quiet import quiet_frameworks

    quiet_frameworks(None)
    from recipes.backends.aligner.hf_export import export_hf
    from recipes.backends.aligner.nemo_file import CheckpointMismatch

    try:
        export_hf(Path(settings.checkpoint), Path(settings.output))
    except (ConversionError, CheckpointMismatch) as error:
        sys.exit(f"error: {error}")
    print(f"wrote {settings.output}")


if __name__ == "__main__":
    main()
