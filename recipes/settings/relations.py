"""Values of a GRPO stage that are sound alone and senseless together: prompts, stopping, validation, calibration."""

from __future__ import annotations

import math
from collections.abc import Iterator

from recipes.settings.errors import SettingsProblem
from recipes.settings.schema import Settings


def relation_problems(settings: Settings) -> list[SettingsProblem]:
    """What contradicts itself, in the order of the schema's sections."""
    return [*_prompts(settings), *_stopping(settings), *_validation(settings), *_calibration(settings)]


def relation_warnings(settings: Settings) -> list[SettingsProblem]:
    """What works and probably does not do what it was meant to."""
    return [*_rules_that_never_act(settings), *_off_policy(settings)]


def _prompts(settings: Settings) -> Iterator[SettingsProblem]:
    prompts = settings.prompts
    for low, high in (("min_solve_rate", "max_solve_rate"), ("min_response_tokens", "max_response_tokens")):
        least, most = getattr(prompts, low), getattr(prompts, high)
        if least is not None and most is not None and least > most:
            yield SettingsProblem(
                f"prompts.{low}",
                f"{least:g}",
                f"at most prompts.{high}={most:g}: no problem is left otherwise",
                f"prompts.{low}={most:g} prompts.{high}={least:g}, or one of them null",
            )
    asked = [f"prompts.{key}" for key in ("min_solve_rate", "max_solve_rate") if getattr(prompts, key) is not None]
    if asked and not prompts.ledgers:
        yield SettingsProblem(
            "prompts.ledgers",
            f"[], while {' and '.join(asked)} asks for solve rates",
            "run folders whose rollouts tell how often a problem was solved",
            f"prompts.ledgers=[RUN,...], or {'=null '.join(asked)}=null where {settings.data.train} is filtered",
        )


def _stopping(settings: Settings) -> Iterator[SettingsProblem]:
    stopping, every = settings.stopping, settings.validation.every_steps
    if stopping.metric != "validation":
        return
    if every == 0:
        yield SettingsProblem(
            "stopping.metric",
            "validation, with validation.every_steps=0",
            "a held-out score to look at",
            f"validation.every_steps={settings.checkpoint.save_every_steps}, or stopping.metric=reward",
        )
    elif stopping.patience_steps < every:
        yield SettingsProblem(
            "stopping.patience_steps",
            f"{stopping.patience_steps} steps",
            f"at least validation.every_steps={every}: the best score is older before the next one is measured",
            f"stopping.patience_steps={4 * every}",
        )


def _validation(settings: Settings) -> Iterator[SettingsProblem]:
    """Held-out samples are drawn with the budget of ``evaluation``."""
    if settings.validation.every_steps == 0:
        return
    budget, prompt = settings.evaluation.max_response_length, settings.data.max_prompt_length
    positions = settings.model.max_position_embeddings
    if prompt + budget > positions > prompt:
        yield SettingsProblem(
            "evaluation.max_response_length",
            f"{budget} tokens, {prompt + budget} with data.max_prompt_length={prompt}",
            f"at most model.max_position_embeddings={positions} tokens together, for the held-out score",
            f"evaluation.max_response_length={positions - prompt}, validation.every_steps=0, "
            f"or model.max_position_embeddings={prompt + budget}",
        )


def _calibration(settings: Settings) -> Iterator[SettingsProblem]:
    calibration = settings.calibration
    low, target, high = calibration.lowest_entropy, calibration.target_entropy, calibration.highest_entropy
    if not low < target < high:
        yield SettingsProblem(
            "calibration.target_entropy",
            f"{target:g} nats",
            f"between calibration.lowest_entropy={low:g} and calibration.highest_entropy={high:g}",
            f"calibration.target_entropy={(low + high) / 2:g}"
            if low < high
            else "calibration.lowest_entropy=0.2 calibration.target_entropy=0.3 calibration.highest_entropy=0.45",
        )
    temperatures = calibration.temperatures
    sound = sorted({value for value in temperatures if math.isfinite(value) and value > 0})
    if not sound or temperatures != sound:
        yield SettingsProblem(
            "calibration.temperatures",
            _list(temperatures),
            "numbers above 0, each once, in rising order; at least one",
            f"calibration.temperatures={_list(sound or [0.6, 0.85, 1.0])}",
        )


def _off_policy(settings: Settings) -> Iterator[SettingsProblem]:
    """Eq. 1 takes its rollouts from the policy itself; a nucleus leaves out what the gradient still counts."""
    if settings.grpo.top_p < 1:
        yield SettingsProblem(
            "grpo.top_p",
            f"{settings.grpo.top_p:g}",
            "1: rollouts of the whole distribution, whose log-probs the update takes (on-policy, paper Eq. 1)",
            "grpo.top_p=1",
        )


def _rules_that_never_act(settings: Settings) -> Iterator[SettingsProblem]:
    steps = settings.grpo.max_steps
    if settings.stopping.metric != "none" and settings.stopping.min_steps >= steps:
        yield SettingsProblem(
            "stopping.min_steps",
            f"{settings.stopping.min_steps} steps",
            f"fewer than grpo.max_steps={steps}: the stage ends there before the rule may stop it",
            f"stopping.min_steps={steps // 2}, or stopping.metric=none",
        )
    if settings.validation.every_steps > steps:
        yield SettingsProblem(
            "validation.every_steps",
            f"{settings.validation.every_steps} steps",
            f"at most grpo.max_steps={steps}: nothing is measured before the end",
            f"validation.every_steps={max(1, steps // 4)}, or 0 for never",
        )
    if settings.checkpoint.save_every_steps > steps:
        yield SettingsProblem(
            "checkpoint.save_every_steps",
            f"{settings.checkpoint.save_every_steps} steps",
            f"at most grpo.max_steps={steps}: a killed run starts from step 0 again",
            f"checkpoint.save_every_steps={max(1, steps // 4)}",
        )


def _list(values: list[float]) -> str:
    return "[" + ",".join(f"{value:g}" for value in values) + "]"
