"""Supervised fine-tuning (paper §3.1): loss on the response, several epochs, held-out loss and a checkpoint per epoch.

    python -m recipes.run_sft stage=sft cluster=cpu run.directory=runs/try/sft data.train=demonstrations.jsonl

A killed run goes on where it was with the same command. The stage ends with RUN/model.nemo and RUN/manifest.json.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from recipes.backends.aligner.nemo_file import require_same_architecture, write_stage_model
from recipes.backends.start import start_frameworks
from recipes.checkpoints.manifest import Parent
from recipes.checkpoints.store import Checkpoint, CheckpointStore
from recipes.data.jsonl import read_demonstrations
from recipes.data.prompts import EncodedDataset, encode_demonstrations
from recipes.data.tokenizer import load_tokenizer, pad_token_of
from recipes.settings.compose import settings_from_command_line
from recipes.settings.schema import Settings
from recipes.training.attempts import Attempts
from recipes.training.run_folder import RunFolder, parent_weights
from recipes.user_input import checked_input


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.run_sft``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = settings_from_command_line("sft", __doc__, arguments)
    folder = RunFolder(Path(settings.run.directory))
    with checked_input("python -m recipes.run_sft"):
        if folder.say_if_finished():
            return
    store = CheckpointStore(folder.checkpoints, settings.checkpoint.keep)
    with checked_input("python -m recipes.run_sft"):
        tokenizer = load_tokenizer(settings.model.tokenizer)
        train, validation = (
            encode_demonstrations(
                read_demonstrations(path), tokenizer, settings.data.instruction, settings.sft.max_sequence_length
            )
            for path in (settings.data.train, settings.data.validation)
        )
        _require_a_batch(settings, train)
        start = store.resume_point(resume=settings.run.resume)
        if settings.model.restore_from is not None:
            require_same_architecture(Path(settings.model.restore_from), settings.model)
        parent = parent_weights(settings)
    start_frameworks(settings, "recipes.run_sft", arguments)
    _train(settings, folder, pad_token_of(tokenizer), train, validation, store, start, parent)


def _require_a_batch(settings: Settings, train: EncodedDataset) -> None:
    if len(train.demonstrations) < settings.sft.global_batch_size:
        raise ValueError(
            f"sft.global_batch_size is {settings.sft.global_batch_size}, but {settings.data.train} has only "
            f"{len(train.demonstrations)} demonstrations that fit; use at most that many"
        )


def _train(
    settings: Settings,
    folder: RunFolder,
    pad_token: int,
    train: EncodedDataset,
    validation: EncodedDataset,
    store: CheckpointStore,
    start: Checkpoint | None,
    parent: Parent | None,
) -> None:
    from recipes.backends.aligner.ranks import MegatronRanks
    from recipes.backends.aligner.sft import EpochTrainer, TokenRows, data_loader, open_sft_session, trainer_state

    progress = trainer_state(start)
    session = open_sft_session(
        settings, demonstrations=len(train.demonstrations), restore_training_state=start.state if start else None
    )
    ranks = MegatronRanks()
    folder.record_settings(settings, ranks)
    attempts = Attempts(folder.attempts)
    if ranks.is_main:
        attempts.begin(settings, start.step if start else 0, parent)
        print(train.report())
        folder.metrics.forget_from(progress["step"] if progress else 0)
    sft = settings.sft
    trainer = EpochTrainer(
        session,
        settings,
        train=data_loader(
            session,
            TokenRows([(d.prompt, d.response) for d in train.demonstrations]),
            consumed=progress["consumed_samples"] if progress else 0,
            micro=sft.micro_batch_size,
            batch=sft.global_batch_size,
            shuffle=True,
            pad_token=pad_token,
        ),
        validation=data_loader(
            session,
            TokenRows([(d.prompt, d.response) for d in validation.demonstrations]),
            consumed=0,
            micro=sft.micro_batch_size,
            batch=sft.micro_batch_size * ranks.replicas,
            shuffle=False,
            pad_token=pad_token,
        ),
        store=store,
        record=folder.metrics.append,
    )
    if progress:
        trainer.load_state_dict(progress)
    trainer.fit()
    write_stage_model(session.model, folder.model, settings.model)
    if ranks.is_main:
        folder.finish(settings, trainer.step, attempts, parent)


if __name__ == "__main__":
    main()
