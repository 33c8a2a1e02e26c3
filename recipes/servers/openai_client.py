"""Responses from an OpenAI-compatible server: kept busy, asked again where it fails, never counted twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

import aiohttp

from recipes.servers.wire import Api, BadReply, Reply, Sampling, StreamedReply, read_reply, request_body

Key = TypeVar("Key")

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses of a server that is busy, starting or broken for the moment."""
CONNECT_SECONDS = 30.0
LOOK_SECONDS = 30.0
LOOKS = 3
"""How often a server is looked for before a run."""


class ServerError(RuntimeError):
    """The server cannot do what is asked, now or ever; the message names it, what it said, and the fix."""


class _Refused(Exception):
    """An answer that the same request would get again."""

    def __init__(self, said: str, status: int) -> None:
        super().__init__(said)
        self.status = status


@dataclass(frozen=True, slots=True)
class Server:
    """A server and how to treat it."""

    url: str
    """Up to the version: ``http://host:8000/v1``."""
    model: str
    api: Api = "chat"
    stream: bool = True
    """Streamed replies show a stall and a cut at once; whole ones cost less of this machine's time."""
    concurrency: int = 256
    """Requests under way."""
    timeout_seconds: float = 7200.0
    """Longest time for one response."""
    stall_seconds: float = 600.0
    """Longest silence within one."""
    attempts: int = 10
    """How often one request is sent before the run stops."""
    first_wait_seconds: float = 1.0
    """Pause after a request's first failure; it doubles with each one, up to ``longest_wait_seconds``."""
    longest_wait_seconds: float = 60.0
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable with the key; it may be unset."""
    extra: dict[str, Any] = field(default_factory=dict)
    """More keys for every request, for instance ``{"top_k": 20}``."""
    section: str = "engine"
    """Of the settings, whose keys ``url``, ``model``, ``attempts`` and ``extra`` messages name."""
    budget_key: str = "evaluation.max_response_length"
    """Key of the length budget, for messages."""
    api_key: str | None = "engine.api"
    """Key that chooses ``api``, for messages; None: there is none."""

    @property
    def headers(self) -> dict[str, str]:
        """With the key, where there is one."""
        key = os.environ.get(self.key_variable)
        return {"Authorization": f"Bearer {key}"} if key else {}


@dataclass(frozen=True, slots=True)
class Request(Generic[Key]):
    """One response that is wanted."""

    key: Key
    """Of the caller's, to tell responses apart."""
    prompt: str
    seed: int


@dataclass(frozen=True, slots=True)
class Response:
    """What became of a request."""

    reply: Reply
    seconds: float
    """Wall seconds of the attempt that succeeded."""
    attempts: int


Finished = Callable[[Request[Key], Response], None]


def sample(server: Server, sampling: Sampling, requests: Iterable[Request[Key]], finished: Finished[Key]) -> None:
    """Send every request once and tell each response as it comes, in any order, from this thread.

    Requests are read as there is room for them. A failed one is sent again after a pause that grows; with a
    ``Retry-After`` of the server's, after that.

    Raises:
        ServerError: the server refuses a request for good, or failed one ``attempts`` times; what had come until then
            was told.
    """
    asyncio.run(_sample(server, sampling, iter(requests), finished))


def require_server(server: Server) -> None:
    """A look before any long work.

    Raises:
        ServerError: nobody answers at ``url``, the key is refused, or the server names its models and has no ``model``.
    """
    asyncio.run(_look(server))


async def _look(server: Server) -> None:
    for look in range(1, LOOKS + 1):
        try:
            models = await _models(server)
            break
        except (aiohttp.ClientConnectionError, asyncio.TimeoutError, OSError) as error:
            if look == LOOKS:
                fix = f"start the server, or correct {server.section}.url"
                raise ServerError(f"{server.url}: {_told(error)}; {fix}") from error
        except aiohttp.ClientError as error:
            raise ServerError(f"{server.url}: {_told(error)}; correct {server.section}.url (up to /v1)") from error
        await asyncio.sleep(_pause(server, look))
    if models and server.model not in models:
        raise ServerError(f"{server.url} has no model {server.model!r}; {_named(models, server)}")


async def _models(server: Server) -> list[str]:
    """What the server says that it has; nothing where it does not say."""
    timeout = aiohttp.ClientTimeout(total=LOOK_SECONDS)
    async with (
        aiohttp.ClientSession(headers=server.headers, timeout=timeout) as session,
        session.get(f"{server.url.rstrip('/')}/models") as reply,
    ):
        if reply.status in (401, 403):
            raise ServerError(
                f"{server.url}: status {reply.status}, the key is refused; export {server.key_variable}=KEY"
            )
        if reply.status != 200:
            return []  # some servers have no list of models
        raw = await reply.read()
    try:
        found = json.loads(raw)
        return [str(row["id"]) for row in found["data"]]
    except (ValueError, LookupError, TypeError) as error:
        raise ServerError(
            f"{server.url}: /models answers {raw[:200]!r}; expected a list of models in JSON: "
            f"{server.section}.url must be the address of an OpenAI-compatible server, up to /v1"
        ) from error


