"""A small tokenizer in the shape of Qwen2's, trained on the demo's own text.

Byte-level BPE with the pre-tokenizer regex of Qwen2 (every digit its own token), the three special tokens of its chat
models after the merges, and a ChatML template. It loads with ``AutoTokenizer`` as ``Qwen2TokenizerFast``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.data import tiny_code, tiny_math

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import Qwen2TokenizerFast

VOCAB_SIZE = 512
"""Most tokens, special ones included; the rows of the tiny model's embedding."""
PAD_TOKEN = "<|endoftext|>"
START_TOKEN = "<|im_start|>"
END_TOKEN = "<|im_end|>"
SPECIAL_TOKENS = (PAD_TOKEN, START_TOKEN, END_TOKEN)

INSTRUCTION = "Please place your final answer inside \\boxed{}."
"""Appendix A of the paper, math."""

QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Pre-tokenizer of Qwen2 and Qwen2.5 (their tokenizer.json): one digit at a time."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""ChatML as in Qwen2.5, without its default system turn. The generation prompt ends with the assistant header, so a
response begins with ``<think>`` and a rollout's text is the whole of what the model said."""

_CORPUS_SEED = 0
_CORPUS_ROWS = 3000
"""Of either kind."""


def corpus() -> Iterable[str]:
    """The training text: prompts and responses of the train split, one fixed draw."""
    for demonstration in tiny_math.demonstrations(_CORPUS_SEED, "train", _CORPUS_ROWS):
        yield f"user\n{demonstration.problem.problem}\n\n{INSTRUCTION}"
        yield f"assistant\n{demonstration.response}"
    for demonstration in tiny_code.demonstrations(_CORPUS_SEED, "train", _CORPUS_ROWS):
        yield f"user\n{demonstration.problem.problem}\n\n{tiny_code.INSTRUCTION}"
        yield f"assistant\n{demonstration.response}"


def train(texts: Iterable[str] | None = None) -> Tokenizer:
    """Trains the BPE; the same texts give the same tokenizer, byte for byte.

    Args:
        texts: None for ``corpus()``.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus() if texts is None else texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def build(max_length: int = 512) -> Qwen2TokenizerFast:
    """The trained tokenizer as transformers uses it, chat template included.

    Args:
        max_length: ``model_max_length`` that the folder declares, in tokens.
    """
    from transformers import Qwen2TokenizerFast

    wrapped = Qwen2TokenizerFast(
        tokenizer_object=train(),
        unk_token=None,
        bos_token=None,
        eos_token=END_TOKEN,
        pad_token=PAD_TOKEN,
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def save(folder: Path, max_length: int = 512) -> Qwen2TokenizerFast:
    """Builds the tokenizer and writes it as a Hugging Face folder."""
    tokenizer = build(max_length)
    tokenizer.save_pretrained(str(folder))
    return tokenizer
