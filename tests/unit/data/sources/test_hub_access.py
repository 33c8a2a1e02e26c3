"""A hub that cannot be reached: said at once, without the client's retries, while its cache still answers."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from typing import Any

import datasets
import pytest
from huggingface_hub import constants
from huggingface_hub.utils import get_session
from huggingface_hub.utils._http import OfflineAdapter

from evaluation.benchmarks.sources import SourceUnavailable, hub_rows
from recipes.data.sources import hub
from recipes.data.sources.hub_access import hub_access
from recipes.preflighting.data_files import DataFiles
from recipes.settings.compose import compose

PLACE = "a/b#default,train"


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy and no offline mode, whatever this machine has."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    yield
    assert not refuses(), "left as it was"


def refuses() -> bool:
    """Whether the client's sessions refuse every request."""
    return isinstance(get_session().get_adapter("https://huggingface.co"), OfflineAdapter)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No name resolves; gives the names that were asked for."""
    asked: list[str] = []

    def lookup(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


def test_one_look_and_no_noise(nowhere: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        SourceUnavailable, match=r"huggingface\.co cannot be reached: Name or service not known"
    ) as told:
        hub_rows(PLACE)
    assert "benchmark.path=FILE" in str(told.value) and "HF_HOME" in str(told.value)
    assert nowhere == ["huggingface.co"]
    assert capfd.readouterr().err == ""


def test_data_preparation_says_the_same(nowhere: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    (part,) = hub.hub_parts(f"hf:{PLACE}")
    with pytest.raises(hub.HubError, match=r"huggingface\.co cannot be reached: Name or service not known"):
        hub.shard_count(part)
    assert nowhere == ["huggingface.co"] and capfd.readouterr().err == ""


def test_the_cache_is_asked(nowhere: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def cached(*_: Any, **__: Any) -> list[dict[str, str]]:
        assert refuses()
        return [{"problem": "x"}]

    monkeypatch.setattr(datasets, "load_dataset", cached)
    assert list(hub_rows(PLACE)) == [("hf:a/b row 1", {"problem": "x"})]


def test_retries_of_a_hub_that_answers_badly_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    client = logging.getLogger("huggingface_hub.utils._http")
    with hub_access() as unreachable:
        assert unreachable is None and not refuses()
        client.warning("Retrying in 1s [Retry 1/5].")
    client.warning("Others' requests are heard of.")
    said = capfd.readouterr().err
    assert "Retrying" not in said


def test_a_proxy_looks_names_up_itself(nowhere: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    with hub_access() as unreachable:
        assert unreachable is None
    assert nowhere == []


def test_preflight_speaks_of_the_network(nowhere: list[str]) -> None:
    benchmark = compose("evaluate", ["benchmark=aime24", "engine=openai"]).benchmark
    rows, findings = DataFiles(read_bytes=1).benchmark("benchmark.path of aime24", benchmark)
    (problem,) = findings.problems
    assert rows == [] and "huggingface.co cannot be reached" in problem.found
    assert problem.expected.startswith("the hub") and "JSON" not in problem.expected + problem.fix
    assert problem.fix.startswith("benchmark.path=FILE ")
