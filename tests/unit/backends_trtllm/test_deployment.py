"""Engines through programs that stand for TensorRT-LLM's: complete or absent, whatever goes wrong on the way."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from recipes import export
from recipes.backends.trtllm import deployment as room
from recipes.backends.trtllm.build_commands import (
    Tools,
    Workplace,
    build_command,
    convert_command,
    serve_command,
    serving_options,
)
from recipes.backends.trtllm.deployment import NotTheSame, export_deployment
from recipes.backends.trtllm.folder import engine_folder
from recipes.backends.trtllm.readme import readme
from recipes.backends.trtllm.tool_runs import ToolFailed
from recipes.checkpoints.hf_config import ConversionError
from recipes.settings.checks import value_problems
from recipes.settings.compose import compose
from recipes.settings.schema import DeploymentSettings
from tests.unit.backends_trtllm import build_tools, stand_in_runtime
from tests.unit.backends_trtllm.recorded_flags import BUILD, CONVERT, LLM_ARGS_1, SERVE, SERVE_1, parse
from tests.unit.evaluation import tiny_checkpoint

ASSETS = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``hf``: the tiny model; ``examples``, ``bin/trtllm-build``: the tools."""
    folder = tmp_path_factory.mktemp("deployment")
    tiny_checkpoint.write(folder, 1)
    build_tools.install(folder)
    return folder


def settings(*words: str) -> DeploymentSettings:
    return compose("export", ["checkpoint=a", "output=b", "max_input_len=256", *words]).deployment


def exported(place: Path, output: Path, *words: str) -> Path:
    tools = Tools(sys.executable, place / "examples/qwen/convert_checkpoint.py", str(place / "bin/trtllm-build"))
    export_deployment(place / "hf", output, settings(*words), tools, _no_conversion)
    return output


def _no_conversion(*_: Any) -> None:
    raise AssertionError("a Hugging Face folder is no .nemo")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


GRID = list(
    itertools.product(
        ("bfloat16", "float16", "float32"),
        ((1, 1), (4, 1), (2, 7)),
        ("auto", "bfloat16", "disable"),
        (("paged", True, True), ("paged", True, False), ("continuous", False, False)),
        (None, 34816),
        (True, False),
    )
)


def test_every_command_of_a_grid_is_one_that_the_tools_accept() -> None:
    tools, where, default = Tools("python", Path("c.py"), "build"), Workplace.of(Path("out/engine")), settings()
    for dtype, (tp, pp), gemm, (cache, packed, shared), longest, on_cpu in GRID:
        given = replace(
            default,
            dtype=dtype,
            tp_size=tp,
            pp_size=pp,
            workers=tp * pp,
            gemm_plugin=gemm,
            kv_cache_type=cache,
            remove_input_padding=packed,
            use_paged_context_fmha=shared,
            load_model_on_cpu=on_cpu,
        )
        converted = parse(convert_command(tools, where, given)[2:], CONVERT, "convert_checkpoint.py")
        assert (converted["dtype"], converted["tp_size"], converted["pp_size"]) == (dtype, tp, pp)
        assert converted["load_model_on_cpu"] is on_cpu
        built = parse(build_command(tools, where, given, longest or 512)[1:], BUILD, "trtllm-build")
        assert converted["output_dir"] == built["checkpoint_dir"] == "out/.engine.partial/checkpoint"
        assert (built["max_seq_len"], built["kv_cache_type"]) == (longest or 512, cache)
        assert built["remove_input_padding"] == ("enable" if packed else "disable")
        old = serve_command("/e", given, major=0, max_seq_len=0, serving_config=None)
        assert parse(old[1:], SERVE, "trtllm-serve", "model")["tokenizer"] == "/e"
        new = serve_command("/e", given, major=1, max_seq_len=0, serving_config=None)
        assert parse(new[1:], SERVE_1, "trtllm-serve", "model")["backend"] == "tensorrt"
        torch = serve_command("/m", given, major=1, max_seq_len=512, serving_config="/m/serving.yaml")
        assert parse(torch[1:], SERVE_1, "trtllm-serve", "model")["max_seq_len"] == 512


