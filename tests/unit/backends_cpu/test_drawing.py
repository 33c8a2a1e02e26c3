"""Random numbers of rows and tokens drawn with them."""

from __future__ import annotations

import pytest
import torch

from recipes.backends.aligner.drawing import draw, row_seeds, uniforms


def test_splitmix64_reference_values() -> None:
    """The first outputs for seed 1234567, of the reference implementation (Vigna)."""
    outputs = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    seeds = torch.tensor([1234567])
    found = [float(uniforms(seeds, position)) for position in range(4)]
    assert found == [(output >> 11) * 2.0**-53 for output in outputs]


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    prompts = [(5, 6), (5, 6), (7,), (5, 6)]
    alone, among = row_seeds(1, prompts[:2]), row_seeds(1, [(9, 9), *prompts])
    assert alone.tolist() == among[1:3].tolist()
    assert len(set(among.tolist())) == 5
    assert not set(row_seeds(2, prompts).tolist()) & set(among.tolist())


def test_uniforms_are_uniform() -> None:
    seeds = row_seeds(3, [(n,) for n in range(200)])
    values = torch.stack([uniforms(seeds, position) for position in range(50)])
    assert float(values.min()) >= 0 and float(values.max()) < 1
    counts = torch.histc(values.float(), bins=10, min=0, max=1)
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 33.7  # chi squared, 9 degrees of freedom, p = 1e-4
    rows = torch.corrcoef(values.T)
    assert float((rows - torch.eye(200)).abs().max()) < 0.75  # 50 values each: 5 standard deviations


@pytest.mark.parametrize(("top_p", "expected"), [(1.0, (0.5, 0.3, 0.15, 0.05)), (0.75, (0.625, 0.375, 0.0, 0.0))])
def test_draws_have_the_probabilities(top_p: float, expected: tuple[float, ...]) -> None:
    logits = torch.log(torch.tensor([[0.05, 0.5, 0.15, 0.3]])).repeat(20_000, 1)
    seeds = row_seeds(4, [(n,) for n in range(20_000)])
    tokens = draw(logits, temperature=1.0, top_p=top_p, uniform=uniforms(seeds, 7))
    found = [float((tokens == token).double().mean()) for token in (1, 3, 2, 0)]
    assert found == pytest.approx(expected, abs=0.0145)  # 4 standard errors
    assert all(share == 0 for share, wanted in zip(found, expected, strict=True) if wanted == 0)


def test_temperature() -> None:
    logits = torch.log(torch.tensor([[0.8, 0.2]])).repeat(20_000, 1)
    uniform = uniforms(row_seeds(5, [(n,) for n in range(20_000)]), 0)
    assert draw(logits, temperature=0.0, top_p=1.0, uniform=uniform).sum() == 0
    warm = draw(logits, temperature=2.0, top_p=1.0, uniform=uniform).double().mean()
    assert float(warm) == pytest.approx(1 / 3, abs=0.0134)  # sqrt(0.2) / (sqrt(0.2) + sqrt(0.8)); 4 standard errors


def test_ends_of_the_distribution() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]]).repeat(2, 1)
    edges = torch.tensor([0.0, 1 - 2.0**-53], dtype=torch.float64)
    assert draw(logits, temperature=1.0, top_p=1.0, uniform=edges).tolist() == [1, 2]
