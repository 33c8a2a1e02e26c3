"""Lists of words in TensorRT-LLM's form, and the ids that stand for nothing."""

from __future__ import annotations

import numpy as np

from recipes.backends.trtllm.vocabulary import padding_words, word_list


def test_ids_and_where_words_end() -> None:
    found = word_list([[7, 8, 9], [5]], 2)
    assert found.dtype == np.int32
    assert found.tolist() == [[[7, 8, 9, 5], [3, 4, -1, -1]]] * 2


def test_padding_of_qwen2_5() -> None:
    found = padding_words(151665, 152064, 3)
    assert found is not None and found.shape == (3, 2, 399)
    assert found[0, 0, 0] == 151665 and found[2, 0, -1] == 152063
    assert found[1, 1].tolist() == list(range(1, 400))
    assert padding_words(512, 512, 3) is None
