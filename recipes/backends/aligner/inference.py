"""A ``.nemo`` opened to be looked at: logits of whole sequences and responses, without optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from megatron.core.pipeline_parallel.schedules import get_forward_backward_func
from megatron.core.tensor_parallel import gather_from_tensor_model_parallel_region
from nemo_aligner.utils import parallel_state

from recipes.backends.aligner.actor import GrpoActor
from recipes.backends.aligner.rollouts import MegatronEngine
from recipes.backends.aligner.session import open_session
from recipes.settings.schema import Settings


class MegatronInference:
    """A Megatron model and its rollout engine."""

    def __init__(self, settings: Settings, checkpoint: Path, *, end_token: int, pad_token: int) -> None:
        """Args:
        settings: machine and architecture.
        checkpoint: the ``.nemo`` whose weights are loaded.
        """
        session = open_session(
            GrpoActor,
            replace(settings, model=replace(settings.model, restore_from=str(checkpoint))),
            micro_batch_size=1,
            global_batch_size=settings.cluster.nodes * settings.cluster.devices_per_node,
            max_steps=1,
            inference_only=True,
        )
        self._model = session.model.eval()
        self.engine = MegatronEngine(
            self._model, end_tokens=[end_token], pad_token=pad_token, batch_size=settings.rollouts.batch_size
        )

    def logits(self, tokens: Sequence[int]) -> torch.Tensor | None:
        """``sequence_logits`` of this model."""
        return sequence_logits(self._model, tokens)

    def greedy(self, prompt: Sequence[int], max_new_tokens: int) -> tuple[int, ...]:
        """The response's ids, the end token included where there is one."""
        found = self.engine.generate([prompt], max_new_tokens=max_new_tokens, temperature=0.0, top_p=1.0, seed=0)
        return found[0].tokens


@torch.no_grad()
def sequence_logits(model: Any, tokens: Sequence[int]) -> torch.Tensor | None:
    """[S, V] float32 on the CPU, the same on every tensor-parallel rank; None before the last pipeline stage.

    Args:
        model: NeMo ``MegatronGPTModel`` in eval mode.
        tokens: S ids.
    """
    batch = torch.tensor([list(tokens)], device=torch.cuda.current_device())

    def forward_step(batches: Iterator[torch.Tensor], network: torch.nn.Module) -> tuple[torch.Tensor, Any]:
        inputs = next(batches)
        positions = torch.arange(inputs.size(1), device=inputs.device).expand_as(inputs)
        return network(inputs, positions, None), lambda output: (output.new_zeros(()), {"logits": output})

    outputs = get_forward_backward_func()(
        forward_step_func=forward_step,
        data_iterator=iter([batch]),
        model=model.model,
        num_microbatches=1,
        forward_only=True,
        seq_length=batch.size(1),
        micro_batch_size=1,
    )
    if not parallel_state.is_pipeline_last_stage():
        return None
    return gather_from_tensor_model_parallel_region(outputs[0]["logits"])[0].float().cpu()
