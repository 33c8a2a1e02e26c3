from __future__ import annotations

import math

import pytest

from evaluation.reporting import tables
from evaluation.reporting.numbers import interval, p_value, points, signed, tokens
from evaluation.reporting.paper_table import COLUMNS, DEVIATIONS, OURS, ROWS, SFT, column_of, projected, score_of
from recipes.reporting.table import NOTHING


def test_numbers_as_a_reader_sees_them() -> None:
    assert (points(0.726), points(None), points(0.0071, 2)) == ("72.6", "?", "0.71")
    assert (signed(0.106), signed(-0.02), signed(None)) == ("+10.6", "-2.0", "?")
    assert (interval((-0.012, 0.103)), interval(None)) == ("-1.2 to 10.3", "?")
    assert (p_value(0.5), p_value(1 / 10001), tokens(12345.6), tokens(None)) == ("0.500", "0.0001", "12,346", "?")


def test_table_1_is_whole() -> None:
    """§4.3: the gains that the text names are those of the table."""
    assert len(ROWS) == 15 and all(len(row.scores) == len(COLUMNS) for row in ROWS)
    gains = [
        round(score_of(OURS, name) - score_of("AceReason-Nemotron-1.0-7B", name), 1) for name in ("aime24", "aime25")
    ]
    assert gains == [3.6, 11.2]
    assert score_of(SFT, "livecodebench_v6") == 43.8
    assert score_of(OURS, "tiny_math") is None


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("aime24", "AIME 2024"),
        ("AIME_2025", "AIME 2025"),
        ("math_500", "MATH-500"),
        ("hmmt_feb_2025", "HMMT 2025"),
        ("brumo_2025", "BRUMO 2025"),
        ("livecodebench_v5", "LiveCodeBench v5"),
        ("livecodebench_v6", "LiveCodeBench v6"),
    ],
)
def test_names_of_benchmarks_find_their_column(name: str, heading: str) -> None:
    index = column_of(name)
    assert index is not None and COLUMNS[index].heading == heading


def test_no_benchmark_of_the_project_is_taken_for_another() -> None:
    for name in ("tiny_math", "gsm8k", "humaneval", "mbpp", "aime", "math", "livecodebench", "local"):
        assert column_of(name) is None


def test_errors_fall_with_the_root_of_n() -> None:
    """1.8 at n = 16 leads to 1.8 / sqrt(2) and 1.8 / 2."""
    assert projected(DEVIATIONS[16], 16, 32) == pytest.approx(1.8 / math.sqrt(2))
    assert projected(DEVIATIONS[16], 16, 64) == pytest.approx(0.9)
    row = {"stderr_sampling": 0.02, "n": 4, "problems": 30}
    _, cells = tables.deviation_table({"x": row}).rows[-1]
    assert [cell.text for cell in cells] == ["2.00 (n=4)", "1.00", "0.71", "0.50"]


def test_unknown_values_are_no_zeros() -> None:
    row = {
        "avg": None, "stderr_sampling": None, "ci95_problems": None, "pass@k": {}, "majority@n": None,
        "n": 4, "problems": 3, "samples": 5, "missing": 7,
    }  # fmt: skip
    table = tables.score_table({"x": row})
    texts = dict(zip(table.headings[1:], table.rows[0][1], strict=True))
    assert {key: cell.text for key, cell in texts.items()} == {
        "avg@n": "?", "± sampling": "?", "95% over problems": "?", "majority@n": NOTHING, "pass@n": "?",
        "n": "4", "problems": "3", "samples": "5", "missing": "7",
    }  # fmt: skip
    assert texts["missing"].loud and texts["avg@n"].loud
