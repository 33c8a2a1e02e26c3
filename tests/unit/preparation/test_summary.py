"""What the screen shows at the end of data preparation."""

from __future__ import annotations

from typing import Any

from recipes.data.blends import blend_report, plan_blends
from recipes.data.rebalancing import rebalance
from recipes.preparation.summary import summary
from tests.unit.data.test_blends import pool, wanted
from tests.unit.data.test_rebalancing import prompts, target

ROWS: dict[str, Any] = {
    "counts": {"read": 12, "output": 10, "rejected": 2},
    "by_source": {"a": {"read": 2, "output": 1, "rejected": 1}, "b": {"read": 10, "output": 9, "rejected": 1}},
}


def test_rows_by_source_and_all_of_them() -> None:
    lines = [line.split("\t") for line in summary(ROWS)]
    assert [line[0] for line in lines] == ["source", "a", "b", "all"]
    assert [cell for cell in lines[-1] if cell] == ["all", "12", "10", "0", "0", "2", "0"]
    assert (
        len(
            {line.expandtabs().index(cell) for line, cell in zip(summary(ROWS), ("read", "2", "10", "12"), strict=True)}
        )
        == 1
    )


def test_one_source_needs_no_sum() -> None:
    assert len(summary({**ROWS, "by_source": {"a": ROWS["by_source"]["a"]}})) == 2


def test_steps_tell_what_they_made_and_what_was_scaled() -> None:
    blends = blend_report(
        plan_blends(pool(30, 3), wanted((10, 20), (10, 40)), strata=2, seed=1),
        ("v1", "v2"),
        {"math": (30, 90)},
        repeated=3,
    )
    _, found = rebalance(prompts(100, 50, 10), target((0.2, 0.3, 0.5), keep=0.5), 1, "math")
    report = {
        **ROWS,
        "keep": {"teacher": "R1", "keep": "right", "asked": 8, "kept": 5, "wrong": 3, "truncated": 0},
        "rebalance": {"domains": {"math": found}, "prompts_without_response": 4},
        "blend": {**blends, "prompts_scale": 0.5, "domains_without_samples": ["code"]},
        "select": {"files": {"math1": 7, "heldout": 2}},
    }
    text = "\n".join(" ".join(line.split()) for line in summary(report))
    assert "responses (teacher.keep=right)\nasked 8\nkept 5\nwrong 3\n\n" in text
    assert "math 0-1999 100 50 4 19.0% 20.0%" in text
    assert "more math prompts of 4000- tokens" in text and "4 prompts without a response" in text
    assert "v2 math 20 40 2.00" in text
    assert "all sizes scaled by 0.5 (blends.prompts_scale)" in text and "responses_scale" not in text
    assert "no code sample" in text and "50 math samples" in text and "3 responses that repeat" in text
    assert "rl/math1.jsonl 7" in text
