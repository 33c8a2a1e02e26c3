"""An evaluation's folder with damaged or missing files, or in an odd place: one line that names file and fix."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation.compare import main as compare
from evaluation.grade import main as grade
from evaluation.merge import main as merge
from evaluation.report import main as report
from evaluation.sample import _weights
from evaluation.samples import SamplesError
from evaluation.score import main as score
from evaluation.store import SampleStore
from recipes.settings.compose import compose
from tests.unit.evaluation.reporting.folders import evaluated, problems, solved

Command = Callable[[list[str]], None]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    evaluated(tmp_path / "out", problems(2), solved({"p0": 1, "p1": 2}, 2), 2)
    return tmp_path / "out"


def refused(command: Command, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        command(words)
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("row", [b'{"problem_id": "p', b'"text"', b"\xff", b'{"problem_id": []}'])
def test_a_bad_line_of_the_samples(output: Path, capsys: pytest.CaptureFixture[str], row: bytes) -> None:
    samples = output / "tiny_math" / "samples.jsonl"
    samples.write_bytes(row + b"\n" + samples.read_bytes())
    for command in (grade, score, report):
        said = refused(command, [f"output={output}"], capsys)
        assert f"{samples}:1: " in said and "remove the line to sample it again" in said


def test_a_row_with_values_of_other_types_is_a_bad_line(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = output / "tiny_math" / "samples.jsonl"
    row = json.loads(samples.read_text().splitlines()[0]) | {"problem_id": ["p0"]}
    samples.write_text(json.dumps(row) + "\n")
    assert f"{samples}:1: expected an object" in refused(grade, [f"output={output}"], capsys)


@pytest.mark.parametrize("content", [None, "", "a: [1\n", "\ufeff\x00"])
@pytest.mark.parametrize("command", [grade, score, report])
def test_settings_that_are_missing_or_torn(
    output: Path, capsys: pytest.CaptureFixture[str], command: Command, content: str | None
) -> None:
    path = output / "tiny_math" / "settings.yaml"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    said = refused(command, [f"output={output}"], capsys)
    assert str(path) in said and "start the command that sampled it once more" in said


@pytest.mark.parametrize("content", ["", '{"model": "a', "[1]"])
@pytest.mark.parametrize("command", [grade, score, report])
def test_a_torn_sampling_json(output: Path, capsys: pytest.CaptureFixture[str], command: Command, content: str) -> None:
    path = output / "tiny_math" / "sampling.json"
    path.write_text(content)
    said = refused(command, [f"output={output}"], capsys)
    assert f"{path}: " in said and f"bring the file back, or move {path.parent} away" in said


@pytest.mark.parametrize("content", ["", '{"tiny_math": '])
@pytest.mark.parametrize("command", [score, report])
def test_torn_scores(output: Path, capsys: pytest.CaptureFixture[str], command: Command, content: str) -> None:
    path = output / "scores.json"
    path.write_text(content)
    said = refused(command, [f"output={output}"], capsys)
    assert f"{path}: " in said and f"remove it, then: python -m evaluation.score output={output}" in said


@pytest.mark.parametrize("name", ['q"q', "b\\", "a 'b'", "k=v,w"])
def test_any_path_may_be_an_output(output: Path, name: str) -> None:
    moved = output.parent / name
    shutil.move(output, moved)
    for command in (grade, score, report):
        command([f"output={moved}"])
    assert (moved / "report.html").is_file()


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_around_a_path_are_none_of_it(output: Path, quote: str) -> None:
    for command in (grade, score, report):
        command([f"output={quote}{output}{quote}"])
    assert (output / "report.html").is_file()


def test_another_name_over_the_samples_is_refused(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would be another folder, ``..`` the parent of the evaluation's."""
    said = refused(grade, [f"output={output}", "benchmark.name=.."], capsys)
    assert "benchmark.name=..: the samples lie in the folder of their benchmark's name" in said
    assert not (output.parent / "samples.jsonl").exists()


def test_an_output_at_or_below_a_file(output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    for place in (file, file / "below"):
        for command in (grade, score, report, merge):
            assert f"{place}: " in refused(command, [f"output={place}"], capsys)
    evaluated(tmp_path / "b", problems(2), solved({"p0": 1, "p1": 1}, 2), 2)
    said = refused(compare, [str(output), str(tmp_path / "b"), f"output={file / 'c.json'}"], capsys)
    assert f"{file} is a file" in said
    said = refused(compare, [str(output), str(tmp_path / "b"), f"output={tmp_path}"], capsys)
    assert f"a folder; expected a file: output={tmp_path / 'compared.json'}" in said
    assert file.read_text() == "kept"


def test_merge_writes_nothing_where_no_shards_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such folder" in refused(merge, [f"output={tmp_path / 'typo'}"], capsys)
    assert "no shards there" in refused(merge, [f"output={tmp_path}"], capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("found", "same"), [('{"top_k": 20}', True), ({"top_k": 20}, True), ('{"top_k": 21}', False)])
def test_more_keys_are_the_same_however_they_are_written(tmp_path: Path, found: object, same: bool) -> None:
    """Folders of before hold the text as it was typed."""
    words = ["engine=openai", "engine.url=http://a/v1", "engine.model=m", """engine.extra='{"top_k":20}'"""]
    wanted = _weights(compose("evaluate", words))
    (tmp_path / "sampling.json").write_text(json.dumps(wanted | {"extra": found}))
    store = SampleStore(tmp_path)
    if same:
        store.claim(wanted, replace=False)
        store.claim(wanted, replace=False)
    else:
        with pytest.raises(SamplesError, match=r"extra was \{'top_k': 21\}, is \{'top_k': 20\}"):
            store.claim(wanted, replace=False)
