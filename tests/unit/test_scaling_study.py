"""``python -m recipes.scaling_study``: the published numbers in its table and JSON, errors with their lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.scaling_study import main
from tests.unit.data.test_scaling_fit import implied_points


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Points that the published fit implies."""
    path = tmp_path / "blends.csv"
    rows = [f"{p.name},{p.prompts!r},{p.responses!r},{p.accuracy!r}" for p in implied_points(4.831, 2.635, 0.989)]
    path.write_text("\n".join(["blend,prompts,responses_per_prompt,accuracy", *rows]) + "\n")
    return path


def test_published_numbers(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(results)])
    record = json.loads((results.parent / "blends.scaling.json").read_text())
    assert round(record["coefficients"]["a"]["value"], 3) == 4.831
    assert round(record["coefficients"]["b"]["value"], 3) == 2.635
    assert round(record["r_squared"], 3) == 0.989
    assert [point["blend"] for point in record["points"]] == [f"v{n}" for n in range(1, 8)]
    assert (results.parent / "blends.scaling.png").read_bytes().startswith(b"\x89PNG")
    lines = capsys.readouterr().out.splitlines()
    (a,) = [line for line in lines if line.startswith("a  prompts")]
    assert a.split()[2] == "4.831" and a.split()[-2] == "4.831"
    head, *rows = lines[:8]
    assert {len(row) for row in rows} == {len(head)}, "columns are aligned"
    assert any("divided by n;" in line for line in lines)


def test_another_folder_and_another_deviation(results: Path, tmp_path: Path) -> None:
    main([str(results), "--output", str(tmp_path / "new"), "--deviation", "sample", "--confidence", "0.5"])
    record = json.loads((tmp_path / "new" / "blends.scaling.json").read_text())
    assert round(record["coefficients"]["a"]["value"], 3) == round(4.831 * (7 / 6) ** 0.5, 3)
    assert "divided by n - 1" in record["notes"][0]
    assert not (results.parent / "blends.scaling.json").exists()


def test_a_bad_file_ends_in_its_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("prompts,samples,accuracy\n1,x,2\n")
    with pytest.raises(SystemExit) as ended:
        main([str(path)])
    assert ended.value.code == 2
    assert f"{path}:2: column samples is 'x'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main([str(path), "--confidence", "2"])
    assert ended.value.code == 2


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "v1,36000,1,40.1" in text and "4.831" in text


def test_notes_on_inputs_that_grew_together_fractions_and_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    rows = [f"{2**n},{2**n + (n == 3)},{0.3 + n / 20},x" for n in range(1, 6)]
    path.write_text("\n".join(["prompts,responses_per_prompt,accuracy,remark", *rows]) + "\n")
    main([str(path)])
    notes = "\n".join(json.loads((tmp_path / "r.scaling.json").read_text())["notes"])
    assert "grew together" in notes and "fractions" in notes and "not used: the columns remark" in notes
