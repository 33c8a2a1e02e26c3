"""The sampling temperature of a stage: the one whose temperature-adjusted entropy is nearest to a target (§4.5.2).

    python -m recipes.calibrate_temperature stage=math1 cluster=cpu model.restore_from=runs/demo/sft/model.nemo

Samples ``calibration.prompts`` of the stage's prompts at each of ``calibration.temperatures``, prints entropy, reward
and truncated fraction, and writes RUN/temperature.json and RUN/temperature.png. ``grpo.temperature=auto`` in
``recipes.run_grpo`` does the same at the start of a stage, and takes a measurement of the same weights that is there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from recipes.backends.aligner.nemo_file import require_same_architecture
from recipes.backends.rollout_engines import needs_mpi, require_rollout_engine, rollout_engine
from recipes.backends.start import start_frameworks
from recipes.checkpoints.manifest import Parent
from recipes.data.tokenizer import load_tokenizer, pad_token_of
from recipes.grading.graders import Grader, GradingOptions
from recipes.reporting.temperature import print_temperature, write_temperature_png
from recipes.rollouts.expected_lengths import ExpectedLengths
from recipes.settings.compose import settings_from_command_line
from recipes.settings.parallelism import grading_workers
from recipes.settings.schema import Settings
from recipes.settings.vocabulary_checks import require_vocabulary
from recipes.training.run_folder import RunFolder, parent_weights
from recipes.training.stage_prompts import StagePrompts, read_stage_prompts
from recipes.user_input import checked_input


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.calibrate_temperature``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = settings_from_command_line("calibrate", __doc__ or "", arguments)
    folder = RunFolder(Path(settings.run.directory))
    with checked_input("python -m recipes.calibrate_temperature"):
        require_rollout_engine(settings)
        tokenizer = load_tokenizer(settings.model.tokenizer)
        require_vocabulary(settings, len(tokenizer))
        prompts = read_stage_prompts(settings, tokenizer)
        if settings.model.restore_from is not None:
            require_same_architecture(Path(settings.model.restore_from), settings.model)
        parent = parent_weights(settings)
    start_frameworks(settings, "recipes.calibrate_temperature", arguments, mpi=needs_mpi(settings))
    _measure(settings, folder, tokenizer, prompts, parent)


def _measure(
    settings: Settings, folder: RunFolder, tokenizer: Any, prompts: StagePrompts, parent: Parent | None
) -> None:
    from recipes.backends.aligner.actor import GrpoActor
    from recipes.backends.aligner.policy import AlignerPolicy
    from recipes.backends.aligner.ranks import MegatronRanks
    from recipes.backends.aligner.session import open_session
    from recipes.training.graded_sampling import GradedSampler

    quiet = replace(settings.logging, tensorboard=False, wandb_project=None, mlflow_tracking_uri=None)
    session = open_session(
        GrpoActor,
        replace(settings, logging=quiet),
        micro_batch_size=1,
        global_batch_size=settings.cluster.nodes * settings.cluster.devices_per_node,
        max_steps=1,
        inference_only=True,
    )
    session.model.eval()
    pad_token, ranks = pad_token_of(tokenizer), MegatronRanks()
    engine = rollout_engine(
        session,
        settings,
        end_token=tokenizer.eos_token_id,
        pad_token=pad_token,
        expected_lengths=ExpectedLengths(prompts.order.problems, prompts.lengths),
    )
    grading = replace(settings.grading, workers=grading_workers(settings))
    with Grader(GradingOptions(**vars(grading))) as grader:
        sampler = GradedSampler(engine, tokenizer, grader, ranks)
        policy = AlignerPolicy(session, settings.grpo, engine.make_room)
        record = measured_temperature(settings, folder, prompts, parent, 0, sampler, policy, pad_token)
    if ranks.is_main:
        print(f"grpo.temperature={record['temperature']:g}; {folder.temperature}, {_picture(folder)}")


def measured_temperature(
    settings: Settings,
    folder: RunFolder,
    prompts: StagePrompts,
    parent: Parent | None,
    step: int,
    sampler: Any,
    policy: Any,
    pad_token: int,
) -> Mapping[str, Any]:
    """The content of ``RUN/temperature.json``, measured where it is not there yet; the same on every process.

    Args:
        step: steps of the stage that are done.
        sampler: ``training.graded_sampling.GradedSampler``.
        policy: ``training.ports.Policy``.

    Raises:
        ValueError: the stage is under way and its measurement is gone.
    """
    from recipes.training import calibration

    ranks = sampler.ranks
    basis = calibration.calibration_basis(
        settings.calibration,
        settings.grpo,
        settings.run.seed,
        len(prompts.order.problems),
        None if parent is None else asdict(parent),
    )
    record, wrong = None, None
    if ranks.is_main:
        try:
            record = calibration.reusable_record(folder.temperature, basis, step)
        except ValueError as error:
            wrong = str(error)
    record, wrong = ranks.broadcast((record, wrong))
    if wrong is not None:
        raise ValueError(wrong)
    if record is None:
        with tqdm(desc="temperature", unit="rollout", disable=not ranks.is_main, dynamic_ncols=True) as bar:

            def show(temperature: float, complete: int, total: int) -> None:
                if complete == 1:
                    bar.reset(total)
                    bar.set_description_str(f"{settings.stage.name} at temperature {temperature:g}")
                bar.update(1)

            points = calibration.Calibration(
                settings.calibration,
                settings.grpo,
                settings.run.seed,
                prompts.order.problems,
                sampler,
                policy,
                ranks,
                pad_token,
                settings.model.width_multiple,
            ).measure(show)
        record = calibration.calibration_record(points, settings.calibration, settings.run.seed, basis)
        if ranks.is_main:
            calibration.write_record(folder.temperature, record)
    if ranks.is_main:
        write_temperature_png(_picture(folder), record)
        print_temperature(record)
    return record


def _picture(folder: RunFolder) -> Path:
    return folder.temperature.with_suffix(".png")


if __name__ == "__main__":
    main()
