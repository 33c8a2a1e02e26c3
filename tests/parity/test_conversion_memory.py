"""A conversion needs memory for a few tensors, not for the model (``measure_conversion`` says how it is measured)."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recipes.checkpoints.hf_config import Architecture, config_of
from recipes.checkpoints.hf_names import hf_shapes
from recipes.checkpoints.safetensors_folder import SafetensorsFolder, TensorPlan, write_sharded

ROOT = Path(__file__).parents[2]
LIMIT = 1.2
"""Peak memory over the size of the model: what the project promises."""
STREAMED = 4
"""Peak memory over the size of the largest tensor: what streaming gives, with its copies in flight."""
BUFFERS = 32 * 2**20
"""Memory of the libraries' own, whatever the model."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")

# 0.35 GB in bf16, proportions of a small Qwen2.
ARCHITECTURE = Architecture("qwen2", 12, 1024, 2816, 16, 4, 32_000, 4096, 1e6, 1e-6, tie_word_embeddings=False)


@pytest.fixture(scope="module")
def hf_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight shards of random bits below bf16's infinity."""
    folder = tmp_path_factory.mktemp("memory") / "hf"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config_of(ARCHITECTURE, "bfloat16", {})))
    plan = [TensorPlan(name, shape) for name, shape in hf_shapes(ARCHITECTURE).items()]
    generator = torch.Generator().manual_seed(0)

    def tensors():
        for tensor in plan:
            bits = torch.randint(0, 0x7F00, tensor.shape, dtype=torch.int16, generator=generator)
            yield tensor.name, bits.view(torch.bfloat16)

    write_sharded(folder, plan, tensors(), torch.bfloat16, max_shard_bytes=50 * 10**6)
    return folder


def _peak(*arguments: object) -> int:
    command = [sys.executable, "-m", "tests.parity.measure_conversion", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def _digests(folder: Path) -> dict[str, str]:
    weights = SafetensorsFolder.open(folder)
    return {
        name: hashlib.sha256(weights.read(name).contiguous().view(torch.uint8).numpy()).hexdigest()
        for name in weights.entries
    }


def test_import_and_export_are_streamed_and_lossless(hf_dir: Path) -> None:
    weights = SafetensorsFolder.open(hf_dir)
    assert len({entry.file for entry in weights.entries.values()}) >= 6
    largest = 2 * ARCHITECTURE.vocab_size * ARCHITECTURE.hidden_size
    nemo, exported = hf_dir.parent / "model.nemo", hf_dir.parent / "exported"

    for step in (("import", hf_dir, nemo), ("export", nemo, exported)):
        peak = _peak(*step)
        print(f"{step[0]}: peak {peak / 2**20:.0f} MiB, {peak / weights.total_bytes:.2f} of the model")
        assert peak < LIMIT * weights.total_bytes
        assert peak < STREAMED * largest + BUFFERS

    assert _digests(exported) == _digests(hf_dir)
    assert json.loads((exported / "config.json").read_text())["torch_dtype"] == "bfloat16"
