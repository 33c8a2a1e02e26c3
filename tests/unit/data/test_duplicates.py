"""Which rows are dropped, of which kept row, and that neither order nor parts show."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.data import duplicate_search
from recipes.data.duplicates import CLUSTERS, decide_duplicates, same_text_answer
from recipes.data.prompt_signatures import sign_part
from recipes.data.rows import SourceRow
from recipes.data.tables import DECISIONS
from tests.unit.data.row_tables import write_rows

APPLES = "Anna buys 12 red apples at the market. Every apple costs 3 dollars. How many dollars does she pay in all?"
ROPE = "A rope of 24 metres is cut into 3 pieces of equal length. How long is one of the pieces?"


def row(problem: str, answer: str = "", source: str = "one", **rest: Any) -> SourceRow:
    return SourceRow("math", problem, source, "MIT", answer, **rest)


def decide(
    folder: Path, rows: list[SourceRow], parts: int = 1, sources: tuple[str, ...] = (), permutations: int = 128
) -> tuple[dict[tuple[str, str, str, str | None], dict], dict, bytes]:
    """Dropped rows (problem, answer, source, response) -> detail, the report, and the clusters' content."""
    paths = write_rows(folder / "rows", rows, parts)
    signed = [folder / "signed" / path.name for path in paths]
    for path, out in zip(paths, signed, strict=True):
        sign_part(path, out, 3, permutations)
    report = decide_duplicates(
        signed, paths, folder / "decisions.parquet", folder / "clusters.parquet", 0.5, same_text_answer, sources
    )
    decisions = pq.read_table(folder / "decisions.parquet")
    clusters = pq.read_table(folder / "clusters.parquet")
    assert decisions.schema.equals(DECISIONS)
    assert clusters.schema.equals(CLUSTERS)
    known = {one["row"]: one for path in paths for one in pq.read_table(path).to_pylist()}
    dropped = {}
    for decision in decisions.to_pylist():
        assert decision["kind"] == "duplicate"
        one = known[decision["row"]]
        dropped[one["problem"], one["answer"], one["source"], one["response"]] = json.loads(decision["detail"])
    assert report["rows"] == len(rows)
    assert sum(report["dropped_rows"].values()) == decisions.num_rows == sum(clusters["rows"].to_pylist())
    return dropped, report, json.dumps(clusters.to_pylist()).encode()


def test_the_kinds(tmp_path: Path) -> None:
    one, two, three = APPLES.split(". ")
    kept = row(APPLES, "36", metadata={"solution": "12 * 3"})
    again, turned, typed = APPLES.upper(), f"{two}. {three} {one}.", APPLES.replace("market", "markte")
    other = row(APPLES.replace("12", "13"), "39")
    rows = [kept, row(again, "36"), row(turned, "36", "two"), row(typed, "", "two"), row(typed, "35", "three"), other]
    dropped, report, _ = decide(tmp_path, rows)
    assert dropped == {
        (again, "36", "one", None): {"of": kept.id, "kind": "exact", "similarity": 1.0},
        (turned, "36", "two", None): {"of": kept.id, "kind": "sentences", "similarity": 1.0},
    } | ({(typed, "", "two", None): dropped[typed, "", "two", None]})
    # the text with the typing error has another answer, so it stays, and the row without an answer goes with it
    assert dropped[typed, "", "two", None]["of"] == row(typed, "35", "three").id
    assert report["dropped_prompts"] == {"exact": 2, "sentences": 1}
    assert report["rows_by_kept_and_dropped_source"] == {"one": {"one": 1, "two": 1}, "three": {"two": 1}}
    assert report["clusters_by_size"] == {"2": 1, "3": 1}
    assert report["largest_clusters"][0] == {"kept": kept.id, "size": 3}
    assert (report["prompts"], report["kept_prompts"], report["clusters"]) == (6, 3, 2)


def test_a_near_duplicate_without_an_answer(tmp_path: Path) -> None:
    typed = APPLES.replace("market", "markte")
    dropped, report, _ = decide(tmp_path, [row(APPLES, "36"), row(typed)])
    ((detail),) = dropped.values()
    assert (detail["of"], detail["kind"]) == (row(APPLES, "36").id, "near")
    assert detail["similarity"] == 14 / 16  # 6 + 3 + 6 shingles, one spoilt
    assert report["conflicting_answers"] == 0


def test_the_majority_of_the_sources_decides_between_answers(tmp_path: Path) -> None:
    rows = [
        row(APPLES, "36", "two"),
        row(APPLES, "35", "one", metadata={"solution": "a wrong one"}),
        row(APPLES.lower(), "036", "three"),
        row(APPLES + " ", "", "four"),
    ]
    dropped, report, _ = decide(tmp_path, rows, sources=("one", "two"))
    assert {detail["of"] for detail in dropped.values()} == {rows[0].id}
    assert len(dropped) == 3
    assert report["conflicting_answers"] == 1
    assert report["conflicts"] == [{"kept": rows[0].id, "dropped": rows[1].id}]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (row(APPLES, "36", "z"), row(APPLES.lower(), "", "a", metadata={"solution": "36"})),
        (row(APPLES, tests={"inputs": [1, 2]}), row(APPLES.lower(), tests={"inputs": [1]}, metadata={"solution": "x"})),
        (row(APPLES, "36", "z", metadata={"solution": "36"}), row(APPLES.lower(), "36", "preferred")),
        (row(APPLES, "36", "preferred"), row(APPLES.lower(), "36", "a")),
    ],
    ids=["answer", "tests", "solution", "source"],
)
def test_preference(tmp_path: Path, better: SourceRow, worse: SourceRow) -> None:
    dropped, _, _ = decide(tmp_path, [worse, better], sources=("preferred",))
    assert [key[0] for key in dropped] == [worse.problem]


