"""What ``import_hf`` and ``export_hf`` refuse, replace and leave behind, and the two commands."""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from recipes.backends.aligner import hf_import
from recipes.backends.aligner.hf_export import export_hf
from recipes.backends.aligner.hf_import import import_hf
from recipes.backends.aligner.nemo_file import CheckpointMismatch, read_config, require_same_architecture, unpacked
from recipes.backends.aligner.torch_dist import EXTRA_STATE_MODULES, KEY_PREFIX, WeightsReader
from recipes.backends.trtllm.build_commands import Tools
from recipes.backends.trtllm.deployment import export_deployment
from recipes.backends.trtllm.folder import engine_folder
from recipes.checkpoints.export_rules import MARKER_NAME
from recipes.checkpoints.hf_config import ConversionError
from recipes.checkpoints.manifest import read_manifest
from recipes.settings.compose import compose
from tests.parity.tiny_models import LAYERS, ZOO, save_tiny_model
from tests.unit.backends_trtllm import build_tools

MODEL = next(model for model in ZOO if model.name == "qwen2-tied")


@pytest.fixture(scope="module")
def hf_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder; copied by the tests that change it."""
    folder = tmp_path_factory.mktemp("conversion") / "hf"
    save_tiny_model(MODEL, folder)
    return folder


@pytest.fixture(scope="module")
def nemo(hf_dir: Path) -> Path:
    """Its import."""
    path = hf_dir.parent / "model.nemo"
    import_hf(hf_dir, path, {})
    return path


def _change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _unpack(nemo: Path, folder: Path) -> None:
    with unpacked(nemo) as source:
        shutil.copytree(source, folder)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_an_import_leaves_one_file_with_side_files_and_no_weights_of_hugging_face(hf_dir: Path, nemo: Path) -> None:
    assert _names(nemo.parent) == {"hf", "model.nemo", "manifest.json"}
    with tarfile.open(nemo) as archive:
        names = {name for name in archive.getnames() if name.startswith("hf/")}
    assert names == {f"hf/{name}" for name in _names(hf_dir) if "safetensors" not in name}


def test_the_checkpoint_has_the_extra_states_that_transformer_engine_asks_for(nemo: Path) -> None:
    """Megatron refuses to load a module whose extra state is missing."""
    with unpacked(nemo, "model_weights") as folder:
        reader = WeightsReader(folder / "model_weights")
        found = {key for key in reader._metadata.state_dict_metadata if "_extra_state" in key}
    expected = {
        f"{KEY_PREFIX}{module}._extra_state/shard_{layer}_{LAYERS}"
        for module in EXTRA_STATE_MODULES
        for layer in range(LAYERS)
        if ".layers." in module
    }
    assert found == expected | {f"{KEY_PREFIX}decoder.final_layernorm._extra_state/shard_0_1"}


def test_settings_of_another_architecture_are_refused_by_key(nemo: Path) -> None:
    settings = compose("sft", ["cluster=cpu", "model=tiny", "model.architecture=llama", "model.hidden_size=64"])
    with pytest.raises(CheckpointMismatch) as error:
        require_same_architecture(nemo, settings.model)
    assert "model.hidden_size: the settings say 64, the checkpoint 32" in str(error.value)
    assert "model.architecture: the settings say llama, the checkpoint qwen2" in str(error.value)


def test_an_import_replaces_an_old_file_and_a_killed_attempt(hf_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "m.nemo").write_text("old")
    (tmp_path / ".m.nemo.partial").mkdir()
    (tmp_path / ".m.nemo.partial" / "half").touch()
    import_hf(hf_dir, tmp_path / "m.nemo", {"model.rope_theta": "5e5"})
    assert _names(tmp_path) == {"m.nemo", "m.manifest.json"}
    assert read_config(tmp_path / "m.nemo").rotary_base == 5e5
    with unpacked(tmp_path / "m.nemo", "hf") as folder:
        assert json.loads((folder / "hf" / "config.json").read_text())["rope_theta"] == 5e5


def test_weights_that_do_not_fit_are_all_listed_and_the_old_file_stays(hf_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(hf_dir, tmp_path / "hf")
    _change_config(folder, intermediate_size=49, num_hidden_layers=LAYERS + 1)
    (tmp_path / "m.nemo").write_text("old")
    with pytest.raises(ConversionError) as error:
        import_hf(folder, tmp_path / "m.nemo", {})
    assert str(error.value).count("mlp.gate_proj.weight: shape [48, 32], expected [49, 32]") == LAYERS
    assert f"model.layers.{LAYERS}.self_attn.q_proj.bias: missing, expected shape [32]" in str(error.value)
    assert (tmp_path / "m.nemo").read_text() == "old"
    assert _names(tmp_path) == {"hf", "m.nemo"}


@pytest.mark.parametrize("name", ["m.tar", "folder.nemo"])
def test_an_output_that_is_no_nemo_file_is_refused(hf_dir: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.nemo").mkdir()
    with pytest.raises(ConversionError, match=r"expected the name of a file that ends in \.nemo"):
        import_hf(hf_dir, tmp_path / name, {})


def test_a_full_disk_is_noticed_before_the_work(hf_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf_import.shutil, "disk_usage", lambda _: SimpleNamespace(free=5))
    with pytest.raises(ConversionError, match=r"0\.0 GB free, 0\.0 GB needed"):
        import_hf(hf_dir, tmp_path / "m.nemo", {})
    assert _names(tmp_path) == set()


def test_an_export_replaces_its_own_folder_and_no_other(nemo: Path, tmp_path: Path) -> None:
    output = tmp_path / "exported"
    (tmp_path / ".exported.partial").mkdir()
    output.mkdir()
    export_hf(nemo, output)
    first = _names(output)
    assert MARKER_NAME in first
    (output / "stale").touch()
    export_hf(nemo, output)
    assert _names(output) == first
    assert _names(tmp_path) == {"exported"}

    (output / MARKER_NAME).unlink()
    with pytest.raises(ConversionError, match="was not written by recipes"):
        export_hf(nemo, output)
    with pytest.raises(ConversionError, match="is a file"):
        export_hf(nemo, output / "config.json")


def test_a_folder_with_the_content_of_a_nemo_file_is_exported_too(hf_dir: Path, nemo: Path, tmp_path: Path) -> None:
    _unpack(nemo, tmp_path / "folder")
    export_hf(tmp_path / "folder", tmp_path / "exported")
    before, after = (
        AutoModelForCausalLM.from_pretrained(path).state_dict() for path in (hf_dir, tmp_path / "exported")
    )
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_a_nemo_becomes_an_engine_by_way_of_hugging_face(hf_dir: Path, nemo: Path, tmp_path: Path) -> None:
    """Programs stand for TensorRT-LLM's; the bytes of their engine are the weights that they were given."""
    examples, build = build_tools.install(tmp_path / "tools")
    words = ["checkpoint=a", "output=b", "max_input_len=16", "tp_size=2"]
    tools = Tools(sys.executable, examples / "qwen" / "convert_checkpoint.py", str(build))
    output = tmp_path / "engine"
    export_deployment(nemo, output, compose("export", words).deployment, tools, export_hf)
    assert _names(tmp_path) == {"tools", "engine"}
    assert (engine_folder(output).positions, engine_folder(output).tensor_parallel_size) == (64, 2)
    before = AutoModelForCausalLM.from_pretrained(hf_dir).state_dict()
    after = load((output / "rank1.engine").read_bytes())
    assert before.keys() - after.keys() <= {"lm_head.weight"}, "tied"
    assert all(torch.equal(weight, before[name]) for name, weight in after.items())
    source = json.loads((output / "export.json").read_text())["source"]
    assert source["sha256"] == read_manifest(nemo.parent / "manifest.json").model.sha256
    assert (source["stage"], source["hugging_face"]) == ("import", None)


