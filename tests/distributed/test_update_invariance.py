"""One GRPO update is the same at every parallel layout and micro-batch size, and is Eq. 1 of the paper.

The reference is written out here in plain torch on the Hugging Face model: no code of the recipe in the loss.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from tests.distributed.rollouts import fixed_groups
from tests.distributed.update_on_ranks import (
    CASES,
    LAYOUTS,
    MODEL,
    NEW_TOKENS,
    PROMPTS,
    REFERENCE_TEMPERATURE,
    case_name,
)
from tests.parity.tiny_models import save_tiny_model

SAMPLED_TOKENS = 257
"""256 bytes and the end token: the embedding's other rows are padding, which is never sampled."""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder with the gradients of every layout and case."""
    folder = tmp_path_factory.mktemp("update")
    save_tiny_model(MODEL, folder / "hf")
    command = [sys.executable, "-m", "tests.distributed.update_on_ranks", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return folder


@pytest.fixture(scope="module")
def network(results):
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(results / "hf", torch_dtype=torch.float32)
    return type(network)(config_with(network.config)).eval().requires_grad_(True), network.state_dict()


def config_with(config):
    config.rope_theta = MODEL.rope_theta
    return config


def reference(network, state, case):
    """Loss (Eq. 1 with its sign turned), entropy sum, tokens and gradient in plain torch."""
    normalization, filtering, temperature, _ = case
    network.load_state_dict(state)
    network.zero_grad()
    groups = fixed_groups()
    kept_tokens, numerators, entropy, tokens = [], [], 0.0, 0
    for group in groups:
        scores = [v.correct and not r.truncated for v, r in zip(group.verdicts, group.rollouts, strict=True)]
        counted = [float(s) for s, r in zip(scores, group.rollouts, strict=True) if not (filtering and r.truncated)]
        numerator, group_tokens = torch.zeros(()), 0
        for rollout, score in zip(group.rollouts, scores, strict=True):
            ids = torch.tensor([*rollout.prompt_tokens, *rollout.response_tokens])
            logits = network(ids[None]).logits[0, :, :SAMPLED_TOKENS] / temperature
            log_softmax = torch.log_softmax(logits, dim=-1)
            first = len(rollout.prompt_tokens)
            rows = log_softmax[first - 1 : -1]
            entropy += float(-(rows.exp() * rows).sum().detach())
            tokens += len(rollout.response_tokens)
            if filtering and rollout.truncated:
                continue
            group_tokens += len(rollout.response_tokens)
            if len(counted) < 2 or len(set(counted)) == 1:
                continue
            advantage = (float(score) - sum(counted) / len(counted)) / (float(torch.tensor(counted).std()) + 1e-6)
            log_probs = rows.gather(1, ids[first:, None])[:, 0]
            numerator = numerator + (advantage * torch.exp(log_probs - log_probs.detach())).sum()
        kept_tokens.append(group_tokens)
        numerators.append(numerator)
    if normalization == "group":
        objective = sum(n / max(t, 1) for n, t in zip(numerators, kept_tokens, strict=True)) / len(groups)
    else:
        objective = sum(numerators) / sum(kept_tokens)
    (-objective).backward()
    gradient = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    return -float(objective.detach()), entropy, tokens, gradient


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_update_is_equation_1_at_every_layout(results, network, case):
    model, state = network
    loss, entropy, tokens, gradient = reference(model, state, case)
    norm = torch.stack([g.norm() for g in gradient.values()]).norm()
    assert norm > 1e-3, "a gradient of nothing would prove nothing"
    for layout in LAYOUTS:
        found = torch.load(results / f"{case_name(layout, case)}.pt")
        assert found["tokens"] == tokens
        assert found["loss"] == pytest.approx(loss, rel=1e-5, abs=1e-7), layout
        assert found["entropy"] == pytest.approx(entropy, rel=1e-5), layout
        assert found["gradient"].keys() == gradient.keys()
        for name, expected in gradient.items():
            difference = (found["gradient"][name] - expected).norm()
            assert difference <= 1e-5 * max(float(expected.norm()), 1e-2 * float(norm)), (layout, name)


def test_reference_log_probs_are_those_of_the_first_weights(results, network):
    model, state = network
    model.load_state_dict(state)
    for layout in LAYOUTS:
        found = torch.load(results / f"reference_{'_'.join(map(str, layout))}.pt")
        assert found["weights_given_back"], layout
        rollouts = [rollout for group in fixed_groups()[:: layout[2]] for rollout in group.rollouts]
        assert len(found["log_probs"]) == len(rollouts)
        for rollout, log_probs, mask in zip(rollouts, found["log_probs"], found["mask"], strict=True):
            ids = torch.tensor([*rollout.prompt_tokens, *rollout.response_tokens])
            with torch.no_grad():
                logits = model(ids[None]).logits[0, :-1, :SAMPLED_TOKENS] / REFERENCE_TEMPERATURE
            expected = torch.log_softmax(logits, dim=-1).gather(1, ids[1:, None])[:, 0]
            assert torch.allclose(log_probs[mask], expected[len(rollout.prompt_tokens) - 1 :], atol=1e-4), layout


def test_entropy_of_given_rollouts(results, network):
    model, state = network
    model.load_state_dict(state)
    for layout in LAYOUTS:
        found = torch.load(results / f"reference_{'_'.join(map(str, layout))}.pt")["entropy"]
        rollouts = [rollout for group in fixed_groups()[:: layout[2]] for rollout in group.rollouts]
        for rollout, entropy in zip(rollouts, found.tolist(), strict=True):
            ids = torch.tensor([*rollout.prompt_tokens, *rollout.response_tokens])
            with torch.no_grad():
                logits = model(ids[None]).logits[0, len(rollout.prompt_tokens) - 1 : -1, :SAMPLED_TOKENS]
            log_softmax = torch.log_softmax(logits / REFERENCE_TEMPERATURE, dim=-1)
            assert entropy == pytest.approx(float(-(log_softmax.exp() * log_softmax).sum()), rel=1e-5), layout


def test_greedy_decoding_is_that_of_transformers(results, network):
    model, state = network
    model.load_state_dict(state)
    expected = []
    for prompt in PROMPTS:
        ids = list(prompt)
        for _ in range(NEW_TOKENS):
            with torch.no_grad():
                ids.append(int(model(torch.tensor([ids])).logits[0, -1, :SAMPLED_TOKENS].argmax()))
            if ids[-1] == 256:
                break
        expected.append([ids[len(prompt) :], ids[-1] != 256])
    for layout in LAYOUTS:
        found = json.loads((results / f"generations_{'_'.join(map(str, layout))}.json").read_text())
        assert found["greedy"] == expected, layout
        assert found["prefill_in_parts"] == expected, layout
        assert found["while_training"] == expected, (layout, "training mode, full recomputation, sequence parallel")
        assert found["given_back"] == [True], layout


def test_sampling_is_the_same_at_every_layout(results):
    first, *others = [
        json.loads((results / f"generations_{'_'.join(map(str, layout))}.json").read_text())["sampled"]
        for layout in LAYOUTS
    ]
    assert any(len(tokens) > 1 for tokens, _ in first)
    assert all(other == first for other in others)
