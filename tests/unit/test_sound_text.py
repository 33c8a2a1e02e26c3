"""What JSON lets pass becomes what UTF-8 can hold."""

from __future__ import annotations

from recipes.sound_text import sound_text


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert sound_text("a\ud83d b") == "a\ufffd b"
    assert sound_text("a😀") == "a😀"
    assert sound_text("\ud83d\ude00, \ude00\ud83d") == "😀, \ufffd\ufffd"
