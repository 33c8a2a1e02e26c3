"""A finished stage is passed over by the words that it was trained with, and refused by others."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from recipes.checkpoints.manifest import DataFile, data_file, manifest_path, parent_of
from recipes.preflighting.checkpoints import finished_otherwise
from recipes.run_grpo import main
from recipes.settings.compose import compose
from recipes.settings.schema import Settings
from recipes.training.run_folder import RunFolder
from tests.unit.checkpoints.finished_runs import finished

ROWS = '{"id": "a", "problem": "1 + 1", "answer": "2"}\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Data, parent weights and a finished math2 in ``run``, at temperature 1.0."""
    data = tmp_path / "data"
    (data / "tokenizer").mkdir(parents=True)
    (data / "tokenizer" / "tokenizer.json").write_text("{}")
    for name in ("math1", "math2", "heldout"):
        (data / f"{name}.jsonl").write_text(ROWS)
    parent = finished(tmp_path / "math1" / "model.nemo", None, stage="math1")
    finish(tmp_path, settings(tmp_path), parent)
    return tmp_path


def finish(root: Path, then: Settings, parent: Path) -> None:
    rows: dict[str, DataFile] = {"data.train": data_file(Path(then.data.train))}
    finished(root / "run" / "model.nemo", parent, stage="math2", settings=asdict(then), data=rows)


def words(root: Path, *more: str) -> list[str]:
    own = [f"run.directory={root / 'run'}", f"model.restore_from={root / 'math1' / 'model.nemo'}"]
    return ["stage=math2", "cluster=cpu", f"data.directory={root / 'data'}", "export.on_finish=[]", *own, *more]


def settings(root: Path, *more: str) -> Settings:
    return compose("grpo", words(root, *more))


def refusal(root: Path, *more: str) -> str:
    given = settings(root, *more)
    with pytest.raises(ValueError) as refused:
        RunFolder(root / "run").say_if_finished(given)
    said = str(refused.value)
    assert all(problem.key in said for problem in finished_otherwise(given)), "preflight says the same"
    return said


def test_the_command_ends_with_2_names_what_differs_and_how_to_train_it(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(words(root))
    assert f"{root / 'run'} is finished" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(words(root, "stage=math1", "grpo.temperature=0.3"))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    for named in ("stage.name found math1, was math2", "grpo.temperature found 0.3, was 1.0"):
        assert named in said
    assert "Fix: run.directory=NEW_FOLDER" in said and len(said.splitlines()) == 2


@pytest.mark.parametrize(
    ("more", "goes_on"),
    [
        (["grpo.max_steps=1200"], True),
        (["grpo.max_steps=1200", "stopping.metric=reward"], True),
        (["grpo.max_steps=1200", "run.seed=2"], False),
        (["grpo.max_steps=39"], False),
        (["grpo.max_steps=1200", "optimizer.schedule=cosine"], False),
    ],
)
def test_how_to_add_steps_is_said_where_nothing_else_differs(root: Path, more: list[str], goes_on: bool) -> None:
    run = root / "run"
    moved = f"to add steps to this stage: mv {run}/manifest.json {run}/manifest_of_step_40.json, then the same words"
    assert (moved in refusal(root, *more)) == goes_on
    assert all((moved in problem.fix) == goes_on for problem in finished_otherwise(settings(root, *more)))


@pytest.mark.parametrize(
    "word",
    [
        "run.seed=2",
        "optimizer.learning_rate=3e-5",
        "prompts.drop_solved=true",
        "stopping.metric=reward",
        "validation.every_steps=5",
        "grading.require_thinking=false",
        "model.rope_theta=5000",
        "grpo.temperature=auto",
        "model.restore_from=null",
    ],
)
def test_what_the_result_depends_on_is_refused(root: Path, word: str) -> None:
    assert word.partition("=")[0] in refusal(root, word)


@pytest.mark.parametrize(
    "word",
    [
        "cluster.devices_per_node=4",
        "rollouts.batch_size=7",
        "trtllm.gate_prompts=1",
        "grading.workers=9",
        "grading.sandbox=none",
        "checkpoint.keep=1",
        "logging.tensorboard=false",
        "evaluation.n=3",
        "deployment.max_batch_size=2",
        "grpo.micro_batch_size=1",
        "sft.epochs=9",
        "stopping.patience_steps=3",
        "calibration.prompts=3",
        "run.require_parent_manifest=false",
    ],
)
def test_where_and_how_a_stage_runs_may_change(root: Path, word: str) -> None:
    assert RunFolder(root / "run").say_if_finished(settings(root, word))
    assert finished_otherwise(settings(root, word)) == []


def test_another_layout_is_finished_too_and_said_to_have_trained_nothing(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert RunFolder(root / "run").say_if_finished(settings(root, "model.tensor_model_parallel_size=2"))
    said = capsys.readouterr().out
    assert "Nothing was trained (model.tensor_model_parallel_size found 2, was 1" in said


def test_a_measured_temperature_answers_the_word_auto(root: Path) -> None:
    (root / "run" / "temperature.json").write_text("{}")
    assert RunFolder(root / "run").say_if_finished(settings(root, "grpo.temperature=auto"))


def test_a_folder_that_was_copied_as_a_whole_is_the_same_and_other_content_is_not(root: Path) -> None:
    there = root / "there"
    for name in ("data", "math1", "run"):
        shutil.copytree(root / name, there / name)
    shutil.rmtree(root / "data")
    assert RunFolder(there / "run").say_if_finished(settings(there))
    (there / "data" / "math2.jsonl").write_text(ROWS + ROWS)
    finished(there / "math1" / "model.nemo", None, stage="math1", steps=7)
    said = refusal(there)
    assert "data.train" in said and "model.restore_from" in said


def test_ledgers_count_where_a_rule_reads_them_and_may_be_moved(root: Path) -> None:
    rule = ("prompts.max_solve_rate=0.5", f"prompts.ledgers=[{root / 'then' / 'math1'}]")
    finish(root, settings(root, *rule), root / "math1" / "model.nemo")
    for place, same in ((root / "now" / "math1", True), (root / "now" / "math2", False)):
        given = settings(root, *rule, f"prompts.ledgers=[{place}]")
        assert [problem.key for problem in finished_otherwise(given)] == ([] if same else ["prompts.ledgers"])
    (root / "then" / "math1").mkdir(parents=True)
    assert "prompts.ledgers" in refusal(root, *rule, f"prompts.ledgers=[{root / 'now' / 'math1'}]")


def test_a_manifest_that_knows_fewer_keys_refuses_nothing(root: Path) -> None:
    (root / "run" / manifest_path(Path("model.nemo")).name).unlink()
    finished(root / "run" / "model.nemo", root / "math1" / "model.nemo", stage="math2")
    assert parent_of(root / "run" / "model.nemo").stage == "math2"
    assert RunFolder(root / "run").say_if_finished(settings(root, "grpo.temperature=0.3"))
