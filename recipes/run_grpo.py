"""One stage of strictly on-policy GRPO (paper §3.2): sample, grade, update, until ``grpo.max_steps`` or a plateau.

    python -m recipes.run_grpo stage=math2 cluster=cpu run.directory=runs/try/math2 model.restore_from=sft/model.nemo

A killed run goes on where it was with the same command, on SIGUSR1 it saves after the current step and ends with
status 0 and RUN/interrupted.json. The stage ends with RUN/model.nemo and RUN/manifest.json, and with what
export.on_finish asks for in RUN/export; the same command again exports what is missing there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recipes.backends.aligner.nemo_file import require_same_architecture, write_stage_model
from recipes.backends.rollout_engines import needs_mpi, require_rollout_engine, rollout_engine
from recipes.backends.start import is_first_rank, is_launched, launch_ranks, start_frameworks
from recipes.calibrate_temperature import measured_temperature
from recipes.checkpoints.store import Checkpoint
from recipes.data.order import OrderPosition
from recipes.data.tokenizer import load_tokenizer, pad_token_of
from recipes.export import export_by_ranks, export_finished
from recipes.grading.graders import Grader, GradingOptions
from recipes.rollouts.expected_lengths import ExpectedLengths
from recipes.rollouts.ledger import Ledger
from recipes.settings.compose import settings_from_command_line
from recipes.settings.parallelism import grading_workers
from recipes.settings.preflight_facts import own_process_exports
from recipes.settings.schema import Settings
from recipes.settings.vocabulary_checks import require_vocabulary
from recipes.training.epochs import EpochPlanner
from recipes.training.run_folder import RunFolder
from recipes.training.run_lock import require_free
from recipes.training.stage_prompts import StagePrompts, read_stage_prompts
from recipes.training.stage_start import StageStart, entered, look
from recipes.training.stop_signal import StopSignal
from recipes.user_input import checked_input

COMMAND = "python -m recipes.run_grpo"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.run_grpo``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = settings_from_command_line("grpo", __doc__, arguments)
    stop, folder = StopSignal().install(), RunFolder(Path(settings.run.directory))
    with checked_input(COMMAND):
        if folder.say_if_finished(settings):
            export_finished(settings, folder)
            return
        require_rollout_engine(settings)
        alone = not is_launched(settings.cluster)
        if alone:
            require_free(folder.directory)
        tokenizer = load_tokenizer(settings.model.tokenizer)
        require_vocabulary(settings, len(tokenizer))
        prompts = read_stage_prompts(settings, tokenizer)
        if settings.model.restore_from is not None:
            require_same_architecture(Path(settings.model.restore_from), settings.model)
        look(settings, folder, prompts.require_same_order)
    again = folder.manifest if own_process_exports(settings, "grpo") else None
    launch_ranks(settings.cluster, "recipes.run_grpo", arguments, stop.hand_over, again, mpi=needs_mpi(settings))
    with entered(
        checked_input(COMMAND), settings, folder, prompts.require_same_order, stop, is_main=is_first_rank()
    ) as start:
        if start is not None:
            start_frameworks(settings, "recipes.run_grpo", arguments)
            _train(settings, folder, tokenizer, prompts, start)
    if alone:  # else the launcher calls the command again
        export_finished(settings, folder)


def _train(
    settings: Settings,
    folder: RunFolder,
    tokenizer,
    prompts: StagePrompts,
    start: StageStart,
) -> None:
    from recipes.backends.aligner.actor import GrpoActor
    from recipes.backends.aligner.policy import AlignerPolicy
    from recipes.backends.aligner.ranks import MegatronRanks
    from recipes.backends.aligner.session import open_session
    from recipes.training.entropy_watch import EntropyWatch
    from recipes.training.graded_sampling import GradedSampler
    from recipes.training.grpo_loop import GrpoLoop
    from recipes.training.validation import validation_of

    session = open_session(
        GrpoActor,
        settings,
        micro_batch_size=settings.grpo.micro_batch_size,
        global_batch_size=settings.grpo.prompts_per_step * settings.grpo.rollouts_per_prompt,
        max_steps=settings.grpo.max_steps,
        restore_training_state=start.checkpoint.state if start.checkpoint else None,
        keep_reference=settings.grpo.kl_coefficient > 0,
    )
    pad_token, ranks, ledger = pad_token_of(tokenizer), MegatronRanks(), Ledger(folder.rollouts)
    engine = rollout_engine(
        session,
        settings,
        end_token=tokenizer.eos_token_id,
        pad_token=pad_token,
        expected_lengths=ExpectedLengths(prompts.order.problems, prompts.lengths, ledger),
    )
    grading = replace(settings.grading, workers=grading_workers(settings))
    with Grader(GradingOptions(**vars(grading))) as grader:
        sampler = GradedSampler(engine, tokenizer, grader, ranks)
        with checked_input(COMMAND):
            epochs = _epochs(settings, prompts, ledger, ranks, start.checkpoint)
            if settings.grpo.temperature == "auto":
                policy = AlignerPolicy(session, settings.grpo, engine.make_room)
                record = measured_temperature(
                    settings, folder, prompts, start.parent, start.step, sampler, policy, pad_token
                )
                settings = replace(settings, grpo=replace(settings.grpo, temperature=record["temperature"]))
        folder.record_settings(settings, ranks)
        if ranks.is_main:
            prompts.record(folder.selection, settings.prompts.ledgers)
            print(prompts.selection.report())
        end = GrpoLoop(
            stage=settings.stage.name,
            settings=settings.grpo,
            stopping=settings.stopping,
            seed=settings.run.seed,
            save_every_steps=settings.checkpoint.save_every_steps,
            epochs=epochs,
            pad_token=pad_token,
            width_multiple=settings.model.width_multiple,
            sampler=sampler,
            validation=validation_of(settings, prompts.held_out, sampler),
            entropy_watch=EntropyWatch(settings.calibration.lowest_entropy, settings.calibration.highest_entropy),
            policy=AlignerPolicy(session, settings.grpo, engine.make_room),
            ranks=ranks,
            store=start.store,
            ledger=ledger,
            metrics_log=folder.metrics,
            logger=session.loggers,
            step_done=start.watch(ranks),
        ).fit(start.step)
    if end.stopped_by != "signal":
        write_stage_model(session.model, folder.model, settings.model)
        if start.attempts is not None:
            folder.finish(settings, end.steps, start.attempts, start.parent, stopped_by=end.stopped_by)
        export_by_ranks(settings, folder, ranks)
    elif start.attempts is not None:
        folder.interrupt(end.steps, start.attempts)


def _epochs(settings: Settings, prompts: StagePrompts, ledger: Ledger, ranks, start: Checkpoint | None):

    epochs = EpochPlanner(
        prompts.order,
        ledger,
        ranks,
        drop_solved=settings.prompts.drop_solved,
        length_sorted=settings.prompts.length_sorted_batches,
        lengths=prompts.lengths,
    )
    if start is not None:
        epochs.resume(OrderPosition(**start.progress["order"]))
    return epochs


if __name__ == "__main__":
    main()
