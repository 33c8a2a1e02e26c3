from __future__ import annotations

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from recipes.backends.huggingface.engine import HfEngine
from recipes.records import Generation

VOCABULARY, END, PAD = 40, 3, 0
PROMPTS = [(5, 6, 7), (8,), (9, 10, 11, 12, 13)]


@pytest.fixture(scope="module")
def model() -> Qwen2ForCausalLM:
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.6,
        eos_token_id=END,
        bos_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Qwen2ForCausalLM(config).eval()
    # A folder's own generation settings must not leak into an evaluation.
    model.generation_config.top_k = 1
    model.generation_config.repetition_penalty = 50.0
    model.generation_config.max_length = 7
    return model


def engine(model: Qwen2ForCausalLM, batch_size: int = 8, vocab_size: int = VOCABULARY) -> HfEngine:
    return HfEngine(model, end_tokens=[END], pad_token=PAD, vocab_size=vocab_size, batch_size=batch_size)


@torch.no_grad()
def greedy(model: Qwen2ForCausalLM, prompt: tuple[int, ...], limit: int) -> tuple[int, ...]:
    tokens = list(prompt)
    for _ in range(limit):
        tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
        if tokens[-1] == END:
            break
    return tuple(tokens[len(prompt) :])


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_greedy_is_the_argmax_of_the_model_whatever_the_batch(model: Qwen2ForCausalLM, batch_size: int) -> None:
    generations = engine(model, batch_size).generate(PROMPTS, max_new_tokens=20, temperature=0, top_p=1, seed=1)
    assert [g.tokens for g in generations] == [greedy(model, prompt, 20) for prompt in PROMPTS]
    assert [g.truncated for g in generations] == [g.tokens[-1] != END for g in generations]


def test_both_ends_of_a_response_occur_and_are_told_apart(model: Qwen2ForCausalLM) -> None:
    generations = engine(model, 64).generate([(5,)] * 64, max_new_tokens=12, temperature=2.0, top_p=1, seed=2)
    ended = [g for g in generations if not g.truncated]
    cut = [g for g in generations if g.truncated]
    assert ended and cut
    assert all(g.tokens[-1] == END and END not in g.tokens[:-1] for g in ended)
    assert all(len(g.tokens) == 12 and END not in g.tokens for g in cut)


def test_frequencies_are_those_of_the_softmax_at_the_temperature(model: Qwen2ForCausalLM) -> None:
    draws = 4000
    generations = engine(model, draws).generate([(5, 6)] * draws, max_new_tokens=1, temperature=1.7, top_p=1, seed=3)
    with torch.no_grad():
        expected = torch.softmax(model(torch.tensor([[5, 6]])).logits[0, -1] / 1.7, -1)
    counts = torch.bincount(torch.tensor([g.tokens[0] for g in generations]), minlength=VOCABULARY) / draws
    # Four standard deviations of a binomial frequency.
    assert ((counts - expected).abs() < 4 * (expected * (1 - expected) / draws).sqrt() + 1e-3).all()


def test_the_same_seed_draws_the_same_and_the_global_state_stays(model: Qwen2ForCausalLM) -> None:
    def draw(seed: int) -> list[tuple[int, ...]]:
        many = [(5,)] * 16
        found = engine(model).generate(many, max_new_tokens=8, temperature=1.5, top_p=0.9, seed=seed)
        return [g.tokens for g in found]

    before = torch.get_rng_state()
    assert draw(1) == draw(1) != draw(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_padding_rows_of_the_embedding_are_never_drawn(model: Qwen2ForCausalLM) -> None:
    def largest(vocab_size: int) -> int:
        draws = engine(model, 256, vocab_size).generate([(5,)] * 256, max_new_tokens=4, temperature=3, top_p=1, seed=4)
        return max(token for generation in draws for token in generation.tokens)

    assert largest(VOCABULARY) == VOCABULARY - 1
    assert largest(VOCABULARY - 8) == VOCABULARY - 9


def test_every_response_is_told_as_it_is_finished(model: Qwen2ForCausalLM) -> None:
    told: dict[int, Generation] = {}
    found = engine(model, 2).generate(
        PROMPTS, max_new_tokens=2, temperature=0, top_p=1, seed=1, finished=told.__setitem__
    )
    assert [told[index] for index in range(len(PROMPTS))] == found


def test_more_than_the_models_positions_is_refused(model: Qwen2ForCausalLM) -> None:
    with pytest.raises(ValueError, match="prompt of 5 tokens and a budget of 60 exceed the model's 64 positions"):
        engine(model).generate(PROMPTS, max_new_tokens=60, temperature=0, top_p=1, seed=1)
