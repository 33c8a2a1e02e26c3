"""Data preparation with every step and a teacher that fails: killed at random moments, the same bytes in the end."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipes.data.jsonl import read_demonstrations, read_problems, write_jsonl
from recipes.prepare_data import main
from tests.conftest import ROOT
from tests.unit.preparation.sample_parts import tokenizer_folder
from tests.unit.servers.fault_server import MODEL
from tests.unit.servers.test_openai_client import fault_server

PROBLEMS, KILLS = 60, 3
SFT = "steps=[deduplicate,decontaminate,respond,keep,rebalance,blend,sft]"
RL = "steps=[deduplicate,decontaminate,respond,keep,select]"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Problems, every tenth of them twice, and a benchmark that has one of them."""
    folder = tmp_path_factory.mktemp("inputs")
    things = ("apples", "pears", "stones", "coins")
    rows = []
    for number in range(PROBLEMS):
        first, thing = 3 + number * 7 % 50, things[number % 4]
        text = f"A box has {first} {thing}. {number + 2} more are put in. How many {thing} does the box hold now?"
        rows.append({"problem": text, "answer": str(first + number + 2), "source": f"s{number % 3}", "licence": "CC0"})
    again = [{**row, "problem": row["problem"].upper()} for row in rows[::10]]
    write_jsonl(folder / "rows.jsonl", [*rows, *again])
    write_jsonl(folder / "benchmark.jsonl", [{"problem": rows[7]["problem"]}])
    return folder


def words(inputs: Path, output: Path, url: str, steps: str) -> list[str]:
    teacher = [f"teacher.url={url}", f"teacher.model={MODEL}", "teacher.responses=4", "teacher.max_response_length=64"]
    quick = ["teacher.stall_seconds=0.5", "teacher.concurrency=16", "teacher.attempts=30", "grading.workers=1"]
    lengths = [f"rebalance.tokenizer={tokenizer_folder()}", "rebalance.bins=[0,40,60]", "rebalance.short_tokens=40"]
    lengths += ["rebalance.math_shares=[]", "rebalance.code_shares=[]", "sft.validation_prompts=2", "sft.blend=v2"]
    blends = ["blends.names=[v1,v2]", "blends.math_prompts=[10,40]", "blends.math_samples=[10,120]"]
    blends += ["blends.code_prompts=[0,0]", "blends.code_samples=[0,0]"]
    stages = ["selection.math1=[]", "selection.math2=[max_difficulty:8]", "selection.math3=[at_most:5]"]
    stages += ["selection.math4=[]", "selection.code1=[]", "selection.code2=[]", "selection.held_out=4"]
    data = [f"data.inputs=[{inputs / 'rows.jsonl'}]", f"data.against=[{inputs / 'benchmark.jsonl'}]"]
    return [*data, *teacher, *quick, *lengths, *blends, *stages, steps, f"output={output}", "parts.count=3"]


def published(output: Path) -> dict[str, bytes]:
    """Every file but the work, the responses as they came, the manifest (places, time) and the cards (the command)."""
    kept = {}
    for path in sorted(output.rglob("*")):
        inside = path.relative_to(output)
        if path.is_file() and inside.parts[0] not in ("work", "teacher", "manifest.json") and path.suffix != ".md":
            kept[inside.as_posix()] = path.read_bytes()
    return kept


def start(arguments: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "recipes.prepare_data", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def test_killed_at_any_moment_it_ends_in_the_same_bytes(inputs: Path, tmp_path: Path) -> None:
    seed = int(os.environ.get("KILL_SEED", secrets.randbelow(10**6)))
    print(f"KILL_SEED={seed} repeats these kills")
    drawn = random.Random(seed)
    with fault_server("--faults", "0.3") as url:
        began = time.monotonic()
        main([*words(inputs, tmp_path / "whole", url, SFT), "parts.workers=1"])
        took = time.monotonic() - began
        arguments = [*words(inputs, tmp_path / "killed", url, SFT), "parts.workers=2"]
        for _ in range(KILLS):
            process = start(arguments)
            time.sleep(drawn.uniform(0.2, 0.8) * took)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        process = start(arguments)
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    whole, killed = published(tmp_path / "whole"), published(tmp_path / "killed")
    assert whole.keys() == killed.keys()
    # A card's JSON holds the command too, and the hashes of files that are compared here themselves.
    assert [name for name, content in whole.items() if content != killed[name] and "card" not in name] == []


def test_the_sft_files_are_what_run_sft_reads_and_every_row_is_accounted_for(inputs: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with fault_server("--faults", "0") as url:
        main([*words(inputs, output, url, SFT), "parts.workers=1"])
    assert not (output / "work" / "keep.grade").exists(), "all are kept, whatever they are worth"
    counts = json.loads((output / "report.json").read_text())["counts"]
    assert counts["read"] == PROBLEMS + PROBLEMS // 10 == sum(n for kind, n in counts.items() if kind != "read")
    assert counts["duplicate"] == PROBLEMS // 10
    train = read_demonstrations(output / "sft" / "sft_train.jsonl")
    held_out = read_demonstrations(output / "sft" / "sft_validation.jsonl")
    assert {one.problem.id for one in train}.isdisjoint(one.problem.id for one in held_out)
    assert len(train) + len(held_out) == len(read_demonstrations(output / "blends" / "v2" / "v2.jsonl")) == 120
    assert len(read_demonstrations(output / "blends" / "v1" / "v1.jsonl")) == 10


def test_the_files_of_the_rl_stages(inputs: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with fault_server("--faults", "0") as url:
        main([*words(inputs, output, url, RL), "parts.workers=1"])
    report = json.loads((output / "report.json").read_text())
    counts = report["counts"]
    assert counts["read"] == sum(n for kind, n in counts.items() if kind != "read")
    stages = {name: read_problems(output / "rl" / f"{name}.jsonl") for name in ("math1", "math2", "math3", "heldout")}
    assert {name: len(rows) for name, rows in stages.items()} == {
        name: report["select"]["files"][name] for name in stages
    }
    assert len(stages["math3"]) == 5 and len(stages["heldout"]) == 4
    held_out = {problem.id for problem in stages["heldout"]}
    assert all(held_out.isdisjoint(problem.id for problem in stages[name]) for name in ("math1", "math2", "math3"))
    known = [(one.metadata["teacher_tokens"], one.metadata["difficulty"]) for one in stages["math1"]]
    assert all(tokens > 0 and difficulty <= 8 for tokens, difficulty in known)
