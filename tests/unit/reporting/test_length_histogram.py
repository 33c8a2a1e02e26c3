"""The picture of lengths: a PNG, the same bytes for the same numbers."""

from __future__ import annotations

import numpy as np

from recipes.reporting.length_histogram import length_histogram_png


def test_one_panel_a_domain_and_the_same_bytes() -> None:
    lengths = {"math": np.array([500, 999, 1000, 99999]), "code": np.array([20000], np.int32)}
    picture = length_histogram_png(lengths, "v1")
    assert picture.startswith(b"\x89PNG")
    assert picture == length_histogram_png(lengths, "v1")
    assert length_histogram_png({"math": lengths["math"]}, "v1") != picture
