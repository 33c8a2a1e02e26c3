from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from recipes.servers import openai_client
from recipes.servers.openai_client import Request, Response, Server, ServerError, require_server, sample
from recipes.servers.wire import Sampling
from tests.unit.servers.fault_server import MODEL, text_of

SAMPLING = Sampling(max_tokens=100, temperature=0.6, top_p=0.95)


@contextmanager
def fault_server(*words: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.unit.servers.fault_server", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def steady() -> Iterator[str]:
    with fault_server("--faults", "0") as url:
        yield url


@pytest.fixture(scope="module")
def broken() -> Iterator[str]:
    with fault_server("--faults", "0.4") as url:
        yield url


def server(url: str, **fields: Any) -> Server:
    quick = Server(url, MODEL, concurrency=32, stall_seconds=0.5, first_wait_seconds=0.01, attempts=30)
    return dataclasses.replace(quick, **fields)


def collect(server: Server, requests: list[Request[int]], sampling: Sampling = SAMPLING) -> dict[int, Response]:
    found: dict[int, Response] = {}

    def finished(request: Request[int], response: Response) -> None:
        assert request.key not in found
        found[request.key] = response

    sample(server, sampling, requests, finished)
    return found


def requests(count: int) -> list[Request[int]]:
    return [Request(index, f"problem {index // 4}", index % 4) for index in range(count)]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("api", ["chat", "completions"])
def test_every_request_has_its_own_response_once_through_every_fault(broken: str, api: str, stream: bool) -> None:
    asked = requests(300)
    found = collect(server(broken, api=api, stream=stream), asked)
    assert {key: one.reply.text for key, one in found.items()} == {
        request.key: text_of(request.prompt, request.seed) for request in asked
    }
    assert not any(one.reply.truncated for one in found.values())
    assert {one.reply.tokens for one in found.values()} == {6}
    assert max(one.attempts for one in found.values()) > 1


def test_a_budget_that_is_used_up_is_told(steady: str) -> None:
    found = collect(server(steady), requests(1), Sampling(4, 0.6, 0.95))
    assert found[0].reply.truncated
    assert found[0].attempts == 1


def test_what_came_before_an_error_was_told(broken: str) -> None:
    found: dict[int, Response] = {}
    with pytest.raises(ServerError, match=r"a request failed 2 times, the last time with: .*engine\.attempts"):
        sample(
            server(broken, attempts=2),
            SAMPLING,
            requests(400),
            lambda request, response: found.update({request.key: response}),
        )
    assert 0 < len(found) < 400


def test_an_unknown_model_is_named_with_those_that_there_are(steady: str) -> None:
    with pytest.raises(ServerError, match=r"has no model 'tinny'; it has tiny, other: engine\.model=tiny"):
        require_server(server(steady, model="tinny"))
    with pytest.raises(ServerError, match=r"status 404: .*no model tinny.*; it has tiny, other: engine\.model=tiny$"):
        collect(server(steady, model="tinny"), requests(1))
    require_server(server(steady))


def test_nobody_there() -> None:
    with pytest.raises(ServerError, match=r"http://127\.0\.0\.1:9/v1: .*; start the server, or correct engine\.url"):
        require_server(server("http://127.0.0.1:9/v1"))
    with pytest.raises(ServerError, match="a request failed 3 times"):
        collect(server("http://127.0.0.1:9/v1", attempts=3), requests(40))


@contextmanager
def answering(*, body: bytes, delay: float = 0.0) -> Iterator[str]:
    """A server that says the same to everybody, in this process."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(delay)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # the client did not wait
                self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}/v1"
    finally:
        httpd.shutdown()
        httpd.server_close()


@pytest.mark.parametrize("body", [b"<html>Welcome to nginx!</html>", b"[]", b'{"data": 3}'])
def test_a_server_of_something_else_is_told_from_one_of_models(body: bytes) -> None:
    with answering(body=body) as url:
        with pytest.raises(
            ServerError, match=f"{url}: /models answers .*; expected a list of models in JSON: engine.url"
        ):
            require_server(server(url))
        with pytest.raises(ServerError, match="a request failed 2 times, the last time with: no response in"):
            collect(server(url, attempts=2, stream=False), requests(1))
        with pytest.raises(ServerError, match="a request failed 2 times, the last time with: the stream was cut"):
            collect(server(url, attempts=2), requests(1))


def test_a_server_that_hangs_costs_no_more_than_its_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_client, "LOOK_SECONDS", 0.2)
    with answering(body=b"{}", delay=60.0) as url:
        started = time.monotonic()
        with pytest.raises(ServerError, match=f"{url}: no answer in time; start the server"):
            require_server(server(url))
        with pytest.raises(ServerError, match="a request failed 2 times, the last time with: no answer in time"):
            collect(server(url, attempts=2, stall_seconds=60, timeout_seconds=0.3), requests(1))
        assert time.monotonic() - started < 30
