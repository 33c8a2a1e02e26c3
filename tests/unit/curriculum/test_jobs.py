from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from recipes import curriculum_jobs
from recipes.curriculum.jobs import Job, plan_jobs
from recipes.curriculum.progress import Progress, ProgressError
from recipes.curriculum.selection import Selection, split_flags
from recipes.curriculum.steps import Step, plan_steps
from recipes.settings.compose import compose
from recipes.settings.curriculum import stage_commands

WORDS = ("curriculum.stages=[sft,math1,code2]", "cluster.devices_per_node=2")


@pytest.fixture(scope="module")
def planned() -> tuple:
    words = ("run.directory=r", *WORDS)
    settings, stages = compose("curriculum", words), stage_commands(words)
    return settings, stages, plan_steps(settings, stages), words


def jobs_of(planned: tuple, done: set[str], steps: list[Step] | None = None) -> dict[str, Job]:
    settings, stages, all_steps, words = planned
    steps = all_steps if steps is None else steps
    jobs = plan_jobs(settings, stages, steps, [step for step in steps if step.name not in done], words)
    return {job.name.removeprefix("demo-"): job for job in jobs}


def test_a_new_run_is_a_chain_with_evaluations_beside_it(planned: tuple) -> None:
    jobs = jobs_of(planned, {"data", "initial"})
    assert {name: (job.script, [other.removeprefix("demo-") for other in job.after]) for name, job in jobs.items()} == {
        "sft": ("sft.sh", []),
        "sft-evaluation": ("evaluate.sh", ["sft"]),
        "math1": ("stage_math1.sh", ["sft"]),
        "math1-evaluation": ("evaluate.sh", ["math1"]),
        "code2": ("stage_code2.sh", ["math1"]),
        "code2-evaluation": ("evaluate.sh", ["code2"]),
        "export": ("export.sh", ["code2", "code2-evaluation"]),
        "report": ("report.sh", ["sft-evaluation", "math1-evaluation", "code2-evaluation", "export"]),
    }
    assert not any(job.done for job in jobs.values())
    assert {(job.nodes, job.devices_per_node, job.accelerator) for job in jobs.values()} == {
        (1, 2, "cpu"),
        (1, 1, "cpu"),
    }
    assert compose("grpo", jobs["code2"].words).model.restore_from == "r/math1/model.nemo"


def test_nothing_waits_for_what_is_done(planned: tuple) -> None:
    jobs = jobs_of(planned, {"data", "initial", "sft", "math1", "sft/evaluation"})
    assert [name for name, job in jobs.items() if job.done] == ["sft", "sft-evaluation", "math1"]
    assert jobs["math1-evaluation"].after == ()
    assert jobs["code2"].after == ()
    assert jobs["report"].after == ("demo-math1-evaluation", "demo-code2-evaluation", "demo-export")


def test_when_everything_is_done_the_report_is_too(planned: tuple) -> None:
    assert all(job.done for job in jobs_of(planned, {step.name for step in planned[2]}).values())


def test_a_record_survives_a_shell() -> None:
    job = Job("a", "sft.sh", ("x", "y"), False, 2, 8, "gpu", ("run.name=\"a b 'c'\"", "curriculum.stages=[sft]"))
    assert shlex.split(job.record()) == ["job", "a", "sft.sh", "x y", "todo", "2", "8", "gpu", *job.words]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, "sft", ["data", "initial", "sft", "sft/evaluation"]),
        ("code2", None, ["data", "initial", "code2", "code2/evaluation", "export"]),
        ("math1", "math1", ["data", "initial", "math1", "math1/evaluation"]),
    ],
)
def test_a_part_of_the_curriculum(
    tmp_path: Path, planned: tuple, monkeypatch: pytest.MonkeyPatch, first: str, last: str, expected: list[str]
) -> None:
    monkeypatch.setattr(Progress, "done", lambda *_: True)
    _, stages, steps, _ = planned
    chosen = Selection(first, last).choose(steps, stages, Progress.open(tmp_path, WORDS))
    assert [step.name for step in chosen] == expected


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("math2", None, "--from math2: no stage of this curriculum; one of sft, math1, code2"),
        ("code2", "math1", "--from code2 comes after --to math1"),
        ("code2", None, "--from code2: sft, which comes before it, is not done"),
    ],
)
def test_a_part_that_cannot_be(tmp_path: Path, planned: tuple, first: str, last: str, message: str) -> None:
    _, stages, steps, _ = planned
    with pytest.raises(ProgressError, match=message):
        Selection(first, last).choose(steps, stages, Progress.open(tmp_path, WORDS))


def test_a_plan_may_begin_at_a_stage_whose_parents_are_not_done(tmp_path: Path, planned: tuple) -> None:
    _, stages, steps, _ = planned
    progress = Progress.open(tmp_path, WORDS)
    chosen = Selection("code2").choose(steps, stages, progress, require_done=False)
    assert [step.name for step in chosen] == ["data", "initial", "code2", "code2/evaluation", "export"]


def test_flags_stand_anywhere() -> None:
    flags, words = split_flags(["a=1", "--from", "math1", "--to=math4", "--report", "--help", "b=2"], "--report")
    assert (flags.first, flags.last, flags.report) == ("math1", "math4", True)
    assert words == ["a=1", "--help", "b=2"]


def test_the_command_prints_records_and_writes_only_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "a run, 'mine'"
    words = [f'run.directory="{root}"', *WORDS]
    curriculum_jobs.main(words)
    first, *records = capsys.readouterr().out.splitlines()
    assert shlex.split(first) == [f"RUN_DIRECTORY={root}", "GENERATES=yes"]
    assert [shlex.split(record)[1] for record in records][:2] == ["demo-sft", "demo-sft-evaluation"]
    assert not root.exists()
    curriculum_jobs.main([*words, "--record"])
    assert (root / "curriculum.json").is_file()
    with pytest.raises(SystemExit) as ended:
        curriculum_jobs.main([*words, "grpo.max_steps=3"])
    assert ended.value.code == 2
    assert "started with other words" in capsys.readouterr().err


def test_a_plan_names_what_is_missing_and_stops_for_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "cluster=h100",
        "curriculum=acereason_1_1",
        f"run.directory={tmp_path / 'run'}",
        f"data.directory={tmp_path}",
    ]
    words += ["curriculum.stages=[sft,math1]"]
    curriculum_jobs.main([*words, "--plan"])
    printed = capsys.readouterr()
    sft = next(
        shlex.split(record) for record in printed.out.splitlines() if record.startswith("job acereason_1_1-sft ")
    )
    assert 'model.restore_from="BASE.nemo"' in sft, "stands for the weights that nobody named"
    assert "missing: curriculum.initial_model: BASE.nemo: nothing there" in printed.err
    assert f"missing: data.train: {tmp_path / 'math1.jsonl'}: nothing there" in printed.err
    assert list(tmp_path.iterdir()) == []
    for given in ([], ["curriculum.initial_model=q.nemo"], ["--plan", "math1.grpo.top_p=7"]):
        with pytest.raises(SystemExit) as ended:
            curriculum_jobs.main([*words, *given])
        assert ended.value.code == 2
    assert "math1.grpo.top_p" in capsys.readouterr().err
