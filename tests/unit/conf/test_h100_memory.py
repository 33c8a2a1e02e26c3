"""The H100 profiles: every stage fits, and the memory figures in the comments of ``conf/`` are computed ones."""

from __future__ import annotations

import re

import pytest

from recipes.memory.architecture import rank_parameters
from recipes.memory.phases import GIB
from recipes.settings.checks import value_problems
from recipes.settings.memory_plan import architecture, layout, phases
from recipes.settings.schema import Settings
from recipes.settings.typed import CONF
from tests.unit.settings.composing import PRETRAINED, composed

STAGES = ("math1", "math2", "math3", "code1", "math4", "code2", "sft")
MODEL = (CONF / "model" / "qwen2_5_math_7b.yaml").read_text(encoding="utf-8")
TABLE = [line[2:].replace("|", " ").split() for line in MODEL.splitlines() if line.startswith("# ") and "  |  " in line]
COLUMNS = ("weights", "gradients", "optimizer", "activations", "logits")


def settings_of(stage: str, *words: str) -> tuple[Settings, str]:
    command = "sft" if stage == "sft" else "grpo"
    return composed(command, f"stage={stage}", "cluster=h100", PRETRAINED, *words), command  # type: ignore[arg-type]


def gib(size: float) -> str:
    return f"{size / GIB:.2f}"


def micro_batch_tokens(settings: Settings) -> int:
    if settings.stage.kind == "sft":
        return settings.sft.micro_batch_size * settings.sft.max_sequence_length
    return settings.grpo.micro_batch_size * (settings.data.max_prompt_length + settings.grpo.max_response_length)


@pytest.mark.parametrize("nodes", [1, 16])
@pytest.mark.parametrize("engine", ["megatron", "trtllm"])
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_fits(stage: str, engine: str, nodes: int) -> None:
    settings, command = settings_of(stage, f"rollouts.engine={engine}", f"cluster.nodes={nodes}")
    assert settings.cluster.memory_gib == 79.6
    assert phases(settings, command)
    assert value_problems(settings, command) == []


def test_the_table_has_every_stage() -> None:
    assert [row[0] for row in TABLE] == ["stage", *STAGES]
    assert tuple(TABLE[0][3:8]) == COLUMNS


@pytest.mark.parametrize("row", TABLE[1:], ids=[row[0] for row in TABLE[1:]])
def test_a_row_of_the_table(row: list[str]) -> None:
    settings, command = settings_of(row[0])
    training, *rollouts = phases(settings, command)
    expected = [row[0], f"{micro_batch_tokens(settings):,}", settings.model.recompute]
    expected += [*(gib(training.items[item]) for item in COLUMNS), gib(training.total)]
    for phase in rollouts:
        expected += [gib(phase.items["KV cache"]), gib(phase.items["engine buffers"]), gib(phase.total)]
    assert row == expected + ["-"] * (len(TABLE[0]) - len(expected))


def test_the_other_figures_of_the_model_s_comments() -> None:
    settings, command = settings_of("math4", "model.recompute=none")
    model = architecture(settings.model)
    held = rank_parameters(model, layout(settings), 0)
    assert re.search(rf"7,615,616,512\n# parameters, {held:,} of them on a rank", MODEL)
    assert layout(settings).data == 2 and "(tensor 4 x data 2)" in MODEL
    assert settings.cluster.memory_reserve_gib == 6 and "6 GiB in reserve" in MODEL
    rows = settings.rollouts.batch_size
    assert rows == 64 and "rollouts are 64 x 34,816 tokens" in MODEL
    training = phases(settings, command)[0]
    assert round(training.items["activations"] / GIB) == 36 and "36 GiB of activations" in MODEL
    assert round(79.6 - training.total / GIB) == 2 and "34,816 tokens, with 2 left of all" in MODEL
    assert gib(training.items["engine weights"]) == "3.55" and "keeps 3.55 of weights and its buffers" in MODEL


@pytest.mark.parametrize(
    "path", sorted((CONF / "scale" / "megatron" / "qwen2_5_math_7b").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_figures_of_a_stage_s_comments(path) -> None:
    text, (settings, command) = path.read_text(encoding="utf-8"), settings_of(path.stem)
    found = re.search(r"# ([\d,]+) tokens of a rollout leave ([\d.]+) GiB without recomputation", text)
    assert found is not None
    assert settings.model.recompute == "none"
    training = phases(settings, command)[0]
    assert int(found[1].replace(",", "")) == micro_batch_tokens(settings) // settings.grpo.micro_batch_size
    assert found[2] == gib(training.items["activations"] / settings.grpo.micro_batch_size)
    if left := re.search(r"(\d+) GiB left", text):
        assert int(left[1]) == round(79.6 - training.total / GIB)
