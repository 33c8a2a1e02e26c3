"""``launcher/curriculum.sh`` on a real Slurm: the whole chain, a stage that fails in the middle, and going on."""

from __future__ import annotations

import json

import pytest

from recipes.checkpoints.manifest import manifest_problems, read_manifest
from tests.slurm.chain import STAGES, Chain

PASSED = {"demo-math1", "demo-math1-evaluation"}


@pytest.fixture(scope="module")
def broken(chain: Chain) -> dict[str, str]:
    """Name -> state of the jobs of a call whose math2 fails."""
    chain.broken.write_text("math2")
    said = chain.submit()
    assert "# demo-sft: done\n# demo-sft-evaluation: done\n" in said
    twice = chain.call()
    assert twice.returncode == 2, "a second call while the jobs of the first are in the queue"
    assert "jobs of an earlier call are still at work" in twice.stderr
    chain.wait()
    states = chain.states()
    assert chain.slurm.job(chain.jobs()["demo-math2"]).exit_code == "9:0"
    chain.broken.unlink()
    return states


def test_a_stage_that_fails_cancels_what_comes_after_it(chain: Chain, broken: dict[str, str]) -> None:
    assert {name for name, state in broken.items() if state == "COMPLETED"} == PASSED, chain.logs()
    assert [name for name, state in broken.items() if state == "FAILED"] == ["demo-math2"]
    assert {state for name, state in broken.items() if name not in PASSED | {"demo-math2"}} == {"CANCELLED"}


def test_the_same_command_goes_on_to_the_end(chain: Chain, broken: dict[str, str]) -> None:
    said = chain.submit()
    for stage in ("sft", "math1"):
        assert f"# demo-{stage}: done\n" in said
    chain.wait()
    states = chain.states()
    assert set(states.values()) == {"COMPLETED"}, chain.logs()
    assert set(states) == set(broken) - PASSED

    parents = []
    for stage in STAGES:
        assert manifest_problems(chain.root / stage / "model.nemo") == []
        manifest = read_manifest(chain.root / stage / "manifest.json")
        parents.append(manifest.parent and manifest.parent.stage)
        scores = json.loads((chain.root / stage / "evaluation" / "scores.json").read_text())
        assert {"tiny_math", "tiny_code"} <= scores.keys()
    assert parents == [None, *STAGES[:-1]]
    assert (chain.root / "final" / "hf" / "model.safetensors").is_file()
    summary = json.loads((chain.root / "summary.json").read_text())
    assert [stage["name"] for stage in summary["stages"]] == list(STAGES)
    assert (chain.root / "report.html").is_file()

    said = chain.submit()
    assert said.count(": done\n") == 2 * len(STAGES) + 2, "nothing is left to submit"
