"""GRPO with ``rollouts.engine=trtllm``: the real command and NeMo's real export on a stand-in of TensorRT-LLM.

The stand-in (``tests/stand_ins``) computes what an engine would from the weights that it was given, so: the rollouts
are those of the Megatron engine, the weights are those of the last update, and each thing that breaks without its fix
is seen to break.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.functional.trtllm_rollouts import LAYOUTS, PROMPTS, ROLLOUTS, STEPS, UNLOADED


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Every run, finished."""
    folder = tmp_path_factory.mktemp("trtllm") / "runs"
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "stand_ins")])
    done = subprocess.run(
        [sys.executable, "-m", "tests.functional.trtllm_rollouts", str(folder)],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": path},
        cwd=ROOT,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-6000:]}"
    return folder


@pytest.fixture(scope="module")
def breakers(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "breakers.json").read_text())


def rollouts(run: Path) -> list[dict[tuple[str, int], tuple[str, bool]]]:
    """For each step: problem and sample -> text, and whether it was cut."""
    steps = []
    for path in sorted((run / "rollouts").glob("step_*.jsonl")):
        rows = map(json.loads, path.read_text().splitlines())
        steps.append({(row["problem_id"], row["sample"]): (row["text"], row["truncated"]) for row in rows})
    return steps


@pytest.mark.parametrize("layout", LAYOUTS)
def test_same_rollouts_as_the_megatron_engine(folder: Path, layout: str) -> None:
    """After every one of the updates too: the engine's weights are those of the model."""
    expected, found = rollouts(folder / "megatron"), rollouts(folder / layout)
    assert len(expected) == 10 and all(len(step) == PROMPTS * ROLLOUTS for step in expected)
    assert found == expected[: STEPS[layout]]


def test_the_rollouts_show_the_updates(folder: Path) -> None:
    """Otherwise the test before would pass with an engine that is never refitted; and some end, some are cut."""
    expected, stale = rollouts(folder / "megatron"), rollouts(folder / "stale")
    assert stale[0] == expected[0]
    assert stale[-1] != expected[len(stale) - 1]
    assert {cut for step in expected for _, cut in step.values()} == {True, False}


def test_the_temperature_and_the_held_out_score_are_those_of_the_megatron_engine(folder: Path) -> None:
    found, expected = (
        (
            json.loads((folder / run / "temperature.json").read_text()),
            [json.loads(row) for row in (folder / run / "metrics.jsonl").read_text().splitlines()],
        )
        for run in ("measured", "measured_megatron")
    )
    assert found[0]["temperature"] == expected[0]["temperature"]
    entropies = [[row["entropy"] for row in one[0]["points"]] for one in (found, expected)]
    assert len(entropies[0]) == 2 and entropies[0] == pytest.approx(entropies[1], rel=1e-4)
    assert len(found[1]) == len(expected[1]) == 2
    keys = ("validation_start_avg", "validation_avg", "validation_truncated", "validation_response_length")
    for own, other in zip(found[1], expected[1], strict=True):
        assert {key: own.get(key) for key in keys} == {key: other.get(key) for key in keys}
        assert own["validation_response_length"] > 0
    assert "validation_start_avg" in found[1][0]
    assert rollouts(folder / "measured") == rollouts(folder / "measured_megatron")


def test_the_gate_stops_an_engine_with_stale_weights(folder: Path) -> None:
    assert "ended with [1]" in json.loads((folder / "stopped.json").read_text())
    assert json.loads((folder / "stale.json").read_text()) == ""  # without the gate it goes through
    rows = (folder / "stopped" / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == 1, "it is stopped at the first sampling after an update"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_left_of_an_engine(folder: Path, layout: str) -> None:
    """During the updates no cache lives, and no engine but one that stays. On disk only what will be read again."""
    unloaded = layout in UNLOADED
    for rank in range(LAYOUTS[layout][0]):
        counts = json.loads((folder / layout / f"engines_{rank}.json").read_text())
        assert len(counts) > 2 * STEPS[layout] and {tuple(row) for row in counts} == {(0 if unloaded else 1, 0)}, (
            rank,
            counts,
        )
    notes = list((folder / layout).glob("rollout_engine_*/**/NOT_FOR_DEPLOYMENT.txt"))
    assert len(notes) == (LAYOUTS[layout][2] if unloaded else 0)
    assert len(list((folder / layout).glob("rollout_engine_*"))) == unloaded


def test_calls(breakers: dict[str, Any]) -> None:
    calls = breakers["calls"]
    assert calls["greedy"] == calls["megatron"] == calls["narrow"]
    assert any(not cut for _, cut in calls["greedy"]), "some response ends before the budget"
    for tokens, cut in calls["greedy"]:
        assert cut == (tokens[-1] != 511) and 511 not in tokens[:-1] and (len(tokens) == 40 or not cut)
    assert calls["short"] == [[tokens[:4], len(tokens) > 4 or cut] for tokens, cut in calls["greedy"]]
    one, again, other = calls["drawn"]
    assert one == again != other
    assert calls["told"] == [0, 1, 2, 3]
    assert calls["long budget"].startswith("ValueError: a prompt of 24 tokens and a budget of 41")


def test_qkv_bias(breakers: dict[str, Any]) -> None:
    found = breakers["qwen2"]
    assert found["with"] == "ok"
    assert found["without"].startswith("EngineWeightsError") and "attention.qkv.bias" in found["without"]
    assert found["unseen"].startswith("EngineDisagrees"), "without the look at the weights the gate is what sees it"
    assert len(found["warnings"]) == 1 and "attention.qkv.bias" in found["warnings"][0]


def test_vocabulary(folder: Path, breakers: dict[str, Any]) -> None:
    odd = json.loads((folder / "odd_vocabulary_0.json").read_text())
    assert odd["with"] == "ok"
    assert odd["without"].startswith("AssertionError: 511 is not divisible by 2")
    assert all(0 <= token < 512 for tokens, _ in breakers["padding"]["with"] for token in tokens)
    assert breakers["padding"]["without"].startswith("EngineOutputError: the rollout engine sampled [51")


def test_packed_tokens(breakers: dict[str, Any]) -> None:
    # 8 rows x 128 tokens of data.max_prompt_length; TensorRT-LLM's own would be 8 x (128 + 40).
    assert breakers["packed_tokens"] == {"with": 128, "default": 1024, "without": 1344}


def test_positions(breakers: dict[str, Any]) -> None:
    found = breakers["positions"]
    assert found["with"] == "ok"
    assert found["short table"].startswith("EngineDisagrees")
    assert found["short sequence"].startswith("AssertionError: We require max_input_len (128) + max_generation_length")


def test_resharding(folder: Path, breakers: dict[str, Any]) -> None:
    for rank in range(2):
        found = json.loads((folder / f"resharding_{rank}.json").read_text())
        assert found["with"] == [[tokens[:10], len(tokens) > 10 or cut] for tokens, cut in breakers["calls"]["greedy"]]
        assert found["without"] != "ok"


def test_refit(breakers: dict[str, Any]) -> None:
    found = breakers["refit"]
    assert found["fused"], "TensorRT-LLM names the MLP's weights otherwise than Megatron-core's converter"
    assert found["first"] == found["ours"] == "ok"
    assert found["NeMo's"].startswith("EngineDisagrees"), "it logs what it leaves out, and goes on"
    assert found["a weight less"].startswith("EngineWeightsError")
    assert "gets no value for ['transformer.layers.1.mlp.proj.weight']" in found["a weight less"]
    assert breakers["stale_update"] == {"same weights": 0, "after an update": 1}
