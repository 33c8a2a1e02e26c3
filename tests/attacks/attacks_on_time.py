"""Programs that do not end, or not by themselves."""

from __future__ import annotations

from tests.attacks.attack import Attack

ATTACKS = [
    Attack(
        "fork bomb",
        """
import os
while True:
    try: os.fork()
    except OSError: pass
""",
        limits=("time",),
    ),
    Attack(
        "fork bomb that dies at the limit",
        """
import os
while True: os.fork()
""",
        limits=(None, "time"),
        exits=(1, -9),
    ),
    Attack(
        "sleeping children",
        """
import os, time
while True:
    try:
        if os.fork() == 0: time.sleep(99)
    except OSError: break
time.sleep(99)
""",
        limits=("time",),
        wall_seconds=0.5,
    ),
    Attack(
        "thread bomb",
        """
import threading, time
while True: threading.Thread(target=time.sleep, args=(99,)).start()
""",
        limits=(None, "time"),
        exits=(1, -9),
        wall_seconds=0.5,
    ),
    Attack(
        "zombies",
        """
import os
for _ in range(1000):
    if os.fork() == 0: os._exit(0)
""",
        exits=(1,),
    ),
    Attack(
        "processor time hidden in children nobody waits for",
        """
import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    if os.fork() == 0:
        for _ in range(10**6): pass
        os._exit(0)
    try: os.wait()
    except OSError: pass
""",
        limits=("time",),
        wall_seconds=1.0,
    ),
    Attack(
        "busy loop",
        """
while True: pass
""",
        limits=("time",),
    ),
    Attack(
        "busy loop in C",
        """
sum(range(10**12))
""",
        limits=("time",),
    ),
    Attack(
        "busy loop that catches everything",
        """
while True:
    try:
        while True: pass
    except BaseException: pass
""",
        limits=("time",),
    ),
    Attack(
        "regular expression without end",
        """
import re
re.match(r'(a+)+$', 'a' * 60 + 'b')
""",
        limits=("time",),
    ),
    Attack(
        "power tower",
        """
9 ** 9 ** 9
""",
        limits=("time", "memory"),
    ),
    Attack(
        "integer to text",
        """
import sys
sys.set_int_max_str_digits(0)
print(len(str(7 ** 9999999)))
""",
        limits=("time",),
    ),
    Attack(
        "integer to text within the language's limit",
        """
print(10 ** 10**6)
""",
        exits=(1,),
    ),
    Attack(
        "sleep",
        """
import time
time.sleep(99)
""",
        limits=("time",),
        wall_seconds=0.3,
    ),
    Attack(
        "sleep with all signals blocked",
        """
import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
while True: time.sleep(99)
""",
        limits=("time",),
        wall_seconds=0.3,
    ),
    Attack(
        "all signals ignored",
        """
import signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
""",
        limits=("time",),
    ),
    Attack(
        "stops itself",
        """
import os, signal
os.kill(0, signal.SIGSTOP)
""",
        limits=("time",),
        wall_seconds=0.3,
    ),
    Attack(
        "exit function without end",
        """
import atexit
@atexit.register
def f():
    while True: pass
""",
        limits=("time",),
    ),
    Attack(
        "finalizer without end",
        """
class A:
    def __del__(self):
        while True: pass
a = A()
""",
        limits=("time",),
    ),
    Attack(
        "thread without end",
        """
import threading, time
threading.Thread(target=time.sleep, args=(99,)).start()
""",
        limits=("time",),
        wall_seconds=0.3,
    ),
    Attack(
        "waits for input that never comes",
        """
import os
r, w = os.pipe()
os.read(r, 1)
""",
        limits=("time",),
        wall_seconds=0.3,
    ),
    Attack(
        "deadlock",
        """
import threading
lock = threading.Lock()
lock.acquire()
lock.acquire()
""",
        limits=("time",),
        wall_seconds=0.3,
    ),
    Attack(
        "stubborn trace function",
        """
import sys
def f(*_):
    while True: pass
sys.settrace(f)
(lambda: 0)()
""",
        limits=("time",),
    ),
]
