"""Megatron's distributed checkpoint (``torch_dist``), tensor by tensor, without a model or process group.

Megatron saves from a model that is whole in memory, and loads into one. A conversion needs neither: the format is that
of ``torch.distributed.checkpoint`` plus two small files, so its reader and writer are driven here with planners that
hold one tensor at a time.

Layout (megatron-core 0.11): every decoder layer is a slice of one tensor with the layers along axis 0; the layers'
extra states are pickled objects named ``<module>._extra_state/shard_<layer>_<layers>``.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.distributed.checkpoint import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import (
    LoadPlan,
    ReadItem,
    SavePlan,
    TensorWriteData,
    WriteItem,
    WriteItemType,
)
from torch.distributed.checkpoint.planner_helpers import create_read_items_for_chunk_list

KEY_PREFIX = "model."
"""What NeMo puts before every key of ``MegatronGPTModel``."""

EXTRA_STATE_MODULES = (
    "decoder.layers.self_attention.core_attention",
    "decoder.layers.self_attention.linear_qkv",
    "decoder.layers.self_attention.linear_proj",
    "decoder.layers.mlp.linear_fc1",
    "decoder.layers.mlp.linear_fc2",
    "decoder.final_layernorm",
)
"""Modules that ask for an ``_extra_state`` (FP8 statistics) when they load: some of them with the local layer spec, all
with Transformer Engine; a checkpoint without is refused. Both take ``None`` for "no FP8"."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One tensor to be written: a whole key, or one layer of a stacked key."""

    key: str
    """Without ``KEY_PREFIX``."""
    layer: int | None
    shape: tuple[int, ...]
    """Of the layer when ``layer`` is set, else of the key."""
    load: Callable[[], Tensor]


def write_weights(
    folder: Path, chunks: Sequence[Chunk], num_layers: int, dtype: torch.dtype, written: Callable[[], None]
) -> None:
    """Write a checkpoint that Megatron loads at any tensor and pipeline parallel size; one process.

    Args:
        folder: existing empty folder.
        chunks: every tensor; ``load`` is called once for each, and its result is dropped after it is on disk.
        num_layers: length of axis 0 of a stacked key.
        dtype: of all tensors.
        written: called after each tensor.
    """
    # Here: importing Megatron takes seconds, and a wrong argument of an import should not have to wait for it.
    from megatron.core.dist_checkpointing.core import CheckpointingConfig, save_config

    planner = _StreamingSavePlanner(chunks, num_layers, dtype, written)
    # One file for each tensor: the writer keeps references to all tensors of the file it writes.
    writer = FileSystemWriter(folder, single_file_per_rank=False, thread_count=1)
    writer.set_up_storage_writer(is_coordinator=True)
    local_plan = writer.prepare_local_plan(planner.create_local_plan())
    global_plan, metadata = planner.create_global_plan([local_plan])
    (plan,) = writer.prepare_global_plan(global_plan)
    # Megatron's addition to torch's record: what it flattened, which is nothing here.
    vars(metadata)["mcore_data"] = {KEY_PREFIX + chunk.key: {} for chunk in chunks}
    results = writer.write_data(planner.finish_plan(plan), planner).wait()
    writer.finish(metadata, [results])
    torch.save({}, folder / "common.pt")
    save_config(CheckpointingConfig("torch_dist", 1), str(folder))


