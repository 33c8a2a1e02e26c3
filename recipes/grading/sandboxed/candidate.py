"""What runs in the process of a program under test when its functions are called: one call, or calls by test code.

Standard library only: this file is read inside the sandbox. Nothing here is trusted by the judge.
"""

from __future__ import annotations

import json
import os
from types import CodeType, ModuleType
from typing import Any, Protocol

from .remote import OpenHouse, Peer
from .values import Encoder


class Program(Protocol):
    """The compiled source of the program under test."""

    code: CodeType

    def run(self) -> dict[str, Any]:
        """Execute it as a module; returns its namespace."""


def call(program: Program, arguments: dict[str, Any], result_fd: int, peer_fd: int | None) -> None:
    """Call ``arguments["function"]`` with ``json.loads(arguments["arguments"])`` and write what it returns.

    A method of ``class Solution`` comes before a function of the same name.
    """
    result = find(program, program.run(), arguments["function"])(*json.loads(arguments["arguments"]))
    encoder = Encoder()
    reference = encoder.add(result)
    _write(result_fd, json.dumps([reference, encoder.nodes], separators=(",", ":")).encode("ascii"))


def find(program: Program, namespace: dict[str, Any], name: str) -> Any:
    """The method of a new ``Solution`` or the function of this name. Raises NameError."""
    solution = namespace.get("Solution")
    if isinstance(solution, type) and hasattr(solution, name):
        return getattr(solution(), name)
    if defines(program, namespace, name):
        return namespace[name]
    raise NameError(f"the program defines no function {name!r} and no method of class Solution of that name")


def defines(program: Program, namespace: dict[str, Any], name: str) -> bool:
    """Whether the program itself gave a global this name; the imports put before it do not count."""
    if name not in namespace:
        return False
    if getattr(namespace[name], "__module__", None) == "solution":
        return True
    import dis  # rarely needed, and slow to import

    codes = [program.code]
    for code in codes:
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        stores = ("STORE_NAME", "STORE_GLOBAL") if code is program.code else ("STORE_GLOBAL",)
        if any(step.opname in stores and step.argval == name for step in dis.get_instructions(code)):
            return True
    return False


def serve(program: Program, arguments: dict[str, Any], result_fd: int, peer_fd: int | None) -> None:
    """Run the program as a module, then do what the test code asks for over ``peer_fd``."""
    assert peer_fd is not None
    house = _ProgramHouse(program, frozenset(arguments["classes"]))
    peer = Peer(peer_fd, house)
    try:
        house.namespace = program.run()
    except BaseException as error:
        peer.greet(error)
        raise
    house.their_classes = house.theirs & house.defined
    peer.greet(None, sorted(house.defined))
    peer.serve()


class _ProgramHouse(OpenHouse):
    """The program's globals, by name. Instances of classes that the test code also defines travel as copies."""

    def __init__(self, program: Program, theirs: frozenset[str]) -> None:
        super().__init__(self._class)
        self._program = program
        self.theirs = theirs
        self.namespace: dict[str, Any] = {}

    @property
    def defined(self) -> frozenset[str]:
        """Names of the classes that the program's own source defines."""
        return frozenset(
            name
            for name, value in self.namespace.items()
            if isinstance(value, type) and value.__module__ == "solution" and value.__name__ == name
        )

    def _class(self, name: str) -> type | None:
        kind = self.namespace.get(name)
        if name in self.theirs and isinstance(kind, type) and kind.__module__ == "solution":
            return kind
        return None

    def name(self, name: str) -> Any:
        if not defines(self._program, self.namespace, name):
            raise NameError(f"name {name!r} is not defined")
        value = self.namespace[name]
        if isinstance(value, ModuleType):
            return {"module": value.__name__}
        if isinstance(value, type) and issubclass(value, BaseException):
            return {"exception": [kind.__name__ for kind in value.__mro__]}
        return {"value": value}


def _write(descriptor: int, data: bytes) -> None:
    waiting = memoryview(data)
    while waiting:
        waiting = waiting[os.write(descriptor, waiting) :]
