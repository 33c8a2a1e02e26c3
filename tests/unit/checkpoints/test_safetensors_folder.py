"""Streamed reading and writing of safetensors folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from recipes.checkpoints.hf_config import ConversionError
from recipes.checkpoints.safetensors_folder import INDEX_NAME, SafetensorsFolder, TensorPlan, write_sharded

DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16])


def _write(folder: Path, tensors: dict[str, torch.Tensor], dtype: torch.dtype, max_shard_bytes: int) -> None:
    plan = [TensorPlan(name, tuple(tensor.shape)) for name, tensor in tensors.items()]
    write_sharded(folder, plan, iter(tensors.items()), dtype, max_shard_bytes)


@given(
    st.dictionaries(st.text("ab.é", min_size=1), st.lists(st.integers(1, 4), min_size=1, max_size=3), min_size=1),
    DTYPES,
    st.integers(1, 200),
)
@settings(deadline=None, max_examples=40)
def test_the_library_reads_what_is_streamed_out(
    tmp_path_factory: pytest.TempPathFactory, shapes: dict[str, list[int]], dtype: torch.dtype, limit: int
) -> None:
    folder = tmp_path_factory.mktemp("written")
    tensors = {name: torch.randn(shape).to(dtype) for name, shape in shapes.items()}
    _write(folder, tensors, dtype, limit)
    files = sorted(folder.glob("*.safetensors"))
    by_library = {name: tensor for file in files for name, tensor in load_file(file).items()}
    by_us = SafetensorsFolder.open(folder)
    assert by_library.keys() == by_us.entries.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(by_library[name], tensor)
        assert torch.equal(by_us.read(name), tensor)
    if len(files) > 1:
        index = json.loads((folder / INDEX_NAME).read_text())
        assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in tensors.values())
        assert index["weight_map"].keys() == tensors.keys()
    else:
        assert files[0].name == "model.safetensors"
        assert not (folder / INDEX_NAME).exists()


def test_shards_fill_up_to_the_limit(tmp_path: Path) -> None:
    """Tensors of 8, 8, 8 and 40 bytes at a limit of 16: two, one, and one that is alone too large."""
    tensors = {"a": torch.zeros(2), "b": torch.zeros(2), "c": torch.zeros(2), "d": torch.zeros(10)}
    _write(tmp_path, tensors, torch.float32, max_shard_bytes=16)
    weight_map = json.loads((tmp_path / INDEX_NAME).read_text())["weight_map"]
    assert weight_map == {
        "a": "model-00001-of-00003.safetensors",
        "b": "model-00001-of-00003.safetensors",
        "c": "model-00002-of-00003.safetensors",
        "d": "model-00003-of-00003.safetensors",
    }


@pytest.mark.parametrize(
    "tensors",
    [
        [("b", torch.zeros(2))],
        [("a", torch.zeros(3))],
        [("a", torch.zeros(2, dtype=torch.float16))],
        [("a", torch.zeros(2)), ("b", torch.zeros(2))],
        [],
    ],
)
def test_a_stream_that_leaves_the_plan_is_an_error(tmp_path: Path, tensors: list[tuple[str, torch.Tensor]]) -> None:
    with pytest.raises(ValueError, match=r"expected a \[2\]|not in the plan"):
        write_sharded(tmp_path, [TensorPlan("a", (2,))], iter(tensors), torch.float32)


def test_a_single_file_of_another_name_is_read(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "weights.safetensors")
    assert SafetensorsFolder.open(tmp_path).read("a").tolist() == [1.0, 1.0]


def test_check_lists_missing_misshapen_unexpected_and_mixed_dtypes_at_once(tmp_path: Path) -> None:
    tensors = {"right": torch.zeros(2), "wrong": torch.zeros(3, 1), "extra": torch.zeros(1), "tied": torch.zeros(1)}
    save_file(tensors | {"half": torch.zeros(1, dtype=torch.float16)}, tmp_path / "model.safetensors")
    expected = {"right": (2,), "wrong": (1, 3), "gone": (4, 4), "half": (1,)}
    with pytest.raises(ConversionError) as error:
        SafetensorsFolder.open(tmp_path).check(expected, ignored={"tied"})
    assert str(error.value).splitlines() == [
        f"{tmp_path}: the weights do not fit config.json:",
        "  gone: missing, expected shape [4, 4]",
        "  dtypes F16, F32: expected one of F32, BF16, F16 for all tensors",
        "  wrong: shape [3, 1], expected [1, 3] (model.safetensors)",
        "  extra: unexpected (model.safetensors)",
    ]


def test_check_returns_the_dtype(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, dtype=torch.bfloat16)}, tmp_path / "model.safetensors")
    assert SafetensorsFolder.open(tmp_path).check({"a": (2,)}) == "BF16"


def test_integer_weights_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, dtype=torch.int8)}, tmp_path / "model.safetensors")
    with pytest.raises(ConversionError, match="dtypes I8"):
        SafetensorsFolder.open(tmp_path).check({"a": (2,)})


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"model\.safetensors, found no weights"):
        SafetensorsFolder.open(tmp_path)


def test_pickled_weights_are_refused_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(ConversionError, match=r"pytorch_model\.bin, which is not read.*save_pretrained"):
        SafetensorsFolder.open(tmp_path)


def test_several_files_need_an_index(tmp_path: Path) -> None:
    for name in "ab":
        save_file({name: torch.zeros(1)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(ConversionError, match="2 safetensors files and no model"):
        SafetensorsFolder.open(tmp_path)


def test_every_missing_and_damaged_shard_is_named(tmp_path: Path) -> None:
    tensors = {name: torch.zeros(100) for name in "abc"}
    _write(tmp_path, tensors, torch.float32, max_shard_bytes=1)
    first, second, _ = sorted(tmp_path.glob("*.safetensors"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    with pytest.raises(ConversionError) as error:
        SafetensorsFolder.open(tmp_path)
    assert f"{first}: no such file" in str(error.value)
    assert f"{second}: not a complete safetensors file" in str(error.value)


def test_a_git_lfs_pointer_is_recognised_as_no_weights(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n"
    (tmp_path / "model.safetensors").write_text(pointer)
    with pytest.raises(ConversionError, match="git lfs pull"):
        SafetensorsFolder.open(tmp_path)


def test_an_unreadable_index(tmp_path: Path) -> None:
    (tmp_path / INDEX_NAME).write_text("{}")
    with pytest.raises(ConversionError, match="unreadable index"):
        SafetensorsFolder.open(tmp_path)
