"""What counts of tokens follow from (how they agree with run_sft: tests/unit/preparation/test_rebalance.py)."""

from __future__ import annotations

from pathlib import Path

from recipes.data.lengths import response_counter, tokenizer_state


class Slow:
    """A tokenizer without a fast backend: every word is a token."""

    def encode(self, text: str, **options: object) -> list[str]:
        assert options == {"add_special_tokens": False}
        return text.split()


def test_a_tokenizer_without_a_fast_backend_counts_as_well() -> None:
    assert response_counter(Slow())(["a b", ""]) == [3, 1]


def test_the_state_changes_with_the_tokenizer_s_files_alone(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_text("weights")
    one = tokenizer_state(tmp_path)
    assert list(one) == ["tokenizer.json"]
    (tmp_path / "model.safetensors").write_text("other weights")
    assert tokenizer_state(tmp_path) == one
    (tmp_path / "chat_template.jinja").write_text("x")
    assert len(tokenizer_state(tmp_path)) == 2
