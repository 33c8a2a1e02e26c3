"""``tensorrt_llm.bindings``: the C++ side's MPI communicator and its reader of engine configurations."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from tensorrt_llm._without_cuda import let_nemo_run_without_cuda


class MpiComm:
    """The session's communicator: after ``split``, the ranks of one engine."""

    group: Any = None
    """``torch.distributed`` group of the tensor-parallel ranks; None for an engine of one rank."""
    _size = 1

    @classmethod
    def split(cls, color: int, key: int) -> None:
        """Every rank of the world calls it; those of one colour become one session, in the order of their keys."""
        let_nemo_run_without_cuda()
        mine = (color, key, torch.distributed.get_rank())
        everyone: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(everyone, mine)
        for other in sorted({entry[0] for entry in everyone}):
            ranks = [rank for _, _, rank in sorted(entry for entry in everyone if entry[0] == other)]
            group = torch.distributed.new_group(ranks, backend="gloo" if not torch.cuda.is_available() else None)
            if other == color:
                cls.group, cls._size = group, len(ranks)

    @classmethod
    def size(cls) -> int:
        return cls._size

    @classmethod
    def local_size(cls) -> int:
        return cls._size


class GptJsonConfig:
    """What NeMo reads of an engine's configuration."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.model_config = SimpleNamespace(**config["build_config"])
        self.tensor_parallelism: int = config["pretrained_config"]["mapping"]["tp_size"]

    @classmethod
    def parse_file(cls, path: Path) -> GptJsonConfig:
        return cls(json.loads(Path(path).read_text(encoding="utf-8")))
