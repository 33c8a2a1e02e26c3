"""One half of ``python -m recipes.gpu_check``: the steps on one device, in a process of its own.

    python -m recipes.measure_steps reference KEY=VALUE ...   (CPU, fp32; makes the model and samples the rollouts)
    python -m recipes.measure_steps device KEY=VALUE ...      (the GPU, bf16; the same model and rollouts; then speeds)

Reads and writes below run.directory: model.nemo, rollouts.json, reference.json, device.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.atomic_files import write_text
from recipes.backends.start import start_frameworks
from recipes.gpu_checking.flops import training_flops
from recipes.gpu_checking.measurements import Half, Measurements, Speed
from recipes.records import Generation, Group, Problem, Rollout, Verdict
from recipes.settings.compose import compose
from recipes.settings.schema import GrpoSettings, Settings
from recipes.user_input import checked_input

if TYPE_CHECKING:
    import torch

    from recipes.backends.aligner.session import Session

Tokens = Sequence[int]
UPDATES = 3
"""SFT updates that are compared: from the second on they see the optimizer's work."""
DEMONSTRATIONS, PROMPT, RESPONSE = 8, 16, (32, 96)
"""Compared demonstrations: how many, and tokens of each part."""
PROMPTS, ROLLOUTS, BUDGET = 4, 4, 64
"""Compared rollouts."""
MICRO_BATCH = 4
TIMED = 3
"""Steps that a speed is the median of, after one that is not counted."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.measure_steps``."""
    given = _parser().parse_args(arguments)
    half, words = given.half, given.words
    with checked_input("python -m recipes.measure_steps"):
        settings = compose("grpo", words)
    start_frameworks(settings, "recipes.measure_steps", [half, *words])
    root = Path(settings.run.directory)
    measure(settings, reference=half == "reference").write(root / f"{half}.json")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.measure_steps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("half", choices=("reference", "device"), help="which half")
    parser.add_argument("words", nargs="*", default=[], metavar="KEY=VALUE", help="settings, as of recipes.run_grpo")
    return parser


def measure(settings: Settings, *, reference: bool) -> Half:
    """All steps of one half; the frameworks are started.

    Args:
        settings: of the device, the model and its precision; the folder is ``run.directory``.
        reference: make model and rollouts first; otherwise they are there, and speeds are measured too.
    """
    import torch

    root = Path(settings.run.directory)
    if reference:
        make_model(settings)
    supervised = _Supervised(settings)
    updates = [supervised.step(supervised.compared) for _ in range(UPDATES)]
    speeds = [] if reference else [supervised.speed()]
    del supervised
    policy = _Policy(settings)
    if reference:
        policy.sample_rollouts(root / "rollouts.json")
    batch = policy.batch(_read_rollouts(root / "rollouts.json"))
    before = policy.log_probs(batch)
    metrics = policy.update(batch)
    after = policy.log_probs(batch)
    if not reference:
        speeds += policy.speeds()
    cluster = settings.cluster
    measurements = Measurements(
        where=f"{_device(settings)}, {cluster.precision}, {cluster.layer_spec} layers",
        layers=settings.model.num_layers,
        sft_losses=tuple(loss for loss, _ in updates),
        sft_gradient_norms=tuple(norm for _, norm in updates),
        log_probs=before,
        grpo_loss=metrics.loss,
        grpo_gradient_norm=metrics.gradient_norm,
        grpo_entropy=metrics.entropy,
        updated_log_probs=after,
    )
    return Half(measurements, tuple(speeds), torch.cuda.max_memory_allocated() / 1e9)


def make_model(settings: Settings) -> None:
    """``run.directory``/hf and /model.nemo: random weights that bf16 holds exactly, with biases on QKV that matter."""
    import torch

    from recipes.backends.aligner.hf_import import import_hf
    from recipes.data import tiny_model, tiny_tokenizer

    model, root = settings.model, Path(settings.run.directory)
    tokenizer = tiny_tokenizer.build(model.max_position_embeddings)
    sizes = {name: getattr(model, name) for name in tiny_model.Architecture.__dataclass_fields__}
    network = tiny_model.build(tiny_model.Architecture(**sizes), settings.run.seed, tokenizer)
    generator = torch.Generator().manual_seed(settings.run.seed)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):  # zero in a new model; Qwen2.5's are of the size of the activations and larger
            parameter.data = torch.randn(parameter.shape, generator=generator)
    network.to(torch.bfloat16).save_pretrained(str(root / "hf"))
    tokenizer.save_pretrained(str(root / "hf"))
    import_hf(root / "hf", root / "model.nemo", {})


