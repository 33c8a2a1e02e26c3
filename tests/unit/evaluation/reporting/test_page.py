"""``report.html``: its numbers are those of ``scores.json``, its text is only text, and nothing is left unsaid."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evaluation import score as score_module
from evaluation.report import main
from evaluation.reporting.page import labels, write_report
from evaluation.reporting.sample_view import PER_PROBLEM
from evaluation.saved import saved_tasks
from evaluation.score import renew_page
from recipes.records import Problem
from tests.unit.evaluation.reporting.folders import evaluated, problems, sample, scores, solved


class Cells(HTMLParser):
    """Rows of tables as (text, data-value) pairs, the sources that the page loads, the tags that are still open."""

    VOID = frozenset({"meta", "input", "br", "img", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[tuple[str, str | None]]] = []
        self.sources: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.sources += [str(values[key]) for key in ("src", "href", "xlink:href", "action") if values.get(key)]
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append(("", values.get("data-value")))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "td":
            text, value = self.rows[-1][-1]
            self.rows[-1][-1] = (text + data.strip(), value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page(output: Path, *against: Path) -> str:
    return write_report(output, against).read_text(encoding="utf-8")


def row(html: str, name: str, columns: int) -> list[tuple[str, str | None]]:
    return next(cells for cells in Cells(html).rows if cells and cells[0][0] == name and len(cells) == columns)


def test_every_number_of_the_score_table_is_that_of_the_file(tmp_path: Path) -> None:
    evaluated(tmp_path / "rl", problems(4), solved({"p0": 0, "p1": 1, "p2": 3, "p3": 4}, 4), 4)
    own = scores(tmp_path / "rl")["tiny_math"]
    _, *cells = row(page(tmp_path / "rl"), "tiny_math", 10)
    keys = ("avg", "stderr_sampling", "ci95_problems", "majority@n", None, "n", "problems", "samples", "missing")
    wanted = [own["pass@k"]["4"] if key is None else own[key] for key in keys]
    assert [json.loads(str(value)) for _, value in cells] == wanted
    assert cells[0][0] == "50.0"
    assert cells[4][0] == "75.0"


def test_a_benchmark_of_the_paper_stands_beside_its_values(tmp_path: Path) -> None:
    """Table 1: AIME 2024 is 72.6 for the 1.1-7B and 62.0 for the SFT model at n = 64."""
    evaluated(tmp_path / "rl", problems(2), solved({"p0": 1, "p1": 2}, 2), 2, name="aime24")
    html = page(tmp_path / "rl")
    texts = [text for text, _ in row(html, "aime24", 12)]
    assert texts[4:6] == ["72.6 (n=64)", "62.0 (n=64)"]
    assert row(html, "here: rl", 9)[1] == ("75.0 (n=2)", "0.75")
    assert [text for text, _ in row(html, "AceReason-Nemotron-1.1-7B", 9)][1:] == (
        ["72.6", "64.8", "95.3", "42.9", "69.8", "57.2", "52.1", "84.8"]
    )


def test_how_far_more_samples_would_narrow_the_interval(tmp_path: Path) -> None:
    """Of 40 problems 20 are solved never, 19 always and one by half of two samples: the error over samples is
    sqrt(1/4) / 40. Where all are solved by half nothing is known of how they differ.
    """
    counts = {f"p{index}": 2 * (index % 2) for index in range(40)} | {"p1": 1}
    evaluated(tmp_path / "wide", problems(40), solved(counts, 2), 2)
    own = scores(tmp_path / "wide")["tiny_math"]
    half = 50 * (own["ci95_problems"][1] - own["ci95_problems"][0])
    assert own["stderr_sampling"] == pytest.approx(1 / 80)
    rest = half * (1 - (own["stderr_sampling"] / own["stderr_problems"]) ** 2) ** 0.5
    told = f"± {half:.1f} points wide; samples of the same problems without end would narrow it to about ± {rest:.1f}."
    assert told in page(tmp_path / "wide")
    evaluated(tmp_path / "same", problems(4), solved({f"p{index}": 1 for index in range(4)}, 2), 2)
    assert "without end would narrow it, how far these cannot say." in page(tmp_path / "same")
    evaluated(tmp_path / "many", problems(8), solved({f"p{i}": 64 * (i % 2) - (i == 1) for i in range(8)}, 64), 64)
    assert "without end would not narrow it." in page(tmp_path / "many")


def test_text_of_a_model_is_never_markup(tmp_path: Path) -> None:
    """Thinking, answer, extracted answer, problem, identifier and failing test come from outside."""
    attack = "</pre></details><script>alert(1)</script><img src=x onerror=alert(1)>"
    evil = Problem(f"id{attack}", f"What? {attack}", "2")
    failure = {"test": 0, "detail": attack}
    bad = sample(evil.id, 0, False, text=f"<think>{attack}</think>{attack}", extracted=attack, first_failure=failure)
    evaluated(tmp_path / "out", [evil], [bad], 1)
    html = page(tmp_path / "out")
    assert attack not in html and "<img" not in html
    assert html.count("<script>") == 1  # the page's own
    assert html.count("&lt;script&gt;alert(1)") >= 6
    assert Cells(html).open == []


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    evaluated(tmp_path / "out", problems(2), solved({"p0": 1, "p1": 2}, 2), 2)
    html = page(tmp_path / "out")
    assert [source for source in Cells(html).sources if not source.startswith("#")] == []
    assert not re.search(r"url\((?!#)|@import", html)
    assert "prefers-color-scheme: dark" in html


def test_missing_and_ungraded_samples_are_said_aloud(tmp_path: Path) -> None:
    evaluated(tmp_path / "out", problems(2), [sample("p0", 0, True), sample("p0", 1, True), sample("p1", 0, False)], 2)
    html = page(tmp_path / "out")
    assert "1 of 4 samples are missing and are in no mean" in html
    evaluated(tmp_path / "hole", problems(2), [sample("p0", 0, True)], 1)
    assert "1 problems have none at all, so there is no avg@1" in page(tmp_path / "hole")
    late = sample("p1", 1, True, verdict=None, extracted=None)
    with (tmp_path / "out" / "tiny_math" / "samples.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(late)) + "\n")
    assert "3 graded and 1 ungraded ones" in page(tmp_path / "out")


def test_two_models_problem_by_problem(tmp_path: Path) -> None:
    """d = 1/2, 1/2, -1/4, as in the comparison's own tests."""
    evaluated(tmp_path / "sft", problems(3), solved({"p0": 0, "p1": 2, "p2": 1}, 4), 4)
    evaluated(tmp_path / "rl", problems(3), solved({"p0": 2, "p1": 4, "p2": 0}, 4), 4)
    html = page(tmp_path / "rl", tmp_path / "sft")
    _, *cells = row(html, "tiny_math", 9)
    assert [text for text, _ in cells][:3] == ["25.0", "50.0", "+25.0"]
    assert json.loads(str(cells[5][1])) == 0.5
    assert "<li>p0: 0.0 → 50.0</li>" in html and "<li>p2: 25.0 → 0.0</li>" in html
    assert "solve rate of every problem, both models" in html


