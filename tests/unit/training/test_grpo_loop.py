"""The loop with stand-ins for model and engine: what it decides, what it writes, where it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from recipes.checkpoints.store import CheckpointStore
from recipes.data.order import OrderPosition, PromptOrder
from recipes.objectives.policy_batch import PolicyBatch
from recipes.rollouts.ledger import Ledger
from recipes.settings.schema import StoppingSettings
from recipes.training.entropy_watch import EntropyWatch
from recipes.training.epochs import EpochPlanner
from recipes.training.graded_sampling import GradedSampler, Sampling
from recipes.training.grpo_loop import GrpoLoop
from recipes.training.metrics_log import MetricsLog
from recipes.training.ports import UpdateMetrics
from recipes.training.stopping import StageEnd
from recipes.training.validation import Validation
from tests.unit.settings.composing import changed, composed
from tests.unit.training.one_process import EvenIsRight, OneRank, ScriptedEngine, Spelling, prompt

TIMES = ("seconds_", "tokens_per_second")


@dataclass
class CountedPolicy:
    """Counts its updates; entropy 0.3 for ever, or as given."""

    entropies: tuple[float, ...] = ()
    updates: int = 0

    def update(self, batch: PolicyBatch) -> UpdateMetrics:
        self.updates += 1
        entropy = self.entropies[self.updates - 1] if self.entropies else 0.3
        return UpdateMetrics(loss=0.0, kl=0.0, entropy=entropy, gradient_norm=1.0, learning_rate=1e-6)

    def reference_log_probs(self, batch: PolicyBatch) -> torch.Tensor:
        raise AssertionError("no KL term here")

    def entropy(self, batch: PolicyBatch, temperature: float) -> torch.Tensor:
        raise AssertionError("measured before the loop")

    def save_state(self, directory: Path) -> None:
        (directory / "updates").write_text(str(self.updates))


@dataclass
class Loggers:
    steps: list[int | None] = field(default_factory=list)

    def log_metrics(self, metrics, step=None, prefix="") -> None:
        assert all(isinstance(value, int | float) for value in metrics.values())
        self.steps.append(step)


def loop(folder: Path, length, *, prompts: int = 9, policy: CountedPolicy | None = None, **values) -> GrpoLoop:
    """Two prompts a step, two rollouts each; a response of an odd number of tokens, less the end token, is right."""
    keys = {"grpo.max_steps": 9, "grpo.prompts_per_step": 2, "grpo.rollouts_per_prompt": 2, "grpo.temperature": 1.0}
    settings = changed(composed("grpo", "stage=math1"), keys | {f"grpo.{key}": value for key, value in values.items()})
    ranks, ledger = OneRank(), Ledger(folder / "rollouts")
    sampler = GradedSampler(ScriptedEngine(length), Spelling(), EvenIsRight(), ranks)
    order = PromptOrder([prompt(index) for index in range(1, prompts + 1)], 1, 2)
    sampling = Sampling(2, 40, 0.6, 0.95)
    return GrpoLoop(
        stage="math1",
        settings=settings.grpo,
        stopping=StoppingSettings("none", 0, 1, 0.0, 1),
        seed=1,
        save_every_steps=3,
        epochs=EpochPlanner(order, ledger, ranks, drop_solved=True, length_sorted=False, patience_seconds=0.0),
        pad_token=0,
        width_multiple=1,
        sampler=sampler,
        validation=Validation([prompt(1), prompt(2)], 2, sampling, 8, 1, sampler, ranks),
        entropy_watch=EntropyWatch(0.2, 0.45),
        policy=policy or CountedPolicy(),
        ranks=ranks,
        store=CheckpointStore(folder / "checkpoints", 9),
        ledger=ledger,
        metrics_log=MetricsLog(folder / "metrics.jsonl"),
        logger=Loggers(),
    )


def half_right(last: int, sample: int) -> int:
    return 1 + sample


def all_right(last: int, sample: int) -> int:
    return 1


def low_problems_are_easy(last: int, sample: int) -> int:
    return 1 if last <= 3 else 1 + sample


def timeless(training: GrpoLoop) -> list[dict]:
    return [
        {key: value for key, value in row.items() if not key.startswith(TIMES)} for row in training.metrics_log.rows()
    ]


def test_to_the_last_step(tmp_path: Path) -> None:
    training = loop(tmp_path, half_right)
    assert training.fit(0) == StageEnd("max_steps", 9)
    assert [row["step"] for row in training.metrics_log.rows()] == list(range(9))
    assert [checkpoint.step for checkpoint in training.store.complete()] == [9, 6, 3]
    assert [row["epoch"] for row in training.metrics_log.rows()] == [0] * 4 + [1] * 4 + [2]
    assert training.ledger.totals.is_file()


def test_held_out_scores_are_in_the_rows(tmp_path: Path) -> None:
    training = loop(tmp_path, half_right)
    training.fit(0)
    measured = training.metrics_log.rows()
    assert [row["step"] for row in measured if "validation_avg" in row] == [1, 3, 5, 7, 8]
    assert [row["step"] for row in measured if "validation_start_avg" in row] == [0]
    # Each of the two problems is right once in two: r (1 - r) / (n - 1) = 1/4, sqrt(2 / 4) / 2.
    assert measured[1]["validation_avg"] == measured[0]["validation_start_avg"] == 0.5
    assert measured[1]["validation_stderr"] == pytest.approx(0.3536, abs=1e-4)
    assert measured[1]["seconds_validation"] > 0


def test_a_solved_stage_ends_well(tmp_path: Path) -> None:
    """Nine problems, eight of them visited and solved in four steps: one is left, a batch has two."""
    training = loop(tmp_path, all_right)
    assert training.fit(0) == StageEnd("solved", 4)
    assert [checkpoint.step for checkpoint in training.store.complete()] == [4, 3]
    # Killed before its weights were handed on: it ends again, without another step.
    again = loop(tmp_path, all_right)
    again.epochs.resume(OrderPosition(**training.store.complete()[0].progress["order"]))
    assert again.fit(4) == StageEnd("solved", 4)
    assert again.policy.updates == 0  # type: ignore[attr-defined]


def test_a_plateau_ends_the_stage_and_is_saved(tmp_path: Path) -> None:
    training = loop(tmp_path, half_right)
    stopping = StoppingSettings("reward", min_steps=0, patience_steps=3, min_improvement=0.0, window_steps=2)
    object.__setattr__(training, "stopping", stopping)
    assert training.fit(0) == StageEnd("plateau", 5)  # the first mean of two is known after two steps
    assert [checkpoint.step for checkpoint in training.store.complete()] == [5, 3]
    measured = training.metrics_log.rows()
    assert [row["step"] for row in measured if "validation_avg" in row] == [1, 3, 4], "the last weights too"
    assert [row["step"] for row in measured] == list(range(5))


@pytest.mark.parametrize("saved", [3, 6])
def test_a_resumed_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, saved: int) -> None:
    whole = loop(tmp_path / "whole", low_problems_are_easy)
    whole.fit(0)
    first = loop(tmp_path / "killed", low_problems_are_easy)
    first.fit(0)  # all its rows are there, beyond the checkpoint too, as after a kill
    checkpoint = next(c for c in first.store.complete() if c.step == saved)
    second = loop(tmp_path / "killed", low_problems_are_easy)
    second.epochs.resume(OrderPosition(**checkpoint.progress["order"]))
    end = second.fit(saved)
    assert end.steps == len(whole.metrics_log.rows())
    assert second.policy.updates == end.steps - saved  # type: ignore[attr-defined]
    assert timeless(second) == timeless(whole)
    assert second.ledger.solve_rates_by_epoch() == whole.ledger.solve_rates_by_epoch()
    visited = [row["problem_id"] for row in whole.ledger.rows() if row["epoch"] > 0]
    assert visited and not {"p1", "p2", "p3"} & {name for name in visited if name in _visited(whole, 0)}


def _visited(training: GrpoLoop, epoch: int) -> set[str]:
    return set(training.ledger.solve_rates(epoch=epoch))


def test_the_entropy_is_watched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = loop(tmp_path, half_right, policy=CountedPolicy((0.3, 0.3, 0.9, 0.9, 0.9, 0.3, 0.3, 0.3, 0.3)))
    training.fit(0)
    # Running means: 0.3, 0.3, 0.5, 0.6, 0.66, 0.6, 0.557, 0.525, 0.5.
    assert [row["entropy_warning"] for row in training.metrics_log.rows()] == [0, 0, 1, 1, 1, 1, 1, 1, 1]
    printed = capsys.readouterr()
    assert (printed.out + printed.err).count("math1, step 3: entropy 0.500 nats is above") == 1
    assert (printed.out + printed.err).count("is above") == 1