def _named(models: Sequence[str], server: Server) -> str:
    near = get_close_matches(server.model, models, 1, 0.0)[0]
    more = f" and {len(models) - 20} more" if len(models) > 20 else ""
    return f"it has {', '.join(models[:20])}{more}: {server.section}.model={near}"


async def _sample(
    server: Server, sampling: Sampling, requests: Iterator[Request[Key]], finished: Finished[Key]
) -> None:
    timeout = aiohttp.ClientTimeout(
        total=server.timeout_seconds, sock_connect=CONNECT_SECONDS, sock_read=server.stall_seconds
    )
    connector = aiohttp.TCPConnector(limit=server.concurrency)
    async with aiohttp.ClientSession(connector=connector, headers=server.headers, timeout=timeout) as session:
        one = _Asking(session, server, sampling)

        async def work() -> None:
            for request in requests:
                finished(request, await one.ask(request))

        workers = [asyncio.ensure_future(work()) for _ in range(server.concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Asking:
    session: aiohttp.ClientSession
    server: Server
    sampling: Sampling

    async def ask(self, request: Request[Key]) -> Response:
        server = self.server
        for attempt in range(1, server.attempts + 1):
            started = time.monotonic()
            try:
                return Response(await self._once(request), time.monotonic() - started, attempt)
            except _Refused as error:
                raise ServerError(f"{server.url}: {error}{await self._other_models(error.status)}") from error
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError, BadReply) as error:
                told, wait = _told(error), getattr(error, "retry_after", None)
            if attempt == server.attempts:
                break
            await asyncio.sleep(_pause(server, attempt) if wait is None else wait)
        raise ServerError(
            f"{server.url}: a request failed {server.attempts} times, the last time with: {told}. What came until then "
            f"is kept: look at the server and give the same command again, or raise {server.section}.attempts"
        )

    async def _once(self, request: Request[Key]) -> Reply:
        server = self.server
        body = request_body(
            server.api,
            server.model,
            request.prompt,
            self.sampling,
            request.seed,
            stream=server.stream,
            extra=server.extra,
        )
        path = "chat/completions" if server.api == "chat" else "completions"
        async with self.session.post(f"{server.url.rstrip('/')}/{path}", json=body) as reply:
            if reply.status != 200:
                self._complain(reply.status, reply.headers.get("Retry-After"), await reply.text(errors="replace"))
            if not server.stream:
                return read_reply(server.api, await reply.read())
            streamed = StreamedReply(server.api)
            async for chunk in reply.content.iter_any():
                streamed.feed(chunk)
            return streamed.end()

    async def _other_models(self, status: int) -> str:
        """What to say beside a refusal: the models, where the wanted one is not among them."""
        if status not in (400, 404):
            return ""
        try:
            models = await _models(self.server)
        except (ServerError, aiohttp.ClientError, asyncio.TimeoutError, OSError):
            return ""
        return f"; {_named(models, self.server)}" if models and self.server.model not in models else ""

    def _complain(self, status: int, retry_after: str | None, text: str) -> None:
        said = f"status {status}: {' '.join(text.split())[:300] or 'without a word'}"
        if status in AGAIN:
            raise _Busy(said, self._seconds(retry_after))
        section, budget = self.server.section, self.server.budget_key
        keys = [f"{section}.model", *([] if self.server.api_key is None else [self.server.api_key])]
        hint = {
            401: f"; export {self.server.key_variable}=KEY",
            403: f"; export {self.server.key_variable}=KEY",
            404: f"; correct {_either(f'{section}.url (up to /v1)', *keys)}",
            400: f"; correct {_either(budget, *keys, f'{section}.extra')}",
        }.get(status, "")
        raise _Refused(said + hint, status)

    def _seconds(self, retry_after: str | None) -> float | None:
        """The header's seconds, spread a little so that not all requests come back at once; None for a date."""
        try:
            asked = float(retry_after or "")
        except ValueError:
            return None
        return min(max(asked, 0.0), self.server.longest_wait_seconds) * random.uniform(1.0, 1.2)


def _either(*keys: str) -> str:
    return f"{', '.join(keys[:-1])} or {keys[-1]}"


def _pause(server: Server, attempt: int) -> float:
    wait = min(server.first_wait_seconds * 2 ** (attempt - 1), server.longest_wait_seconds)
    return wait * random.uniform(0.5, 1.0)


class _Busy(BadReply):
    """A status that asks for patience."""

    def __init__(self, said: str, retry_after: float | None) -> None:
        super().__init__(said)
        self.retry_after = retry_after


def _told(error: BaseException) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return f"no answer in time ({error})" if str(error) else "no answer in time"
    return str(error) or type(error).__name__
