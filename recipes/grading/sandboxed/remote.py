"""Calls between the program under test and the test code, each in a process of its own, over one socket.

Both ends run the same ``Peer``: whoever waits for an answer serves the other's calls meanwhile, so that a function
given as an argument can be called back. Arguments and results travel as ``values``; what a call changed in its mutable
arguments is changed in the caller's objects too. Frames are a length of four bytes and JSON.

What a ``Peer`` may be asked for is decided by its ``House``. Standard library only: this file is read inside the
sandbox.
"""

from __future__ import annotations

import builtins
import json
import os
import struct
from types import BuiltinFunctionType, FunctionType, MethodType

from .values import MAY_CHANGE, Decoder, Encoder, Malformed, Unsendable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from .values import Node

MAX_MESSAGE_BYTES = 64 << 20
_LENGTH = struct.Struct(">I")
_OPERATIONS = frozenset({"name", "call", "get", "set", "length", "items", "item", "set_item", "text"})


class PeerLost(BaseException):
    """The other side ended or does not keep to the protocol. No test code's ``except Exception`` may hide it."""


class Handle:
    """An object that lives on the other side. Attributes, calls, items and text are asked for there.

    Equality, hash, truth and order are those of any plain object here: the other side has no say in a comparison.
    """

    __slots__ = ("_Handle__number", "_Handle__peer")

    def __init__(self, peer: Peer, number: int) -> None:
        object.__setattr__(self, "_Handle__peer", peer)
        object.__setattr__(self, "_Handle__number", number)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__peer.ask("call", self.__number, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.__peer.ask("get", self.__number, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.__peer.ask("set", self.__number, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self.__peer.ask("item", self.__number, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.__peer.ask("set_item", self.__number, key, value)

    def __len__(self) -> int:
        length: int = self.__peer.ask("length", self.__number)
        return length

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__peer.ask("items", self.__number))

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        text = self.__peer.ask("text", self.__number)
        return text if type(text) is str else ""

    def __repr__(self) -> str:
        return f"<object {self.__number} of the other side>"

    __hash__ = object.__hash__


class House:
    """What one side shows to the other: here, its handles alone and nothing but their calls.

    ``classes`` are this side's own classes whose instances may be copied from and to the other side.
    """

    def __init__(self, classes: Callable[[str], type | None] = lambda name: None) -> None:
        self.own_class = classes
        self.their_classes: frozenset[str] = frozenset()
        """The names of classes that the other side has; set once it has told."""
        self._shown: list[Any] = []
        self._numbers: dict[int, int] = {}

    def show(self, value: Any) -> int:
        """A number under which the other side may ask for an object."""
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._shown)
            self._shown.append(value)
        return number

    def shown(self, number: int) -> Any:
        """The object of such a number. Raises IndexError."""
        if number < 0:
            raise IndexError(number)
        return self._shown[number]

    def copied(self, value: Any) -> bool:
        """Whether an instance travels as a copy: a class of this name on both sides, and it is this side's own."""
        kind = type(value)
        return kind.__name__ in self.their_classes and self.own_class(kind.__name__) is kind

    def name(self, name: str) -> Any:
        """The object of a global name. Raises NameError."""
        raise NameError(name)

    def perform(self, operation: str, target: Any, arguments: list[Any]) -> Any:
        """One request of the other side. May raise anything."""
        if operation == "call":
            args, kwargs = arguments
            return target(*args, **kwargs)
        raise TypeError(f"{operation} is not served")


class OpenHouse(House):
    """Serves every request: the side of the program under test, which has nothing to hide."""

    def perform(self, operation: str, target: Any, arguments: list[Any]) -> Any:
        if operation == "get":
            return getattr(target, arguments[0])
        if operation == "set":
            return setattr(target, arguments[0], arguments[1])
        if operation == "length":
            return len(target)
        if operation == "items":
            return iter(list(target))
        if operation == "item":
            return target[arguments[0]]
        if operation == "set_item":
            target[arguments[0]] = arguments[1]
            return None
        if operation == "text":
            return str(target)
        return super().perform(operation, target, arguments)


class GuardedHouse(House):
    """Serves calls of functions and public attributes of instances: the side of the test code.

    A function's own attributes lead to its globals, and those to the expected results; they are refused.
    """

    def perform(self, operation: str, target: Any, arguments: list[Any]) -> Any:
        callable_only = isinstance(target, (FunctionType, MethodType, BuiltinFunctionType, type))
        if operation in ("get", "set") and not callable_only:
            name = arguments[0]
            if type(name) is not str or name.startswith("_"):
                raise AttributeError(name)
            return getattr(target, name) if operation == "get" else setattr(target, name, arguments[1])
        return super().perform(operation, target, arguments)


def _builtin_exception(names: list[str]) -> type[BaseException]:
    kinds = (getattr(builtins, name, None) for name in names)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseException)), Exception)


