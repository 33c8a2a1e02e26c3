"""Table 1 of the paper (AceReason-Nemotron 1.1, arXiv 2506.13284, §4.3), and its three standard deviations (§4.1).

avg@n in points of 100, temperature 0.6, top-p 0.95, 32,768 tokens. Copied from the paper's HTML, which has no page
numbers. It does not mark empty cells either: in rows with fewer than eight values these were put where they fit by
their size and the model's other reports (``placed``); rows with eight values leave no choice. The conclusion of the
paper names 63.2 on AIME25 and 52.8 on LiveCodeBench v5 for the model that its Table 1 gives 64.8 and 57.2.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

SOURCE = "AceReason-Nemotron 1.1 (arXiv 2506.13284), Table 1, §4.3"
OURS = "AceReason-Nemotron-1.1-7B"
SFT = "Our SFT-7B (starting point of RL)"


@dataclass(frozen=True, slots=True)
class Column:
    """One benchmark of the table."""

    heading: str
    n: int
    """Of avg@n."""
    names: frozenset[str]
    """Benchmarks of this project that it stands for: letters and digits of their names, in lower case."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model."""

    model: str
    scores: tuple[float | None, ...]
    """In the order of ``COLUMNS``; None: the paper has none."""
    placed: bool = False
    """Which columns the values belong to is not marked in the source."""


COLUMNS = (
    Column("AIME 2024", 64, frozenset({"aime24", "aime2024"})),
    Column("AIME 2025", 64, frozenset({"aime25", "aime2025"})),
    Column("MATH-500", 4, frozenset({"math500"})),
    Column("HMMT 2025", 64, frozenset({"hmmt25", "hmmt2025", "hmmtfeb25", "hmmtfeb2025", "hmmt25feb", "hmmt2025feb"})),
    Column("BRUMO 2025", 64, frozenset({"brumo25", "brumo2025"})),
    Column("LiveCodeBench v5", 8, frozenset({"livecodebenchv5", "lcbv5"})),
    Column("LiveCodeBench v6", 8, frozenset({"livecodebenchv6", "lcbv6"})),
    Column("EvalPlus", 4, frozenset({"evalplus"})),
)

ROWS = (
    Row("Light-R1-7B", (59.1, 44.3, 92.4, 27.6, 52.8, 40.6, 36.4, None), placed=True),
    Row("Llama-Nemotron-Nano-8B-v1", (61.3, 47.1, 95.4, None, None, 46.6, 46.2, 81.2), placed=True),
    Row("OpenMath-Nemotron-7B", (74.8, 61.2, None, None, None, None, None, None), placed=True),
    Row("OpenCodeReasoning-Nemotron-7B", (None, None, None, None, None, 51.3, 46.1, 83.4), placed=True),
    Row("AReal-boba-RL-7B", (61.9, 48.3, 93.8, 29.4, 58.9, 34.3, None, None), placed=True),
    Row("Skywork-OR1-Math-7B", (69.8, 52.3, 94.4, 31.4, 60.6, 43.6, None, None), placed=True),
    Row("Skywork-OR1-7B", (70.2, 54.6, 94.4, 32.0, 59.7, 47.6, 42.7, None), placed=True),
    Row("OlympicCoder-7B", (None, None, None, None, None, 40.7, 37.1, 79.8), placed=True),
    Row("MiMo-7B-RL", (68.2, 55.4, 95.8, 35.7, 65.1, 57.8, 49.3, None), placed=True),
    Row("o3-mini (low)", (60.0, 48.3, 95.8, 28.3, 66.7, 60.9, None, None), placed=True),
    Row("Magistral Small (24B)", (70.7, 62.8, 95.9, None, None, 55.8, 47.4, None), placed=True),
    Row("DeepSeek-R1-Distill-Qwen-7B", (55.5, 39.0, 92.8, 26.3, 51.2, 37.6, 34.1, 80.4)),
    Row("AceReason-Nemotron-1.0-7B", (69.0, 53.6, 94.1, 33.9, 62.2, 51.8, 44.1, 84.6)),
    Row(SFT, (62.0, 48.4, 94.1, 31.1, 59.4, 48.8, 43.8, 83.4)),
    Row(OURS, (72.6, 64.8, 95.3, 42.9, 69.8, 57.2, 52.1, 84.8)),
)

DEVIATIONS = {16: 1.8, 32: 1.2, 64: 0.7}
"""n -> standard deviation of avg@n on AIME24 in points (§4.1)."""


def column_of(benchmark: str) -> int | None:
    """Index in ``COLUMNS``; None for a benchmark that the table does not have."""
    name = re.sub(r"[^a-z0-9]", "", benchmark.lower())
    return next((index for index, column in enumerate(COLUMNS) if name in column.names), None)


def score_of(model: str, benchmark: str) -> float | None:
    """A value of the table in points; None where it has none."""
    index = column_of(benchmark)
    return None if index is None else next(row.scores[index] for row in ROWS if row.model == model)


def projected(stderr: float, n: int, wanted: int) -> float:
    """stderr(n) sqrt(n / wanted), as ``stderr_sampling`` is the root of a variance that falls as 1/n."""
    return stderr * math.sqrt(n / wanted)