def test_samples_of_one_prompt_stay_and_copies_go(tmp_path: Path) -> None:
    rows = [
        row(ROPE, "8", "one", response="first"),
        row(ROPE, "8", "two", response="first"),
        row(ROPE, "8", "one", response="second"),
        row(ROPE, "8", "one"),
        row(ROPE, "8", "two"),
    ]
    dropped, report, _ = decide(tmp_path, rows, sources=("two",))
    assert set(dropped) == {(ROPE, "8", "one", "first"), (ROPE, "8", "one", None)}
    assert all(detail == {"of": rows[0].id, "kind": "copy", "similarity": 1.0} for detail in dropped.values())
    assert (report["dropped_rows"], report["dropped_prompts"], report["prompts"]) == ({"copy": 2}, {}, 1)


def test_a_dropped_prompt_takes_all_its_samples(tmp_path: Path) -> None:
    rows = [row(ROPE, "8", metadata={"solution": "24/3"}), *(row(ROPE.lower(), "8", response=text) for text in "abc")]
    dropped, _, _ = decide(tmp_path, rows)
    assert len(dropped) == 3


def test_the_spelling_of_more_sources_is_kept(tmp_path: Path) -> None:
    slips = [ROPE.replace("pieces", "piecess", 1), ROPE.replace("metres", "mtres"), ROPE.replace("length", "lenght")]
    rows = [row(ROPE, "8", "one"), row(ROPE, "8", "two"), *(row(slip, "8", f"of {slip}") for slip in slips)]
    dropped, _, _ = decide(tmp_path, rows)
    assert {detail["of"] for detail in dropped.values()} == {rows[0].id}
    assert len(dropped) == 4


def test_chains_do_not_drift(tmp_path: Path) -> None:
    """Each text is near to the one before it; only what is near to the kept one goes."""
    texts = [ROPE]
    for old, new in (("rope", "ropee"), ("ropee", "roopee"), ("roopee", "roopeee")):
        texts.append(texts[-1].replace(old, new))
    rows = [row(text, "8", f"source {number}") for number, text in enumerate(texts)]
    dropped, _, _ = decide(tmp_path, rows, sources=tuple(f"source {number}" for number in range(4)))
    assert {key[0]: detail["of"] for key, detail in dropped.items()} == {texts[1]: rows[0].id, texts[3]: rows[2].id}


def test_equal_texts_of_a_near_duplicate_go_with_it(tmp_path: Path) -> None:
    typed = ROPE.replace("pieces", "peices", 1)
    dropped, _, _ = decide(
        tmp_path, [row(ROPE, "8", "best"), row(typed, "8"), row(typed.upper(), "8")], sources=("best",)
    )
    assert {detail["of"] for detail in dropped.values()} == {row(ROPE, "8").id}
    assert [detail["kind"] for detail in dropped.values()] == ["near", "near"]


def test_short_prompts_are_compared_exactly(tmp_path: Path) -> None:
    dropped, _, _ = decide(tmp_path, [row("Find x"), row("find X."), row("Find y"), row("Fnid x")])
    assert len(dropped) == 1


def test_nothing(tmp_path: Path) -> None:
    dropped, report, _ = decide(tmp_path, [])
    assert (dropped, report["prompts"], report["clusters"]) == ({}, 0, 0)


def test_a_template_is_never_compared_quadratically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    real = duplicate_search.similarity_of_duplicates
    monkeypatch.setattr(duplicate_search, "similarity_of_duplicates", lambda *args: compared.append(1) or real(*args))
    names = random.Random(1).sample([a + b + c for a in "BCDFGKLM" for b in "aeiou" for c in "lmnrst"], 80)
    rows = [row(ROPE.replace("A rope", f"The rope of {name}"), "8") for name in names]
    dropped, _, _ = decide(tmp_path, rows)
    assert len(compared) <= duplicate_search.COMPARISONS * len(rows) < len(rows) ** 2 / 2
    assert len(dropped) < len(rows) / 4


def test_same_text_answer() -> None:
    assert same_text_answer(r"\dfrac12", r"$\frac{1}{2}$")
    assert same_text_answer("016", "16")
    assert not same_text_answer("-16", "16")
    assert not same_text_answer("1", "2")


TEXTS = st.sampled_from(
    [APPLES, APPLES.upper(), APPLES.replace("12", "13"), APPLES.replace("market", "markte"), ROPE, ROPE.lower(),
     ROPE.replace("equal", "eqaul"), ROPE.replace("rope", "roope"), "Find x", "find x"]
)  # fmt: skip
ROWS = st.builds(
    row, TEXTS, st.sampled_from(["", "8", "08", "9"]), st.sampled_from(["one", "two"]),
    response=st.sampled_from([None, "yes", "no"]),
)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(st.lists(ROWS, max_size=12), st.randoms(use_true_random=False), st.integers(2, 5))
def test_neither_order_nor_parts_show(
    tmp_path_factory: pytest.TempPathFactory, rows: list[SourceRow], dice: random.Random, parts: int
) -> None:
    shuffled = dice.sample(rows, len(rows))
    folder = tmp_path_factory.mktemp("decided")
    one, two = (
        decide(folder / name, given, number, permutations=24)
        for name, given, number in (("one", rows, 1), ("two", shuffled, parts))
    )
    assert one == two
    dropped, report, _ = one
    kept = {(key.problem, key.answer) for key in rows} - {
        key[:2] for key, of in dropped.items() if of["kind"] != "copy"
    }
    assert report["kept_prompts"] == len(kept)
    assert {of["of"] for of in dropped.values()} <= {row(*key).id for key in kept}
