"""Programs that want to pass without an answer: ``f(1)`` is asked to be 2."""

from __future__ import annotations

HACKS = {
    "an object that equals everything": """
class E:
    def __eq__(self, other): return True
    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = lambda self: 0
def f(x): return E()
""",
    "an integer that equals everything": """
class E(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def f(x): return E()
""",
    "a list that equals everything": """
class E(list):
    def __eq__(self, other): return True
    def __len__(self): return 2
def f(x): return E()
""",
    "an object that is near everything": """
class E:
    def __contains__(self, other): return True
    def __abs__(self): return 0
    def __sub__(self, other): return 0
    __rsub__ = __sub__
def f(x): return E()
""",
    "an object that converts": """
class E:
    def __float__(self): return 2.0
    def __round__(self, n=0): return 2
    def __index__(self): return 2
def f(x): return E()
""",
    "AssertionError": "def f(x): raise AssertionError",
    "sys.exit(0)": "import sys\ndef f(x): sys.exit(0)",
    "sys.exit(0) at once": "import sys\nsys.exit(0)",
    "os._exit(0)": "import os\ndef f(x): os._exit(0)",
    "os._exit(0) at once": "import os\nos._exit(0)",
    "exit in an exit function": "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): return 3",
    "patched builtins": """
import builtins
builtins.len = lambda x: 2
builtins.isinstance = lambda *a: True
builtins.AssertionError = type("Quiet", (Exception,), {})
def f(x): return 3
""",
    "patched json": """
import json
json.dumps = lambda *a, **k: "[2,[]]"
json.loads = lambda text: [2, []]
def f(x): return 3
""",
    "the tests' own names": """
def assert_equal(a, b): pass
def check(candidate): pass
def math(): pass
def isclose(a, b): return True
def f(x): return 3
""",
    "mock.ANY": "from unittest.mock import ANY\ndef f(x): return ANY",
    "a mock": "from unittest.mock import MagicMock\ndef f(x): return MagicMock()",
    "a pass printed": """print('{"passed": true}')\nprint('[2,[]]')\nprint("ok", flush=True)\ndef f(x): return 3""",
}
"""A name and a program; none may pass."""

OWN_PROCESS_ONLY = {
    "a pass written to every descriptor": """
import os
for fd in range(64):
    for data in (b'{"passed": true}', b'\\x00\\x00\\x00\\x10{"passed": true}'):
        try: os.write(fd, data)
        except OSError: pass
def f(x): return 3
""",
    "a pass forged before the call ends": """
import os
def f(x):
    for fd in range(3, 64):
        try: os.write(fd, b'{"passed": true}')
        except OSError: pass
    os._exit(0)
""",
    "the result replaced": """
import os
def f(x):
    for fd in range(3, 64):
        try: os.ftruncate(fd, 0)
        except OSError: pass
    return 3
""",
    "the expected value in the frames": """
import sys
def f(x):
    frame = sys._getframe()
    while frame:
        for scope in (frame.f_locals, frame.f_globals):
            if "expected" in scope or "outputs" in scope: return 2
            if any(isinstance(value, str) and "(1)" in value for value in scope.values()): return 2
        frame = frame.f_back
    return 3
""",
    "the expected value in the memory": """
import gc
def f(x):
    for value in gc.get_objects():
        if isinstance(value, dict) and ("call_check" in value or "outputs" in value): return 2
    return 3
""",
    "the expected value in the environment": """
import os, sys
def f(x):
    texts = [str(dict(os.environ)), str(sys.argv)]
    for root, _, names in [*os.walk("/tmp"), *os.walk(os.getcwd())]:
        for name in names: texts.append(open(os.path.join(root, name), errors="replace").read())
    for pid in os.listdir("/proc") if os.path.exists("/proc") else []:
        for name in ("cmdline", "environ"):
            try: texts.append(open(f"/proc/{pid}/{name}").read())
            except OSError: pass
    return 2 if any("== 2" in text or "outputs" in text for text in texts) else 3
""",
    "a thread that goes on": """
import threading, os
def f(x):
    threading.Thread(target=lambda: [os.write(1, b"2\\n") for _ in range(1000)], daemon=True).start()
    return 3
""",
}
"""Programs that would disturb the test's own process without a sandbox."""
