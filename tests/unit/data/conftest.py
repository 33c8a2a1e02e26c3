"""What the tests of this room share."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.data import tiny_tokenizer


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's tokenizer."""
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_tokenizer.save(folder)
    return folder
