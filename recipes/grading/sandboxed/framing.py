"""Messages between the judge and the interpreter inside the sandbox: a length, the body, perhaps file descriptors.

The two directions differ, because their trust does. The judge's requests are ``marshal``, which reads fast and needs no
import; the inside trusts the judge. Replies are a small format of plain data whose reader is safe for any bytes.
"""

from __future__ import annotations

import _socket  # "socket" takes a third of the interpreter's start
import marshal
import struct

TYPE_CHECKING = False  # typing's own takes as long to import as everything else here
if TYPE_CHECKING:
    from typing import Any

MAX_REPLY_BYTES = 1 << 20
"""Replies are small: what a test writes travels in memory files."""
MAX_DEPTH = 8
MAX_DESCRIPTORS = 8
_LENGTH = struct.Struct("<Q")
HEADER_BYTES = _LENGTH.size
_FLOAT = struct.Struct("<d")


class FramingError(ValueError):
    """The other side sent bytes that are no message."""


def send_request(connection: _socket.socket, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
    """Send a dict of plain data (what ``marshal`` takes) and up to ``MAX_DESCRIPTORS`` open files."""
    body = marshal.dumps(message, 4)
    header = _LENGTH.pack(len(body))
    if descriptors:
        rights = struct.pack(f"{len(descriptors)}i", *descriptors)
        connection.sendmsg([header], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
        connection.sendall(body)
    else:
        connection.sendall(header + body)


def receive_request(connection: _socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The judge's next request and its open files; EOFError when the judge is gone."""
    header, ancillary, _, _ = connection.recvmsg(_LENGTH.size, _socket.CMSG_SPACE(MAX_DESCRIPTORS * 4), 0)
    descriptors: list[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            descriptors.extend(struct.unpack(f"{len(data) // 4}i", data))
    header += _receive_exactly(connection, _LENGTH.size - len(header)) if header else b""
    if not header:
        raise EOFError
    return marshal.loads(_receive_exactly(connection, _LENGTH.unpack(header)[0])), descriptors


def _receive_exactly(connection: _socket.socket, length: int) -> bytes:
    buffer = bytearray(length)
    view = memoryview(buffer)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return bytes(buffer)


def send_reply(connection: _socket.socket, message: dict[str, Any]) -> None:
    """Send a dict of None, bool, int, float, str, bytes, list and dict."""
    body = encode(message)
    connection.sendall(_LENGTH.pack(len(body)) + body)


def reply_length(header: bytes) -> int:
    """The body's length in bytes that a reply's first eight bytes announce; FramingError above MAX_REPLY_BYTES."""
    length: int = _LENGTH.unpack(header)[0]
    if length > MAX_REPLY_BYTES:
        raise FramingError(f"a reply of {length} bytes, expected at most {MAX_REPLY_BYTES}")
    return length


def encode(value: Any) -> bytes:
    """Plain data as bytes: a letter for the type, the length in decimal, a colon, the content."""
    if value is None:
        return b"n0:"
    if isinstance(value, bool):
        return b"t0:" if value else b"f0:"
    if isinstance(value, int):
        kind, content = b"i", b"%x" % value
    elif isinstance(value, float):
        kind, content = b"d", _FLOAT.pack(value)
    elif isinstance(value, str):
        kind, content = b"s", value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes):
        kind, content = b"b", value
    elif isinstance(value, (list, tuple)):
        kind, content = b"l", b"".join([encode(item) for item in value])
    elif isinstance(value, dict):
        kind, content = b"m", b"".join([encode(part) for item in value.items() for part in item])
    else:
        raise TypeError(f"{type(value).__name__} is no plain data")
    return b"%b%d:%b" % (kind, len(content), content)


def decode(data: bytes) -> Any:
    """The inverse of :func:`encode`; FramingError for any other bytes."""
    try:
        value, end = _decode(data, 0, len(data), MAX_DEPTH)
    except (ValueError, IndexError, struct.error, TypeError) as error:
        raise FramingError(f"{type(error).__name__}: {error}") from None
    if end != len(data):
        raise FramingError(f"{len(data) - end} bytes after the message")
    return value


def _decode(data: bytes, start: int, limit: int, depth: int) -> tuple[Any, int]:
    colon = data.index(b":", start + 1, min(start + 12, limit))
    digits = data[start + 1 : colon]
    if not digits.isdigit():
        raise ValueError(f"a length of {digits!r}")
    begin = colon + 1
    end = begin + int(digits)
    if end > limit:
        raise ValueError("a part is longer than its whole")
    kind, content = data[start : start + 1], data[begin:end]
    if kind == b"s":
        return content.decode("utf-8", "surrogatepass"), end
    if kind == b"b":
        return content, end
    if kind == b"i":
        return int(content, 16), end
    if kind == b"d":
        return _FLOAT.unpack(content)[0], end
    if kind in _CONSTANTS and not content:
        return _CONSTANTS[kind], end
    if kind not in (b"l", b"m") or depth == 0:
        raise ValueError(f"kind {kind!r} at depth {MAX_DEPTH - depth}")
    items = []
    while begin < end:
        item, begin = _decode(data, begin, end, depth - 1)
        items.append(item)
    if kind == b"l":
        return items, end
    return dict(zip(items[::2], items[1::2], strict=True)), end


_CONSTANTS = {b"n": None, b"t": True, b"f": False}
