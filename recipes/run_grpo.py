"""One stage of strictly on-policy GRPO (paper §3.2): sample, grade, update, until ``grpo.max_steps`` or a plateau.

    python -m recipes.run_grpo stage=math2 cluster=cpu run.directory=runs/try/math2 model.restore_from=sft/model.nemo

A killed run goes on where it was with the same command. The stage ends with RUN/model.nemo and RUN/manifest.json.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recipes.backends.aligner.nemo_file import require_same_architecture, write_stage_model
from recipes.backends.start import start_frameworks
from recipes.calibrate_temperature import measured_temperature
from recipes.checkpoints.manifest import Parent
from recipes.checkpoints.store import Checkpoint, CheckpointStore
from recipes.data.order import OrderPosition
from recipes.data.tokenizer import load_tokenizer, pad_token_of
from recipes.grading.graders import Grader, GradingOptions
from recipes.rollouts.ledger import Ledger
from recipes.settings.compose import settings_from_command_line
from recipes.settings.parallelism import grading_workers, width_multiple
from recipes.settings.schema import Settings
from recipes.training.attempts import Attempts
from recipes.training.epochs import EpochPlanner
from recipes.training.run_folder import RunFolder, parent_weights
from recipes.training.stage_prompts import StagePrompts, read_stage_prompts
from recipes.user_input import checked_input


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.run_grpo``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = settings_from_command_line("grpo", __doc__, arguments)
    folder = RunFolder(Path(settings.run.directory))
    with checked_input("python -m recipes.run_grpo"):
        if folder.say_if_finished():
            return
    store = CheckpointStore(folder.checkpoints, settings.checkpoint.keep)
    with checked_input("python -m recipes.run_grpo"):
        tokenizer = load_tokenizer(settings.model.tokenizer)
        prompts = read_stage_prompts(settings, tokenizer)
        start = store.resume_point(resume=settings.run.resume)
        if start is not None:
            prompts.order.require_same(OrderPosition(**start.progress["order"]))
        if settings.model.restore_from is not None:
            require_same_architecture(Path(settings.model.restore_from), settings.model)
        parent = parent_weights(settings)
    start_frameworks(settings, "recipes.run_grpo", arguments)
    _train(settings, folder, tokenizer, prompts, store, start, parent)


def _train(
    settings: Settings,
    folder: RunFolder,
    tokenizer,
    prompts: StagePrompts,
    store: CheckpointStore,
    start: Checkpoint | None,
    parent: Parent | None,
) -> None:
    from recipes.backends.aligner.actor import GrpoActor
    from recipes.backends.aligner.policy import AlignerPolicy
    from recipes.backends.aligner.ranks import MegatronRanks
    from recipes.backends.aligner.rollouts import MegatronEngine
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
        restore_training_state=start.state if start else None,
        keep_reference=settings.grpo.kl_coefficient > 0,
    )
    pad_token, ranks, step = pad_token_of(tokenizer), MegatronRanks(), start.step if start else 0
    ledger, attempts = Ledger(folder.rollouts), Attempts(folder.attempts)
    if ranks.is_main:
        attempts.begin(settings, step, parent)
    engine = MegatronEngine(
        session.model,
        end_tokens=[tokenizer.eos_token_id],
        pad_token=pad_token,
        batch_size=settings.rollouts.batch_size,
    )
    grading = replace(settings.grading, workers=grading_workers(settings))
    with Grader(GradingOptions(**vars(grading))) as grader:
        sampler = GradedSampler(engine, tokenizer, grader, ranks)
        with checked_input("python -m recipes.run_grpo"):
            epochs = _epochs(settings, prompts, ledger, ranks, start)
            if settings.grpo.temperature == "auto":
                policy = AlignerPolicy(session, settings.grpo)
                record = measured_temperature(settings, folder, prompts, parent, step, sampler, policy, pad_token)
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
            width_multiple=width_multiple(settings),
            sampler=sampler,
            validation=validation_of(settings, prompts.held_out, sampler),
            entropy_watch=EntropyWatch(settings.calibration.lowest_entropy, settings.calibration.highest_entropy),
            policy=AlignerPolicy(session, settings.grpo),
            ranks=ranks,
            store=store,
            ledger=ledger,
            metrics_log=folder.metrics,
            logger=session.loggers,
        ).fit(step)
    write_stage_model(session.model, folder.model, settings.model)
    if ranks.is_main:
        folder.finish(settings, end.steps, attempts, parent, stopped_by=end.stopped_by)


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