class WeightsReader:
    """The tensors of a ``torch_dist`` checkpoint, whatever parallel layout wrote them; one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._reader = FileSystemReader(folder)
        self._metadata = self._reader.read_metadata()
        self._reader.set_up_storage_reader(self._metadata, is_coordinator=True)

    @property
    def tensors(self) -> Mapping[str, TensorStorageMetadata]:
        """Key without ``KEY_PREFIX`` -> global size, dtype and chunks."""
        return {
            key.removeprefix(KEY_PREFIX): entry
            for key, entry in self._metadata.state_dict_metadata.items()
            if isinstance(entry, TensorStorageMetadata)
        }

    def read(self, key: str, layer: int | None = None) -> Tensor:
        """A whole key, or one layer of a stacked key without its layer axis.

        Raises:
            ValueError: the chunks on disk do not cover it.
        """
        entry = self.tensors[key]
        offsets, sizes = [0] * len(entry.size), list(entry.size)
        if layer is not None:
            offsets[0], sizes[0] = layer, 1
        region = ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes))
        items = create_read_items_for_chunk_list(KEY_PREFIX + key, entry, [region])
        if sum(math.prod(item.lengths) for item in items) != math.prod(sizes):
            raise ValueError(f"{self.folder}: the files of this checkpoint do not cover {key} (layer {layer})")
        target = torch.empty(sizes, dtype=entry.properties.dtype)
        self._reader.read_data(LoadPlan(items), _IntoTensor(target)).wait()
        return target if layer is None else target.squeeze(0)


class _IntoTensor(DefaultLoadPlanner):
    """Puts every chunk where it belongs in one tensor."""

    def __init__(self, target: Tensor) -> None:
        super().__init__()
        self._target = target

    def resolve_tensor(self, read_item: ReadItem) -> Tensor:
        view = self._target
        for axis, (start, length) in enumerate(zip(read_item.dest_offsets, read_item.lengths, strict=True)):
            view = view.narrow(axis, start, length)
        return view

    def commit_tensor(self, read_item: ReadItem, tensor: Tensor) -> None:
        """Nothing to do: ``resolve_tensor`` gave out a view."""


class _StreamingSavePlanner(DefaultSavePlanner):
    """Asks for a tensor when the writer has come to it."""

    def __init__(
        self, chunks: Sequence[Chunk], num_layers: int, dtype: torch.dtype, written: Callable[[], None]
    ) -> None:
        super().__init__(flatten_state_dict=False)
        self._num_layers = num_layers
        self._properties = TensorProperties(dtype=dtype)
        self._chunks = {self._index(chunk): chunk for chunk in chunks}
        self._written = written

    def create_local_plan(self) -> SavePlan:
        objects = [WriteItem(MetadataIndex(key), WriteItemType.BYTE_IO) for key in self._extra_states()]
        self.plan = SavePlan(objects + [self._tensor_item(index, chunk) for index, chunk in self._chunks.items()])
        return self.plan

    def create_global_plan(self, all_plans: list[SavePlan]) -> tuple[list[SavePlan], Metadata]:
        """The plan of the only process, and the metadata that describes its tensors and objects."""
        (plan,) = all_plans
        objects = {item.index.fqn: BytesStorageMetadata() for item in plan.items if item.tensor_data is None}
        tensors: dict[str, TensorStorageMetadata] = {}
        for item in plan.items:
            if item.tensor_data is not None:
                new = TensorStorageMetadata(item.tensor_data.properties, item.tensor_data.size, [])
                tensors.setdefault(item.index.fqn, new).chunks.append(item.tensor_data.chunk)
        return all_plans, Metadata({**objects, **tensors})

    def finish_plan(self, new_plan: SavePlan) -> SavePlan:
        self.plan = new_plan
        return new_plan

    def resolve_data(self, write_item: WriteItem) -> Tensor | io.BytesIO:
        if write_item.type == WriteItemType.BYTE_IO:
            buffer = io.BytesIO()
            torch.save([None], buffer)  # Megatron wraps the objects of one key in a list
            return buffer
        chunk = self._chunks[write_item.index]
        tensor = chunk.load()
        self._written()
        return tensor if chunk.layer is None else tensor.unsqueeze(0)

    def _index(self, chunk: Chunk) -> MetadataIndex:
        offsets = [0] * (len(chunk.shape) + (chunk.layer is not None))
        if chunk.layer is not None:
            offsets[0] = chunk.layer
        return MetadataIndex(KEY_PREFIX + chunk.key, torch.Size(offsets))

    def _tensor_item(self, index: MetadataIndex, chunk: Chunk) -> WriteItem:
        assert index.offset is not None
        stacked = chunk.layer is not None
        data = TensorWriteData(
            chunk=ChunkStorageMetadata(index.offset, torch.Size([1, *chunk.shape] if stacked else chunk.shape)),
            properties=self._properties,
            size=torch.Size([self._num_layers, *chunk.shape] if stacked else chunk.shape),
        )
        return WriteItem(index, WriteItemType.SHARD, tensor_data=data)

    def _extra_states(self) -> list[str]:
        keys = []
        for module in EXTRA_STATE_MODULES:
            stacked = module.startswith("decoder.layers.")
            shards = [f"{i}_{self._num_layers}" for i in range(self._num_layers)] if stacked else ["0_1"]
            keys += [f"{KEY_PREFIX}{module}._extra_state/shard_{shard}" for shard in shards]
        return keys
