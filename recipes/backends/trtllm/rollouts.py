"""The TensorRT-LLM rollout engine: NeMo's engine of the trained model, refitted after every update.

Static batches: a batch lasts as long as its longest response, so prompts of like expected length share one. Pipeline
stages hold a whole copy of the model each while sampling (NeMo's resharding) and share the batches out.

What its draws promise: the same weights, prompts and seed give the same batches and the same random seeds of their
rows, so the same rollouts as far as TensorRT's kernels repeat themselves. Unlike the Megatron engine's, a rollout
depends on its place in a batch, and so on the number of replicas and on what is known of lengths.
``Generation.seconds`` is that of the whole batch.

Checked against sources, not run with TensorRT-LLM (``tests/stand_ins/README.md``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorrt_llm
import torch
from megatron.core import parallel_state as megatron_ranks
from nemo_aligner.utils import parallel_state
from nemo_aligner.utils.utils import clear_memory

from recipes.backends.aligner.optimizer_offload import move_optimizer_states
from recipes.backends.aligner.ranks import MegatronRanks
from recipes.backends.aligner.session import Session
from recipes.backends.trtllm.gate import Gate
from recipes.backends.trtllm.generator import RolloutGenerator
from recipes.records import Generation
from recipes.rollouts.batches_by_length import batches_by_length, shared_out

ExpectedLengths = Callable[[Sequence[Sequence[int]]], list[float | None]]
"""Expected response tokens of each prompt, None where nothing is known (``rollouts.expected_lengths``)."""


def require_mpi_ranks() -> None:
    """TensorRT-LLM finds its peers by MPI, training by ``torch.distributed``.

    Raises:
        ValueError: the two number the processes differently.
    """
    mpi, rank = tensorrt_llm.mpi_rank(), torch.distributed.get_rank()
    if mpi != rank or tensorrt_llm.mpi_world_size() != torch.distributed.get_world_size():
        raise ValueError(
            f"rollouts.engine=trtllm: process {rank} of {torch.distributed.get_world_size()} is MPI rank {mpi} of "
            f"{tensorrt_llm.mpi_world_size()}; expected the same numbers. Start the ranks with srun --mpi=pmix, or "
            "mpirun, not with torchrun; or rollouts.engine=megatron"
        )


class TrtllmRolloutEngine:
    """``rollouts.engine.RolloutEngine``; called with the same arguments on every rank of a model-parallel group."""

    def __init__(
        self,
        session: Session,
        generator: RolloutGenerator,
        gate: Gate,
        *,
        end_tokens: Sequence[int],
        expected_lengths: ExpectedLengths,
        offload_optimizer: bool,
    ) -> None:
        """Args:
        session: opened with ``aligner.actor.GrpoActor``.
        end_tokens: ids that end a response.
        offload_optimizer: move optimizer states to CPU memory while the engine samples.
        """
        self._model, self._optimizer = session.model, session.optimizer
        self._generator, self._gate = generator, gate
        self._end_tokens = tuple(end_tokens)
        self._expected_lengths = expected_lengths
        self._offload_optimizer = offload_optimizer
        self._ranks = MegatronRanks()
        self._weights_version: int | None = None
        """Updates that the engine's weights have seen; None: there is no engine, or one with the weights on disk."""

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        seed: int,
        finished: Callable[[int, Generation], None] | None = None,
    ) -> list[Generation]:
        """See ``RolloutEngine.generate``; refits first where the model was updated since.

        Raises:
            ValueError: a prompt or a budget that the engine was not built for.
            EngineWeightsError, EngineDisagrees, EngineOutputError: the engine is not to be trusted.
        """
        sizes = self._generator.sizes
        longest = max(map(len, prompts))
        if longest > sizes.max_prompt_length or max_new_tokens > sizes.max_response_length:
            raise ValueError(
                f"a prompt of {longest} tokens and a budget of {max_new_tokens}; the rollout engine was built for "
                f"{sizes.max_prompt_length} and {sizes.max_response_length} (data.max_prompt_length, "
                "grpo.max_response_length and, with held-out scores, evaluation.max_response_length)"
            )
        self._refresh(prompts, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
        batches, costs = self._batches(prompts)
        stages = megatron_ranks.get_pipeline_model_parallel_world_size()
        stage = megatron_ranks.get_pipeline_model_parallel_rank()
        results: dict[int, Generation] = {}

        def keep(new: dict[int, Generation]) -> None:
            results.update(new)
            for index in new if finished is not None else ():
                finished(index, new[index])  # type: ignore[misc]

        for number in shared_out(costs, stages)[stage]:
            keep(self._decode(prompts, batches[number], max_new_tokens, temperature, top_p, seed + number))
        if stages > 1:
            everyone: list[Any] = [None] * stages
            group = megatron_ranks.get_pipeline_model_parallel_group()
            torch.distributed.all_gather_object(everyone, results, group=group)
            keep({index: g for part in everyone for index, g in part.items() if index not in results})
        return [results[index] for index in range(len(prompts))]

    def make_room(self) -> None:
        """Give the GPU back to the update: optimizer states return, the engine goes where that was asked for."""
        self._generator.free()
        if self._generator.decoder is None:
            self._weights_version = None
        if self._offload_optimizer:
            move_optimizer_states(self._optimizer, torch.cuda.current_device())

    def _refresh(self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, temperature: float, seed: int) -> None:
        """The engine holds the model's weights of now, and has shown it."""
        if self._offload_optimizer and move_optimizer_states(self._optimizer, "cpu"):
            clear_memory()
        version = self._model.weights_version
        if self._weights_version == version:
            return
        network = self._model.model
        # Megatron-core's distributed optimizer leaves a list of chunks, of which NeMo's export takes one.
        self._generator.refit(network[0] if isinstance(network, list) else network)
        self._gate.check(
            self._model, self._generator, prompts, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed
        )
        self._weights_version = version

    def _batches(self, prompts: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[float]]:
        """Rows of every batch, and what it is expected to cost; equal on every rank of the replica."""
        rows: dict[tuple[int, ...], list[int]] = {}
        for row, prompt in enumerate(prompts):
            rows.setdefault(tuple(prompt), []).append(row)
        asks = self._ranks.is_replica_source
        expected = self._ranks.broadcast_in_replica(self._expected_lengths(list(rows)) if asks else None)
        sizes = self._generator.sizes
        batches = batches_by_length(
            list(rows.values()),
            expected,
            sizes.batch_size,
            prompt_tokens=list(map(len, rows)),
            max_num_tokens=sizes.max_num_tokens,
        )
        of_row = {row: length for group, length in zip(rows.values(), expected, strict=True) for row in group}
        costs = [max(of_row[row] or float(sizes.max_response_length) for row in batch) for batch in batches]
        return batches, costs

    def _decode(
        self,
        prompts: Sequence[Sequence[int]],
        batch: Sequence[int],
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        seed: int,
    ) -> dict[int, Generation]:
        started = time.monotonic()
        with parallel_state.trt_llm_reshard_region():  # NeMo-Aligner's broadcasts stay within a stage
            responses = self._generator.sample(
                [prompts[row] for row in batch],
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_p=top_p,
                seed=seed,
            )
        seconds = time.monotonic() - started
        return {
            row: Generation(response, response[-1] not in self._end_tokens, seconds)
            for row, response in zip(batch, responses, strict=True)
        }
