"""Measures entropy, reward and truncation at several temperatures: what ``RUN/temperature.json`` says.

For each temperature: rollouts of the same few prompts with the stage's budget, graded as in training, then one forward
pass over them with the logits divided by that temperature: the entropy that training reports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text
from recipes.data.order import epoch_permutation
from recipes.data.prompts import EncodedPrompt
from recipes.records import Group
from recipes.rollouts.group_sampling import sampling_seed
from recipes.settings.schema import CalibrationSettings, GrpoSettings
from recipes.training.batching import entropy_batch
from recipes.training.graded_sampling import GradedSampler, Sampling
from recipes.training.ports import Policy, Ranks
from recipes.training.temperature import ChosenTemperature, EntropyPoint, PromptEntropy, choose_temperature

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Calibration:
    """Sampler, policy and settings of one measurement."""

    settings: CalibrationSettings
    grpo: GrpoSettings
    seed: int
    prompts: Sequence[EncodedPrompt]
    """The stage's; some of them are drawn."""
    sampler: GradedSampler
    policy: Policy
    ranks: Ranks
    pad_token: int
    width_multiple: int

    def measure(self, show: Callable[[float, int, int], None] | None = None) -> list[EntropyPoint]:
        """One point for each temperature, ascending; the same on every process.

        Args:
            show: told the temperature, how many rollouts of this replica are complete and how many there will be.
        """
        return [self._point(temperature, show) for temperature in sorted(set(self.settings.temperatures))]

    def _point(self, temperature: float, show: Callable[[float, int, int], None] | None) -> EntropyPoint:
        chosen = drawn_prompts(self.prompts, self.settings.prompts, self.seed)
        mine = range(self.ranks.replica, len(chosen), self.ranks.replicas)
        sampling = Sampling(
            rollouts_per_prompt=self.settings.rollouts_per_prompt,
            max_response_length=self.grpo.max_response_length,
            temperature=temperature,
            top_p=self.grpo.top_p,
        )
        total = len(mine) * sampling.rollouts_per_prompt
        sums = {f"{place:06d}.{name}": 0.0 for place in range(len(chosen)) for name in PromptEntropy.__slots__}
        if mine:
            seed = sampling_seed(self.seed, "calibration", f"{temperature:g}")
            sampled = self.sampler.sample(
                [chosen[place] for place in mine],
                sampling,
                seed,
                None if show is None else lambda count: show(temperature, count, total),
            )
            groups = self.sampler.grade(sampled)
            for place, prompt in zip(mine, self._entropies(groups, temperature), strict=True):
                sums |= {f"{place:06d}.{name}": float(value) for name, value in asdict(prompt).items()}
        sums = self.ranks.sum_over_replicas(sums)
        found = []
        for place in range(len(chosen)):
            values = {name: sums[f"{place:06d}.{name}"] for name in PromptEntropy.__slots__}
            found.append(
                PromptEntropy(values["entropy_sum"], round(values["tokens"]), values["reward"], values["truncated"])
            )
        return EntropyPoint(temperature, tuple(found))

    def _entropies(self, groups: Sequence[Group], temperature: float) -> list[PromptEntropy]:
        batch = entropy_batch(groups, pad_token=self.pad_token, width_multiple=self.width_multiple)
        sums = self.policy.entropy(batch, temperature).reshape(len(groups), -1).sum(dim=1).tolist()
        return [
            PromptEntropy(
                entropy_sum=entropy,
                tokens=sum(len(rollout.response_tokens) for rollout in group.rollouts),
                reward=sum(group.rewards) / len(group.rewards),
                truncated=sum(group.truncated) / len(group.truncated),
            )
            for group, entropy in zip(groups, sums, strict=True)
        ]


def drawn_prompts(prompts: Sequence[EncodedPrompt], count: int, seed: int) -> list[EncodedPrompt]:
    """``count`` of the prompts, or all where there are fewer, by the seed alone."""
    order = epoch_permutation(len(prompts), seed, 0, "calibration")
    return [prompts[place] for place in sorted(order[:count])]


def calibration_record(
    points: Sequence[EntropyPoint], settings: CalibrationSettings, seed: int, basis: Mapping[str, Any]
) -> dict[str, Any]:
    """Content of ``RUN/temperature.json``.

    Args:
        basis: what the measurement depends on (``calibration_basis``).
    """
    chosen = choose_temperature(points, settings.target_entropy, seed)
    return {
        "format_version": FORMAT_VERSION,
        **asdict(_rounded(chosen)),
        "target_entropy": settings.target_entropy,
        "points": [
            {
                "temperature": point.temperature,
                "entropy": point.entropy,
                "entropy_stderr": point.entropy_stderr,
                "reward": point.reward,
                "reward_stderr": point.reward_stderr,
                "truncated": point.truncated,
                "tokens": sum(prompt.tokens for prompt in point.prompts),
            }
            for point in points
        ],
        "basis": dict(basis),
    }


def calibration_basis(
    settings: CalibrationSettings, grpo: GrpoSettings, seed: int, prompts: int, parent: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What a measurement depends on: a file with the same basis need not be measured again.

    Args:
        prompts: problems that the stage draws from.
        parent: the weights that the stage starts from (``checkpoints.manifest.Parent``), null for random ones.
    """
    return {
        "parent": None if parent is None else dict(parent),
        "prompts": settings.prompts,
        "of_prompts": prompts,
        "rollouts_per_prompt": settings.rollouts_per_prompt,
        "temperatures": sorted(set(settings.temperatures)),
        "target_entropy": settings.target_entropy,
        "max_response_length": grpo.max_response_length,
        "top_p": grpo.top_p,
        "seed": seed,
    }


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write ``temperature.json``; atomic."""
    write_text(path, json.dumps(record, indent=1) + "\n")


def reusable_record(path: Path, basis: Mapping[str, Any], step: int) -> dict[str, Any] | None:
    """The measurement of this stage that is already there, None when there is to be one.

    Args:
        step: steps done; above 0 the weights are not those that were measured any more.

    Raises:
        ValueError: the stage is under way and there is no measurement of the weights that it started from.
    """
    found = None
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError:
            found = None
    if found is not None and found.get("format_version") == FORMAT_VERSION:
        same = found["basis"] == basis if step == 0 else found["basis"]["parent"] == basis["parent"]
        if same:
            return found
    if step == 0:
        return None
    raise ValueError(
        f"grpo.temperature=auto, and step {step} was reached already, but {path} has no measurement of the weights "
        "that the stage started from; expected the file of the first start: put it back, or set "
        "grpo.temperature to the temperature in the rows of metrics.jsonl"
    )


def _rounded(chosen: ChosenTemperature) -> ChosenTemperature:
    """Three decimals: more than the measurement knows, and a number that can be typed."""
    rounded = {name: round(getattr(chosen, name), 3) for name in ("temperature", "stderr", "low", "high")}
    return ChosenTemperature(clamped=chosen.clamped, **rounded)
