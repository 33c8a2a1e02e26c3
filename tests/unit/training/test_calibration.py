from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.settings.schema import CalibrationSettings
from recipes.training.calibration import (
    Calibration,
    calibration_basis,
    calibration_record,
    drawn_prompts,
    reusable_record,
    write_record,
)
from recipes.training.graded_sampling import GradedSampler
from tests.unit.settings.composing import composed
from tests.unit.training.one_process import EvenIsRight, OneRank, ScriptedEngine, Spelling, TokenEntropy, prompt

SETTINGS = CalibrationSettings(
    temperatures=[1.0, 0.5],
    prompts=3,
    rollouts_per_prompt=2,
    target_entropy=1.5,
    lowest_entropy=0.2,
    highest_entropy=0.45,
)


def grpo():
    return composed("grpo", "stage=math1", "grpo.max_response_length=4").grpo


def calibration(replica: int = 0, replicas: int = 1) -> Calibration:
    """Problems 1..3; sample s of problem i has i + s tokens of id i, cut at 4; its entropy is T * i for each token."""
    ranks = OneRank(replica, replicas)
    engine = ScriptedEngine(lambda last, sample: last + sample)
    sampler = GradedSampler(engine, Spelling(), EvenIsRight(), ranks)
    prompts = [prompt(index) for index in range(1, 4)]
    return Calibration(SETTINGS, grpo(), 1, prompts, sampler, TokenEntropy(), ranks, pad_token=0, width_multiple=1)


def test_measured_by_hand() -> None:
    """Tokens 1 + 2, 2 + 3, 3 + 4 of ids 1, 2, 3: (3 + 10 + 21) T over 15 tokens."""
    low, high = calibration().measure()
    assert (low.temperature, high.temperature) == (0.5, 1.0)
    assert high.entropy == pytest.approx(34 / 15)
    assert low.entropy == pytest.approx(17 / 15)
    assert [p.tokens for p in high.prompts] == [3, 5, 7]
    # Less the end token: 0 and 1, 1 and 2, 2 and 3.
    assert [p.reward for p in high.prompts] == [0.5, 0.5, 0.5]
    assert high.truncated == 0


def test_replicas_share_the_prompts() -> None:
    parts = [calibration(replica, 4).measure()[1] for replica in range(4)]
    assert [[p.tokens for p in part.prompts] for part in parts] == [[3, 0, 0], [0, 5, 0], [0, 0, 7], [0, 0, 0]]


def test_prompts_are_drawn_by_the_seed() -> None:
    prompts = [prompt(index) for index in range(50)]
    drawn = drawn_prompts(prompts, 10, 1)
    assert len({p.problem.id for p in drawn}) == 10
    assert drawn == drawn_prompts(prompts, 10, 1) != drawn_prompts(prompts, 10, 2)
    assert drawn_prompts(prompts, 99, 1) == prompts


def record(parent: str | None = "a") -> dict:
    basis = calibration_basis(SETTINGS, grpo(), 1, 3, None if parent is None else {"checkpoint": parent})
    return calibration_record(calibration().measure(), SETTINGS, 1, basis)


def test_the_record_is_reused_for_the_same_measurement_only(tmp_path: Path) -> None:
    path, found = tmp_path / "temperature.json", record()
    assert reusable_record(path, found["basis"], 0) is None
    write_record(path, found)
    assert reusable_record(path, found["basis"], 0) == json.loads(path.read_text()) == found
    assert reusable_record(path, record("b")["basis"], 0) is None
    assert reusable_record(path, found["basis"] | {"prompts": 4}, 0) is None
    # Under way the weights are gone; other calibration settings come too late, other weights are an error.
    assert reusable_record(path, found["basis"] | {"prompts": 4}, 7) == found
    with pytest.raises(ValueError, match="step 7 was reached already"):
        reusable_record(path, record("b")["basis"], 7)


def test_a_stage_under_way_without_a_measurement_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "temperature.json"
    with pytest.raises(ValueError, match="=auto, and step 3"):
        reusable_record(path, record()["basis"], 3)
    path.write_text('{"format_version": 1, "bas')
    assert reusable_record(path, record()["basis"], 0) is None


def test_the_record_says_what_was_chosen() -> None:
    found = record(None)
    assert 0.5 < found["temperature"] < 1.0
    assert found["clamped"] is None
    assert found["low"] <= found["temperature"] <= found["high"]
    assert [point["tokens"] for point in found["points"]] == [15, 15]
    assert found["basis"]["parent"] is None
