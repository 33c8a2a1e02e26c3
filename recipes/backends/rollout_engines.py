"""The rollout engine that ``rollouts.engine`` names, on the model of a session."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from recipes.backends.start import is_launched
from recipes.backends.trtllm.folder import require_tensorrt_llm
from recipes.rollouts.engine import RolloutEngine
from recipes.settings.schema import Settings

if TYPE_CHECKING:
    from recipes.backends.aligner.session import Session


def _own_folder(settings: Settings) -> Path:
    """Made and removed for this run alone, whatever else lies in ``trtllm.directory``; equal on all ranks."""
    run = hashlib.sha256(str(Path(settings.run.directory).resolve()).encode()).hexdigest()
    return Path(settings.trtllm.directory) / f"rollout_engine_{run[:8]}"


class TrainedModelEngine(RolloutEngine, Protocol):
    """A rollout engine that shares the machine with the model that is trained."""

    def make_room(self) -> None:
        """Called before everything that trains, measures or saves the model; sampling takes the room again."""
        ...


def needs_mpi(settings: Settings) -> bool:
    """Whether the rollout engine finds the ranks by MPI (``start.launch_ranks``)."""
    return settings.rollouts.engine == "trtllm"


def require_rollout_engine(settings: Settings) -> None:
    """Raises ValueError where the engine's package, or what starts its ranks, is missing; before anything starts."""
    if not needs_mpi(settings):
        return
    require_tensorrt_llm("rollouts.engine=trtllm", "rollouts.engine=megatron")
    ranks = settings.cluster.nodes * settings.cluster.devices_per_node
    if ranks > 1 and not is_launched(settings.cluster) and shutil.which("mpirun") is None:
        raise ValueError(
            f"rollouts.engine=trtllm: nobody started the {ranks} ranks, and there is no mpirun here to do it; "
            "TensorRT-LLM finds them by MPI. Expected srun --mpi=pmix (launcher/stage_*.sh) or, on one machine, Open "
            "MPI as in the container; or rollouts.engine=megatron"
        )


def rollout_engine(
    session: Session,
    settings: Settings,
    *,
    end_token: int,
    pad_token: int,
    expected_lengths: Callable[[Sequence[Sequence[int]]], list[float | None]],
) -> TrainedModelEngine:
    """The engine of this rank's replica.

    Args:
        session: opened with ``aligner.actor.GrpoActor``.
        end_token: id that ends a response.
        pad_token: id that fills unused positions.
        expected_lengths: as in ``trtllm.rollouts``; an engine without static batches has no use for it.

    Raises:
        ValueError: the processes are not those that the engine needs.
    """
    if settings.rollouts.engine == "megatron":
        from recipes.backends.aligner.rollouts import MegatronEngine

        return MegatronEngine(
            session.model, end_tokens=[end_token], pad_token=pad_token, batch_size=settings.rollouts.batch_size
        )
    from recipes.backends.trtllm.gate import Gate
    from recipes.backends.trtllm.generator import EngineSizes, RolloutGenerator
    from recipes.backends.trtllm.rollouts import TrtllmRolloutEngine, require_mpi_ranks

    require_mpi_ranks()
    model, trtllm = settings.model, settings.trtllm
    generator = RolloutGenerator(
        session.model.cfg,
        end_tokens=[end_token],
        tokenizer_size=session.model.tokenizer.vocab_size,
        vocab_size=model.vocab_size,
        sizes=EngineSizes(
            batch_size=settings.rollouts.batch_size,
            max_prompt_length=settings.data.max_prompt_length,
            max_response_length=settings.longest_rollout,
            max_num_tokens=settings.packed_prompt_tokens,
        ),
        directory=_own_folder(settings),
        gpus_per_node=settings.cluster.devices_per_node,
        qwen2=model.architecture == "qwen2",
        reshard=model.pipeline_model_parallel_size > 1,
        unload=trtllm.unload_after_sampling,
        spare_gib=settings.cluster.memory_reserve_gib,
    )
    return TrtllmRolloutEngine(
        session,
        generator,
        Gate(trtllm, model.width_multiple),
        end_tokens=[end_token],
        expected_lengths=expected_lengths,
        offload_optimizer=trtllm.offload_optimizer,
    )