class _Supervised:
    """The SFT model and its batches of random tokens."""

    def __init__(self, settings: Settings) -> None:
        from recipes.backends.aligner.sft import SftModel

        self._settings, self._session = settings, _open(SftModel, settings)
        prompts = _random_tokens(settings, "prompts", [PROMPT] * DEMONSTRATIONS)
        low, high = RESPONSE
        lengths = [low + (high - low) * row // (DEMONSTRATIONS - 1) for row in range(DEMONSTRATIONS)]
        self.compared = self._batch(prompts, _random_tokens(settings, "responses", lengths))

    def _batch(self, prompts: Sequence[Tokens], responses: Sequence[Tokens]) -> dict[str, torch.Tensor]:
        from recipes.backends.aligner.sft import collate

        return collate([*zip(prompts, responses, strict=True)], pad_token=_pad(self._session), width_multiple=1)

    def step(self, batch: dict[str, torch.Tensor]) -> tuple[float, float]:
        """Loss and gradient norm."""
        from recipes.backends.aligner.sft import supervised_step

        return supervised_step(self._session, batch)

    def speed(self) -> Speed:
        """Of updates with sequences of ``sft.max_sequence_length`` tokens."""
        length = self._settings.sft.max_sequence_length
        prompts = _random_tokens(self._settings, "prompts", [1] * DEMONSTRATIONS)
        batch = self._batch(prompts, _random_tokens(self._settings, "long", [length] * DEMONSTRATIONS))
        seconds = _seconds(lambda: self.step(batch))
        lengths = [length] * DEMONSTRATIONS
        name = f"SFT update, {DEMONSTRATIONS} x {length} tokens"
        return Speed(name, sum(lengths), seconds, training_flops(self._settings.model, lengths))


class _Policy:
    """The actor with its engine."""

    def __init__(self, settings: Settings) -> None:
        from recipes.backends.aligner.actor import GrpoActor
        from recipes.backends.aligner.policy import AlignerPolicy
        from recipes.backends.aligner.rollouts import MegatronEngine

        self._settings, self._session = settings, _open(GrpoActor, settings)
        self._grpo = replace(
            settings.grpo, prompts_per_step=PROMPTS, rollouts_per_prompt=ROLLOUTS, micro_batch_size=MICRO_BATCH
        )
        self._update = AlignerPolicy(self._session, self._grpo).update
        tokenizer = self._session.model.tokenizer.tokenizer
        self._engine = MegatronEngine(
            self._session.model,
            end_tokens=[tokenizer.eos_token_id],
            pad_token=tokenizer.pad_token_id,
            batch_size=settings.rollouts.batch_size,
        )

    def _sample(self, prompts: Sequence[Tokens], budget: int) -> list[Generation]:
        return self._engine.generate(
            prompts, max_new_tokens=budget, temperature=1.0, top_p=1.0, seed=self._settings.run.seed
        )

    def sample_rollouts(self, path: Path) -> None:
        """The compared rollouts, to a file: [prompt, response] of every one, those of a prompt together."""
        prompts = _random_tokens(self._settings, "prompts", [PROMPT] * PROMPTS)
        asked = [*chain.from_iterable([prompt] * ROLLOUTS for prompt in prompts)]
        found = self._sample(asked, BUDGET)
        write_text(path, json.dumps([[list(p), list(g.tokens)] for p, g in zip(asked, found, strict=True)]) + "\n")

    def batch(self, rollouts: Sequence[tuple[Tokens, Tokens]], grpo: GrpoSettings | None = None) -> Any:
        """With fixed rewards, so that every group has right and wrong rollouts."""
        from recipes.backends.aligner.ranks import MegatronRanks
        from recipes.training.batching import policy_batch

        grpo = grpo or self._grpo
        return policy_batch(
            _groups(rollouts, grpo.rollouts_per_prompt),
            grpo,
            MegatronRanks(),
            pad_token=_pad(self._session),
            width_multiple=1,
        )

    def log_probs(self, batch: Any) -> tuple[float, ...]:
        """Of the response tokens, row by row."""
        temperature = self._grpo.sampling_temperature
        values = self._session.model.log_probs(batch, micro_batch_size=MICRO_BATCH, temperature=temperature)
        return tuple(values.cpu()[batch.response_mask].tolist())

    def update(self, batch: Any) -> Any:
        """One GRPO update; its metrics."""
        return self._update(batch)

    def speeds(self) -> list[Speed]:
        """Of ``rollouts.batch_size`` responses of ``grpo.max_response_length`` tokens, and of the update with them."""
        from recipes.backends.aligner.policy import AlignerPolicy

        settings = self._settings
        count, budget = settings.rollouts.batch_size // ROLLOUTS * ROLLOUTS, settings.grpo.max_response_length
        prompts = _random_tokens(settings, "prompts", [PROMPT] * (count // ROLLOUTS))
        asked = [*chain.from_iterable([prompt] * ROLLOUTS for prompt in prompts)]
        found: list[Generation] = []

        def sample() -> None:
            found[:] = self._sample(asked, budget)

        sampling = _seconds(sample)
        grpo = replace(self._grpo, prompts_per_step=len(prompts))
        batch = self.batch([(p, g.tokens) for p, g in zip(asked, found, strict=True)], grpo)
        policy = AlignerPolicy(self._session, grpo)
        updating = _seconds(lambda: policy.update(batch))
        lengths = [PROMPT + len(generation.tokens) for generation in found]
        new = sum(lengths) - PROMPT * count
        flops = training_flops(settings.model, lengths)
        return [
            Speed(f"GRPO sampling, {count} responses of up to {budget} tokens", new, sampling, None),
            Speed(f"GRPO update, {count} rollouts", sum(lengths), updating, flops),
        ]


def _open(model_class: type, settings: Settings) -> Session:
    from recipes.backends.aligner.session import open_session

    return open_session(
        model_class, settings, micro_batch_size=MICRO_BATCH, global_batch_size=DEMONSTRATIONS, max_steps=100
    )


def _pad(session: Session) -> int:
    return int(session.model.tokenizer.tokenizer.pad_token_id)


def _random_tokens(settings: Settings, purpose: str, lengths: Sequence[int]) -> list[list[int]]:
    """Ids of the tokenizer that are no special tokens, a function of seed and purpose."""
    import torch

    from recipes.data.tiny_tokenizer import SPECIAL_TOKENS, VOCAB_SIZE

    seed = settings.run.seed + sum(purpose.encode())
    generator = torch.Generator().manual_seed(seed)
    top = VOCAB_SIZE - len(SPECIAL_TOKENS)
    return [torch.randint(0, top, (length,), generator=generator).tolist() for length in lengths]


def _groups(rollouts: Sequence[tuple[Tokens, Tokens]], size: int) -> list[Group]:
    groups = []
    for start in range(0, len(rollouts), size):
        name = f"random-{start // size}"
        members = [
            Rollout(name, sample, tuple(prompt), tuple(response), "", truncated=False, seconds=0.0)
            for sample, (prompt, response) in enumerate(rollouts[start : start + size])
        ]
        verdicts = [
            Verdict(sample == start // size % size, "correct" if sample == start // size % size else "wrong", None, 0.0)
            for sample in range(size)
        ]
        groups.append(Group(Problem(name, "", ""), tuple(members), tuple(verdicts)))
    return groups


def _read_rollouts(path: Path) -> list[tuple[Tokens, Tokens]]:
    return [(prompt, response) for prompt, response in json.loads(path.read_text(encoding="utf-8"))]


def _seconds(step: Callable[[], Any]) -> float:
    """Median wall time, the device's work included."""
    import torch

    times = []
    for _ in range(1 + TIMED):
        torch.cuda.synchronize()
        started = time.perf_counter()
        step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def _device(settings: Settings) -> str:
    import torch

    return "CPU" if settings.cluster.accelerator == "cpu" else torch.cuda.get_device_name()


if __name__ == "__main__":
    main()