@pytest.mark.parametrize(
    "words",
    [
        ["--checkpoint_dir", "c", "--max_sequence_length", "8"],
        ["--gemm_plugin", "fp64"],
        ["--max_batch", "8"],  # argparse would take an abbreviation
        ["--remove_input_padding", "true"],
        ["--workers", "two"],
    ],
)
def test_the_checker_refuses_what_the_tool_would(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(words, BUILD, "trtllm-build")


def test_an_engine_is_complete(place: Path, tmp_path: Path) -> None:
    output = exported(place, tmp_path / "engine", "tp_size=2", "workers=2")
    assert names(output) >= ASSETS | {"config.json", "rank0.engine", "rank1.engine", "README.md", "build.log"}
    assert names(tmp_path) == {"engine"}
    found = engine_folder(output)
    assert (found.is_engine, found.positions, found.tensor_parallel_size, found.has_tokenizer) == (True, 512, 2, True)
    tokenizer, before = (AutoTokenizer.from_pretrained(folder) for folder in (output, place / "hf"))
    assert tokenizer.chat_template == before.chat_template
    assert tokenizer("one two")["input_ids"] == before("one two")["input_ids"]
    assert GenerationConfig.from_pretrained(output).eos_token_id == tokenizer.eos_token_id

    record = json.loads((output / "export.json").read_text())
    assert (record["format"], record["tensorrt_llm"]) == ("trtllm", build_tools.VERSION)
    assert record["source"]["hugging_face"] == str(place / "hf")
    assert len(record["source"]["sha256"]) == 64 and record["git"] and record["versions"]["transformers"]
    assert record["deployment"]["tp_size"] == 2
    convert, build = map(shlex.split, record["commands"])
    assert parse(convert[2:], CONVERT, "c")["tp_size"] == 2 and parse(build[1:], BUILD, "b")["workers"] == 2
    assert record["files"].keys() == names(output) - {"export.json"}
    assert all((output / name).stat().st_size == size for name, size in record["files"].items())
    assert "Total time of building all engines" in (output / "build.log").read_text()


def test_the_readme_says_how_to_serve(place: Path, tmp_path: Path) -> None:
    text = (exported(place, tmp_path / "engine", "max_batch_size=8") / "README.md").read_text()
    commands = [line for line in text.splitlines() if line.startswith(("trtllm-serve", "python3", "curl"))]
    parse(shlex.split(commands[0])[1:], SERVE, "trtllm-serve", "model")
    filled = [shlex.split(line)[-2:] for line in commands if "fill_template" in line]
    assert [Path(path).parent.name for path, _ in filled] == [
        "preprocessing", "postprocessing", "ensemble", "tensorrt_llm_bls", "tensorrt_llm",
    ]  # fmt: skip
    assert all(len(pair.split(":")) == 2 for _, keys in filled for pair in keys.split(",")), "as fill_template splits"
    assert "engine_dir:/engine" in filled[-1][1] and "triton_max_batch_size:8" in filled[-1][1]
    assert "tritonserver:25.01-trtllm-python-py3" in text
    (raw,) = (line for line in commands if "v2/models/ensemble/generate" in line)
    assert json.loads(shlex.split(raw)[-1])["text_input"].startswith("<|im_start|>user\n")
    chat = shlex.split(text[text.index("curl -s http://localhost:8000/v1") :].split("```")[0].replace("\\\n", " "))
    assert json.loads(chat[-1])["messages"][0]["role"] == "user"


@pytest.mark.parametrize("backend", ["tensorrt", "pytorch"])
@pytest.mark.parametrize(("limit", "budget"), [(512, 256), (256 + 40000, 32768)])
def test_the_readme_s_evaluations_ask_for_what_fits(place: Path, backend: str, limit: int, budget: int) -> None:
    record = {"source": {"checkpoint": "a", "sha256": "b", "stage": None}, "versions": {}, "tensorrt_llm": "0.17.0"}
    text = readme(record, settings(f"backend={backend}"), limit, "?")
    lines = [line.split() for line in text.splitlines() if line.startswith("python -m evaluation.run")]
    assert len(lines) == 2
    for words in lines:
        asked = compose("evaluate", words[3:])
        assert value_problems(asked, "evaluate") == []
        assert (asked.benchmark.name, asked.evaluation.n, asked.evaluation.max_response_length) == (
            "aime24", None, budget,
        )  # fmt: skip


def test_an_export_replaces_its_own_folder_and_no_other(place: Path, tmp_path: Path) -> None:
    output = exported(place, tmp_path / "engine")
    first = names(output)
    (output / "stale").touch()
    (tmp_path / ".engine.partial").mkdir()  # of a killed attempt
    assert names(exported(place, output)) == first
    (output / "export.json").unlink()
    with pytest.raises(ConversionError, match="was not written by recipes"):
        exported(place, output)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("convert:exit", ["converting the checkpoint failed, exit status 1", "convert_checkpoint.py --model_dir"]),
        ("build:exit", ["building the engine failed, exit status 1", "AssertionError: 151665 is not divisible"]),
        ("build:kill", ["building the engine failed, ended by SIGKILL", "half-way"]),
        ("convert:full", ["No space left on device"]),
        ("no_rank", ["trtllm-build ended well, but rank1.engine is missing"]),
        ("short", ["max_seq_len 7 and tp_size 2, asked for 512 and 2"]),
    ],
)
def test_a_failed_tool_leaves_its_log_and_nothing_else(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str, said: list[str]
) -> None:
    monkeypatch.setenv("STAND_IN", trouble)
    with pytest.raises(ToolFailed) as failed:
        exported(place, tmp_path / "engine", "tp_size=2")
    assert all(text in str(failed.value) for text in said), str(failed.value)
    assert "line 5\n" not in str(failed.value), "the last lines alone"
    assert names(tmp_path) == {"engine.log"}
    assert str(tmp_path / "engine.log") in str(failed.value)
    assert (tmp_path / "engine.log").read_text().startswith("$ ")


