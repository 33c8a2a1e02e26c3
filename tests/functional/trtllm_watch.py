"""Looks at the rollout engine of a run from inside its process."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Sequence
from pathlib import Path


def watched(command: Callable[[Sequence[str]], None], run: Path) -> Callable[[Sequence[str]], None]:
    """The command, which also writes ``RUN/engines_RANK.json``: engines and caches that live as each update starts."""

    def watch(words: Sequence[str]) -> None:
        import tensorrt as trt
        import torch
        from tensorrt_llm.runtime.generation import MemoryPoolsAllocator

        from recipes.backends.trtllm.rollouts import TrtllmRolloutEngine

        make_room, counts = TrtllmRolloutEngine.make_room, []

        def counted(engine: TrtllmRolloutEngine) -> None:
            make_room(engine)
            gc.collect()
            counts.append((len(trt.ICudaEngine.alive), len(MemoryPoolsAllocator.alive)))

        TrtllmRolloutEngine.make_room = counted  # type: ignore[method-assign]
        command(words)
        (run / f"engines_{torch.distributed.get_rank()}.json").write_text(json.dumps(counts))

    return watch