def test_a_model_that_began_from_random_weights_exports_with_a_tokenizer_only(nemo: Path, tmp_path: Path) -> None:
    """Its side files are those of the tokenizer: the configuration and the end of a response are worked out."""
    folder = tmp_path / "folder"
    _unpack(nemo, folder)
    for name in ("config.json", "generation_config.json"):
        (folder / "hf" / name).unlink()
    export_hf(folder, tmp_path / "exported")
    network = AutoModelForCausalLM.from_pretrained(tmp_path / "exported")
    assert type(network).__name__ == "Qwen2ForCausalLM"
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "exported")
    generation = GenerationConfig.from_pretrained(tmp_path / "exported")
    assert generation.eos_token_id == generation.pad_token_id == tokenizer.eos_token_id == 256


def _drop_layers(folder: Path) -> None:
    config = OmegaConf.load(folder / "model_config.yaml")
    config.num_layers, config.ffn_hidden_size = LAYERS - 1, 47
    config.share_embeddings_and_output_weights = False
    OmegaConf.save(config, folder / "model_config.yaml")


def _change_activation(folder: Path) -> None:
    config = OmegaConf.load(folder / "model_config.yaml")
    config.activation = "gelu"
    del config.rotary_base
    OmegaConf.save(config, folder / "model_config.yaml")


