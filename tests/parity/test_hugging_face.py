"""Hugging Face -> NeMo -> Hugging Face on random tiny models, at tensor and pipeline parallel sizes 1 and 2 (gloo)."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from recipes.backends.aligner.nemo_file import read_config
from tests.parity.convert_and_run import LAYOUTS
from tests.parity.tiny_models import ZOO, TinyModel, save_tiny_model

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-4
"""Largest difference of a logit in fp32 that the project allows."""

each_model = pytest.mark.parametrize("model", ZOO, ids=lambda model: model.name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything converted, run and converted back: one start of the frameworks for all tests of this file."""
    folder = tmp_path_factory.mktemp("parity")
    for model in ZOO:
        save_tiny_model(model, folder / model.name / "hf")
    torch.save(torch.randint(256, (3, 24), generator=torch.Generator().manual_seed(0)), folder / "tokens.pt")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "tests.parity.convert_and_run", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@functools.cache
def _network(folder: Path, rope_theta: float | None = None):
    """transformers' model in fp32; a rotary base other than that of the folder, if given."""
    overrides = {} if rope_theta is None else {"rope_theta": rope_theta}
    return AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32, **overrides).eval()


@torch.no_grad()
def _logits(network, folder: Path) -> torch.Tensor:
    return network(torch.load(folder / "tokens.pt")).logits


@pytest.mark.parametrize(("tensor", "pipeline"), LAYOUTS)
@each_model
def test_imported_logits_equal_those_of_transformers(
    folder: Path, model: TinyModel, tensor: int, pipeline: int
) -> None:
    ours = torch.load(folder / model.name / f"logits_tp{tensor}_pp{pipeline}.pt")
    theirs = _logits(_network(folder / model.name / "hf", model.rope_theta), folder)
    assert ours.shape == theirs.shape == (3, 24, model.vocab_size)
    assert theirs.std() > 0.1  # a difference of 1e-4 means something
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE)


def test_the_rotary_base_of_the_import_decides_the_logits(folder: Path) -> None:
    """The tolerance is tight enough to see a rotary base that got lost."""
    (model,) = [model for model in ZOO if model.overrides]
    ours = torch.load(folder / model.name / "logits_tp1_pp1.pt")
    before = _logits(_network(folder / model.name / "hf"), folder)
    assert (ours - before).abs().max() > 100 * TOLERANCE


@each_model
def test_both_formats_record_the_architecture(folder: Path, model: TinyModel) -> None:
    for name in ("imported.nemo", "written.nemo"):
        nemo = read_config(folder / model.name / name)
        assert (nemo.rotary_base, nemo.max_position_embeddings) == (model.rope_theta, model.positions)
        assert (nemo.override_vocab_size, nemo.qkv_bias) == (model.vocab_size, model.family == "qwen2")
        assert nemo.share_embeddings_and_output_weights == model.tied
    before = json.loads((folder / model.name / "hf" / "config.json").read_text())
    after = json.loads((folder / model.name / "exported" / "config.json").read_text())
    changed = {"rope_theta": model.rope_theta, "max_position_embeddings": model.positions, "torch_dtype": "float32"}
    assert after == before | changed


@each_model
def test_export_gives_back_every_weight_bit_by_bit(folder: Path, model: TinyModel) -> None:
    """The exported ``.nemo`` was written by a model that ran at TP=2, PP=2."""
    before, after = (_network(folder / model.name / name).state_dict() for name in ("hf", "exported"))
    assert before.keys() == after.keys()
    assert before["model.embed_tokens.weight"].shape[0] == model.vocab_size
    for name, weight in before.items():
        assert torch.equal(after[name], weight), name


@each_model
def test_exported_logits_equal_those_of_the_original(folder: Path, model: TinyModel) -> None:
    before = _logits(_network(folder / model.name / "hf", model.rope_theta), folder)
    assert torch.equal(_logits(_network(folder / model.name / "exported"), folder), before)


@each_model
def test_tokenizer_chat_template_and_generation_config_travel(folder: Path, model: TinyModel) -> None:
    before, after = (AutoTokenizer.from_pretrained(folder / model.name / name) for name in ("hf", "exported"))
    chat = [{"role": "user", "content": "1 + 1 = ?"}]
    assert after.apply_chat_template(chat) == before.apply_chat_template(chat)
    assert after.eos_token == "<|im_end|>"
    generation = GenerationConfig.from_pretrained(folder / model.name / "exported")
    assert (generation.eos_token_id, generation.temperature, generation.do_sample) == (256, 0.6, True)


@each_model
def test_exported_shards_have_an_index_that_transformers_reads(folder: Path, model: TinyModel) -> None:
    home = folder / model.name / "exported"
    index = json.loads((home / "model.safetensors.index.json").read_text())
    files = sorted(path.name for path in home.glob("*.safetensors"))
    assert sorted(set(index["weight_map"].values())) == files
    assert len(files) > 1
    assert files[0].endswith(f"-of-{len(files):05d}.safetensors")
