"""NeMo-Aligner's TensorRT-LLM generator, asked for another temperature and budget at every call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorrt_llm
import torch
from nemo_aligner.utils.trt_llm import GPTGenerateTRTLLM
from nemo_aligner.utils.utils import clear_memory

from recipes.backends.trtllm.exporter import RolloutExporter
from recipes.backends.trtllm.session_memory import RoomWatch, release_cache
from recipes.backends.trtllm.vocabulary import EngineVocabulary, padding_words, word_list


class EngineOutputError(RuntimeError):
    """A response that cannot have come from a sound engine."""


@dataclass(frozen=True, slots=True)
class EngineSizes:
    """What an engine is built for."""

    batch_size: int
    max_prompt_length: int
    max_response_length: int
    max_num_tokens: int
    """Prompt tokens of a whole batch."""


class RolloutGenerator(GPTGenerateTRTLLM):
    """The engine of this rank's replica."""

    _trtllm_model_compiled: bool  # NeMo-Aligner's own

    def __init__(
        self,
        model_config: Any,
        *,
        end_tokens: Sequence[int],
        tokenizer_size: int,
        vocab_size: int,
        sizes: EngineSizes,
        directory: Path,
        gpus_per_node: int,
        qwen2: bool,
        reshard: bool,
        unload: bool,
        spare_gib: float,
    ) -> None:
        """Args:
        model_config: NeMo's ``model`` node.
        end_tokens: ids that end a response.
        tokenizer_size: ids that the tokenizer knows, from 0.
        vocab_size: rows of the model's embedding.
        reshard: whether pipeline stages become copies of the whole model, for sampling.
        unload: whether ``free`` takes the engine from the GPU.
        spare_gib: what the GPU may lack after ``free``, GiB.
        """
        vocabulary = EngineVocabulary(vocab_size, end_tokens[0])
        super().__init__(
            model_config,
            [],
            vocabulary,
            max_generation_length=sizes.max_response_length,
            max_input_len=sizes.max_prompt_length,
            generation_batch_size=sizes.batch_size,
            trt_model_type="llama",
            seed=0,
            unload_engine_train=unload,
            reshard_model=reshard,
            trt_model_dir=str(directory),
        )
        self.trt_llm_exporter = RolloutExporter(
            directory, qwen2=qwen2, max_num_tokens=sizes.max_num_tokens, keep_files=unload
        )
        self.sizes = sizes
        self._end_tokens = tuple(end_tokens)
        self._tokenizer_size, self._vocab_size = tokenizer_size, vocab_size
        self._gpus_per_node = gpus_per_node
        self._room = RoomWatch(spare_gib)
        self._sampled = False

    @property
    def decoder(self) -> Any:
        """The loaded ``ModelRunner``, or None."""
        return self.trt_llm_exporter.decoder

    def refit(self, model: Any) -> None:
        """Build the engine from the model's weights, the first time; put them into it, every other time.

        Raises:
            EngineWeightsError: the engine does not hold every weight.
        """
        if self._trtllm_model_compiled:
            self.trt_llm_exporter.refit(model, self.model_cfg)
        else:
            self._build(model)
        self._room.loaded()

    def _build(self, model: Any) -> None:
        self.trt_llm_exporter.build(
            model=model,
            model_config=self.model_cfg,
            model_type=self.trt_model_type,
            gpus_per_node=self._gpus_per_node,
            tokenizer=self.tokenizer,
            max_input_len=self.max_input_len,
            max_output_len=self.max_generation_length,
            max_batch_size=self.generation_batch_size,
            use_refit=True,
            reshard_model=self.reshard_model,
        )
        self._trtllm_model_compiled = True

    def free(self) -> None:
        """Give back what sampling took; the engine itself too, if that was asked for at construction.

        Raises:
            EngineKeepsMemory: it did not come back.
        """
        if self.decoder is None:
            return
        if self._sampled:
            release_cache(self.decoder)
            self._room.check()
            self._sampled = False
        if self.unload_engine_train:
            self.trt_llm_exporter.unload_engine()
            clear_memory()

    def sample(
        self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, temperature: float, top_p: float, seed: int
    ) -> list[tuple[int, ...]]:
        """One response to every prompt, on every rank of the replica.

        Args:
            prompts: a batch within ``sizes``.
            max_new_tokens: budget of a response, at most ``sizes.max_response_length``.
            temperature: 0 is greedy.
            top_p: nucleus mass, in (0, 1].
            seed: rows get random seeds that follow from it and their places in the batch.

        Raises:
            EngineOutputError: a response with an end token before its end, or with an id that stands for nothing.
        """
        self.sampling_config = self.sampling(len(prompts), max_new_tokens, temperature, top_p)
        self.rng_generator.manual_seed(seed)
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor(list(prompt)) for prompt in prompts], batch_first=True)
        self._sampled = True
        found = super().generate((tokens, lengths))
        rows = zip(prompts, found["response_tokens"].tolist(), found["response_lengths"].tolist(), strict=True)
        return [self._checked(tuple(row[len(prompt) : length])) for prompt, row, length in rows]

    def sampling(self, rows: int, max_new_tokens: int, temperature: float, top_p: float) -> Any:
        """TensorRT-LLM's ``SamplingConfig`` of one call.

        The end ids are stop words and -42 stands for padding and end, as in NeMo-Aligner: so the end token counts in a
        response's length. ``top_k`` 0 draws from the whole nucleus, 1 is greedy.
        """
        greedy = temperature == 0
        return tensorrt_llm.runtime.SamplingConfig(
            end_id=self.pad_id,
            pad_id=self.pad_id,
            max_new_tokens=max_new_tokens,
            temperature=1.0 if greedy else temperature,
            top_k=1 if greedy else 0,
            top_p=1.0 if greedy else top_p,
            stop_words_list=word_list([[token] for token in self._end_tokens], rows),
            bad_words_list=padding_words(self._tokenizer_size, self._vocab_size, rows),
            return_dict=True,
            output_sequence_lengths=True,
        )

    def _checked(self, response: tuple[int, ...]) -> tuple[int, ...]:
        if early := [place for place, token in enumerate(response[:-1]) if token in self._end_tokens]:
            raise EngineOutputError(
                f"the rollout engine went on after an end token (or padded) at {early[:3]} of {len(response)} tokens; "
                "expected responses that stop there. Sample with rollouts.engine=megatron meanwhile"
            )
        if not response or not all(0 <= token < self._tokenizer_size for token in response):
            outside = [token for token in response if not 0 <= token < self._tokenizer_size]
            raise EngineOutputError(
                f"the rollout engine sampled {outside or 'nothing'}; expected ids below {self._tokenizer_size}, the "
                "tokenizer's size: rows of the embedding beyond it are padding and are banned by bad_words_list"
            )
        return response
