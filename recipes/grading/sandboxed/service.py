"""What runs in the process of a program under test when test code in another sandbox calls it.

Standard library only: this file is read inside the sandbox. Nothing here is trusted by the judge.
"""

from __future__ import annotations

import sys

from .candidate import defines
from .remote import OpenHouse, Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .program import Program


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
        if isinstance(value, type(sys)):
            return {"module": value.__name__}
        if isinstance(value, type) and issubclass(value, BaseException):
            return {"exception": [kind.__name__ for kind in value.__mro__]}
        return {"value": value}
