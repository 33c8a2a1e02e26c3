"""The paper's regression: its published numbers from points that they imply, and files that cannot give any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress

from recipes.data.jsonl import DataFileError
from recipes.data.scaling_fit import PUBLISHED, Point, fit_scaling, read_results

PROMPTS = (36e3, 68e3, 100e3, 132e3, 223e3, 372e3, 383e3)
RESPONSES = (1.0, 1.0, 1.0, 1.0, 1.79, 3.09, 5.74)
MEAN = 42.0
HEAD = "blend,prompts,responses_per_prompt,accuracy\n"
GOOD = HEAD + "v1,100,1,40\nv2,200,1,45\nv3,200,2,47\nv4,400,4,52\n"


def implied_points(a: float, b: float, r_squared: float, seed: int = 0) -> list[Point]:
    """Points whose least-squares plane has exactly these numbers: the scatter is orthogonal to plane and mean."""
    inputs = np.log2([PROMPTS, RESPONSES]).T
    standard = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    plane = standard @ [a, b] + MEAN
    design = np.column_stack([standard, np.ones(7)])
    noise = np.random.default_rng(seed).normal(size=7)
    noise -= design @ np.linalg.lstsq(design, noise, rcond=None)[0]
    explained = ((plane - MEAN) ** 2).sum()
    noise *= np.sqrt(explained * (1 / r_squared - 1) / (noise**2).sum())
    rows = zip(PROMPTS, RESPONSES, plane + noise, strict=True)
    return [Point(f"v{n + 1}", x, y, z, n + 2) for n, (x, y, z) in enumerate(rows)]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "results.csv"
    path.write_text(text, encoding="utf-8")
    return path


def defects(tmp_path: Path, text: str) -> list[str]:
    path = written(tmp_path, text)
    with pytest.raises(DataFileError) as caught:
        read_results(path)
    return [defect.removeprefix(f"{path}:") for defect in caught.value.defects]


@pytest.mark.parametrize("seed", range(3))
def test_the_published_fit_from_points_that_it_implies(seed: int) -> None:
    fit = fit_scaling(implied_points(PUBLISHED["a"], PUBLISHED["b"], PUBLISHED["r_squared"], seed))
    assert round(fit.a.value, 3) == 4.831
    assert round(fit.b.value, 3) == 2.635
    assert round(fit.r_squared, 3) == 0.989
    assert fit.c.value == pytest.approx(MEAN)
    assert fit.degrees_of_freedom == 4
    assert fit.a.low < fit.a.value < fit.a.high and fit.b.low > 0


def test_intervals_by_hand() -> None:
    """Four points on a cross: inputs orthogonal, each standardised to -1 and 1, so all errors are sqrt(s^2 / 4)."""
    corners = [(1, 1, 40.0), (4, 1, 44.0), (1, 4, 42.0), (4, 4, 47.0)]
    fit = fit_scaling([Point("", x, y, z, 0) for x, y, z in corners])
    # a = (-40 + 44 - 42 + 47) / 4, b = (-40 - 44 + 42 + 47) / 4; every point is 0.25 off, so s^2 = 4 / 16 / 1
    assert (fit.a.value, fit.b.value, fit.c.value) == pytest.approx((2.25, 1.25, 43.25))
    assert fit.a.stderr == pytest.approx(0.25)
    assert fit.a.high - fit.a.value == pytest.approx(12.7062 * 0.25, rel=1e-5)  # t of 95%, one degree of freedom
    assert fit.r_squared == pytest.approx(1 - 0.25 / 26.75)
    assert fit.per_doubling == pytest.approx((2.25, 1.25))  # the standard deviation is one doubling
    assert fit.correlation == pytest.approx(0.0)
    assert fit.fitted == pytest.approx((39.75, 44.25, 42.25, 46.75))


def test_the_other_standard_deviation_makes_larger_coefficients_and_the_same_plane() -> None:
    points = implied_points(4.831, 2.635, 0.989)
    one, other = fit_scaling(points), fit_scaling(points, deviation="sample")
    assert other.a.value / one.a.value == pytest.approx((7 / 6) ** 0.5)
    assert other.r_squared == pytest.approx(one.r_squared)
    assert other.per_doubling == pytest.approx(one.per_doubling)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 12), st.floats(20, 60)), min_size=4, max_size=9))
def test_the_slope_is_scipy_s_where_the_other_input_is_orthogonal(rows: list[tuple[int, float]]) -> None:
    """Each x twice, with y low and high: then the slope of x is that of a simple regression."""
    if len({x for x, _ in rows}) < 2 or np.ptp([z for _, z in rows]) < 1e-3:
        return
    points = [Point("", 2.0**x, y, z, 0) for x, z in rows for y in (1.0, 2.0)]
    fit = fit_scaling(points)
    simple = linregress(np.log2([p.prompts for p in points]), [p.accuracy for p in points])
    assert fit.per_doubling[0] == pytest.approx(simple.slope, abs=1e-7)
    assert fit.b.value == pytest.approx(0.0, abs=1e-7)


def test_columns_of_benchmarks_samples_and_fractions(tmp_path: Path) -> None:
    head = "prompts, samples ,aime24,aime25,livecodebench_v5,livecodebench_v6,comment\n"
    path = written(
        tmp_path,
        "\ufeff"
        + head
        + "100,100,.4,.3,.2,.1,x\n\n200,200,.5,.4,.3,.2,\n200,400,.6,.4,.3,.2,\n400,1600,.7,.5,.4,.3,\n",
    )
    found = read_results(path)
    assert [(p.prompts, p.responses) for p in found.points] == [(100, 1), (200, 1), (200, 2), (400, 4)]
    assert found.points[0].accuracy == pytest.approx(25.0)
    assert [p.line for p in found.points] == [2, 4, 5, 6]
    assert found.points[0].name == "line 2"
    assert found.fractions and found.unused == ("comment",)
    assert read_results(written(tmp_path, GOOD)).points[3] == Point("v4", 400.0, 4.0, 52.0, 5)


@pytest.mark.parametrize("rows", range(4))
def test_fewer_than_four_points_are_refused(tmp_path: Path, rows: int) -> None:
    text = "".join(line + "\n" for line in GOOD.splitlines()[: rows + 1])
    assert f"{rows} points; expected at least 4" in defects(tmp_path, text)[0]


def test_every_bad_cell_is_told_with_its_line(tmp_path: Path) -> None:
    text = HEAD + "v1,36K,1,40\nv2,0,1,45\nv3,200,-2,101\nv4,400,nan,\nv5,1,1,1,1\n"
    found = defects(tmp_path, text)
    assert [defect.partition(":")[0] for defect in found] == ["2", "3", "4", "4", "5", "5", "6"]
    for defect, expected in zip(
        found,
        ("prompts is '36K'", "prompts is 0; expected a number above 0", "responses_per_prompt is -2", "accuracy is 101",
         "responses_per_prompt is nan", "accuracy is ''", "1 cells more than the head line"),
        strict=True,
    ):  # fmt: skip
        assert expected in defect


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (
            "",
            ["1: column prompts is missing", "1: columns responses_per_prompt and samples are missing", "1: no column"],
        ),
        ("prompts,samples,responses_per_prompt,accuracy", ["1: columns responses_per_prompt and samples are both"]),
        ("prompts,samples,aime24,aime25", ["1: no column accuracy; expected it, or all of"]),
        ("prompts,samples,accuracy,aime24", ["1: columns accuracy and benchmarks are both there"]),
        ("prompts,samples,accuracy,prompts", ["1: column 'prompts' comes twice"]),
    ],
)
def test_heads_that_do_not_do(tmp_path: Path, head: str, expected: list[str]) -> None:
    found = defects(tmp_path, head + "\n1,1,1\n")
    assert len(found) == len(expected)
    for defect, start in zip(found, expected, strict=True):
        assert defect.startswith(start)


def test_inputs_that_say_nothing(tmp_path: Path) -> None:
    constant = HEAD + "".join(f"v,{100 * n},1,{40 + n}\n" for n in range(1, 5))
    assert "responses_per_prompt is 1 in all of lines 2 to 5" in defects(tmp_path, constant)[0]
    together = HEAD + "".join(f"v,{2**n},{4**n},{40 + n}\n" for n in range(1, 5))
    assert "go exactly together in lines 2 to 5" in defects(tmp_path, together)[0]
    flat = HEAD + "".join(f"v,{2**n},{n},40\n" for n in range(1, 5))
    assert "the accuracy is 40 in all" in defects(tmp_path, flat)[0]


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="found nothing"):
        read_results(tmp_path / "none.csv")
    with pytest.raises(DataFileError, match="found a folder"):
        read_results(tmp_path)
    path = tmp_path / "latin.csv"
    path.write_bytes(b"prompts,\xff\n")
    with pytest.raises(DataFileError, match="expected a CSV file in UTF-8"):
        read_results(path)
