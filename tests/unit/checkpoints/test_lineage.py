"""The chain of parents, and what breaks it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from recipes import lineage as command
from recipes.checkpoints.lineage import LineageError, checkpoint_of, lineage
from recipes.checkpoints.manifest import manifest_path
from tests.unit.checkpoints.finished_runs import curriculum, finished


def stages(path: Path) -> list[str | None]:
    return [link.manifest.stage if link.manifest else None for link in lineage(checkpoint_of(path))]


def test_first_weights_first(tmp_path: Path) -> None:
    last = curriculum(tmp_path)
    for path in (tmp_path, last, last.parent):
        assert stages(path) == ["import", "sft", "math1"]
    assert stages(tmp_path / "sft") == ["import", "sft"]
    assert not any(link.problems for link in lineage(last))


def test_table_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = curriculum(tmp_path)
    assert command.main([str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for word in (
        "import",
        "hf/base beef",
        "0123456789",
        "math1.jsonl feedfeed",
        "62.5% (avg@8)",
        "1.50",
        "12.00",
        str(last),
    ):
        assert word in shown
    assert command.main([str(last), "--json"]) == 0
    chain = json.loads(capsys.readouterr().out)
    assert [link["stage"] for link in chain] == ["import", "sft", "math1"]
    assert chain[2]["scores"] == {"tiny_math": {"avg": 0.625, "n": 8}}
    assert chain[1]["git"] == {"sha": "0123456789abcdef", "dirty": False}


def test_changed_parent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = curriculum(tmp_path)
    finished(tmp_path / "sft" / "model.nemo", tmp_path / "base.nemo", stage="sft", steps=41)
    assert command.main([str(last)]) == 1
    assert f"{tmp_path / 'sft' / 'manifest.json'}: changed since the next stage started" in capsys.readouterr().out


@pytest.mark.parametrize("removed", ["manifest.json", "model.nemo"])
def test_missing_parent(tmp_path: Path, removed: str, capsys: pytest.CaptureFixture[str]) -> None:
    last = curriculum(tmp_path)
    (tmp_path / "sft" / removed).unlink()
    assert command.main([str(last), "--json"]) == 1
    chain = json.loads(capsys.readouterr().out)
    broken = [link for link in chain if link["problems"]]
    assert [link["checkpoint"] for link in broken] == [str(tmp_path / "sft" / "model.nemo")]
    assert removed in broken[0]["problems"][0] or "missing" in broken[0]["problems"][0]


def test_changed_weights(tmp_path: Path) -> None:
    last = curriculum(tmp_path)
    last.write_text("weights of other")
    (link,) = [link for link in lineage(last) if link.problems]
    assert "sha256" in link.problems[0] or "bytes" in link.problems[0]


def test_a_folder_that_was_moved(tmp_path: Path) -> None:
    curriculum(tmp_path / "here")
    os.rename(tmp_path / "here", tmp_path / "there")
    links = lineage(checkpoint_of(tmp_path / "there"))
    assert [link.checkpoint.parent.name for link in links] == ["there", "sft", "math1"]
    assert not any(link.problems for link in links)


def test_parent_without_a_manifest(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.nemo"
    foreign.write_text("weights")
    last = finished(tmp_path / "sft" / "model.nemo", foreign, stage="sft")
    links = lineage(last)
    assert [bool(link.problems) for link in links] == [True, False]
    assert "origin is unknown" in links[0].problems[0]


def test_an_ancestor_of_itself(tmp_path: Path) -> None:
    last = curriculum(tmp_path)
    path = manifest_path(tmp_path / "base.nemo")
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"parent": json.loads(manifest_path(last).read_text())["parent"]})
    )
    assert any("its own ancestor" in problem for link in lineage(last) for problem in link.problems)


def test_nothing_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LineageError, match="in it nor in a folder"):
        checkpoint_of(tmp_path)
    with pytest.raises(SystemExit) as end:
        command.main([str(tmp_path / "base.nemo")])
    assert end.value.code == 2
    assert "base.manifest.json" in capsys.readouterr().err
