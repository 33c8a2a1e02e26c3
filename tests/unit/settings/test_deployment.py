"""What stands in the way of an engine is known before anything is built, with a value that works."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recipes.settings.checks import value_problems
from recipes.settings.compose import compose
from recipes.settings.deployment_checks import (
    CONVERT_SCRIPTS,
    ModelLimits,
    convert_script,
    deployment_problems,
    fitting_problems,
    tool_problems,
)
from recipes.settings.preflight_facts import facts
from recipes.settings.schema import ExportSettings
from tests.unit.settings.composing import composed


def exported(*words: str) -> ExportSettings:
    return compose("export", ["checkpoint=a.nemo", "output=out", *words])


QWEN = ModelLimits("qwen2", 28, 28, 4, 18944, 131072)


@pytest.mark.parametrize(
    ("words", "key", "fix"),
    [
        (["max_num_tokens=2000"], "max_num_tokens", "2048"),
        (["max_num_tokens=2048", "max_batch_size=4096"], "max_num_tokens", "4096"),
        (["max_seq_len=2048"], "max_input_len", "1024"),
        (["kv_cache_type=continuous"], "use_paged_context_fmha", "false"),
        (["remove_input_padding=false"], "remove_input_padding", "true"),
        (["workers=2"], "workers", "1"),
    ],
)
def test_deployment_values_that_do_not_go_together(words: list[str], key: str, fix: str) -> None:
    (problem,) = value_problems(exported("format=trtllm", *words), "export")
    assert problem.key == f"deployment.{key}"
    assert f"deployment.{key}={fix}" in problem.fix
    assert value_problems(exported("format=hf", *words), "export") == [], "nothing is built"


@pytest.mark.parametrize(
    ("words", "key", "fix"),
    [
        (["tp_size=8"], "tp_size", "4"),  # 4 key/value heads
        (["tp_size=3"], "tp_size", "2"),
        (["pp_size=8"], "pp_size", "7"),
        (["max_seq_len=131073"], "max_seq_len", "131072"),
        (["max_num_tokens=56680"], "max_num_tokens", "16384"),  # x 37,888 channels = 2,147,491,840 > 2^31 - 1
    ],
)
def test_deployment_values_that_the_model_does_not_allow(words: list[str], key: str, fix: str) -> None:
    deployment = exported(*words).deployment
    assert list(deployment_problems(deployment)) == []
    (problem,) = fitting_problems(deployment, QWEN)
    assert problem.key == f"deployment.{key}"
    assert problem.fix.startswith(f"deployment.{key}={fix}")


def test_deployment_values_at_the_models_limits() -> None:
    for words in (["tp_size=4", "workers=4"], ["max_seq_len=131072"], ["max_num_tokens=56679"]):
        assert list(fitting_problems(exported(*words).deployment, QWEN)) == []
    llama = replace(QWEN, architecture="llama", max_position_embeddings=2048)
    found = [problem.key for problem in fitting_problems(exported().deployment, llama)]
    assert found == ["deployment.backend", "deployment.max_input_len"]
    assert list(fitting_problems(exported("backend=pytorch", "max_input_len=1024").deployment, llama)) == []


def test_a_stage_that_will_build_an_engine_is_checked_for_it_first() -> None:
    words = ("cluster=h100", "model.restore_from=a.nemo", "deployment.tp_size=8")
    (problem,) = value_problems(composed("grpo", *words), "grpo")
    assert problem.key == "deployment.tp_size"
    assert problem.fix.endswith(", or export.on_finish=[hf]")
    assert value_problems(composed("grpo", *words, "export.on_finish=[hf]"), "grpo") == []


def test_the_converter_is_found_in_both_layouts_and_its_absence_explained(tmp_path: Path) -> None:
    missing = exported(f"examples={tmp_path}", "build_tool=no-such-tool").deployment
    script, tool = tool_problems(missing)
    assert "git clone --branch" in script.expected and CONVERT_SCRIPTS[0] in script.found
    assert tool.found == "no-such-tool: no such program on this machine"
    assert all("backend=pytorch" in problem.fix for problem in (script, tool))
    assert tool_problems(exported("backend=pytorch", "build_tool=no-such-tool").deployment) == []
    for name in reversed(CONVERT_SCRIPTS):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
        assert convert_script(str(tmp_path)) == tmp_path / name
    own = tmp_path / "mine.py"
    own.touch()
    assert tool_problems(exported(f"examples={own}", "build_tool=sh").deployment) == []


def test_a_launcher_knows_what_needs_a_gpu_and_a_process_of_its_own() -> None:
    kinds = {words: facts(exported(*words), "export")["ACCELERATOR"] for words in ((), ("format=trtllm",))}
    assert list(kinds.values()) == ["cpu", "gpu"]
    assert facts(exported("format=trtllm", "backend=pytorch"), "export")["ACCELERATOR"] == "cpu"
    stage = ("cluster=h100", "model.restore_from=a.nemo")
    assert facts(composed("grpo", *stage), "grpo")["AFTER"] == "trtllm"
    assert facts(composed("grpo"), "grpo")["AFTER"] == ""
    assert facts(composed("evaluate", *stage, "engine.checkpoint=a"), "evaluate")["AFTER"] == ""
