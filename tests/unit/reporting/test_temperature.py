from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from recipes.reporting.temperature import in_words, print_temperature, write_temperature_png


def record(**changes: object) -> dict:
    points = [
        {"temperature": t, "entropy": e, "entropy_stderr": 0.01, "reward": 0.5, "reward_stderr": 0.02}
        | {"truncated": 0.25, "tokens": 12345}
        for t, e in ((0.6, 0.15), (0.85, 0.26), (1.0, 0.4))
    ]
    chosen = {"temperature": 0.9, "stderr": 0.0123, "low": 0.88, "high": 0.92, "clamped": None, "target_entropy": 0.3}
    return chosen | {"points": points} | changes


def test_in_words() -> None:
    assert in_words(record()) == "temperature 0.9 ± 0.012 (90% 0.88 to 0.92) for an entropy of 0.3 nats"
    clamped = in_words(record(temperature=1.0, clamped="highest"))
    assert (
        "the target lies beyond the highest temperature that was measured: extend calibration.temperatures" in clamped
    )


def test_a_coarse_grid_is_said() -> None:
    found = record()
    found["points"][2]["entropy"] = 0.8
    assert "between 0.85 and 1 the entropy grows more than 3-fold" in in_words(found)


def test_table_and_picture(tmp_path: Path) -> None:
    printed = io.StringIO()
    print_temperature(record(), Console(file=printed, width=100))
    for cell in ("0.85", "0.260 ± 0.010", "0.500 ± 0.020", "25.0%", "12,345", "temperature 0.9"):
        assert cell in printed.getvalue()
    write_temperature_png(tmp_path / "temperature.png", record())
    assert (tmp_path / "temperature.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["temperature.png"]