@pytest.mark.parametrize(
    ("damage", "messages"),
    [
        (
            _drop_layers,
            [
                "decoder.layers.mlp.linear_fc2.weight: shape [4, 32, 48], expected [3, 32, 47]",
                "output_layer.weight: missing, expected shape [264, 32]",
            ],
        ),
        (_change_activation, ["activation: 'gelu', expected 'fast-swiglu'", "rotary_base: missing"]),
    ],
)
def test_a_nemo_that_contradicts_itself_is_refused(
    nemo: Path, tmp_path: Path, damage: Callable[[Path], None], messages: list[str]
) -> None:
    folder = tmp_path / "folder"
    _unpack(nemo, folder)
    damage(folder)
    with pytest.raises(ConversionError) as error:
        export_hf(folder, tmp_path / "exported")
    assert all(message in str(error.value) for message in messages)
    assert _names(tmp_path) == {"folder"}


@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.95])
def test_a_file_that_was_cut_short_is_no_checkpoint(nemo: Path, tmp_path: Path, fraction: float) -> None:
    content = nemo.read_bytes()
    (tmp_path / "m.nemo").write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(CheckpointMismatch, match=r"m\.nemo: (cut short|no model_)"):
        export_hf(tmp_path / "m.nemo", tmp_path / "exported")
    with pytest.raises(CheckpointMismatch, match=r"m\.nemo: (cut short|no model_)"):
        read_config(tmp_path / "m.nemo")
    assert _names(tmp_path) == {"m.nemo"}


def test_something_else_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "text.nemo").write_text("hello")
    with pytest.raises(CheckpointMismatch, match=r"not a \.nemo file"):
        export_hf(tmp_path / "text.nemo", tmp_path / "exported")


def test_the_commands(hf_dir: Path, tmp_path: Path, run_module: Callable[..., Any]) -> None:
    nemo, output = tmp_path / "m.nemo", tmp_path / "exported"
    wrong = run_module("import_hf", hf_dir, nemo, "model.rope_tetha=1000000")
    assert wrong.returncode == 2
    assert "nearest one is model.rope_theta" in wrong.stderr
    assert "Traceback" not in wrong.stderr

    imported = run_module("import_hf", hf_dir, nemo, "model.rope_theta=1000000", "model.max_position_embeddings=256")
    assert imported.returncode == 0, imported.stderr
    exported = run_module("export", f"checkpoint={nemo}", "format=hf", f"output={output}")
    assert exported.returncode == 0, exported.stderr
    config = json.loads((output / "config.json").read_text())
    assert (config["rope_theta"], config["max_position_embeddings"]) == (1e6, 256)

    (output / MARKER_NAME).unlink()
    refused = run_module("export", f"checkpoint={nemo}", f"output={output}")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {output}: this folder has files")
