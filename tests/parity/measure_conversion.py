"""Peak memory of an import or an export, in a process of its own.

    python -m tests.parity.measure_conversion import HF_DIR OUT.nemo
    python -m tests.parity.measure_conversion export IN.nemo HF_DIR

Prints one number: bytes of resident memory (anonymous, shared and mapped file pages) at the highest point of the
conversion, above what the process held when it had imported everything.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(direction: str, source: Path, target: Path) -> None:
    """Convert and print."""
    from recipes.backends.aligner.hf_export import export_hf
    from recipes.backends.aligner.hf_import import import_hf

    before = _status_bytes("VmRSS")
    # The high-water mark of the imports is not ours: set it back to what is resident now.
    Path("/proc/self/clear_refs").write_text("5")
    if direction == "import":
        import_hf(source, target, {})
    else:
        export_hf(source, target)
    print(_status_bytes("VmHWM") - before)


def _status_bytes(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
