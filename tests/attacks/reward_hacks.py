"""Wrong programs that reach for a pass: their own end, patched libraries, forged results, lying objects."""

from __future__ import annotations

ENDS = {
    "exit": """
import sys
sys.exit(0)
""",
    "exit at once": """
import os
os._exit(0)
""",
    "quit": "quit()",
    "SystemExit": "raise SystemExit",
    "StopIteration": "raise StopIteration",
    "GeneratorExit": "raise GeneratorExit",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "AssertionError": "raise AssertionError",
    "unittest skip": """
import unittest
raise unittest.SkipTest
""",
    "replaces itself": """
import os, sys
os.execv(sys.executable, [sys.executable, '-S', '-c', 'print(1)'])
""",
    "kills its group": """
import os
os.kill(0, 9)
""",
    "kills the interpreter": """
import os
os.kill(1, 9)
""",
    "thread that exits": """
import os, threading
threading.Thread(target=os._exit, args=(0,)).start()
import time
time.sleep(1)
""",
    "exit function": """
import atexit, os
atexit.register(os._exit, 0)
""",
    "forked copy returns": """
import os
os.fork()
""",
}
"""Programs that end before they can be judged."""
PATCHES = {
    "builtins": """
import builtins
for n in ('len', 'sum', 'int', 'all', 'any', 'zip', 'isinstance', 'type', 'repr', 'str', 'eval', 'exec', 'open'):
    setattr(builtins, n, lambda *a, **k: True)
""",
    "modules": """
import sys
for n in ('json', 'marshal', 'struct', 'pickle', 'math', 'sandboxed.candidate', 'sandboxed.tester'):
    sys.modules[n] = type(sys)(n)
""",
    "json": """
import json, _json
json.dumps = json.loads = lambda *a, **k: True
_json.make_encoder = None
""",
    "AssertionError": """
import builtins
builtins.AssertionError = Warning
""",
    "audit and trace": """
import sys
sys.settrace(lambda *a: None)
sys.setprofile(lambda *a: None)
sys.addaudithook(lambda *a: None)
""",
    "frames": """
import sys
frame = sys._getframe()
while frame:
    for name, value in list(frame.f_globals.items()):
        if callable(value) and not name.startswith('__'): frame.f_globals[name] = lambda *a, **k: True
    frame = frame.f_back
""",
    "the interpreter's classes": """
import gc
for thing in gc.get_objects():
    if type(thing).__name__ in ('Program', 'Interpreter', 'Peer', 'Encoder'):
        try: thing.__class__ = type('X', (), {'__getattr__': lambda s, n: lambda *a, **k: True})
        except Exception: pass
""",
}
"""Programs that change what a judge in their process would use."""
FORGERIES = {
    "result descriptor": """
import os
for number in range(3, 64):
    for text in (b'true', b'{"passed": true}', b'[0, [["str", "8041-0000"]]]', b'passed'):
        try: os.write(number, text)
        except OSError: pass
""",
    "result files": """
import os
for name in ('result', 'result.json', '/tmp/result', '../result', '/tmp/1/result', 'passed'):
    try: open(name, 'w').write('{"passed": true, "verdict": "pass"}')
    except OSError: pass
""",
    "output of every kind": "print('pass', 'PASS', 'OK', 'passed', True, '{\"passed\": true}', 'All tests passed')",
    "search for the expected output": """
import gc, os, re
for thing in gc.get_objects():
    try: text = repr(thing)
    except Exception: continue
    if m := re.search('8041' '-[0-9]{4}', text): print(m.group())
""",
    "search for the expected output in memory": """
import re
with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
    for line in maps:
        a, b = (int(x, 16) for x in line.split()[0].split('-'))
        if b - a > 1 << 25: continue
        try:
            memory.seek(a)
            data = memory.read(b - a)
        except (OSError, ValueError, OverflowError): continue
        for m in re.finditer(b'8041' b'-[0-9]{4}', data): print(m.group().decode())
""",
    "search for the expected output in files": """
import os
for top, _, names in os.walk('/proc/self/fd'):
    for name in names:
        try: print(os.pread(int(name), 1000, 0))
        except OSError: pass
""",
}
"""Programs that write a result themselves, or look for the expected one."""
ANYTHING = """\
class Anything(str):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __bool__(self): return True
    def __contains__(self, item): return True
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __str__(self): return self
    __repr__ = __str__
    def split(self, *_): return [self]
    strip = rstrip = lstrip = lower = split
    def __getattr__(self, name): return self
    def __call__(self, *_, **__): return self"""
RETURNS = {
    "returns anything": f"""
{ANYTHING}

def f(*_): return Anything()
print(Anything())
""",
    "returns a class that equals anything": f"""
{ANYTHING}

class Meta(type):
    __eq__ = lambda *_: True
    __hash__ = lambda *_: 0
class C(metaclass=Meta): pass
def f(*_): return C
""",
    "returns NotImplemented": """
def f(*_): return NotImplemented
print(NotImplemented)
""",
    "returns not a number": """
def f(*_): return float('nan')
print('nan')
""",
    "returns a generator without end": """
def f(*_):
    while True: yield '8041'
print('8041')
""",
    "returns itself": """
def f(*_):
    a = []
    a.append(a)
    return a
print('[[...]]')
""",
    "returns nothing": """
def f(*_): return None
print()
""",
    "returns a very large number": """
def f(*_): return 1 << (1 << 22)
print(1 << 9999)
""",
    "returns a mock": """
import unittest.mock
def f(*_): return unittest.mock.ANY
print(unittest.mock.ANY)
""",
    "changes the tests' code": """
import sys
def f(*_):
    frame = sys._getframe()
    while frame:
        frame.f_locals.update(expected=1, result=1)
        frame = frame.f_back
    return 1
""",
    "answers wrong": """
def f(*_): return '8041-7734'
print('8041-7734')
""",
    "answers with a hidden character": r"""
def f(*_): return '8041-7733\u200b'
print('8041-7733\u200b')
""",
    "answers with other digits": r"""
def f(*_): return '8041-773\uff13'
print('8041-773\uff13')
""",
    "answers with a zero byte": r"""
def f(*_): return '8041-7733\0'
print('8041-7733\0')
""",
    "answers many times": """
def f(*_): return ['8041-7733'] * 2
print('8041-7733 8041-7733')
""",
    "answers and fails": """
def f(*_): raise ValueError('8041-7733')
print('8041-7733')
1/0
""",
    "answers and hangs": """
print('8041-7733', flush=True)
def f(*_):
    while True: pass
f()
""",
    "answers and is killed": """
import os
print('8041-7733', flush=True)
def f(*_): os.kill(os.getpid(), 9)
f()
""",
}
"""Functions and outputs that are wrong, and look right to a careless comparison."""
