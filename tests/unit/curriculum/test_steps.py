from __future__ import annotations

from pathlib import Path

import pytest

from recipes.curriculum.steps import Step, check_inputs, plan_steps
from recipes.settings.compose import compose
from recipes.settings.curriculum import stage_commands
from recipes.settings.errors import SettingsError

STAGES = ("sft", "math1", "math2", "math3", "code1", "code2", "math4")


def plan(*overrides: str) -> list[Step]:
    return plan_steps(compose("curriculum", overrides), stage_commands(overrides))


def test_the_demo_is_the_papers_figure() -> None:
    steps = plan("run.directory=runs/demo")
    assert [step.name for step in steps] == [
        "data",
        "initial",
        *(name for stage in STAGES for name in (stage, f"{stage}/evaluation")),
        "export",
    ]
    assert [step.module for step in steps[:5]] == [
        "recipes.prepare_demo",
        "recipes.import_hf",
        "recipes.run_sft",
        "evaluation.run",
        "recipes.run_grpo",
    ]
    assert [step.name for step in steps if step.trains] == list(STAGES)
    assert all("on tiny_math, tiny_code," in step.title for step in steps if step.module == "evaluation.run")
    assert [step.name for step in steps if not step.feeds] == [
        *(step.name for step in steps if step.module == "evaluation.run"),
        "export",
    ]


def test_each_stage_starts_from_the_one_before_and_is_evaluated() -> None:
    steps = {step.name: step for step in plan("run.directory=r/x", "run.seed=7", "curriculum.stages=[sft,math1,math4]")}
    assert steps["data"].arguments == ("r/x/data", "--seed", "7")
    assert steps["initial"].arguments == ("r/x/data/initial", "r/x/initial/model.nemo")
    before = "r/x/initial/model.nemo"
    for stage in ("sft", "math1", "math4"):
        command = "sft" if stage == "sft" else "grpo"
        trained = compose(command, steps[stage].arguments)
        assert trained.model.restore_from == before
        assert (trained.stage.name, trained.run.directory, trained.data.directory) == (
            stage,
            f"r/x/{stage}",
            "r/x/data",
        )
        assert trained.run.seed == 7
        assert steps[stage].output == Path(f"r/x/{stage}/manifest.json")
        before = f"r/x/{stage}/model.nemo"
        evaluated = compose("evaluate", steps[f"{stage}/evaluation"].arguments)
        assert evaluated.engine.checkpoint == before
        assert evaluated.evaluation.output == f"r/x/{stage}/evaluation"
        assert evaluated.benchmark.path == "r/x/data/heldout.jsonl"
    exported = compose("export", steps["export"].arguments)
    assert (exported.checkpoint, exported.format, exported.output) == (before, "hf", "r/x/final/hf")


def test_the_last_weights_alone_are_exported_and_an_engine_is_made_of_that_export() -> None:
    words = ["run.directory=r", "curriculum.stages=[sft,math1]", "deployment.max_input_len=256"]
    steps = plan(*words, "deployment.examples=mine", "export.on_finish=[hf,trtllm]")
    assert [step.name for step in steps][-2:] == ["export", "engine"]
    assert all(compose("grpo", step.arguments).export.on_finish == [] for step in steps if step.trains)
    engine = compose("export", steps[-1].arguments)
    assert (engine.checkpoint, engine.format, engine.output) == ("r/final/hf", "trtllm", "r/final/engine")
    assert (engine.deployment.max_input_len, engine.deployment.examples) == (256, "mine")
    assert steps[-1].output == Path("r/final/engine/export.json")


def test_a_stage_exports_where_a_word_of_its_own_asks_for_it() -> None:
    steps = plan("run.directory=r", "curriculum.stages=[math1,math2]", "math2.export.on_finish=[]")
    assert [compose("grpo", step.arguments).export.on_finish for step in steps if step.trains] == [[], []]
    steps = plan("export.on_finish=[]", "curriculum.stages=[math1,math2]", "math2.export.on_finish=[hf]")
    assert [compose("grpo", step.arguments).export.on_finish for step in steps if step.trains] == [[], ["hf"]]


def test_overrides_reach_every_step() -> None:
    steps = plan("run.directory=r", "grpo.max_steps=3", "evaluation.n=2", "curriculum.stages=[math1,math2]")
    for step in steps:
        if step.trains:
            settings = compose("grpo", step.arguments)
            assert (settings.grpo.max_steps, settings.evaluation.n) == (3, 2)
    assert next(step.title for step in steps if step.trains).startswith("math1: GRPO, 3 steps, budget 64 tokens, ")
    assert "avg@2 on tiny_math" in steps[-2].title


def test_a_path_with_blanks_and_commas_survives_the_command_line() -> None:
    steps = plan('run.directory="a run, mine"', "curriculum.stages=[sft]")
    stage = next(step for step in steps if step.trains)
    assert compose("sft", stage.arguments).model.restore_from == "a run, mine/initial/model.nemo"


def test_data_and_weights_of_ones_own_are_not_generated(tmp_path: Path) -> None:
    own = plan("run.directory=r", "data.directory=mine", "curriculum.stages=[sft]")
    assert [step.name for step in own] == ["sft", "sft/evaluation", "export"]
    assert compose("sft", own[0].arguments).model.restore_from is None
    given = plan("run.directory=r", "curriculum.initial_model=base.nemo", "curriculum.stages=[math1]")
    assert compose("grpo", given[0].arguments).model.restore_from == "base.nemo"


def test_what_a_late_step_would_refuse_is_said_first(tmp_path: Path) -> None:
    overrides = [f"run.directory={tmp_path / 'run'}", f"data.directory={tmp_path}", "curriculum.stages=[sft,math1]"]
    with pytest.raises(SettingsError) as missing:
        check_inputs(compose("curriculum", overrides), stage_commands(overrides))
    keys = [problem.key for problem in missing.value.problems]
    assert "benchmark.path" in keys
    assert {str(tmp_path / "sft_train.jsonl"), str(tmp_path / "math1.jsonl")} <= {
        problem.found.partition(": ")[0] for problem in missing.value.problems if problem.key == "data.train"
    }


def test_an_evaluation_that_cannot_work_is_refused_before_the_first_stage() -> None:
    overrides = ["run.directory=r", "evaluation.max_response_length=5000"]
    with pytest.raises(SettingsError, match=r"evaluation\.max_response_length"):
        check_inputs(compose("curriculum", overrides), stage_commands(overrides))
