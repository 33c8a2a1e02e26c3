"""The weights of a Hugging Face folder, one tensor in memory at a time.

Reading opens the file anew for each tensor, so that the mapped pages of the tensors before are given back. Writing puts
the header first and streams the bytes behind it: the safetensors library itself only writes tensors that are all in
memory (format: https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from recipes.checkpoints.hf_config import ConversionError

INDEX_NAME = "model.safetensors.index.json"
DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
MAX_SHARD_BYTES = 5 * 10**9

_TO_SAFETENSORS = (
    'Write it as safetensors: python -c "from transformers import AutoModelForCausalLM as M; '
    "M.from_pretrained('{folder}', torch_dtype='auto')"
    ".save_pretrained('{folder}-safetensors')\", then copy the tokenizer files there"
)


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where one tensor lies and what it is."""

    file: Path
    shape: tuple[int, ...]
    dtype: str
    """safetensors name, as ``BF16``."""


@dataclass(frozen=True, slots=True)
class SafetensorsFolder:
    """The tensors of a folder, by Hugging Face name."""

    folder: Path
    entries: Mapping[str, TensorEntry]

    @classmethod
    def open(cls, folder: Path) -> SafetensorsFolder:
        """Read the headers of every weight file.

        Raises:
            ConversionError: no safetensors there, a shard is missing or unreadable; every problem is listed.
        """
        entries: dict[str, TensorEntry] = {}
        problems = []
        for file in _weight_files(folder):
            try:
                with safe_open(file, framework="pt") as weights:
                    for name in weights.keys():  # noqa: SIM118 - safe_open is no mapping
                        header = weights.get_slice(name)
                        entries[name] = TensorEntry(file, tuple(header.get_shape()), header.get_dtype())
            except FileNotFoundError:
                problems.append(f"{file}: no such file, though {INDEX_NAME} names it")
            except (SafetensorError, OSError) as error:
                problems.append(f"{file}: not a complete safetensors file ({error}); download it again (git lfs pull)")
        if problems:
            raise ConversionError("\n".join(problems))
        return cls(folder, entries)

    @property
    def total_bytes(self) -> int:
        """Size of the files."""
        return sum(file.stat().st_size for file in {entry.file for entry in self.entries.values()})

    def check(self, expected: Mapping[str, tuple[int, ...]], ignored: Collection[str] = ()) -> str:
        """Hold the tensors against the shapes that the architecture asks for.

        Args:
            expected: name -> shape.
            ignored: names that may be there and are not read.

        Returns:
            The one dtype of all tensors, as ``BF16``.

        Raises:
            ConversionError: every missing, misshapen, unexpected tensor, and dtypes that are mixed or unknown.
        """
        missing = [
            f"  {name}: missing, expected shape {list(expected[name])}" for name in expected.keys() - self.entries
        ]
        wrong = [
            f"  {name}: shape {list(entry.shape)}, expected {list(expected[name])} ({entry.file.name})"
            for name, entry in self.entries.items()
            if name in expected and entry.shape != expected[name]
        ]
        extra = [
            f"  {name}: unexpected ({entry.file.name})"
            for name, entry in self.entries.items()
            if name not in expected and name not in ignored
        ]
        dtypes = sorted({entry.dtype for name, entry in self.entries.items() if name in expected})
        if len(dtypes) > 1 or any(dtype not in DTYPES for dtype in dtypes):
            wrong.append(f"  dtypes {', '.join(dtypes)}: expected one of {', '.join(DTYPES)} for all tensors")
        if missing or wrong or extra:
            lines = sorted(missing) + sorted(wrong) + sorted(extra)
            raise ConversionError("\n".join([f"{self.folder}: the weights do not fit config.json:", *lines]))
        return dtypes[0]

    def read(self, name: str) -> Tensor:
        """One tensor, in CPU memory for as long as it is referenced."""
        with safe_open(self.entries[name].file, framework="pt") as weights:
            return weights.get_tensor(name)


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """A tensor to be written."""

    name: str
    shape: tuple[int, ...]

    def num_bytes(self, dtype: torch.dtype) -> int:
        """Size on disk."""
        return math.prod(self.shape) * dtype.itemsize


def write_sharded(
    folder: Path,
    plan: Sequence[TensorPlan],
    tensors: Iterable[tuple[str, Tensor]],
    dtype: torch.dtype,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Write ``model*.safetensors``, and the index when there is more than one shard, as transformers does.

    Args:
        folder: existing folder without weights.
        plan: every tensor, in the order in which ``tensors`` yields them.
        tensors: name and tensor; consumed one at a time.
        dtype: of all tensors.
        max_shard_bytes: a shard grows no larger unless one tensor alone does.

    Raises:
        ValueError: ``tensors`` does not follow the plan.
    """
    shards = _shards(plan, dtype, max_shard_bytes)
    names = [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
    if len(shards) == 1:
        names = ["model.safetensors"]
    stream = iter(tensors)
    for file_name, shard in zip(names, shards, strict=True):
        _write_file(folder / file_name, shard, stream, dtype)
    if left := next(stream, None):
        raise ValueError(f"tensor {left[0]} is not in the plan")
    if len(shards) > 1:
        total = sum(tensor.num_bytes(dtype) for tensor in plan)
        weight_map = {t.name: file_name for file_name, shard in zip(names, shards, strict=True) for t in shard}
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
        (folder / INDEX_NAME).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder, by its index where it has one."""
    index = folder / INDEX_NAME
    if index.is_file():
        try:
            weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ConversionError(f"{index}: unreadable index ({error!r}); download it again") from error
        return [folder / name for name in sorted(set(weight_map.values()))]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    found = sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found
    if found:
        raise ConversionError(
            f"{folder}: {len(found)} safetensors files and no {INDEX_NAME}; download the index as well"
        )
    old = sorted(path.name for pattern in ("*.bin", "*.pth", "*.pt") for path in folder.glob(pattern))
    reason = (
        f"only {', '.join(old)}, which is not read. {_TO_SAFETENSORS.format(folder=folder)}" if old else "no weights"
    )
    raise ConversionError(f"{folder}: expected {INDEX_NAME} or model.safetensors, found {reason}")


def _shards(plan: Sequence[TensorPlan], dtype: torch.dtype, max_shard_bytes: int) -> list[list[TensorPlan]]:
    shards: list[list[TensorPlan]] = [[]]
    size = 0
    for tensor in plan:
        if shards[-1] and size + tensor.num_bytes(dtype) > max_shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.num_bytes(dtype)
    return shards


def _write_file(
    path: Path, shard: Sequence[TensorPlan], tensors: Iterator[tuple[str, Tensor]], dtype: torch.dtype
) -> None:
    dtype_name = next(name for name, known in DTYPES.items() if known == dtype)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in shard:
        start, end = end, end + tensor.num_bytes(dtype)
        header[tensor.name] = {"dtype": dtype_name, "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)  # the data begins aligned to 8 bytes
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for planned in shard:
            name, value = next(tensors, ("nothing", torch.empty(0)))
            if (name, tuple(value.shape), value.dtype) != (planned.name, planned.shape, dtype):
                raise ValueError(
                    f"{path}: expected {planned.name} {list(planned.shape)} {dtype}, "
                    f"got {name} {list(value.shape)} {value.dtype}"
                )
            file.write(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        file.flush()
        os.fsync(file.fileno())
