"""The demo's tokenizer and the rendering of prompts and demonstrations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase, Qwen2TokenizerFast

from recipes.data import tiny_code, tiny_math, tiny_tokenizer
from recipes.data.prompts import (
    PromptLengthError,
    encode_demonstrations,
    encode_prompts,
    prompt_ids,
    response_ids,
    user_turn,
)
from recipes.data.tiny_tokenizer import INSTRUCTION
from recipes.records import Demonstration, Problem


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tokenizer_folder)


def test_loads_as_qwen2(tokenizer: PreTrainedTokenizerBase) -> None:
    assert isinstance(tokenizer, Qwen2TokenizerFast)
    assert len(tokenizer) <= tiny_tokenizer.VOCAB_SIZE
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")
    assert [tokenizer.decode([len(tokenizer) - 3 + index]) for index in range(3)] == list(tiny_tokenizer.SPECIAL_TOKENS)


def test_slow_tokenizer_agrees(tokenizer_folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    slow = AutoTokenizer.from_pretrained(tokenizer_folder, use_fast=False)
    for row in tiny_math.demonstrations(1, "heldout", 40):
        assert slow.encode(row.response) == tokenizer.encode(row.response)


def test_digits_are_single_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.tokenize("1234+56=1290") == ["1", "2", "3", "4", "+", "5", "6", "=", "1", "2", "9", "0"]
    long = [
        token for token in tokenizer.get_vocab() if any(character.isdigit() for character in token) and len(token) > 1
    ]
    assert not [token for token in long if token.isascii()]


@pytest.mark.parametrize(
    "text", ["", "ß → 漢字 🙂", "  two  spaces\n\n\tand tabs ", "\\boxed{\\frac{1}{2}}", "\x00\x7f"]
)
def test_any_text_comes_back(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_generated_text_comes_back_and_is_short(tokenizer: PreTrainedTokenizerBase) -> None:
    for row in tiny_math.demonstrations(5, "heldout", 100):
        ids = tokenizer.encode(row.response)
        assert tokenizer.decode(ids) == row.response
        assert len(ids) < len(row.response) / 1.4


def test_programs_come_back_and_are_short(tokenizer: PreTrainedTokenizerBase) -> None:
    concise = []
    for row in tiny_code.demonstrations(5, "heldout", 100):
        ids = tokenizer.encode(row.response)
        assert tokenizer.decode(ids) == row.response
        if row.problem.metadata["style"] == "concise":
            concise.append(len(ids))
        assert len(prompt_ids(row.problem.problem, tokenizer, tiny_code.INSTRUCTION)) <= 128
    assert min(concise) >= 20 and max(concise) <= 64


def test_a_row_with_an_instruction_of_its_own_keeps_it(tokenizer: PreTrainedTokenizerBase) -> None:
    own = Problem("own", "1+1?", "2", {"instruction": "Say it."})
    none, other = Problem("none", "1+1?", "2", {"instruction": ""}), Problem("other", "1+1?", "2")
    prompts = encode_prompts([own, none, other], tokenizer, INSTRUCTION, 64)
    expected = [prompt_ids("1+1?", tokenizer, text) for text in ("Say it.", "", INSTRUCTION)]
    assert [prompt.tokens for prompt in prompts] == expected
    data = encode_demonstrations([Demonstration(own, "2")], tokenizer, INSTRUCTION, 64)
    assert data.demonstrations[0].prompt == expected[0]
    wrong = Problem("wrong", "1+1?", "2", {"instruction": 5})
    with pytest.raises(ValueError, match=r"problem 'wrong': key 'instruction' is 5; expected a string"):
        encode_prompts([wrong], tokenizer, INSTRUCTION, 64)


def test_training_is_deterministic_over_processes(tokenizer_folder: Path) -> None:
    code = "from recipes.data.tiny_tokenizer import train; print(train().to_str())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == tiny_tokenizer.train().to_str()


def test_prompt_text(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = prompt_ids("What is 17 + 26?", tokenizer, INSTRUCTION)
    assert tokenizer.decode(ids) == (
        "<|im_start|>user\nWhat is 17 + 26?\n\nPlease place your final answer inside \\boxed{}.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert ids.count(tokenizer.convert_tokens_to_ids("<|im_start|>")) == 2


def test_demonstrations_continue_the_very_prompt_and_end(tokenizer: PreTrainedTokenizerBase) -> None:
    rows = tiny_math.demonstrations(1, "train", 50)
    data = encode_demonstrations(rows, tokenizer, INSTRUCTION, 512)
    for row, encoded in zip(rows, data.demonstrations, strict=True):
        (prompt,) = encode_prompts([row.problem], tokenizer, INSTRUCTION, 128)
        assert encoded.prompt == prompt.tokens
        assert encoded.response[-1] == tokenizer.eos_token_id
        # Token boundary at the header: what is trained is what is sampled.
        whole = tokenizer.decode(encoded.prompt + encoded.response)
        assert tuple(tokenizer.encode(whole)) == encoded.prompt + encoded.response
        assert len(encoded) == len(encoded.prompt) + len(encoded.response)


def test_overlong_demonstrations_are_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    rows = tiny_math.demonstrations(1, "train", 100)
    data = encode_demonstrations(rows, tokenizer, INSTRUCTION, 80)
    assert len(data.demonstrations) + len(data.overlong) == 100
    assert data.overlong and all(tokens > 80 for _, tokens in data.overlong)
    assert all(len(encoded) <= 80 for encoded in data.demonstrations)
    with pytest.raises(ValueError, match=r"none of 100 demonstrations fits sft\.max_sequence_length=8"):
        encode_demonstrations(rows, tokenizer, INSTRUCTION, 8)


def test_overlong_prompts_are_refused_by_name(tokenizer: PreTrainedTokenizerBase) -> None:
    problems = [Problem("short", "1+1?", "2"), Problem("long", "1+1?" * 40, "2")]
    length = len(prompt_ids(problems[1].problem, tokenizer, INSTRUCTION))
    with pytest.raises(
        PromptLengthError, match=rf"1 of 2 prompts .*=64 tokens: long \({length}\); raise it to {length}"
    ):
        encode_prompts(problems, tokenizer, INSTRUCTION, 64)


def test_user_turn() -> None:
    assert user_turn("Why?", "Answer.") == "Why?\n\nAnswer."
    assert user_turn("Why?", "") == "Why?"


def test_tokenizers_without_template_or_end_token_are_refused(tokenizer_folder: Path) -> None:
    bare = AutoTokenizer.from_pretrained(tokenizer_folder)
    bare.chat_template = None
    with pytest.raises(ValueError, match="has no chat template"):
        prompt_ids("1+1?", bare, "")
    bare.eos_token = None
    with pytest.raises(ValueError, match="has no eos_token"):
        response_ids("x", bare)
