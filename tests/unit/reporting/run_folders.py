"""A run folder as the commands leave it, with numbers chosen by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recipes.records import Problem
from recipes.reporting.summary import StageFolder

PROBLEMS = [
    Problem("sum", "What is 1 + 1?", "2"),
    Problem("hard", "What is 12 * 12?", "144"),
    Problem("easy", "Is 1 < 2?", "1"),
]
CODE_PROBLEMS = [
    Problem("double", "Double x.", "", tests={"kind": "functional", "fn_name": "f", "inputs": [[3]], "outputs": [6]})
]


def sample(problem: str, index: int, verdict: str, text: str, **more: Any) -> dict[str, Any]:
    row = {"problem_id": problem, "sample": index, "seed": 1, "text": text, "tokens": 10 + index, "truncated": False}
    return row | {"seconds": 0.1, "verdict": verdict, "extracted": None} | more


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def evaluated(folder: Path, avg: float, samples: list[dict[str, Any]], benchmark: str = "tiny_math") -> None:
    """One more benchmark of a stage."""
    write_rows(folder / "evaluation" / benchmark / "samples.jsonl", samples)
    scores = {"avg": avg, "n": 2, "problems": 3, "samples": 6, "stderr_sampling": 0.125, "stderr_problems": 0.25}
    path = folder / "evaluation" / "scores.json"
    others = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(others | {benchmark: scores}))


def evaluated_on_code(sft: Path, math1: Path) -> None:
    """The program is wrong before and right after."""
    failure = {"test": 1, "verdict": "wrong_answer", "input": "[3]", "expected": "6", "found": "5", "detail": ""}
    text = "<think>\nplan\n</think>\n\n```python\ndef f(x):\n    return x + 2\n```"
    evaluated(sft, 0.0, [sample("double", 0, "wrong_answer", text, first_failure=failure)], "tiny_code")
    evaluated(math1, 1.0, [sample("double", 0, "pass", text.replace("+", "*"))], "tiny_code")


def finished(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"stage": folder.name, "steps": steps, "model": "model.nemo"}))


def grpo_row(step: int) -> dict[str, Any]:
    """Step s: reward s / 10, entropy 1 - s / 10, truncated 0.5 - s / 20."""
    values = {"reward": step / 10, "entropy": 1 - step / 10, "truncated": 0.5 - step / 20}
    return {
        "step": step,
        **values,
        "response_length": 50 + step,
        "groups_with_signal": 0.5,
        "temperature": 0.85,
        "gradient_norm": 0.1,
    }


def run(root: Path) -> list[StageFolder]:
    """SFT and one GRPO stage of five steps, evaluated; a second GRPO stage that has not begun."""
    sft, math1 = root / "sft", root / "math1"
    loss = [{"step": step, "train/loss": 3 / (step + 1)} for step in range(4)]
    write_rows(sft / "metrics.jsonl", [*loss, {"step": 4, "val/loss": 0.8}])
    finished(sft, 4)
    wrong, right = "<think>\n1+1=3\n</think>\n\nSo \\boxed{3} <b>", "<think>\n1+1=2\n</think>\n\nSo \\boxed{2}"
    before = [sample("sum", i, "wrong", wrong, extracted="3") for i in range(2)]
    before += [sample("hard", i, "no_answer", "<think>\nhm", truncated=True) for i in range(2)]
    before += [sample("easy", i, "correct", right, extracted="1") for i in range(2)]
    evaluated(sft, 1 / 3, before)
    write_rows(math1 / "metrics.jsonl", [grpo_row(step) for step in range(5)])
    finished(math1, 5)
    after = [sample("sum", i, "correct", right, extracted="2") for i in range(2)] + before[2:]
    evaluated(math1, 2 / 3, after)
    return [
        StageFolder("sft", "sft", sft, 60.0, 15.0),
        StageFolder("math1", "grpo", math1, 90.0, 15.0),
        StageFolder("math2", "grpo", root / "math2", None, None),
    ]
