"""Programs that try to confuse the judge about their end, their streams or their text."""

from __future__ import annotations

from tests.attacks.attack import Attack, escape

ATTACKS = [
    Attack(
        "exit code 0",
        """
import sys
sys.exit(0)
""",
        exits=(0,),
        stdout=b"",
    ),
    Attack(
        "exit at once",
        """
import os
print('lost')
os._exit(0)
""",
        exits=(0,),
        stdout=b"",
    ),
    Attack(
        "exit code of the interpreter",
        """
import os
os._exit(70)
""",
        exits=(70,),
    ),
    Attack(
        "kills itself",
        """
import os
os.kill(os.getpid(), 9)
""",
        exits=(-9,),
    ),
    Attack(
        "pretends to have run out of memory",
        """
import os
os.kill(os.getpid(), 63)
""",
        limits=("memory",),
    ),
    Attack(
        "crash",
        """
import ctypes
ctypes.string_at(0)
""",
        exits=(-11,),
    ),
    Attack(
        "abort",
        """
import os
os.abort()
""",
        exits=(-6,),
    ),
    Attack(
        "exit in a thread",
        """
import os, threading, time
threading.Thread(target=os._exit, args=(0,)).start()
time.sleep(9)
""",
        exits=(0,),
    ),
    Attack(
        "exit while exiting",
        """
import atexit, os, sys
atexit.register(sys.exit, 5)
atexit.register(os._exit, 7)
""",
        exits=(7,),
    ),
    Attack(
        "finalizers at the end",
        """
import weakref
class A:
    def __del__(self): print('deleted')
a = A()
f = weakref.finalize(a, print, 'finalized')
""",
        exits=(0,),
        stdout=b"finalized\ndeleted\n",
    ),
    Attack(
        "closes all descriptors",
        """
import os
os.closerange(0, 256)
""",
        exits=(0, 1, 120),
    ),
    Attack(
        "writes to all descriptors",
        """
import os
for number in range(3, 256):
    try: os.write(number, b'x' * 100)
    except OSError: continue
    print('ESCAPED', number)
""",
        exits=(0,),
        stdout=b"",
    ),
    Attack(
        "reads from all descriptors",
        """
import os
for number in range(3, 256):
    try: os.read(number, 100)
    except OSError: continue
    print('ESCAPED', number)
""",
        exits=(0,),
        stdout=b"",
    ),
    Attack(
        "swaps its descriptors",
        """
import os
os.dup2(1, 0)
os.dup2(0, 2)
for number in range(3, 128): os.dup2(1, number)
print('here')
""",
        exits=(0,),
        stdout=b"here\n",
    ),
    Attack(
        "input into output",
        """
import os
os.dup2(0, 1)
print('gone', flush=True)
""",
        exits=(0, 1, 120),
    ),
    Attack(
        "no streams at all",
        """
import sys
sys.stdout = sys.stderr = sys.stdin = sys.__stdout__ = None
1/0
""",
        exits=(1,),
    ),
    Attack(
        "streams of its own",
        """
import sys
class A:
    closed = False
    def write(self, text): raise KeyboardInterrupt
    def flush(self): raise SystemExit(0)
sys.stdout = sys.stderr = A()
1/0
""",
        exits=(1,),
    ),
    escape(
        "seals and flags of its streams",
        """
import fcntl
refused(lambda: fcntl.fcntl(1, 1033, 0xF))
fcntl.fcntl(1, fcntl.F_SETFL, os.O_NONBLOCK)
""",
        1,
    ),
    Attack(
        "half a surrogate pair",
        r"""
print('\ud800')
""",
        exits=(1,),
    ),
    Attack(
        "bytes that are no text",
        """
import sys
sys.stdout.buffer.write(bytes(range(256)))
""",
        exits=(0,),
        stdout=bytes(range(256)),
    ),
    Attack(
        "zero bytes",
        r"""
print('a\0b')
""",
        exits=(0,),
        stdout=b"a\x00b\n",
    ),
    Attack(
        "identifiers that only look different",
        "\uff50\uff52\uff49\uff4e\uff54('wide')\n",
        exits=(0,),
        stdout=b"wide\n",
    ),
    Attack(
        "an error that cannot be printed",
        """
class A(Exception):
    def __str__(self): raise self
raise A
""",
        exits=(1,),
    ),
    Attack(
        "an error without end",
        """
class A(Exception):
    def __str__(self):
        while True: pass
raise A
""",
        limits=("time",),
    ),
    Attack(
        "a ring of errors",
        """
a, b = ValueError(), ValueError()
a.__context__, b.__context__ = b, a
raise a
""",
        exits=(1,),
    ),
    Attack(
        "error text of a hundred megabytes",
        """
raise ValueError('x' * (100 << 20))
""",
        limits=("output", "memory", None),
        exits=(-25, 1),
    ),
]
