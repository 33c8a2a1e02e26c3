"""Programs that take more memory, files, output or priority than they may."""

from __future__ import annotations

from tests.attacks.attack import Attack, escape

ATTACKS = [
    Attack(
        "memory in a list",
        """
a = []
while True: a.append(bytearray(1 << 20))
""",
        limits=("memory",),
        cpu_seconds=2.0,
    ),
    Attack(
        "memory at once",
        """
a = bytearray(1 << 40)
""",
        limits=("memory",),
    ),
    Attack(
        "memory in one long text",
        """
a = 'x' * 1000
while True: a += a
""",
        limits=("memory",),
        cpu_seconds=2.0,
    ),
    Attack(
        "memory in many processes",
        """
import os, time
for _ in range(20):
    if os.fork() == 0:
        a = b'x' * (100 << 20)
        time.sleep(99)
time.sleep(99)
""",
        limits=("memory",),
        cpu_seconds=2.0,
        wall_seconds=3.0,
    ),
    Attack(
        "memory shared by forks is one process's own",
        """
import os, time
a = b'x' * (100 << 20)
for _ in range(8):
    if os.fork() == 0:
        time.sleep(0.3)
        os._exit(0)
time.sleep(0.2)
for _ in range(8): os.wait()
print('fine')
""",
        exits=(0,),
        wall_seconds=2.0,
        stdout=b"fine\n",
    ),
    Attack(
        "memory mapped and shared",
        """
import mmap
a = []
while True:
    a.append(mmap.mmap(-1, 16 << 20))
    a[-1].write(bytes(16 << 20))
""",
        limits=("memory", None),
        exits=(1, -9),
        cpu_seconds=2.0,
    ),
    Attack(
        "catches every MemoryError",
        """
a = []
while True:
    try: a.append(bytearray(8 << 20))
    except MemoryError: pass
""",
        limits=("time",),
        cpu_seconds=1.0,
    ),
    escape(
        "memory files",
        """
forbidden(lambda: os.memfd_create('x'), lambda: system_call(447, 0))
""",
        2,
    ),
    escape(
        "System V shared memory",
        """
forbidden(lambda: call('shmget', 0, 1 << 20, 0o1600), lambda: call('msgget', 0, 0o1600))
""",
        2,
    ),
    escape(
        "message queues",
        """
forbidden(lambda: call('semget', 0, 1, 0o1600), lambda: system_call(240, b'q', 0o102, 0o600, None))
""",
        2,
    ),
    escape(
        "files until /tmp is full",
        """
def fill():
    for number in range(1000):
        with open(f'/tmp/x{number}', 'wb') as file: file.write(bytes(4 << 20))
refused(fill)
""",
        1,
    ),
    escape(
        "files until the shared memory device is full",
        """
def fill():
    for number in range(1000):
        with open(f'/dev/shm/x{number}', 'wb') as file: file.write(bytes(4 << 20))
refused(fill)
""",
        1,
    ),
    Attack(
        "empty files",
        """
number = 0
while True:
    open(str(number), 'w').close()
    number += 1
""",
        limits=("output",),
        cpu_seconds=5.0,
        wall_seconds=9.0,
    ),
    Attack(
        "a file that is too large",
        """
with open('x', 'wb') as file:
    while True: file.write(bytes(1 << 20))
""",
        limits=("output",),
        exits=(-25,),
    ),
    Attack(
        "a sparse file",
        """
open('x', 'wb').truncate(1 << 40)
""",
        limits=("output",),
        exits=(-25,),
    ),
    escape(
        "pipes",
        """
pipes = []
def fill():
    while True: pipes.append(os.pipe())
refused(fill)
""",
        1,
    ),
    Attack(
        "recursion",
        """
def f(n): return f(n + 1)
f(0)
""",
        exits=(1,),
    ),
    Attack(
        "recursion without limit",
        """
import sys
sys.setrecursionlimit(10**9)
def f(n): return 1 + f(n + 1)
f(0)
""",
        limits=("time", "memory"),
    ),
    Attack(
        "recursion without limit in C",
        """
import sys
sys.setrecursionlimit(10**9)
class A:
    def __eq__(self, other): return self == other
A() == A()
""",
        limits=(None, "memory", "time"),
        exits=(-11, -9, 1),
        cpu_seconds=2.0,
    ),
    Attack(
        "a list in itself, many levels deep",
        """
a = []
for _ in range(10**6): a = [a]
print(a)
""",
        exits=(1,),
        cpu_seconds=3.0,
    ),
    Attack(
        "destroys a list of a million levels",
        """
a = []
for _ in range(10**6): a = [a]
""",
        exits=(0,),
        cpu_seconds=2.0,
    ),
    Attack(
        "output",
        """
while True: print('x' * 1000)
""",
        limits=("output",),
        exits=(-25,),
    ),
    Attack(
        "output to the error stream",
        """
import sys
while True: print('x' * 1000, file=sys.stderr)
""",
        limits=("output",),
        exits=(-25,),
    ),
    Attack(
        "output in spite of the signal",
        """
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
while True:
    try: os.write(1, b'x' * 65536)
    except OSError: pass
""",
        limits=("output",),
    ),
    Attack(
        "output in children",
        """
import os
os.fork()
os.fork()
while True: os.write(1, b'x' * 65536)
""",
        limits=("output",),
        exits=(-25, 0, -9),
    ),
    Attack(
        "output far beyond its end",
        """
import os
os.lseek(1, 1 << 40, 0)
os.write(1, b'x')
""",
        limits=("output",),
        exits=(-25,),
    ),
    Attack(
        "output announced",
        """
import os
os.ftruncate(1, 1 << 40)
""",
        limits=("output",),
        exits=(-25,),
    ),
    escape(
        "raises its limits",
        """
for kind in range(16):
    soft, hard = resource.getrlimit(kind)
    for new in (hard + 1, -1):
        if hard == -1: continue
        try: resource.setrlimit(kind, (new, new))
        except ValueError: continue
        print('ESCAPED', kind)
print('held')
""",
        1,
    ),
    escape(
        "lowers the interpreter's limits",
        """
forbidden(*(lambda kind=kind: resource.prlimit(1, kind, (0, 0)) for kind in range(16)))
""",
        16,
    ),
    escape(
        "changes the interpreter's priority",
        """
forbidden(lambda: os.setpriority(os.PRIO_PROCESS, 1, 19), lambda: os.setpriority(os.PRIO_USER, os.getuid(), 19),
    lambda: os.sched_setaffinity(1, {0}), lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)))
""",
        4,
    ),
    Attack(
        "changes its own priority",
        """
import os
os.nice(19)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
""",
        exits=(0,),
    ),
]
