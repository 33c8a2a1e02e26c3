"""Runs test code in a sandbox of its own, against a program that runs in another one.

The test code sees the program's names as proxies (``remote.Handle``); what it compares is plain data of its own
process. The verdict is a pass only when the whole test code has run, the connection is in order, and the program was
asked something at all.

Standard library only: this file is read inside the sandbox.
"""

from __future__ import annotations

import builtins
import json
import os
import reprlib
import sys

from .remote import GuardedHouse, Peer, PeerLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .program import Program

TESTS_FILE = "<tests>"
_OWN_NAMES = {
    **{name: "typing" for name in ("Any", "Callable", "Dict", "FrozenSet", "Iterable", "Iterator", "List", "Optional")},
    **{name: "typing" for name in ("Sequence", "Set", "Tuple", "Type", "Union")},
    **{name: "collections" for name in ("Counter", "OrderedDict", "defaultdict", "deque", "namedtuple")},
    "isclose": "math",
}
"""Names that test code uses without an import, as if the program had imported them: never the program's own."""
_OWN_ALIASES = {"np": "numpy"}
_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = _SHORT.maxfrozenset = _SHORT.maxdeque = 20
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200
_SHORT.maxlevel = 4


def run(program: Program, arguments: dict[str, Any], result_fd: int, peer_fd: int | None) -> None:
    """Run the arguments' ``setup`` and ``code``, and ``check(entry_point)`` where ``call_check``; write the outcome.

    ``{"passed": true}``, or ``{"passed": false, "by": ..., "detail": ..., "line": ..., "call": ..., "found": ...}``
    where ``by`` names who failed: "test" (an assertion, or any error of the test code on what the program gave),
    "program" (it raised, ended or broke the protocol) or "tests" (the tests cannot judge anything).
    """
    assert peer_fd is not None
    with open(os.devnull, "w") as sink:
        sys.stdout = sink
        outcome = _TestRun(peer_fd).outcome(**arguments)
    os.write(result_fd, json.dumps(outcome).encode("ascii"))


class _Names(dict):
    """The builtins of the test code. A name that is missing there is this side's own module, or the program's."""

    def __init__(self, peer: Peer, namespace: dict[str, Any]) -> None:
        super().__init__(vars(builtins))
        self._peer = peer
        self._namespace = namespace

    def __missing__(self, name: str) -> Any:
        if name.startswith("__"):
            raise KeyError(name)
        value = self[name] = self._own(name) if name not in _OWN_ALIASES else self._module(_OWN_ALIASES[name])
        return value

    def _own(self, name: str) -> Any:
        if name in _OWN_NAMES:
            return getattr(self._module(_OWN_NAMES[name]), name)
        return self._module(name) if name in sys.stdlib_module_names else self.theirs(name)

    @staticmethod
    def _module(name: str) -> Any:
        __import__(name)
        return sys.modules[name]

    def theirs(self, name: str) -> Any:
        """The program's global of this name. Raises NameError, PeerLost."""
        found = self._peer.ask("name", name)
        if type(found) is not dict or len(found) != 1:
            raise NameError(f"name {name!r} is not defined")
        ((kind, value),) = found.items()
        if kind == "module" and type(value) is str and value.partition(".")[0] in sys.stdlib_module_names:
            return self._module(value)
        if kind == "exception" and type(value) is list:
            return self.exception([base for base in value if type(base) is str])
        return value

    def exception(self, names: list[str]) -> type[BaseException]:
        """The class for an exception of the program whose own class and bases have these names.

        It is builtin, or the test code's own of that name, or made up here from its first builtin base.
        """
        kinds = [self._namespace.get(name) or self.get(name) for name in names]
        base = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseException)), Exception)
        if names and base.__name__ != names[0]:
            base = self[names[0]] = type(names[0], (base,), {"__module__": "__main__"})
        return base


class _TestRun:
    """One run of test code against the program at the other end of a socket."""

    def __init__(self, descriptor: int) -> None:
        self._house = GuardedHouse(self._class)
        self._peer = Peer(descriptor, self._house)
        self._namespace: dict[str, Any] = {"__name__": "__main__"}
        self._names = self._namespace["__builtins__"] = _Names(self._peer, self._namespace)
        self._peer.exception = self._names.exception

    def outcome(self, setup: str, code: str, entry_point: str, call_check: bool) -> dict[str, Any]:
        """The verdict as ``run`` writes it. Raises nothing."""
        try:
            if "random" in code or "random" in setup:  # every program gets the same draws
                self._names["random"].seed(0)
            classes = self._peer.await_greeting()
            if type(classes) is list:
                self._house.their_classes = frozenset(name for name in classes if type(name) is str)
            self._execute(setup, code, entry_point, call_check)
        except BaseException as error:
            return self._failure(error)
        if self._peer.lost is not None:
            return {"passed": False, "by": "program", "detail": self._peer.lost}
        if not self._peer.asked:
            return {"passed": False, "by": "tests", "detail": "the test code ended without calling the program"}
        self._peer.goodbye()
        return {"passed": True}

    def _execute(self, setup: str, code: str, entry_point: str, call_check: bool) -> None:
        exec(compile(setup, "<setup>", "exec", dont_inherit=True), self._namespace)
        if entry_point.isidentifier():
            self._namespace[entry_point] = self._names.theirs(entry_point)
        self._peer.asked = 0
        exec(compile(code, TESTS_FILE, "exec", dont_inherit=True), self._namespace)
        if call_check:
            self._namespace["check"](eval(entry_point, self._namespace))

    def _class(self, name: str) -> type | None:
        kind = self._namespace.get(name)
        if type(kind) is type and kind.__module__ == "__main__" and not issubclass(kind, BaseException):
            return kind
        return None

    def _failure(self, error: BaseException) -> dict[str, Any]:
        by = "test"
        if isinstance(error, PeerLost) or self._peer.lost is not None or hasattr(error, "_of_the_other_side"):
            by = "program"
        line, traceback = None, error.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == TESTS_FILE:
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        detail = self._peer.lost or f"{type(error).__name__}: {_text(error)}".rstrip(": ")
        request = self._peer.last_request
        call = found = None
        if request is not None and request[0] == "call":
            call, found = _short(request[1][1:]), _short(self._peer.last_answer)
        return {"passed": False, "by": by, "detail": detail[:1000], "line": line, "call": call, "found": found}


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""


def _short(value: Any) -> str:
    try:
        return _SHORT.repr(value)[:500]
    except Exception:
        return f"<{type(value).__name__}>"
