"""Mistakes in ``conf/`` itself are found at the next composition and named with file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from recipes.settings import compose as compose_module
from recipes.settings import typed
from recipes.settings.compose import compose
from recipes.settings.errors import SettingsError, SettingsProblem


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "conf"
    shutil.copytree(typed.CONF, copy)
    monkeypatch.setattr(typed, "CONF", copy)
    monkeypatch.setattr(compose_module, "CONF", copy)
    return copy


def only_problem(*overrides: str) -> SettingsProblem:
    with pytest.raises(SettingsError) as caught:
        compose("grpo", overrides)
    (problem,) = caught.value.problems
    return problem


def test_a_misspelt_key_in_a_new_stage(conf: Path) -> None:
    text = (conf / "stage/math1.yaml").read_text(encoding="utf-8")
    (conf / "stage/mine.yaml").write_text(text.replace("rollouts_per_prompt", "rollouts_per_promt"), encoding="utf-8")
    problem = only_problem("stage=mine")
    assert problem.key == "grpo.rollouts_per_promt"
    assert problem.found == "no such key (conf/stage/mine.yaml:9)"
    assert problem.fix == "rename it to grpo.rollouts_per_prompt"


def test_a_value_of_another_type_in_a_file(conf: Path) -> None:
    path = conf / "base/checkpoint.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("keep: 3", "keep: many"), encoding="utf-8")
    problem = only_problem()
    assert (problem.key, problem.found) == ("checkpoint.keep", "'many' (str) (conf/base/checkpoint.yaml:3)")


def test_a_key_that_no_file_gives(conf: Path) -> None:
    path = conf / "base/checkpoint.yaml"
    path.write_text("# @package checkpoint\nsave_every_steps: 5\n", encoding="utf-8")
    problem = only_problem()
    assert (problem.key, problem.found) == ("checkpoint.keep", "not set")


def test_a_file_that_is_no_yaml(conf: Path) -> None:
    (conf / "stage/math1.yaml").write_text("grpo: [\n", encoding="utf-8")
    problem = only_problem()
    assert "math1" in problem.found


def test_no_conf_folder(conf: Path) -> None:
    shutil.rmtree(conf)
    assert "no folder" in only_problem().found
