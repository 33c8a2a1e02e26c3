"""Supervised fine-tuning (paper §3.1): loss on the response, several epochs, held-out loss and a checkpoint per epoch.

    python -m recipes.run_sft stage=sft cluster=cpu run.directory=runs/try/sft data.train=demonstrations.jsonl

A killed run goes on where it was with the same command, on SIGUSR1 it saves after the current step and ends with
status 0 and RUN/interrupted.json. The stage ends with RUN/model.nemo and RUN/manifest.json, and with what
export.on_finish asks for in RUN/export; the same command again exports what is missing there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from recipes.backends.aligner.nemo_file import require_same_architecture, write_stage_model
from recipes.backends.start import is_first_rank, is_launched, launch_ranks, start_frameworks
from recipes.data.token_encoding import EncoderDied, Encoding, token_table
from recipes.data.token_tables import TokenTable, wait_for_table
from recipes.data.tokenizer import load_tokenizer, pad_token_of
from recipes.export import export_by_ranks, export_finished
from recipes.settings.compose import settings_from_command_line
from recipes.settings.demonstration_checks import Fitting, demonstration_problems, left_out, updates
from recipes.settings.errors import SettingsError
from recipes.settings.preflight_facts import own_process_exports
from recipes.settings.schema import Settings
from recipes.settings.vocabulary_checks import require_vocabulary
from recipes.training.resume_checks import DemonstrationOrder
from recipes.training.run_folder import RunFolder
from recipes.training.run_lock import require_free
from recipes.training.stage_start import StageStart, entered, look
from recipes.training.stop_signal import StopSignal
from recipes.user_input import checked_input

COMMAND = "python -m recipes.run_sft"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.run_sft``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = settings_from_command_line("sft", __doc__, arguments)
    stop, folder = StopSignal().install(), RunFolder(Path(settings.run.directory))
    with checked_input(COMMAND):
        if folder.say_if_finished(settings):
            export_finished(settings, folder)
            return
        alone = not is_launched(settings.cluster)
        if is_first_rank():
            require_free(folder.directory)
        tokenizer = load_tokenizer(settings.model.tokenizer)
        require_vocabulary(settings, len(tokenizer))
        pad_token = pad_token_of(tokenizer)
        train, validation = _tokens(settings, folder)
        _require_enough(settings, train, validation)
        if settings.model.restore_from is not None:
            require_same_architecture(Path(settings.model.restore_from), settings.model)
        order = DemonstrationOrder.of(settings, len(train), train.record.digest)
        look(settings, folder, order.require_same)
    again = folder.manifest if own_process_exports(settings, "sft") else None
    launch_ranks(settings.cluster, "recipes.run_sft", arguments, stop.hand_over, again)
    with entered(checked_input(COMMAND), settings, folder, order.require_same, stop, is_main=is_first_rank()) as start:
        if start is not None:
            start_frameworks(settings, "recipes.run_sft", arguments)
            _train(settings, folder, pad_token, train, validation, order, start)
    if alone:  # else the launcher calls the command again
        export_finished(settings, folder)


def _tokens(settings: Settings, folder: RunFolder) -> tuple[TokenTable, TokenTable]:
    """Training and held-out demonstrations: the first rank writes what an earlier start has not, the others wait."""
    encoding = Encoding(settings.model.tokenizer, settings.data.instruction, settings.sft.max_sequence_length)
    sources = {"train": Path(settings.data.train), "validation": Path(settings.data.validation)}
    if is_first_rank():
        try:
            train, validation = (token_table(path, folder.tokens, name, encoding) for name, path in sources.items())
        except EncoderDied as error:  # the message says it all; nothing that the user gave is wrong, so not status 2
            print(f"{COMMAND}: {error}", file=sys.stderr)
            raise SystemExit(1) from error
    else:
        train, validation = (
            wait_for_table(folder.tokens, name, encoding.made_from(path)) for name, path in sources.items()
        )
    return train, validation


def _require_enough(settings: Settings, train: TokenTable, validation: TokenTable) -> None:
    """Demonstrations for a batch, for more updates than the warm-up has, and for a measurement."""
    if problems := demonstration_problems(settings, Fitting(len(train)), Fitting(len(validation))):
        raise SettingsError(problems)


def _train(
    settings: Settings,
    folder: RunFolder,
    pad_token: int,
    train: TokenTable,
    validation: TokenTable,
    order: DemonstrationOrder,
    start: StageStart,
) -> None:
    from recipes.backends.aligner.ranks import MegatronRanks
    from recipes.backends.aligner.sft import (
        EpochTrainer,
        open_sft_session,
        trainer_state,
        training_loader,
        validation_loader,
    )

    progress = trainer_state(start.checkpoint)
    session = open_sft_session(
        settings,
        updates=updates(settings.sft, len(train)),
        restore_training_state=start.checkpoint.state if start.checkpoint else None,
    )
    ranks = MegatronRanks()
    folder.record_settings(settings, ranks)
    if ranks.is_main:
        print(train.report())
        if line := left_out(settings, len(validation)):
            print(line)
        folder.metrics.forget_from(start.step)
    trainer = EpochTrainer(
        session,
        settings,
        train=training_loader(
            session,
            train,
            train.lengths,
            settings,
            consumed=progress["consumed_samples"] if progress else 0,
            pad_token=pad_token,
        ),
        validation=validation_loader(
            session,
            validation,
            micro=settings.sft.micro_batch_size,
            pad_token=pad_token,
        ),
        store=start.store,
        order=order.as_dict(),
        record=folder.metrics.append,
        step_done=start.watch(ranks),
    )
    if progress:
        trainer.load_state_dict(progress)
    if trainer.fit():
        write_stage_model(session.model, folder.model, settings.model)
        if start.attempts is not None:
            folder.finish(settings, trainer.step, start.attempts, start.parent)
        export_by_ranks(settings, folder, ranks)
    elif start.attempts is not None:
        folder.interrupt(trainer.step, start.attempts)


if __name__ == "__main__":
    main()
