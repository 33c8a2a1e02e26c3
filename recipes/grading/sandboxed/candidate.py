"""What runs in the process of a program under test when one of its functions is called with given arguments.

Standard library only, and little of it: this file is read inside the sandbox. Nothing here is trusted by the judge.
"""

from __future__ import annotations

import os
from _json import encode_basestring_ascii, make_encoder  # the package takes as long to import as a test takes

from .values import Encoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, NoReturn

    from .program import Program


def call(program: Program, arguments: dict[str, Any], result_fd: int, peer_fd: int | None) -> None:
    """Call ``arguments["function"]`` with ``arguments["arguments"]`` and write what it returns.

    A method of ``class Solution`` comes before a function of the same name.
    """
    result = find(program, program.run(), arguments["function"])(*arguments["arguments"])
    encoder = Encoder()
    reference = encoder.add(result)
    write_json = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, True)
    _write(result_fd, "".join(write_json([reference, encoder.nodes], 0)).encode("ascii"))


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

    codes: list[CodeType] = [program.code]
    for code in codes:
        codes += [constant for constant in code.co_consts if isinstance(constant, type(code))]
        stores = ("STORE_NAME", "STORE_GLOBAL") if code is program.code else ("STORE_GLOBAL",)
        if any(step.opname in stores and step.argval == name for step in dis.get_instructions(code)):
            return True
    return False


def _write(descriptor: int, data: bytes) -> None:
    waiting = memoryview(data)
    while waiting:
        waiting = waiting[os.write(descriptor, waiting) :]


def _refuse(value: Any) -> NoReturn:
    raise TypeError(f"{type(value).__name__} is no plain data")