def test_other_problems_are_named_and_not_compared(tmp_path: Path) -> None:
    evaluated(tmp_path / "a", problems(2), solved({"p0": 1, "p1": 2}, 2), 2)
    others = [*problems(1), Problem("p1", "What is 2 * 1?", "2")]
    evaluated(tmp_path / "b", others, solved({"p0": 1, "p1": 2}, 2), 2)
    html = page(tmp_path / "b", tmp_path / "a")
    assert "were sampled from different problems" in html
    assert "solve rate of every problem, both models" not in html


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["runs/demo/math4/evaluation"], ["math4"]),
        (["out"], ["out"]),
        (["r/math4/evaluation", "r/sft/evaluation"], ["math4", "sft"]),
        (["r/a", "r/b/c"], ["a", "b/c"]),
        (["x/a/evaluation", "x/b/c/evaluation"], ["a", "b/c"]),
    ],
)
def test_labels_tell_folders_apart(folders: list[str], names: list[str]) -> None:
    assert labels([Path(folder) for folder in folders]) == names


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluated(tmp_path / "out", problems(2), solved({"p0": 1, "p1": 2}, 4), 4)
    main([f"output={tmp_path / 'out'}", "samples=1"])
    assert capsys.readouterr().out == f"Report: {tmp_path / 'out' / 'report.html'}\n"
    assert "4 of 8 samples are on this page" in (tmp_path / "out" / "report.html").read_text()
    main([f"output={tmp_path / 'out'}", "samples=0"])
    assert "0 of 8 samples are on this page" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected output=DIR once"),
        (["output=nowhere"], "nowhere: no scores.json there"),
        (["output=nowhere", "samples=all"], "samples=all: expected a number of samples"),
    ],
)
def test_what_the_command_refuses(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_words_of_now_do_not_change_how_the_samples_were_drawn(tmp_path: Path) -> None:
    evaluated(tmp_path / "out", problems(1), solved({"p0": 1}, 1), 1)
    words = ["evaluation.temperature=0.1", "evaluation.top_p=0.5", "evaluation.max_response_length=7"]
    html = write_report(tmp_path / "out", words=words).read_text(encoding="utf-8")
    told = re.search(r"temperature \S+, top-p \S+, up to \S+ tokens", html)
    assert told is not None and told[0] == "temperature 0.6, top-p 0.95, up to 32,768 tokens"


def test_other_scores_are_another_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent to a tracker."""
    output = tmp_path / "out"
    evaluated(output, problems(2), solved({"p0": 1, "p1": 2}, 2), 2)
    page(output)
    sent: list[list[tuple[str, str | None]]] = []

    def send(folder: Path, _: object) -> list[str]:
        sent.append(row((folder / "report.html").read_text(encoding="utf-8"), "tiny_math", 10))
        return []

    monkeypatch.setattr(score_module, "send_scores", send)
    score_module.main([f"output={output}", "n=1"])
    (cells,) = sent
    assert (cells[1][1], cells[6][1]) == ("1.0", "1")


def test_newer_scores_are_compared_as_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With as many samples on the page, wherever both folders lie; and it is said what cannot be compared any more."""
    sft, rl = tmp_path / "run" / "sft", tmp_path / "run" / "rl"
    for folder, right in ((sft, 0), (rl, 2)):
        evaluated(folder, problems(2), solved({"p0": right, "p1": 1}, 4), 4)
    main([f"output={rl}", f"against={sft}", "samples=0"])
    first = (rl / "report.html").read_text()
    score_module.main([f"output={rl}"])
    assert (rl / "report.html").read_text() == first and "gained" in first and "0 of 8 samples" in first
    (tmp_path / "run").rename(tmp_path / "moved")
    sft, rl = tmp_path / "moved" / "sft", tmp_path / "moved" / "rl"
    words = [f"output={rl}", f"benchmark.path={tmp_path / 'moved' / 'rl_tiny_math.jsonl'}"]
    score_module.main(words)
    assert "solve rate of every problem, both models" in (rl / "report.html").read_text()
    (sft / "scores.json").unlink()
    capsys.readouterr()
    score_module.main(words)
    assert f"report.html: no longer compared with {sft}: {sft}: no scores.json there" in capsys.readouterr().err
    assert "solve rate of every problem, both models" not in (rl / "report.html").read_text()
    (rl / "report.json").write_text('{"against": 3}')
    score_module.main(words)
    assert "report.json: what the page was asked to show is not known" in capsys.readouterr().err
    assert json.loads((rl / "report.json").read_text()) == {"against": [], "samples": PER_PROBLEM}


def test_scores_stand_when_the_page_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluated(tmp_path / "out", problems(1), solved({"p0": 1}, 1), 1)
    tasks = saved_tasks([f"output={tmp_path / 'out'}"], to_grade=False)
    renew_page(tasks, "python -m evaluation.score")
    assert (tmp_path / "out" / "report.html").is_file()
    (tmp_path / "out_tiny_math.jsonl").unlink()
    renew_page(tasks, "python -m evaluation.score")
    assert not (tmp_path / "out" / "report.html").exists(), "a page of before is none of these scores"
    assert f"no {tmp_path / 'out'}/report.html: " in capsys.readouterr().err
    assert scores(tmp_path / "out")["tiny_math"]["avg"] == 1.0


def test_what_utf8_cannot_hold_is_on_the_page_and_in_the_samples(tmp_path: Path) -> None:
    """A program may print any bytes, and older folders have such responses."""
    failure = {"test": 0, "found": "\udcff", "expected": "2"}
    samples = [sample("p0", 0, False, text="\ud83d"), sample("p0", 1, False, first_failure=failure)]
    evaluated(tmp_path / "out", problems(1), samples, 2)
    rows = [json.loads(line) for line in (tmp_path / "out" / "tiny_math" / "samples.jsonl").read_text().splitlines()]
    assert (rows[0]["text"], rows[1]["first_failure"]) == ("\ud83d", failure)
    assert write_report(tmp_path / "out").read_text().count("\ufffd") == 2