def test_an_older_engine_outlives_a_failure(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = exported(place, tmp_path / "engine")
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    monkeypatch.setenv("STAND_IN", "build:exit")
    with pytest.raises(ToolFailed):
        exported(place, output)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


def test_a_tool_that_is_not_there(place: Path, tmp_path: Path) -> None:
    tools = Tools(sys.executable, place / "examples/qwen/convert_checkpoint.py", "no-such-tool")
    with pytest.raises(ToolFailed, match="cannot start no-such-tool"):
        export_deployment(place / "hf", tmp_path / "engine", settings(), tools, _no_conversion)
    assert names(tmp_path) == {"engine.log"}


def test_a_disk_that_is_full_at_the_end(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(room, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        exported(place, tmp_path / "engine")
    assert names(tmp_path) == {"engine.log"}


def words_of(place: Path, output: Path, *more: str) -> list[str]:
    tools = (f"examples={place / 'examples'}", f"build_tool={place / 'bin/trtllm-build'}")
    return [f"checkpoint={place / 'hf'}", f"output={output}", "format=trtllm", "max_input_len=256", *tools, *more]


def test_a_killed_export_takes_its_tool_with_it_and_the_next_one_starts_anew(place: Path, tmp_path: Path) -> None:
    output, pid = tmp_path / "engine", tmp_path / "pid"
    environment = {**os.environ, "STAND_IN": "build:hang", "STAND_IN_PID": str(pid), "CUDA_VISIBLE_DEVICES": "0"}
    command = [sys.executable, "-m", "recipes.export", *words_of(place, output)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while not (pid.exists() and pid.read_text()):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while Path(f"/proc/{pid.read_text()}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid.read_text()}").exists()
    assert not output.exists()
    exported(place, output)
    assert names(tmp_path) == {"engine", "pid"}


def test_the_pytorch_backend_gets_the_model_itself(place: Path, tmp_path: Path) -> None:
    output = exported(place, tmp_path / "served", "backend=pytorch", "max_batch_size=8")
    assert names(output) == names(place / "hf") | {"serving.yaml", "README.md", "build.log", "export.json"}
    assert names(tmp_path) == {"served"}
    model = AutoModelForCausalLM.from_pretrained(output)
    assert model.config.max_position_embeddings == 512
    assert (output / "model.safetensors").stat().st_ino == (place / "hf" / "model.safetensors").stat().st_ino
    options = yaml.safe_load((output / "serving.yaml").read_text())
    assert options == serving_options(settings("max_batch_size=8"))
    assert options["max_input_len"] == 256
    for key, value in options.items():
        assert not isinstance(value, dict) or set(value) <= set(LLM_ARGS_1[key])
    serve = next(line for line in (output / "README.md").read_text().splitlines() if line.startswith("trtllm-serve"))
    given = parse(shlex.split(serve)[1:], SERVE_1, "trtllm-serve", "model")
    assert (given["max_seq_len"], given["extra_llm_api_options"]) == (512, "/model/serving.yaml")
    assert not engine_folder(output).is_engine


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in stand_in_runtime.modules().items():
        monkeypatch.setitem(sys.modules, name, module)


VERIFY = ("verify=true", "verify_prompts=4", "verify_tokens=12")


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("backend", ["tensorrt", "pytorch"])
def test_a_faithful_engine_is_verified(place: Path, tmp_path: Path, backend: str) -> None:
    output = exported(place, tmp_path / "engine", *VERIFY, f"backend={backend}")
    report = json.loads((output / "export.json").read_text())["verification"]
    assert (report["prompts"], report["same"], report["different"], report["differences"]) == (4, 4, 0, [])
    assert report["agreed_tokens"] >= 4


@pytest.mark.usefixtures("runtime")
def test_an_engine_without_the_bias_is_not_put_in_place(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    biased = tmp_path / "biased"
    shutil.copytree(place, biased)
    model = AutoModelForCausalLM.from_pretrained(biased / "hf")
    drawn = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data.uniform_(-3, 3, generator=drawn)
    model.save_pretrained(biased / "hf")
    exported(biased, tmp_path / "engine", *VERIFY)
    monkeypatch.setenv("STAND_IN", "no_bias")
    with pytest.raises(NotTheSame, match=r"of 4 responses leave [^\n]+:\n  prompt '[^\n]+', token \d+: transformers"):
        exported(biased, tmp_path / "wrong", *VERIFY)
    assert names(tmp_path) == {"biased", "engine", "wrong.log"}
    assert '"verdict": "different"' in (tmp_path / "wrong.log").read_text()


def test_a_dry_run_prints_commands_to_copy_and_writes_nothing(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(SystemExit) as ended:
        export.main([*words_of(place, tmp_path / "a folder"), "tp_size=2", "--dry-run"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    before, _, after = shown.partition("# commands, in order:\n")
    assert yaml.safe_load(before)["deployment"]["tp_size"] == 2
    assert "# size      about " in before and "# problem" not in before
    commands = [shlex.split(line) for line in after.splitlines() if not line.startswith("#")]
    assert list(tmp_path.iterdir()) == []
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)
    assert engine_folder(tmp_path / ".a folder.partial" / "engine").tensor_parallel_size == 2


def test_a_dry_run_without_the_checkpoint_says_when_there_are_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        export.main(["checkpoint=nowhere.nemo", "format=trtllm", "output=engine", "--dry-run"])
    shown = capsys.readouterr().out
    assert "# missing   checkpoint: nowhere.nemo: nothing there" in shown
    assert shown.endswith("# commands  shown when the checkpoint is there: sizes and lengths follow from it\n")


def test_the_command_refuses_what_would_fail_later(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(SystemExit) as ended:
        export.main([*words_of(place, tmp_path / "engine"), "tp_size=4", "max_seq_len=600", "build_tool=no-such-tool"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    for line in (
        "deployment.tp_size=2",  # 2 key/value heads
        "deployment.max_seq_len=512",
        "no-such-tool: no such program",
        "sbatch --gpus-per-node=1 launcher/export.sh",
    ):
        assert line in said
    assert list(tmp_path.iterdir()) == []
