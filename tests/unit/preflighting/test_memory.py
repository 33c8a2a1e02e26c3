"""``python -m recipes.preflight`` and the memory of a GPU: its words, its table, its exit status."""

from __future__ import annotations

import subprocess
import sys

import pytest

from recipes import preflight
from tests.unit.conf.test_h100_memory import STAGES

H100 = ("cluster=h100", "model=qwen2_5_math_7b", "preflight.check_files=false")
TP = "model.tensor_model_parallel_size"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit status and what was printed."""
    status = 0
    try:
        preflight.main(words)
    except SystemExit as end:
        status = int(end.code or 0)
    shown = capsys.readouterr()
    return status, shown.out if "--facts" not in words else shown.err


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_without_a_command(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = run(capsys, f"stage={stage}", *H100)
    command = "sft" if stage == "sft" else "grpo"
    assert status == 0, shown
    assert shown.startswith(f"python -m recipes.preflight {command}:\n")
    assert f"memory of a GPU for {stage}: " in shown
    assert shown.endswith("nothing stands in the way\n")


def test_the_table_is_aligned_and_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    _, shown = run(capsys, "grpo", "stage=math4", "rollouts.engine=trtllm", *H100)
    lines = shown.splitlines()
    table = [line for line in lines if "\t" in line]
    rows = {cells[0]: cells[1:] for cells in ([cell for cell in line.split("\t") if cell] for line in table)}
    assert rows.pop("GiB of one GPU") == ["training", "rollouts"]
    assert len({len(line[: line.rindex("\t") + 1].expandtabs(8)) for line in table}) == 1
    totals, of, left = (list(map(float, rows.pop(name))) for name in ("total", "of", "left"))
    assert list(rows) == [
        "weights",
        "gradients",
        "optimizer",
        "activations",
        "logits",
        "KV cache",
        "engine weights",
        "engine buffers",
        "reserve",
    ]
    assert of == [79.6, 79.6]
    for column in (0, 1):
        items = [float(cells[column]) for cells in rows.values() if cells[column] != "-"]
        assert totals[column] == pytest.approx(sum(items), abs=0.05)
        assert left[column] == pytest.approx(of[column] - totals[column], abs=0.011)


REFUSED = [
    ((f"{TP}=8",), [f"{TP}\n", "model.num_query_groups=4", f"fix:      {TP}=4 (1, 2, 4 work)"]),
    (
        ("model.max_position_embeddings=24576",),
        ["34816 with data.max_prompt_length=2048", "or model.max_position_embeddings=34816"],
    ),
    (("rollouts.batch_size=4096",), ["of a GPU in rollouts", "fix:      rollouts.batch_size=125"]),
    (("grpo.micro_batch_size=64",), ["of a GPU in training", "fix:      grpo.micro_batch_size=2"]),
    (
        ("rollouts.engine=megatron", "rollouts.batch_size=4096"),
        ["of a GPU in rollouts", "fix:      rollouts.batch_size=104"],
    ),
    (
        ("rollouts.engine=megatron", "grpo.micro_batch_size=64"),
        ["of a GPU in training", "fix:      grpo.micro_batch_size=4"],
    ),
    (("preflight.check_file=false",), ["preflight.check_files=false"]),
]


@pytest.mark.parametrize(("words", "says"), REFUSED)
def test_what_cannot_run_is_refused(
    words: tuple[str, ...], says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, shown = run(capsys, "stage=math4", *H100, *words)
    assert status == 2
    assert [text for text in says if text not in shown] == []


def test_files_are_left_out_on_request_alone(capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = run(capsys, "stage=math4", *H100[:2])
    assert status == 2 and "fix:      model.restore_from=FILE.nemo" in shown
    for key in ("data.train", "model.tokenizer"):
        assert f". {key}\n" in shown, "a key that is not given hides no other problem"
    assert "memory of a GPU for math4: " in shown
    status, shown = run(capsys, "stage=math4", *H100[:2], "model.restore_from=none.nemo", "preflight.check_files=true")
    assert status == 2 and "data.train" in shown and "none.nemo" in shown
    assert "memory of a GPU for math4: " in shown


def test_a_curriculum_has_a_line_for_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = run(capsys, "curriculum", "curriculum=acereason_1_1", "cluster=h100", H100[2])
    assert status == 0, shown
    assert [stage for stage in STAGES if f"memory of a GPU for {stage}: " not in shown] == []
    status, shown = run(
        capsys, "curriculum", "curriculum=acereason_1_1", "cluster=h100", H100[2], "math4.grpo.micro_batch_size=8"
    )
    assert status == 2 and "fix:      math4.grpo.micro_batch_size=2" in shown


def test_a_cpu_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = run(capsys, "stage=math1", "preflight.check_files=false")
    assert status == 0
    assert "memory of a GPU" not in shown and "\t" not in shown


def test_no_framework_is_imported() -> None:
    script = (
        "import sys\nfrom recipes.preflight import main\n"
        f"main({['stage=math4', *H100]!r})\n"
        "print({'torch', 'nemo', 'nemo_aligner', 'megatron', 'transformers', 'tensorrt_llm'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=True)
    assert ended.stdout.splitlines()[-1] == "set()"
