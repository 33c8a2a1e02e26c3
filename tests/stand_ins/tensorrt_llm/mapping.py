"""``tensorrt_llm.mapping.Mapping``: the constructor's parameters and checks."""

from __future__ import annotations

from typing import Any


class Mapping:
    """Which part of the model a rank holds."""

    def __init__(
        self, world_size=1, rank=0, gpus_per_node=8, *, cp_size=1, tp_size=1, pp_size=1,
        moe_tp_size=-1, moe_ep_size=-1, auto_parallel=False,
    ) -> None:  # fmt: skip
        if tp_size * pp_size * cp_size != world_size:
            raise ValueError(
                f"world_size must equal to tp_size * pp_size * cp_size, but got {world_size} != {tp_size} * {pp_size} "
                f"* {cp_size}."
            )
        if not isinstance(rank, int):
            raise ValueError(f"Rank should be an integer between 0 and {world_size - 1}, but got {rank}.")
        self.world_size, self.rank, self.gpus_per_node = world_size, rank, gpus_per_node
        self.tp_size, self.pp_size, self.cp_size = tp_size, pp_size, cp_size

    @property
    def tp_rank(self) -> int:
        return self.rank % self.tp_size

    @property
    def pp_rank(self) -> int:
        return self.rank // (self.tp_size * self.cp_size)

    def has_pp(self) -> bool:
        return self.pp_size > 1

    @classmethod
    def from_dict(cls, mapping: dict[str, Any]) -> Mapping:
        return cls(**mapping)

    def to_dict(self) -> dict[str, Any]:
        names = ("world_size", "rank", "gpus_per_node", "cp_size", "tp_size", "pp_size")
        return {name: getattr(self, name) for name in names}
