from __future__ import annotations

from recipes.training.entropy_watch import STEPS, EntropyWatch


def judged(entropies: list[float], watch: EntropyWatch) -> list[tuple[int, str | None]]:
    rows: list[dict[str, float]] = []
    found = []
    for entropy in entropies:
        side, line = watch.judge(rows, entropy)
        rows.append({"entropy": entropy, "entropy_warning": side})
        found.append((side, line))
    return found


def test_one_line_when_the_entropy_leaves_the_band() -> None:
    found = judged([0.3] * 10 + [0.02] * 10 + [0.3] * 12, EntropyWatch(0.2, 0.45))
    sides = [side for side, _ in found]
    # Mean of ten: 0.3 - 0.028 k with k low steps among them, below 0.2 from k = 4 on (0.188).
    assert sides == [0] * 13 + [-1] * 13 + [0] * 6
    lines = [line for _, line in found if line]
    assert len(lines) == 1
    assert "entropy 0.188 nats is below calibration.lowest_entropy=0.2" in lines[0]
    assert "a higher grpo.temperature" in lines[0]


def test_above_the_band_and_straight_from_one_side_to_the_other() -> None:
    found = judged([0.7] + [0.0] * 12, EntropyWatch(0.2, 0.45))
    assert [side for side, _ in found] == [1, 0, 0] + [-1] * 10
    assert "above calibration.highest_entropy=0.45" in str(found[0][1])
    assert "a lower grpo.temperature" in str(found[0][1])


def test_a_resumed_run_does_not_warn_again() -> None:
    rows = [{"entropy": 0.1, "entropy_warning": -1}] * STEPS
    assert EntropyWatch(0.2, 0.45).judge(rows, 0.1) == (-1, None)
