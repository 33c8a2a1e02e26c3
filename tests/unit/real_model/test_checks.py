"""The checks of the self-check: each one can fail, and says what it saw."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file

from recipes.checkpoints.hf_config import ConversionError
from recipes.checkpoints.weight_change import WeightChange, weight_change
from recipes.reporting.agreement import check_greedy, check_logits, largest_difference
from recipes.reporting.checklist import Checklist
from recipes.training.sound_steps import steps_in_words, unsound

ROW = {
    "step": 0,
    "reward": 0.25,
    "truncated": 0.5,
    "groups_with_signal": 0.5,
    "entropy": 1.5,
    "gradient_norm": 2.0,
    "loss": -0.1,
}


@dataclass
class Fixed:
    """A model with one logit for every token, and one greedy response."""

    value: float
    response: tuple[int, ...] = (1, 2)

    def logits(self, tokens: Sequence[int]) -> torch.Tensor:
        return torch.full((len(tokens), 4), self.value)

    def greedy(self, prompt: Sequence[int], max_new_tokens: int) -> tuple[int, ...]:
        return self.response[:max_new_tokens]


class Letters:
    """Decodes ids 1, 2, 3 to a, b, c."""

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join("?abc"[token] for token in tokens)


@pytest.fixture
def checks() -> Checklist:
    return Checklist("title [x]", steps=2, console=Console(file=io.StringIO(), width=120))


def _shown(checks: Checklist) -> str:
    checks.console.print(checks.table())
    assert isinstance(checks.console.file, io.StringIO)
    return checks.console.file.getvalue()


def test_logits_beyond_the_tolerance_fail(checks: Checklist) -> None:
    theirs = check_logits(checks, "logits", (Fixed(1.0), Fixed(1.25)), [[1, 2], [3]], 0.3)
    assert [tuple(logits.shape) for logits in theirs] == [(2, 4), (1, 4)]
    assert checks.passed
    assert checks.checks[0].measured == "largest difference 2.5e-01 over 3 positions x 4 tokens"
    check_logits(checks, "logits", (Fixed(1.0), Fixed(1.25)), [[1, 2]], 0.25)
    assert not checks.passed


def test_a_logit_that_is_no_number_fails(checks: Checklist) -> None:
    check_logits(checks, "logits", (Fixed(float("nan")), Fixed(1.0)), [[1], [2]], 1e9)
    assert not checks.passed


def test_logits_of_another_shape_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="expected some, and equal shapes"):
        largest_difference([torch.zeros(1, 2)], [torch.zeros(2, 2)])
    with pytest.raises(ValueError, match="expected some"):
        largest_difference([], [])


def test_one_other_token_fails_the_greedy_check(checks: Checklist) -> None:
    check_greedy(checks, "text", (Fixed(0), Fixed(0)), [[1], [2]], 2, Letters())
    assert checks.passed and checks.checks[0].measured.startswith("2 of 2")
    check_greedy(checks, "text", (Fixed(0), Fixed(0, (1, 3))), [[1]], 2, Letters())
    assert not checks.passed
    text = _shown(checks)
    assert "ours: ab" in text and "theirs: ac" in text


def test_greedy_agreement_about_nothing_is_no_agreement(checks: Checklist) -> None:
    check_greedy(checks, "text", (Fixed(0), Fixed(0)), [], 2, Letters())
    assert not checks.passed


def test_the_table_counts_failures_and_the_file_holds_the_same(checks: Checklist) -> None:
    assert not checks.passed  # nothing was checked
    with checks.step("first [step]"):
        checks.check("one", True, "1")
        checks.check("two [b]", False, "[red]2")
    text = _shown(checks)
    assert "1/2  first [step]" in text
    assert "FAILED two [b]: [red]2" in text
    assert "1 of 2 checks failed" in text
    content = json.loads(checks.as_json())
    assert content["passed"] is False
    assert content["checks"][1] == {"name": "two [b]", "passed": False, "measured": "[red]2"}
    assert list(content["seconds"]) == ["first [step]"]


def test_sound_steps_have_nothing_to_tell() -> None:
    rows = [ROW, {**ROW, "step": 1, "groups_with_signal": 0.0, "gradient_norm": 0.0}]
    assert unsound(rows, 2) == []
    assert steps_in_words(rows).count("truncated 50%") == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"loss": float("nan")}, "step 0: loss is nan"),
        ({"entropy": 0.0}, "step 0: entropy is 0.0; expected above 0"),
        ({"truncated": 1.5}, "step 0: truncated is 1.5; expected 0 to 1"),
        ({"gradient_norm": 0.0}, "step 0: gradient norm 0 with 50% of the groups having signal"),
        ({"groups_with_signal": 0.0}, "step 0: gradient norm 2 with 0% of the groups having signal"),
        ({"step": 1}, "steps [1]; expected 0 to 0"),
    ],
)
def test_an_unsound_step_is_told(change: dict[str, float], told: str) -> None:
    (found,) = unsound([{**ROW, **change}], 1)
    assert found.startswith(told)


def test_missing_steps_are_told() -> None:
    assert unsound([], 2) == ["steps []; expected 0 to 1"]


def test_the_change_of_weights_is_counted(tmp_path: Path) -> None:
    before = {"a": torch.tensor([1.0, 2.0]), "b": torch.zeros(2, 2)}
    for name, weights in {
        "before": before,
        "same": before,
        "after": {"a": torch.tensor([1.0, 2.5]), "b": torch.zeros(2, 2)},
        "other": {"a": torch.zeros(2)},
    }.items():
        (tmp_path / name).mkdir()
        save_file(weights, tmp_path / name / "model.safetensors")
    assert weight_change(tmp_path / "before", tmp_path / "after") == WeightChange(1, 2, 0.5)
    assert weight_change(tmp_path / "before", tmp_path / "same") == WeightChange(0, 2, 0.0)
    with pytest.raises(ConversionError, match="only one of them has: b"):
        weight_change(tmp_path / "before", tmp_path / "other")
