from __future__ import annotations

import json
import re
import struct
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from recipes.reporting.figures import CSS, Curves, held_out_scores, in_percent, running_mean, score_svg, steps_svg
from recipes.reporting.report import Report
from recipes.reporting.solve_rates import bin_of, histogram, solve_rates_svg
from recipes.reporting.summary import StageFolder
from tests.unit.reporting.run_folders import CODE_PROBLEMS, PROBLEMS, evaluated_on_code, run

VOID = {"meta", "link", "br", "img", "input", "hr"}
NAMESPACE = "{http://www.w3.org/2000/svg}"


class Page(HTMLParser):
    """Text and attributes of a page; fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def report(root: Path, stages: list[StageFolder]) -> Report:
    return Report(root, "demo", {"tiny_math": PROBLEMS, "tiny_code": CODE_PROBLEMS}, root / "final" / "hf", stages)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    stages = run(root)
    evaluated_on_code(root / "sft", root / "math1")
    report(root, stages).write()
    return root


def test_the_page_stands_alone(written: Path) -> None:
    text = (written / "report.html").read_text()
    assert len(text) < 2_000_000
    page = Page(text)
    for name, value in page.attributes:
        if name in ("src", "href", "xlink:href"):
            assert value is not None and value.startswith("#"), f"{name}={value} is not in the page"
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    used = {value[1:] for name, value in page.attributes if name == "xlink:href" and value}
    used |= set(re.findall(r"url\(#([^)]+)\)", text))
    assert used <= set(identifiers)


def test_the_page_tells_the_run(written: Path) -> None:
    words = re.sub(r"\s+", " ", " ".join(Page((written / "report.html").read_text()).words))
    assert "tiny_math avg@2 went from 33.3 % after sft to 66.7 % after math1" in words.replace("%", " %")
    for cell in ("0.90 → 0.70", "45% → 35%", "0.667 ± 0.125", "What is 1 + 1?", "What is 12 * 12?"):
        assert cell in words
    assert "tiny_code avg@2 went from 0.0 % after sft to 100.0 % after math1" in words.replace("%", " %")
    for cell in ("0.000 ± 0.125", "1.000 ± 0.125", "Double x.", "wrong answer", "pass", "first failing test"):
        assert cell in words
    assert "input [3] expected 6 found 5" in words
    assert "answer 2 ·" in words and "answer · gained" not in words
    assert "math2" in words  # planned, not done: named in the pipeline


def test_what_a_model_writes_cannot_become_markup(written: Path) -> None:
    text = (written / "report.html").read_text()
    assert "&lt;b&gt;" in text
    assert "<b>" not in text


def test_summary_and_picture(written: Path) -> None:
    assert [stage["name"] for stage in json.loads((written / "summary.json").read_text())["stages"]] == ["sft", "math1"]
    picture = (written / "learning_curve.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (1350, 1800)
    assert not [path for path in written.iterdir() if path.name.startswith(".")]


def test_a_run_that_has_just_begun_has_a_page(tmp_path: Path) -> None:
    report(tmp_path, [StageFolder("sft", "sft", tmp_path / "sft", None, None)]).write()
    words = " ".join(Page((tmp_path / "report.html").read_text()).words)
    assert "no evaluation yet" in words
    assert "no GRPO step yet" in words


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{NAMESPACE}text")]


def test_the_score_figure_says_every_score_and_follows_the_theme() -> None:
    other = [("math1", 0.125, 0.02)]
    svg = score_svg(Curves({"bench avg@8": [("sft", 0.25, 0.01), ("math1", 0.5, None)], "other avg@2": other}, []))
    for label in ("25.0%", "50.0%", "12.5%", "sft", "math1", "bench avg@8", "other avg@2"):
        assert label in texts(svg)
    for colour, variable in CSS.items():
        assert colour not in svg
        assert variable in svg


def test_stages_are_named_in_every_grpo_panel() -> None:
    rows = [
        {
            "step": step,
            "reward": 0.1,
            "groups_with_signal": 0.5,
            "entropy": 0.4,
            "truncated": 0.2,
            "response_length": 40,
            "gradient_norm": 0.1,
        }
        for step in range(3)
    ]
    shown = texts(steps_svg(Curves({}, [("math1", rows), ("math2", rows), ("math3", [])])))
    assert (shown.count("math1"), shown.count("math2"), shown.count("math3")) == (6, 6, 0)
    assert "no SFT stage" in shown
    assert "not measured (validation.every_steps=0)" in shown
    rows[0]["validation_start_avg"], rows[2]["validation_avg"] = 0.5, 0.75
    shown = texts(steps_svg(Curves({}, [("math1", rows[:1]), ("math2", rows), ("math3", [])])))
    assert (shown.count("math1"), shown.count("math2"), shown.count("math3")) == (7, 7, 0)
    assert {"50%", "60%", "70%"} <= set(shown)


def test_held_out_scores_start_before_the_first_step() -> None:
    rows = [{"step": 0, "validation_start_avg": 0.4, "validation_start_stderr": 0.1}, {"step": 1}]
    rows += [{"step": 2, "validation_avg": 0.5}]
    assert held_out_scores(rows) == [(0, 0.4, 0.1), (3, 0.5, 0.0)]


def test_solve_rates_by_hand() -> None:
    """0; 1/8 and 1/4; 1/2; 5/8 and 3/4; 7/8; 1."""
    assert [bin_of(k / 8) for k in range(9)] == [0, 1, 1, 2, 2, 3, 3, 4, 5]
    assert histogram([0, 0.25, 0.25, 1]) == [0.25, 0.5, 0, 0, 0, 0.25]


def test_solve_rates_of_every_epoch_are_shown() -> None:
    rates = [("math1", {0: [0.0, 0.5, 1.0, 1.0], 1: [0.5]}), ("math2", {0: [0.25, 0.25, 0.25, 1.0]}), ("math3", {})]
    shown = texts(solve_rates_svg(Curves({}, [], solve_rates=rates)))
    assert [text for text in shown if text in ("math1, epochs 1 and 2", "math2, epoch 1")] == [
        "math1, epochs 1 and 2",
        "math2, epoch 1",
    ]
    for share in ("25%", "50%", "75%", "100%"):
        assert share in shown
    assert "no GRPO stage is done yet" in texts(solve_rates_svg(Curves({}, [])))


def test_more_epochs_than_fit_keep_the_first_and_the_last() -> None:
    rates = [("math1", {epoch: [epoch / 100] for epoch in range(100)})]
    svg = solve_rates_svg(Curves({}, [], solve_rates=rates))
    shown = texts(svg)
    assert {"1", "12", "89", "100"} <= {text.strip() for text in shown}
    assert "50" not in shown


def test_running_mean_by_hand() -> None:
    assert running_mean([1, 2, 6, 7], 3) == [1.5, 3.0, 5.0, 6.5]
    assert running_mean([1, 2, 6, 7], 1) == [1, 2, 6, 7]
    assert running_mean([4], 5) == [4]


@pytest.mark.parametrize("top", [1.0, 0.3, 0.06, 0.004])
def test_ticks_in_percent_tell_their_values_apart(top: float) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([0, 1], [0, top])
    in_percent(axes.yaxis)
    figure.canvas.draw()
    shown = [label.get_text() for label in axes.get_yticklabels()]
    ticks = axes.get_yticks()
    assert len(set(shown)) == len(shown) > 3
    assert [float(text.rstrip("%")) / 100 for text in shown] == pytest.approx(list(ticks))
