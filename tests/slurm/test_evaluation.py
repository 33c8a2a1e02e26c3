"""``sbatch --array=0-1 launcher/evaluate.sh``: two shards on two nodes, and the same samples as from one job."""

from __future__ import annotations

import json
from pathlib import Path

from evaluation.run import main as run
from recipes.data.jsonl import write_jsonl
from recipes.settings.overrides import literal
from tests.slurm.cluster import LAUNCHER, Slurm
from tests.unit.servers.fault_server import MODEL
from tests.unit.servers.test_openai_client import fault_server

PROBLEMS, N = 6, 3


def samples(output: Path) -> list[dict]:
    """Everything but how long it took."""
    rows = [json.loads(line) for line in (output / "tiny_math" / "samples.jsonl").read_text().splitlines()]
    return [{**row, "seconds": 0} for row in rows]


def test_a_job_array_ends_in_the_samples_and_scores_of_one_job(slurm: Slurm, tmp_path: Path) -> None:
    folder = tmp_path / "else where"
    folder.mkdir()
    rows = [{"id": f"p{index}", "problem": f"What is {index}?", "answer": str(index)} for index in range(PROBLEMS)]
    write_jsonl(folder / "benchmark.jsonl", rows)
    output, alone = folder / "array", folder / "alone"
    with fault_server("--faults", "0") as url:
        words = [literal("benchmark.path", folder / "benchmark.jsonl"), f"n={N}", "cluster=cpu"]
        words += ["engine=openai", f"engine.url={url}", f"engine.model={MODEL}"]
        one_task = ("--ntasks-per-node=1", "--gpus-per-node=0", "--array=0-1")
        sbatch = ("sbatch", "--wait", *one_task, LAUNCHER / "evaluate.sh")
        done = slurm.run(*sbatch, *words, literal("evaluation.output", output), cwd=folder)
        said = [log.read_text() for log in sorted(folder.glob("evaluate-*.out"))]
        assert done.returncode == 0, f"{done.stderr}\n{said}"
        run([*words, literal("evaluation.output", alone), "evaluation.report=false"])
    assert len(said) == 2
    for shard in ("0", "1"):
        assert any(f"evaluation.shards=2 evaluation.shard={shard}" in log for log in said)
    assert samples(output) == samples(alone)
    assert (output / "scores.json").read_bytes() == (alone / "scores.json").read_bytes()
    assert (output / "report.html").is_file()
    assert not (output / "tiny_math" / "shards").exists()
    assert len(list((output / "slurm").iterdir())) == 2
