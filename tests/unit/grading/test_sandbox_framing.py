"""Messages: what is sent arrives, and any other bytes are refused without harm."""

from __future__ import annotations

import importlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.grading import sandbox_seccomp
from recipes.grading.sandboxed import framing, header

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: depth(value) < framing.MAX_DEPTH)


def depth(value: Any) -> int:
    inner = value if isinstance(value, list) else [*value.values()] if isinstance(value, dict) else []
    return 1 + max(map(depth, inner), default=0)


@given(PLAIN)
def test_round_trip(value: Any) -> None:
    found = framing.decode(framing.encode(value))
    assert found == value
    assert type(found) is type(value)


@given(st.binary(max_size=60) | st.text(alphabet="nftidsblm0123:", max_size=40).map(str.encode))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    try:
        value = framing.decode(data)
    except framing.FramingError:
        return
    assert framing.decode(framing.encode(value)) == value or value != value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"n",
        b"s5:abc",
        b"s-1:",
        b"i0:",
        b"i3:xyz",
        b"d1:x",
        b"q0:",
        b"n1:x",
        b"m3:n0:",
        b"m6:l0:n0:",
        b"n0:n0:",
        b"s1:\xff",
        b"l9999999999:",
        framing.encode([[[[[[[[[[]]]]]]]]]]),
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(framing.FramingError):
        framing.decode(data)


def test_reply_length_is_bounded() -> None:
    assert framing.reply_length(struct.pack("<Q", 7)) == 7
    with pytest.raises(framing.FramingError):
        framing.reply_length(struct.pack("<Q", framing.MAX_REPLY_BYTES + 1))


def test_header_table_names_what_the_modules_export() -> None:
    for module in header.MODULES:
        exported: dict[str, Any] = {}
        exec(f"from {module} import *", exported)
        listed = {name for name, owner in header.OWNERS.items() if owner == module}
        elsewhere = {name for name in exported if name in header.OWNERS and header.OWNERS[name] != module}
        builtin = {name for name in exported if name in dir(importlib.import_module("builtins"))}
        assert set(exported) - listed - elsewhere - builtin - set(header.MODULES) - {"__builtins__"} == set()


def test_seccomp_filter_is_a_program_of_whole_instructions() -> None:
    program = sandbox_seccomp.seccomp_filter()
    if program is None:
        pytest.skip("no filter for this machine's architecture")
    instructions = list(struct.iter_unpack("<HBBI", program))
    assert len(program) % 8 == 0
    for index, (code, if_true, if_false, _) in enumerate(instructions):
        assert code in (0x20, 0x15, 0x35, 0x45, 0x06)
        assert index + 1 + max(if_true, if_false) < len(instructions) or code in (0x06, 0x20)
    assert instructions[-1] == (0x06, 0, 0, 0x7FFF0000)
