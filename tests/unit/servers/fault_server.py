"""An OpenAI-compatible server that fails in every way a real one does, drawn from a seed.

    python -m tests.unit.servers.fault_server [--faults 0.3] [--seconds 0.0] [--seed 1] [--context 65536] [--log FILE]

prints its port. The text of a response depends on prompt and seed alone, so that whoever asks again gets the same one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web

MODEL = "tiny"
FAULTS = ("500", "429", "429 later", "stall", "cut", "drop", "nonsense", "no choices", "aborted", "error event")


def text_of(prompt: str, seed: int) -> str:
    """What the model says: a few words and a box, from a digest."""
    digest = sha256(f"{prompt}|{seed}".encode()).hexdigest()
    return f"<think>\n{digest[:24]}\n</think>\n\nIt is \\boxed{{{int(digest[:4], 16) % 10}}}."


class FaultServer:
    """The handlers; ``faults`` is the share of requests that fail, ``context`` the most tokens of a request."""

    def __init__(self, faults: float, seconds: float, seed: int, context: int, log: Path | None) -> None:
        self.faults, self.seconds, self.context, self.log = faults, seconds, context, log
        self.random = random.Random(seed)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/v1/chat/completions", self.complete)
        app.router.add_post("/v1/completions", self.complete)
        return app

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL}, {"id": "other"}]})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if body["model"] != MODEL:
            return web.json_response({"error": {"message": f"no model {body['model']}"}}, status=404)
        if body["max_tokens"] > self.context:
            told = f"This model's maximum context length is {self.context} tokens"
            return web.json_response({"error": {"message": told}}, status=400)
        chat = "messages" in body
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        fault = self.random.choice(FAULTS) if self.random.random() < self.faults else ""
        await asyncio.sleep(self.seconds)
        if fault in ("500", "429"):
            return web.Response(status=int(fault), text="busy")
        if fault == "429 later":
            return web.Response(status=429, headers={"Retry-After": "0.02"})
        if fault == "stall":
            await asyncio.sleep(3600)
        if fault == "drop":
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        self.note(prompt, body["seed"], fault)
        text, finish = text_of(prompt, body["seed"]), "length" if body["max_tokens"] < 5 else "stop"
        send = self.stream if body["stream"] else self.whole
        return await send(request, text, finish, chat, fault)

    def note(self, prompt: str, seed: int, fault: str) -> None:
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(json.dumps({"prompt": prompt, "seed": seed, "fault": fault}) + "\n")

    async def whole(self, request: web.Request, text: str, finish: str, chat: bool, fault: str) -> web.Response:
        if fault == "nonsense":
            return web.Response(text="<html>gateway</html>")
        choice = {"index": 0, "finish_reason": "abort" if fault == "aborted" else finish}
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        reply: dict[str, Any] = {"choices": [choice], "usage": {"completion_tokens": len(text.split())}}
        if fault in ("no choices", "error event"):
            reply["choices"] = []
        raw = json.dumps(reply).encode()
        if fault == "cut":
            return web.Response(body=raw[: len(raw) // 2], content_type="application/json")
        return web.Response(body=raw, content_type="application/json")

    async def stream(self, request: web.Request, text: str, finish: str, chat: bool, fault: str) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)

        async def event(data: Any) -> None:
            await reply.write(f"data: {json.dumps(data)}\n\n".encode())

        words = [] if fault == "no choices" else text.split(" ")
        for number, word in enumerate(words):
            piece = word if number == 0 else f" {word}"
            await event({"choices": [{"index": 0, **({"delta": {"content": piece}} if chat else {"text": piece})}]})
            if number == 1 and fault == "cut":
                assert request.transport is not None
                request.transport.close()
                return reply
            if number == 1 and fault == "nonsense":
                await reply.write(b"data: {half of\n\n")
            if number == 1 and fault == "error event":
                await event({"error": {"message": "out of memory"}})
        if fault != "no choices":
            end = "abort" if fault == "aborted" else finish
            await event({"choices": [{"index": 0, "delta": {}, "text": "", "finish_reason": end}]})
            await event({"choices": [], "usage": {"completion_tokens": len(text.split())}})
        await reply.write(b"data: [DONE]\n\n")
        await reply.write_eof()
        return reply


async def serve(server: FaultServer) -> None:
    """Until the process is ended."""
    runner = web.AppRunner(server.app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=float, default=0.3)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--context", type=int, default=65536)
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)  # of clients that were killed in the middle of a reply
    asyncio.run(serve(FaultServer(given.faults, given.seconds, given.seed, given.context, given.log)))
