"""``tensorrt_llm.runtime.model_runner.ModelRunner``: the Python runtime."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from tensorrt_llm.bindings import MpiComm
from tensorrt_llm.builder import Engine
from tensorrt_llm.runtime.generation import GenerationSession, SamplingConfig


class ModelRunner:
    """A session with the limits it was built for."""

    def __init__(
        self, session: GenerationSession, max_batch_size: int, max_input_len: int, max_seq_len: int,
        max_beam_width: int,
    ) -> None:  # fmt: skip
        self.session = session
        self.max_batch_size, self.max_input_len = max_batch_size, max_input_len
        self.max_seq_len, self.max_beam_width = max_seq_len, max_beam_width

    @classmethod
    def from_engine(
        cls,
        engine: Engine,
        *,
        max_output_len: int | None,
        lora_dir: list[str] | None,
        rank: int,
        debug_mode: bool,
        lora_ckpt_source: str,
        medusa_choices: list[list[int]] | None,
        stream: Any,
        gpu_weights_percent: float,
        enable_context_fmha_fp32_acc: bool | None,
        multi_block_mode: bool | None,
    ) -> ModelRunner:
        """Keyword-only, and none of them has a default."""
        mapping, build = engine.config.pretrained_config.mapping, engine.config.build_config
        if MpiComm.size() > mapping.gpus_per_node:
            assert MpiComm.local_size() == mapping.gpus_per_node
        session = GenerationSession(engine.config, engine.engine)
        return cls(session, build.max_batch_size, build.max_input_len, build.max_seq_len, build.max_beam_width)

    def _check_inputs(self, batch_input_ids: list[torch.Tensor], sampling_config: SamplingConfig) -> None:
        batch, longest = len(batch_input_ids), max(len(row) for row in batch_input_ids)
        if batch > self.max_batch_size:
            raise RuntimeError(
                f"Input batch size ({batch}) exceeds the engine or specified limit ({self.max_batch_size})"
            )
        if longest > self.max_input_len:
            raise RuntimeError(
                f"Maximum input length ({longest}) exceeds the engine or specified limit ({self.max_input_len})"
            )
        if longest + sampling_config.max_new_tokens > self.max_seq_len:
            raise RuntimeError(
                f"Maximum input length ({longest}) + maximum new tokens ({sampling_config.max_new_tokens}) exceeds the "
                f"engine or specified limit ({self.max_seq_len})"
            )

    def generate(
        self, batch_input_ids: list[torch.Tensor], position_ids: list[torch.Tensor] | None = None,
        sampling_config: SamplingConfig | None = None, prompt_table: Any = None, prompt_tasks: str | None = None,
        lora_uids: list | None = None, streaming: bool = False, output_generation_logits: bool = False,
        stopping_criteria: Any = None, logits_processor: Any = None, medusa_choices: Any = None, **kwargs: Any,
    ) -> dict[str, Any]:  # fmt: skip
        assert sampling_config is not None and not streaming
        sampling_config = copy.deepcopy(sampling_config)
        sampling_config.update(**kwargs)
        if isinstance(sampling_config.temperature, float) and sampling_config.temperature == 0.0:
            sampling_config.temperature, sampling_config.top_k = 1.0, 1
        self._check_inputs(batch_input_ids, sampling_config)
        for words in (sampling_config.stop_words_list, sampling_config.bad_words_list):
            assert words is None or isinstance(words, np.ndarray)
        assert sampling_config.return_dict
        longest = max(len(row) for row in batch_input_ids)
        self.session.setup(len(batch_input_ids), longest, sampling_config.max_new_tokens)
        return self.session.decode(
            [row.to(torch.int64) for row in batch_input_ids],
            sampling_config,
            stop_words_list=sampling_config.stop_words_list,
            bad_words_list=sampling_config.bad_words_list,
            output_generation_logits=output_generation_logits,
        )
