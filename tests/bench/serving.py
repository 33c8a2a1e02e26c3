"""Throughput of the evaluation's client, beside a bare load generator on the same server in the same run.

    python -m tests.bench.serving [--requests 6000] [--concurrency 256] [--seconds 0.25 0.05] [--rounds 5]

Measured with servers that take --seconds for a response (0.25 s with 256 under way is still a thousand responses a
second, more than a node of GPUs gives), and with one that takes no time at all, so that all of the client's own work
shows. The bare generator posts the same bodies over the same number of connections and reads the replies to their end:
it parses nothing, keeps nothing and repeats nothing. The evaluation's client writes every sample to its file, as in a
run.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp

from evaluation.samples import Sample
from evaluation.store import SamplePart
from recipes.servers.openai_client import Request, Response, Sampling, Server, sample
from recipes.servers.wire import request_body
from tests.unit.servers.fault_server import MODEL
from tests.unit.servers.test_openai_client import fault_server

SAMPLING = Sampling(32768, 0.6, 0.95)
PROMPT = "What is one plus one?\n\nPlease place your final answer inside \\boxed{}."


def requests(count: int) -> Iterator[Request[int]]:
    """Equal prompts, seeds of their own."""
    return (Request(number, PROMPT, number) for number in range(count))


def ours(server: Server, count: int) -> float:
    """Requests per second of the evaluation's client."""
    told: list[int] = []
    with tempfile.TemporaryDirectory() as folder, SamplePart(Path(folder, "part.jsonl")) as part:

        def finished(request: Request[int], response: Response) -> None:
            reply = response.reply
            part.append(Sample("p", request.key, request.seed, reply.text, reply.tokens, reply.truncated, 0.0))
            told.append(request.key)

        started = time.perf_counter()
        sample(server, SAMPLING, requests(count), finished)
        seconds = time.perf_counter() - started
    assert sorted(told) == list(range(count))
    return count / seconds


def bare(server: Server, count: int) -> float:
    """Requests per second of aiohttp alone."""
    return asyncio.run(_bare(server, count))


async def _bare(server: Server, count: int) -> float:
    waiting, path = requests(count), "chat/completions" if server.api == "chat" else "completions"
    connector = aiohttp.TCPConnector(limit=server.concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def work() -> None:
            for request in waiting:
                body = request_body(
                    server.api, server.model, request.prompt, SAMPLING, request.seed, stream=server.stream, extra={}
                )
                async with session.post(f"{server.url}/{path}", json=body) as reply:
                    assert reply.status == 200
                    await reply.read()

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(server.concurrency)))
        return count / (time.perf_counter() - started)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=6_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument(
        "--seconds", type=float, nargs="+", default=[0.25, 0.05], help="that the server takes for a response"
    )
    parser.add_argument("--rounds", type=int, default=5, help="the two take turns; medians are shown")
    words = parser.parse_args()
    print(f"{words.requests} requests, concurrency {words.concurrency}, median of {words.rounds} rounds")
    print("server\treply\tbare per s\tours per s\tratio\tratios of the rounds")
    for latency in (*words.seconds, 0.0):
        with fault_server("--faults", "0", "--seconds", str(latency)) as url:
            for stream in (False, True):
                server = Server(url=url, model=MODEL, stream=stream, concurrency=words.concurrency)
                pairs = []
                for number in range(words.rounds):
                    order = (bare, ours) if number % 2 else (ours, bare)
                    both = {measure: measure(server, words.requests) for measure in order}
                    pairs.append((both[bare], both[ours]))
                _show(f"{latency:g} s\t{'streamed' if stream else 'whole'}", pairs)


def _show(name: str, pairs: Sequence[tuple[float, float]]) -> None:
    ratios = [mine / theirs for theirs, mine in pairs]
    theirs, mine = (statistics.median(side) for side in zip(*pairs, strict=True))
    rounds = " ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"{name}\t{theirs:10.0f}\t{mine:10.0f}\t{statistics.median(ratios):.2f}\t{rounds}", flush=True)


if __name__ == "__main__":
    main()
