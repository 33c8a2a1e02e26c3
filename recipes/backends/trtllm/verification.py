"""Greedy responses of a built engine beside those of transformers, on fixed prompts.

The engine's side needs a GPU and is checked against sources (see ``engine``), not run.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from recipes.backends.trtllm.agreement import Step, compare, fixed_prompts, report_of
from recipes.backends.trtllm.folder import engine_folder
from recipes.records import Generation
from recipes.settings.schema import DeploymentSettings

MOST_PROBABLE = 20
"""Tokens whose log-prob is kept at each place; one beyond them is no tie."""


def verify(folder: Path, hugging_face: Path, deployment: DeploymentSettings) -> dict[str, Any]:
    """The report of a comparison (``agreement.report_of``); transformers goes first and gives its memory back.

    Args:
        folder: what was built, with its tokenizer.
        hugging_face: the folder that it was built from.
    """
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    texts = fixed_prompts(deployment.verify_prompts)
    prompts = [_encoded(tokenizer, text) for text in texts]
    ids = {"end_token": tokenizer.eos_token_id, "pad_token": _pad(tokenizer)}
    references = _references(hugging_face, prompts, deployment.verify_tokens, **ids)
    responses = _responses(folder, prompts, deployment, **ids)
    agreements = [
        compare(reference, response, deployment.verify_margin)
        for reference, response in zip(references, responses, strict=True)
    ]
    return report_of(texts, agreements, deployment.verify_margin, deployment.verify_tokens)


def _encoded(tokenizer: Any, text: str) -> list[int]:
    messages = [{"role": "user", "content": text}]
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)


def _pad(tokenizer: Any) -> int:
    return tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id


def _references(
    hugging_face: Path, prompts: Sequence[Sequence[int]], max_new_tokens: int, *, end_token: int, pad_token: int
) -> list[list[Step]]:
    """Of transformers, in fp32, so that the margin is the engine's alone."""
    import torch

    from recipes.backends.huggingface.reference import HfReference

    model = HfReference(hugging_face, "cuda" if torch.cuda.is_available() else "cpu")
    found = []
    for prompt in tqdm(prompts, desc="transformers", unit="response"):
        steps = model.greedy_steps(prompt, max_new_tokens, end_token=end_token, pad_token=pad_token, most=MOST_PROBABLE)
        found.append([Step(token, log_probs) for token, log_probs in steps])
    del model
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found


def _responses(
    folder: Path, prompts: Sequence[Sequence[int]], deployment: DeploymentSettings, *, end_token: int, pad_token: int
) -> list[tuple[int, ...]]:
    """Of the engine, end token included."""
    from recipes.backends.trtllm.engine import TensorRTLLMEngine

    engine = TensorRTLLMEngine.load(
        engine_folder(folder),
        longest=max(map(len, prompts)) + deployment.verify_tokens,
        tensor_parallel_size=deployment.tp_size,
        concurrency=min(len(prompts), deployment.max_batch_size),
        end_token=end_token,
        pad_token=pad_token,
    )
    found: dict[int, tuple[int, ...]] = {}

    def finished(index: int, generation: Generation) -> None:
        found[index] = generation.tokens

    requests = [(prompt, 0) for prompt in prompts]
    engine.draw(requests, max_new_tokens=deployment.verify_tokens, temperature=0.0, top_p=1.0, finished=finished)
    return [found[index] for index in range(len(prompts))]
