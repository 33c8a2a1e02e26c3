"""The card of a blend: counts that add up, and nothing that breaks its tables."""

from __future__ import annotations

import polars as pl

from recipes.data.data_card import CardFile, Made, card_facts, card_markdown, reproducing

ROWS = [
    ("a", "math", "numina", "Apache-2.0", 500),
    ("a", "math", "numina", "Apache-2.0", 1500),
    ("b", "math", "ace|math", "CC BY-NC 4.0", 40000),
    ("c", "code", "taco", "Apache-2.0", 1000),
]
MEMBERS = pl.DataFrame(ROWS, ["id", "domain", "source", "licence", "tokens"], orient="row")
MADE = Made("v2", ("v1",), 0.5, 1.0, ("code",), ("python", "-m", "x", "a=[1, 2]"), {"R1": 4}, "ab" * 32)


def test_counts_by_hand() -> None:
    facts = card_facts(MEMBERS)
    assert (facts["prompts"], facts["samples"], facts["tokens"]) == (3, 4, 43000)
    assert list(facts["domains"]) == ["math", "code"]
    assert facts["domains"]["math"] == {
        "prompts": 2,
        "samples": 3,
        "tokens": 42000,
        "mean": 14000.0,
        "median": 1500,
        "ninety_percent": 1500,
        "longest": 40000,
    }
    assert [one["source"] for one in facts["sources"]] == ["taco", "ace|math", "numina"]
    assert facts["licences"][0] == {"licence": "Apache-2.0", "prompts": 2, "samples": 3, "tokens": 3000}
    assert [(one["from"], one["math"], one["code"]) for one in facts["lengths"] if one["math"] or one["code"]] == [
        (0, 1, 0),
        (1000, 1, 1),
        (32000, 1, 0),
    ]
    assert sum(one["math"] + one["code"] for one in facts["lengths"]) == 4


def test_the_card_says_what_where_from_and_how() -> None:
    files = [CardFile("v2.jsonl", 4, 12345, "cd" * 32)]
    text = card_markdown(card_facts(MEMBERS), MADE, files, "lengths.png")
    assert text.startswith("# SFT blend v2\n\n4 samples of 3 prompts, 43,000 response tokens")
    assert "Contains every sample of v1. Scaled to what there was: 0.5 times the configured prompts. " in text
    assert "prompts. No sample of code was there." in text
    assert "| math | ace\\|math | CC BY-NC 4.0 | 1 | 1 | 40,000 |" in text
    assert "| math | 2 | 3 | 1.50 | 14000.0 | 1,500 | 1,500 | 40,000 |" in text
    assert "| 32,000 and more | 1 (33.3%) | 0 (0.0%) |" in text
    assert f"| v2.jsonl | 4 | 12,345 | {'cd' * 32} |" in text
    assert "![tokens of the responses](lengths.png)" in text
    assert "python -m x 'a=[1, 2]'" in text
    widths = [line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")]
    assert min(widths) >= 3


def test_a_blend_of_the_configured_size_says_nothing_of_scales() -> None:
    text = card_markdown(card_facts(MEMBERS), Made("v1", (), 1.0, 1.0, (), (), {}, ""), [], "p")
    assert "The smallest blend." in text and "Scaled" not in text and "No sample" not in text


def test_commands_for_the_same_data_are_the_same() -> None:
    one = (
        "data.inputs=[b.jsonl, a.jsonl]",
        "output=here",
        "parts.workers=2",
        "steps=[keep,blend]",
        "blends.names=[v2,v1]",
    )
    other = ("data.inputs=[a.jsonl,b.jsonl]", "parts.count=7", "steps=[blend,keep]", "blends.names=[v2,v1]", "output=x")
    expected = ("p", "data.inputs=[a.jsonl,b.jsonl]", "steps=[blend,keep]", "blends.names=[v2,v1]", "output=DIR")
    assert reproducing(("p",), one) == reproducing(("p",), other) == expected
    quoted = "data.inputs=['b,c.jsonl',a.jsonl]"
    assert reproducing((), (quoted,)) == (quoted, "output=DIR")
