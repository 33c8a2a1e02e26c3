from __future__ import annotations

import json
from typing import Any

import pytest

from recipes.servers.wire import BadReply, Reply, Sampling, StreamedReply, read_reply, request_body

SAMPLING = Sampling(max_tokens=32768, temperature=0.6, top_p=0.95)


def chat(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **more}).encode()


def test_bodies() -> None:
    body = request_body("chat", "m", "2+2?", SAMPLING, 7, stream=True, extra={"top_k": 20})
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "2+2?"}],
        "max_tokens": 32768,
        "temperature": 0.6,
        "top_p": 0.95,
        "seed": 7,
        "n": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
        "top_k": 20,
    }
    plain = request_body("completions", "m", "<|im_start|>", SAMPLING, 7, stream=False, extra={"seed": 8})
    assert (plain["prompt"], plain["seed"], "stream_options" in plain, "messages" in plain) == (
        "<|im_start|>",
        8,
        False,
        False,
    )


@pytest.mark.parametrize(
    ("message", "finish", "expected"),
    [
        ({"content": "<think>a</think>4"}, "stop", Reply("<think>a</think>4", 9, False)),
        ({"content": "4", "reasoning_content": "a"}, "eos", Reply("<think>a</think>4", 9, False)),
        ({"content": None, "reasoning": "a"}, "length", Reply("<think>a", 9, True)),
        ({"content": ""}, "stop", Reply("", 9, False)),
    ],
)
def test_a_reasoning_parsers_parts_are_put_together_again(message: Any, finish: str, expected: Reply) -> None:
    assert read_reply("chat", chat(message, finish, usage={"completion_tokens": 9})) == expected
    stream = StreamedReply("chat")
    for part in [*({name: text} for name, text in reversed(message.items())), {}]:
        last = finish if part == {} else None
        stream.feed(b"data: " + json.dumps({"choices": [{"delta": part, "finish_reason": last}]}).encode() + b"\n")
    stream.feed(b'data: {"choices": [], "usage": {"comple')
    stream.feed(b'tion_tokens": 9}}\r\n\r\n')
    stream.feed(b"data: [DONE]")
    assert stream.end() == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        chat({"content": None}),
        chat({"content": "4"}, None),
        chat({"content": "4"}, "abort"),
    ],
)
def test_what_is_no_response_is_refused(raw: bytes) -> None:
    with pytest.raises(BadReply):
        read_reply("chat", raw)


def test_a_stream_that_is_cut_or_broken() -> None:
    stream = StreamedReply("completions")
    stream.feed(b": keep alive\n")
    stream.feed(b"\n")
    stream.feed(b'data: {"choices": [{"text": "a"}]}\n')
    with pytest.raises(BadReply, match="cut"):
        stream.end()
    with pytest.raises(BadReply, match="no event in"):
        stream.feed(b"data: {half\n")
    with pytest.raises(BadReply, match="out of memory"):
        stream.feed(b'data: {"error": {"message": "out of memory"}}\n')
    stream.feed(b'data: {"choices": [{"text": "b", "finish_reason": "length"}]}\n')
    assert stream.end() == Reply("ab", 2, True)
    assert read_reply("completions", b'{"choices": [{"text": "ab", "finish_reason": "stop"}]}').tokens is None


def test_half_a_surrogate_pair_is_replaced_and_a_pair_that_was_cut_is_whole() -> None:
    """JSON lets it pass and no file could hold it."""
    message = {"content": "4\ud83d", "reasoning_content": "\ude00a"}
    assert read_reply("chat", chat(message)).text == "<think>\ufffda</think>4\ufffd"
    stream = StreamedReply("completions")
    for piece, finish in (("a\ud83d", None), ("\ude00b\ud83d", "stop")):
        event = {"choices": [{"text": piece, "finish_reason": finish}]}
        stream.feed(b"data: " + json.dumps(event).encode() + b"\n")
    assert stream.end().text == "a😀b\ufffd"