class Peer:
    """One end of the socket ``descriptor``. Not for several threads."""

    def __init__(self, descriptor: int, house: House) -> None:
        self._descriptor = descriptor
        self._house = house
        self._handles: dict[int, Handle] = {}
        self.lost: str | None = None
        """Why the other side is no partner any more; None while it is."""
        self.asked = 0
        """Requests sent so far."""
        self.last_request: tuple[str, tuple[Any, ...]] | None = None
        self.last_answer: Any = None
        self.exception: Callable[[list[str]], type[BaseException]] = _builtin_exception
        """This side's class for an exception of the other side, by the names of its class and bases."""

    # The caller's side.

    def ask(self, operation: str, *arguments: Any) -> Any:
        """Have the other side do something, and return or raise what came of it. Raises PeerLost."""
        if self.lost is not None:
            raise PeerLost(self.lost)
        self.asked += 1
        self.last_request, self.last_answer = (operation, arguments), None
        encoder = Encoder(self._export)
        references = [encoder.add(argument) for argument in arguments]
        self._send({"ask": operation, "arguments": references, "nodes": encoder.nodes})
        while True:
            message = self._receive()
            if "ask" not in message:
                return self._outcome(message, encoder.objects)
            self._serve(message)

    def _outcome(self, message: dict[str, Any], sent: list[Any]) -> Any:
        try:
            decoder = self._decoder(message.get("nodes"), sent)
            for known, node in message.get("changed", ()):
                decoder.change(known, node)
            if "raised" not in message:
                self.last_answer = decoder.value(message["value"])
                return self.last_answer
            names, arguments = message["raised"], decoder.value(message["value"])
            error = self._error(names, arguments)
        except (Malformed, KeyError, TypeError, ValueError, RecursionError) as malformed:
            raise self._lose(f"the program sent a malformed message: {malformed}") from None
        raise error

    def _error(self, names: Any, arguments: Any) -> BaseException:
        kind = self.exception([name for name in names if type(name) is str])
        arguments = arguments if type(arguments) is tuple else (arguments,)
        try:
            error = kind(*arguments)
        except Exception:
            error = Exception(*arguments)
        error._of_the_other_side = True  # type: ignore[attr-defined]
        return error

    def await_greeting(self) -> Any:
        """What the other side's ``greet`` tells, or its error. Raises PeerLost."""
        return self._outcome(self._receive(), [])

    # The callee's side.

    def greet(self, error: BaseException | None, value: Any = None) -> None:
        """Open the conversation with a value, or with the error that prevents it."""
        self._send(self._answer(value, [], []) if error is None else self._answer_raised(error, [], []))

    def serve(self) -> None:
        """Answer requests until the other side says goodbye or is gone."""
        try:
            while True:
                message = self._receive()
                if "ask" not in message:
                    return
                self._serve(message)
        except PeerLost:
            return

    def goodbye(self) -> None:
        """Let the other side's ``serve`` return. Whether it listens is its own affair."""
        try:
            self._send({"goodbye": True})
        except PeerLost:
            return

    def _serve(self, message: dict[str, Any]) -> None:
        decoder = None
        try:
            decoder = self._decoder(message.get("nodes"), ())
            operation = message["ask"]
            arguments = [decoder.value(reference) for reference in message["arguments"]]
            if operation not in _OPERATIONS:
                raise Malformed("an unknown request")
            if operation == "name":
                result = self._house.name(arguments[0])
            else:
                result = self._house.perform(operation, self._house.shown(arguments[0]), arguments[1:])
            self._send(self._answer(result, message["nodes"], decoder.objects))
        except PeerLost:
            raise
        except BaseException as error:
            self._send(self._answer_raised(error, message.get("nodes"), decoder.objects if decoder else []))

    def _answer(self, result: Any, nodes: list[Node], received: list[Any]) -> dict[str, Any]:
        encoder = Encoder(self._export, received)
        value = encoder.add(result)
        changed = []
        for known, node in enumerate(nodes):
            if node[0] in MAY_CHANGE:
                now = encoder.content(known)
                if now != node:
                    changed.append([known, now])
        return {"value": value, "nodes": encoder.nodes, "changed": changed}

    def _answer_raised(self, error: BaseException, nodes: Any, received: list[Any]) -> dict[str, Any]:
        names = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, BaseException)]
        try:
            reply = self._answer(error.args, nodes if received else [], received)
        except Exception:
            text = Encoder()
            try:
                reply = {"value": text.add((str(error)[:1000],)), "nodes": text.nodes}
            except Exception:
                reply = {"value": None, "nodes": []}
        return {**reply, "raised": names}

    # Both.

    def _export(self, encoder: Encoder, value: Any) -> Node:
        if type(value) is Handle:
            return ["back", value._Handle__number]
        if not self._house.copied(value):
            return ["handle", self._house.show(value)]
        attributes = dict(getattr(value, "__dict__", {}))
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if hasattr(value, name):
                    attributes[name] = getattr(value, name)
        return encoder.object_node(type(value).__name__, attributes)

    def _decoder(self, nodes: Any, known: Iterable[Any]) -> Decoder:
        house = self._house
        return Decoder(nodes, known, theirs=self._handle, ours=house.shown, classes=house.own_class)

    def _handle(self, number: int) -> Handle:
        if number not in self._handles:
            self._handles[number] = Handle(self, number)
        return self._handles[number]

    def _lose(self, reason: str) -> PeerLost:
        self.lost = self.lost or reason
        return PeerLost(self.lost)

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps(message, separators=(",", ":")).encode("ascii")
        if len(body) > MAX_MESSAGE_BYTES:
            raise Unsendable(f"a message of {len(body):,} bytes, expected at most {MAX_MESSAGE_BYTES:,}")
        waiting = memoryview(_LENGTH.pack(len(body)) + body)
        try:
            while waiting:
                waiting = waiting[os.write(self._descriptor, waiting) :]
        except OSError as error:
            raise self._lose(f"the connection ended ({error.strerror})") from None

    def _receive(self) -> dict[str, Any]:
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        if length > MAX_MESSAGE_BYTES:
            raise self._lose(f"a message of {length:,} bytes, expected at most {MAX_MESSAGE_BYTES:,}")
        try:
            message = json.loads(self._read(length))
        except (ValueError, RecursionError) as error:
            raise self._lose(f"a message that is no JSON ({str(error)[:100]})") from None
        if type(message) is not dict:
            raise self._lose("a message that is no JSON object")
        return message

    def _read(self, length: int) -> bytes:
        parts = []
        while length:
            try:
                part = os.read(self._descriptor, min(length, 1 << 20))
            except OSError:
                part = b""
            if not part:
                raise self._lose("the connection ended")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)
