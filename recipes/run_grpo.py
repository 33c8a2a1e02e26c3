"""One stage of strictly on-policy GRPO (paper §3.2): sample, grade, update, until ``grpo.max_steps``.

    python -m recipes.run_grpo stage=math2 cluster=cpu run.directory=runs/try/math2 model.restore_from=sft/model.nemo

A killed run goes on where it was with the same command. The stage ends with RUN/model.nemo and RUN/finished.json.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recipes.backends.aligner.nemo_file import require_same_architecture, write_stage_model
from recipes.backends.start import start_frameworks
from recipes.checkpoints.store import Checkpoint, CheckpointStore
from recipes.data.jsonl import read_problems
from recipes.data.order import OrderPosition, PromptOrder
from recipes.data.prompts import EncodedPrompt, encode_prompts
from recipes.data.tokenizer import load_tokenizer, pad_token_of
from recipes.grading.graders import Grader, GradingOptions, require_graders
from recipes.rollouts.ledger import Ledger
from recipes.settings.compose import settings_from_command_line
from recipes.settings.schema import Settings
from recipes.training.run_folder import RunFolder
from recipes.user_input import checked_input


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.run_grpo``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = settings_from_command_line("grpo", __doc__, arguments)
    folder = RunFolder(Path(settings.run.directory))
    if folder.say_if_finished():
        return
    store = CheckpointStore(folder.checkpoints, settings.checkpoint.keep)
    with checked_input("python -m recipes.run_grpo"):
        tokenizer = load_tokenizer(settings.model.tokenizer)
        order = _prompt_order(settings, tokenizer)
        start = store.resume_point(resume=settings.run.resume)
        if start is not None:
            order.resume(OrderPosition(**start.progress["order"]), settings.grpo.prompts_per_step)
        if settings.model.restore_from is not None:
            require_same_architecture(Path(settings.model.restore_from), settings.model)
    start_frameworks(settings, "recipes.run_grpo", arguments)
    _train(settings, folder, tokenizer, order, store, start)


def grading_workers(settings: Settings) -> int:
    """Grader processes of one replica: those of a node, shared out over the replicas that a node holds."""
    model = settings.model
    replicas = settings.cluster.devices_per_node // (
        model.tensor_model_parallel_size * model.pipeline_model_parallel_size
    )
    return max(1, settings.grading.workers // max(1, replicas))


def _prompt_order(settings: Settings, tokenizer) -> PromptOrder[EncodedPrompt]:
    problems = read_problems(settings.data.train)
    require_graders(problems, GradingOptions(**vars(settings.grading)))
    prompts = encode_prompts(problems, tokenizer, settings.data.instruction, settings.data.max_prompt_length)
    order = PromptOrder(prompts, settings.run.seed)
    order.steps_per_epoch(settings.grpo.prompts_per_step)
    return order


def _train(
    settings: Settings,
    folder: RunFolder,
    tokenizer,
    order: PromptOrder[EncodedPrompt],
    store: CheckpointStore,
    start: Checkpoint | None,
) -> None:
    from recipes.backends.aligner.actor import GrpoActor
    from recipes.backends.aligner.policy import AlignerPolicy
    from recipes.backends.aligner.ranks import MegatronRanks
    from recipes.backends.aligner.rollouts import MegatronEngine
    from recipes.backends.aligner.session import open_session
    from recipes.training.grpo_loop import GrpoLoop

    session = open_session(
        GrpoActor,
        settings,
        micro_batch_size=settings.grpo.micro_batch_size,
        global_batch_size=settings.grpo.prompts_per_step * settings.grpo.rollouts_per_prompt,
        max_steps=settings.grpo.max_steps,
        restore_training_state=start.state if start else None,
        keep_reference=settings.grpo.kl_coefficient > 0,
    )
    pad_token = pad_token_of(tokenizer)
    ranks = MegatronRanks()
    folder.record_settings(settings, ranks)
    grading = replace(settings.grading, workers=grading_workers(settings))
    with Grader(GradingOptions(**vars(grading))) as grader:
        GrpoLoop(
            stage=settings.stage.name,
            settings=settings.grpo,
            seed=settings.run.seed,
            save_every_steps=settings.checkpoint.save_every_steps,
            prompts=order,
            tokenizer=tokenizer,
            pad_token=pad_token,
            width_multiple=settings.model.tensor_model_parallel_size if settings.model.sequence_parallel else 1,
            engine=MegatronEngine(
                session.model,
                end_tokens=[tokenizer.eos_token_id],
                pad_token=pad_token,
                batch_size=settings.rollouts.batch_size,
            ),
            grader=grader,
            policy=AlignerPolicy(session, settings.grpo),
            ranks=ranks,
            store=store,
            ledger=Ledger(folder.rollouts),
            metrics_log=folder.metrics,
            logger=session.loggers,
        ).fit(start.step if start else 0)
    write_stage_model(session.model, folder.model, settings.model)
    if ranks.is_main:
        folder.finish(settings.stage.name, settings.grpo.max_steps)


if __name__ == "__main__":
    main()
