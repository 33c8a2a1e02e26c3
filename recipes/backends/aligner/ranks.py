"""``training.ports.Ranks`` on Megatron's process groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from nemo_aligner.utils import parallel_state

T = TypeVar("T")


class MegatronRanks:
    """The processes of an initialised run: replicas (data parallel) of tensor/pipeline-parallel ranks."""

    @property
    def is_main(self) -> bool:
        """True on global rank 0."""
        return torch.distributed.get_rank() == 0

    @property
    def is_replica_source(self) -> bool:
        """True on the first rank of each model-parallel group."""
        return torch.distributed.get_rank() == parallel_state.get_model_parallel_src_rank()

    @property
    def replica(self) -> int:
        """Data-parallel rank."""
        return parallel_state.get_data_parallel_rank()

    @property
    def replicas(self) -> int:
        """Data-parallel size."""
        return parallel_state.get_data_parallel_world_size()

    def broadcast_in_replica(self, value: T | None) -> T:
        """The source's value on every rank of the model-parallel group."""
        box = [value]
        group = parallel_state.get_model_parallel_group()
        if torch.distributed.get_world_size(group) > 1:
            torch.distributed.broadcast_object_list(box, parallel_state.get_model_parallel_src_rank(), group)
        return box[0]  # type: ignore[return-value]

    def broadcast(self, value: T | None) -> T:
        """Rank 0's value on every rank."""
        box = [value]
        if torch.distributed.get_world_size() > 1:
            torch.distributed.broadcast_object_list(box, 0)
        return box[0]  # type: ignore[return-value]

    def sum_over_replicas(self, values: Mapping[str, float]) -> dict[str, float]:
        """Key-wise float64 sum over the data-parallel group."""
        keys = sorted(values)
        sums = torch.tensor([values[k] for k in keys], dtype=torch.float64, device=torch.cuda.current_device())
        torch.distributed.all_reduce(sums, group=parallel_state.get_data_parallel_group())
        return dict(zip(keys, sums.tolist(), strict=True))

    def any_rank(self, flag: bool) -> bool:
        """Maximum over the world."""
        box = torch.tensor([int(flag)], device=torch.cuda.current_device())
        torch.distributed.all_reduce(box, op=torch.distributed.ReduceOp.MAX)
        return bool(box.item())

    def barrier(self) -> None:
        """Wait for every rank."""
        torch.distributed.barrier()
