"""``export.on_finish``: what a finished stage leaves behind, once, and what its failure says."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from recipes import export
from recipes.checkpoints.export_record import record_of, source_of, write_record
from recipes.settings.compose import compose
from recipes.settings.schema import ExportSettings, Settings
from recipes.training.run_folder import RunFolder
from tests.unit.preflighting.inputs import nemo, with_manifest
from tests.unit.training.one_process import OneRank


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A stage that has finished."""
    run = RunFolder(tmp_path / "my run")
    with_manifest(nemo(run.model, settings().model))
    return run


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Format and checkpoint of each export; each leaves the record of a whole one."""
    done: list[tuple[str, str]] = []

    def write(job: ExportSettings) -> None:
        output, checkpoint = Path(job.output), Path(job.checkpoint)
        output.mkdir(parents=True, exist_ok=True)
        if job.format == "hf":
            (output / "config.json").write_text("{}")
            (output / "model.safetensors").touch()
        more = {"deployment": vars(job.deployment)} if job.format == "trtllm" else {}
        write_record(output, record_of(job.format, checkpoint, source_of(checkpoint, hashed=True), **more))
        done.append((job.format, job.checkpoint))

    monkeypatch.setattr(export, "_write", write)
    monkeypatch.setattr(export, "_require_possible", lambda _: None)
    return done


def settings(*words: str) -> Settings:
    return compose("grpo", ["cluster=cpu", *words])


BOTH = "export.on_finish=[hf,trtllm]"


def test_what_is_missing_is_written_once_and_the_engine_is_made_of_the_folder(
    folder: RunFolder, written: list[tuple[str, str]]
) -> None:
    hugging_face = str(folder.directory / "export" / "hf")
    export.export_finished(settings(BOTH), folder)
    assert written == [("hf", str(folder.model)), ("trtllm", hugging_face)]
    assert (folder.directory / "export" / "engine").is_dir()
    export.export_finished(settings(BOTH), folder)
    assert len(written) == 2, "the same command again finds nothing to do"
    export.export_finished(settings(BOTH, "deployment.max_batch_size=8"), folder)
    assert written[2:] == [("trtllm", hugging_face)], "another engine is asked for"
    shutil.rmtree(folder.export("hf"))
    export.export_finished(settings(), folder)
    assert written[3:] == [("hf", str(folder.model))]
    with_manifest(nemo(folder.model, settings().model, init_method_std=0.5))
    export.export_finished(settings(), folder)
    assert len(written) == 5, "other weights"
    export.export_finished(settings("export.on_finish=[]"), folder)
    assert len(written) == 5


def test_an_unfinished_stage_exports_nothing(folder: RunFolder, written: list[tuple[str, str]]) -> None:
    folder.manifest.unlink()
    export.export_finished(settings(BOTH), folder)
    assert written == []


def test_the_ranks_leave_the_engine_to_a_process_of_its_own(
    folder: RunFolder, written: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    export.export_by_ranks(settings(BOTH), folder, OneRank())
    assert written == [("hf", str(folder.model))]
    assert "trtllm: exported when the ranks have given the GPUs back" in capsys.readouterr().out


def test_a_failure_keeps_the_stage_and_names_the_export_alone(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, written: list[tuple[str, str]]
) -> None:
    def full(_: ExportSettings) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "_write", full)
    for failing in (
        lambda words: export.export_finished(settings(*words), folder),
        lambda words: export.export_by_ranks(settings(*words), folder, OneRank()),
    ):
        with pytest.raises(SystemExit) as ended:
            failing(("export.on_finish=[hf]",))
        said = str(ended.value.code)
        assert "is finished and kept" in said and "No space left on device" in said
        words = shlex.split(said.splitlines()[-1])
        assert words[:3] == ["python", "-m", "recipes.export"]
        alone = compose("export", words[3:])
        assert (alone.checkpoint, alone.output) == (str(folder.model), str(folder.export("hf")))
    assert folder.say_if_finished(settings()), "the training is not marked as failed"


def test_the_command_alone_carries_the_values_of_the_engine(folder: RunFolder) -> None:
    given = settings(BOTH, "deployment.max_seq_len=400", "deployment.backend=pytorch").deployment
    line = export.export_command(ExportSettings(str(folder.model), "trtllm", "an engine", given))
    assert compose("export", shlex.split(line)[3:]).deployment == given
