"""Every problem of the real benchmarks that is planted is found; what is dropped of real problems shares words."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

import pytest

from recipes.data.benchmark_texts import BenchmarkText, read_benchmark_texts
from recipes.data.contamination import ContaminationIndex
from recipes.data.ngrams import NGRAM, normalised

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
MATH = ("aime24_nemo", "aime25_nemo", "math_500", "hmmt_feb_2025", "brumo_2025")
CODE = ("livecodebench_public879", "HumanEval")
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: the benchmarks are not part of the project")


@pytest.fixture(scope="module")
def texts() -> list[BenchmarkText]:
    files = [*(DATA / "math" / f"{name}.jsonl" for name in MATH), *(DATA / "code" / f"{name}.jsonl" for name in CODE)]
    return list(chain.from_iterable(map(read_benchmark_texts, files)))


@pytest.fixture(scope="module")
def index(texts: list[BenchmarkText]) -> ContaminationIndex:
    return ContaminationIndex(texts, NGRAM)


@pytest.fixture(scope="module")
def training() -> list[str]:
    """Every third problem of MATH's training set, of which many share a stock phrase with a benchmark."""
    lines = (DATA / "train" / "math_train_7474.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["problem"] for line in lines[::3]]


def test_every_problem_is_found_verbatim_and_inside_longer_text(
    texts: list[BenchmarkText], index: ContaminationIndex, training: list[str]
) -> None:
    some = [one for number, one in enumerate(texts) if one.benchmark in MATH or number % 8 == 0]  # code is long
    planted = [text for one in some for text in (one.text, f"{training[0]}\n\nNow another one. {one.text} Explain.")]
    found = dict(index.scan(enumerate(planted)))
    missed = [planted[row] for row in range(len(planted)) if row not in found]
    assert missed == []


def test_what_is_dropped_shares_nine_words_and_what_stays_does_not(
    texts: list[BenchmarkText], index: ContaminationIndex, training: list[str]
) -> None:
    def ngrams(text: str) -> set[str]:
        words = normalised(text).split()
        return {" ".join(words[start : start + NGRAM]) for start in range(len(words) - NGRAM + 1)}

    known = set().union(*(ngrams(one.text) for one in texts))
    found = dict(index.scan(enumerate(training)))
    plainly = {row for row, text in enumerate(training) if ngrams(text) & known}
    assert 100 < len(plainly) < len(training) / 2
    assert plainly <= found.keys()
    for row in found.keys() - plainly:  # another layout of LaTeX, or a problem with fewer words than an n-gram
        one = found[row]
        assert one.of == 1 or "\\" in training[row]
        assert one.of == 1 or len(one.ngram.split()) == NGRAM
    assert len(found.keys() - plainly) < 10
