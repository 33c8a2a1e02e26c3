"""The port of the ranks is nobody else's."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from recipes.backends import master_port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which another program listens, at one address of the machine."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", master_port.free_master_port()))
        other.listen()
        yield other.getsockname()[1]


def test_one_in_use_is_passed_over(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_port, "_PORTS", range(taken, taken + 30))
    assert taken not in {master_port.free_master_port() for _ in range(200)}


def test_the_first_rank_can_listen_there() -> None:
    with socket.create_server(("", master_port.free_master_port())) as server:
        assert server.getsockname()[1] < 32_768


def test_all_in_use(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_port, "_PORTS", range(taken, taken + 1))
    with pytest.raises(OSError, match=f"from {taken} to {taken}"):
        master_port.free_master_port()
