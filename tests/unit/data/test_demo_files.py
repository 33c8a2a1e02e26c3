"""prepare_demo writes what it says."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.data import tiny_code, tiny_model
from recipes.data.demo_files import FILES, demonstrations_of, problems_of
from recipes.data.jsonl import read_demonstrations, read_problems
from recipes.prepare_demo import demo_architecture, main


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Through the real command."""
    output = tmp_path_factory.mktemp("demo") / "data"
    command = [sys.executable, "-m", "recipes.prepare_demo", str(output), "--seed", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return output, done.stdout


def test_files_read_back_with_the_planned_rows(demo: tuple[Path, str]) -> None:
    output, _ = demo
    for plan in FILES:
        rows = (read_demonstrations if plan.demonstrations else read_problems)(output / plan.name)
        assert len(rows) == plan.rows
        problems = [row.problem if plan.demonstrations else row for row in rows]
        assert {problem.metadata["difficulty"] for problem in problems} <= set(plan.difficulties)  # type: ignore[union-attr]


def test_no_held_out_problem_is_trained_on(demo: tuple[Path, str]) -> None:
    output, _ = demo
    held = {p.problem for name in ("heldout", "heldout_code") for p in read_problems(output / f"{name}.jsonl")}
    for plan in FILES:
        if plan.split != "heldout":
            assert not held & set(re.findall(r'"problem": "([^"]+)"', (output / plan.name).read_text()))


def test_math_and_code_are_mixed_and_code_carries_its_instruction(demo: tuple[Path, str]) -> None:
    output, _ = demo
    plan = FILES[0]
    rows = read_demonstrations(output / plan.name)
    code = [row.problem.tests is not None for row in rows]
    assert (sum(code), len(code)) == (plan.code, plan.math + plan.code)
    assert plan.code / plan.rows == pytest.approx(sum(code[:1000]) / 1000, abs=0.06)
    for row, is_code in zip(rows, code, strict=True):
        assert row.problem.metadata.get("instruction") == (tiny_code.INSTRUCTION if is_code else None)


def test_data_card_has_the_digests_of_the_files(demo: tuple[Path, str]) -> None:
    output, _ = demo
    card = (output / "README.md").read_text()
    for plan in FILES:
        digest = hashlib.sha256((output / plan.name).read_bytes()).hexdigest()
        assert re.search(rf"\| {plan.name} \|.*\| {plan.rows} \|.*`{digest}`", card)


def test_terminal_shows_every_file_and_two_samples(demo: tuple[Path, str]) -> None:
    _, printed = demo
    for plan in FILES:
        assert re.search(rf"^{plan.name} +{plan.rows} +\d+ +\d+ +\d+$", printed, re.MULTILINE)
    assert printed.count("<think>") == 2
    assert printed.count("\\boxed{") == printed.count("```python\n") == printed.count("Wait, let me check.") == 1


def test_initial_model_is_a_runnable_qwen2(demo: tuple[Path, str]) -> None:
    output, _ = demo
    model = AutoModelForCausalLM.from_pretrained(output / "initial")
    tokenizer = AutoTokenizer.from_pretrained(output / "initial")
    sizes = demo_architecture()
    assert model.config.model_type == "qwen2"
    assert (output / "initial" / "model.safetensors").is_file()
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (sizes.num_layers, sizes.hidden_size)
    assert model.config.eos_token_id == tokenizer.eos_token_id
    ids = torch.tensor([tokenizer.encode("What is 1 + 2?")])
    assert model(ids).logits.shape == (1, ids.shape[1], sizes.vocab_size)
    assert len(tokenizer) <= sizes.vocab_size


def test_an_embedding_smaller_than_the_tokenizer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.vocab_size is 256; expected at least 512"):
        replace(demo_architecture(), vocab_size=256)


def test_building_the_model_leaves_the_random_state(demo: tuple[Path, str]) -> None:
    output, _ = demo
    tokenizer = AutoTokenizer.from_pretrained(output / "tokenizer")
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second, third = (tiny_model.build(demo_architecture(), seed, tokenizer).state_dict() for seed in (5, 5, 6))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["lm_head.weight"], third["lm_head.weight"])


def test_same_seed_same_files_and_held_out_is_fixed(demo: tuple[Path, str], tmp_path: Path) -> None:
    output, _ = demo
    main([str(tmp_path / "again"), "--seed", "5"])
    for path in sorted(output.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(output)).read_bytes(), path
    for plan in FILES:
        draw = demonstrations_of if plan.demonstrations else problems_of
        assert (draw(plan, 5) == draw(plan, 6)) == (plan.split == "heldout")


def test_colleagues_may_read_what_they_may_list(demo: tuple[Path, str]) -> None:
    output, _ = demo
    assert len({path.stat().st_mode for path in output.rglob("*") if path.is_file()}) == 1


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    command = [sys.executable, "-m", "recipes.prepare_demo", str(tmp_path / "taken")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "taken is a file; expected a folder" in done.stderr
