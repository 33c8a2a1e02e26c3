"""What goes to an OpenAI-compatible server and what comes back: request bodies, whole replies, streamed ones.

Formats: the API references of chat completions and completions, as trtllm-serve, NIM, vLLM and llama.cpp serve them.
``reasoning_content`` is what servers with a reasoning parser (vLLM, SGLang, trtllm-serve) split off before the answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from recipes.sound_text import sound_text

Api = Literal["chat", "completions"]

ENDED = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence"})
"""Values of ``finish_reason`` of a response that came to its own end."""
CUT = frozenset({"length", "max_tokens"})
"""Of one that used up its budget."""
LONGEST_LINE = 2**22
"""Bytes of one event of a stream."""


class BadReply(ValueError):
    """A reply that is no complete response; asking again may help."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a response is drawn."""

    max_tokens: int
    """Length budget of a response in tokens; the end token counts."""
    temperature: float
    top_p: float


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete response."""

    text: str
    tokens: int | None
    """As the server counted them; None where it says nothing and the reply was not streamed."""
    truncated: bool
    """The length budget was reached without an end token."""


def request_body(
    api: Api, model: str, prompt: str, sampling: Sampling, seed: int, *, stream: bool, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The JSON of one request for one response.

    Args:
        prompt: the user's turn (chat; the server lays the model's chat template over it) or the whole prompt.
        extra: more keys for the server, for instance ``top_k``; they win.
    """
    what = {"messages": [{"role": "user", "content": prompt}]} if api == "chat" else {"prompt": prompt}
    body: dict[str, Any] = {
        "model": model,
        **what,
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": seed,
        "n": 1,
        "stream": stream,
    }
    if stream:
        body["stream_options"] = {"include_usage": True}
    return body | dict(extra)


def read_reply(api: Api, raw: bytes) -> Reply:
    """A reply that was not streamed.

    Raises:
        BadReply: no JSON, no choice, no text, or a response that was aborted.
    """
    try:
        reply = json.loads(raw)
        choice = reply["choices"][0]
        parts = choice["message"] if api == "chat" else choice
        answer = parts["content" if api == "chat" else "text"]
        reasoning = parts.get("reasoning_content") or parts.get("reasoning")
        finish = choice.get("finish_reason")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadReply(f"no response in {raw[:200]!r}") from error
    if answer is None and reasoning is None:
        raise BadReply(f"a choice without text: {raw[:200]!r}")
    return Reply(_text(reasoning or "", answer or ""), _tokens(reply), _truncated(finish))


@dataclass(slots=True)
class StreamedReply:
    """A reply as its server-sent events come in."""

    api: Api
    _answer: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _finish: str | None = None
    _tokens: int | None = None
    _rest: bytes = b""
    """Of a line that has not ended."""

    def feed(self, chunk: bytes) -> None:
        """Bytes of the stream as they come, cut anywhere.

        Raises:
            BadReply: data that is no JSON, or the server's own news of an error.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > LONGEST_LINE:
            raise BadReply(f"no event in {self._rest[:200]!r}")

    def _line(self, line: bytes) -> None:
        if not line.startswith(b"data:") or (data := line[5:].strip()) == b"[DONE]":
            return
        try:
            event = json.loads(data)
            if "error" in event:
                raise BadReply(f"the stream ended with {str(event['error'])[:200]}")
            self._tokens = _tokens(event) or self._tokens
            for choice in event.get("choices", [])[:1]:
                parts = (choice.get("delta") or {}) if self.api == "chat" else choice
                self._answer.append(parts.get("content" if self.api == "chat" else "text") or "")
                self._reasoning.append(parts.get("reasoning_content") or parts.get("reasoning") or "")
                self._finish = choice.get("finish_reason") or self._finish
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            if isinstance(error, BadReply):
                raise
            raise BadReply(f"no event in {line[:200]!r}") from error

    def end(self) -> Reply:
        """The whole response; its tokens are the pieces of text where the server does not count them.

        Raises:
            BadReply: the stream was cut before its end.
        """
        rest, self._rest = self._rest, b""
        self._line(rest)
        if self._finish is None:
            raise BadReply("the stream was cut: no finish_reason")
        pieces = sum(map(bool, self._answer)) + sum(map(bool, self._reasoning))
        text = _text("".join(self._reasoning), "".join(self._answer))
        return Reply(text, self._tokens if self._tokens is not None else pieces, _truncated(self._finish))


def _text(reasoning: str, answer: str) -> str:
    """The response as the model wrote it: a reasoning parser takes the tags away that the graders look for.

    Half a surrogate pair, which a server may send where a character was cut, is replaced here: no file could hold it.
    """
    reasoning, answer = sound_text(reasoning), sound_text(answer)
    if not reasoning:
        return answer
    return f"<think>{reasoning}</think>{answer}" if answer else f"<think>{reasoning}"


def _truncated(finish: object) -> bool:
    if finish in ENDED or finish in CUT:
        return finish in CUT
    raise BadReply(f"finish_reason is {finish!r}; expected one of {', '.join(sorted(ENDED | CUT))}")


def _tokens(reply: Mapping[str, Any]) -> int | None:
    usage = reply.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) else None
