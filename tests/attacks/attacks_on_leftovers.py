"""Programs that try to outlive their test, or to spoil the next."""

from __future__ import annotations

from tests.attacks.attack import Attack, escape

ATTACKS = [
    Attack(
        "daemon",
        """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            open('/tmp/daemon', 'a').write('x')
            time.sleep(0.001)
    os._exit(0)
time.sleep(0.05)
""",
        exits=(0,),
    ),
    Attack(
        "many daemons that respawn",
        """
import os, signal
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        while True:
            try:
                if os.fork(): os._exit(0)
            except OSError: pass
""",
        limits=(None, "time"),
    ),
    Attack(
        "daemon that holds the streams",
        """
import os, time
print('done', flush=True)
if os.fork() == 0:
    time.sleep(99)
os._exit(0)
""",
        exits=(0,),
        stdout=b"done\n",
    ),
    Attack(
        "stopped child",
        """
import os, signal
pid = os.fork()
if pid == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
""",
        exits=(0,),
    ),
    escape(
        "traced child",
        """
pid = os.fork()
if pid == 0:
    refused(lambda: call('ptrace', 0, 0, 0, 0))
    time.sleep(99)
time.sleep(0.1)
os._exit(0)
""",
        0,
    ),
    Attack(
        "files everywhere",
        """
import os
for path in ('/tmp/a', '/tmp/2', '/dev/shm/b', '../c', 'd'):
    open(path, 'w').write('x')
""",
        exits=(0,),
    ),
    Attack(
        "directories a thousand deep",
        """
import os
for _ in range(1000):
    os.mkdir('d')
    os.chdir('d')
    open('f', 'w').close()
""",
        exits=(0,),
    ),
    Attack(
        "directories that are closed",
        """
import os
os.makedirs('a/b/c')
open('a/b/c/d', 'w').close()
for path in ('a/b/c', 'a/b', 'a'): os.chmod(path, 0)
os.chmod('.', 0)
""",
        exits=(0,),
    ),
    Attack(
        "symbolic links",
        """
import os
os.symlink('/', 'root')
os.symlink('/judge', '/tmp/2')
os.symlink('/tmp/2', '/tmp/3')
os.symlink('loop', 'loop')
os.symlink('/proc/1', '/tmp/.removed-1')
""",
        exits=(0,),
    ),
    Attack(
        "its directory becomes a link",
        """
import os
here = os.getcwd()
os.chdir('/')
os.rmdir(here)
os.symlink('/judge', here)
""",
        exits=(0,),
    ),
    Attack(
        "pipes and sockets as files",
        """
import os, socket
os.mkfifo('/tmp/2')
socket.socket(socket.AF_UNIX).bind('/tmp/3')
os.mkfifo('/tmp/judge')
""",
        exits=(0,),
    ),
    Attack(
        "names that are no text",
        r"""
import os
os.mkdir(b'\xff\xfe')
open(b'\xff\xfe/\xfd', 'w').close()
open('a\nb', 'w').close()
open('x' * 255, 'w').close()
""",
        exits=(0,),
    ),
    Attack(
        "removes its directory",
        """
import os
os.rmdir(os.getcwd())
os.chdir('/')
""",
        exits=(0,),
    ),
    Attack(
        "closes /tmp",
        """
import os
try: os.chmod('/tmp', 0)
except OSError: pass
""",
        exits=(0,),
    ),
    Attack(
        "lock and lease",
        """
import fcntl
file = open('x', 'w')
fcntl.flock(file, fcntl.LOCK_EX)
for number in (0, 1, 2):
    fcntl.lockf(number, fcntl.LOCK_SH) if number == 0 else fcntl.lockf(number, fcntl.LOCK_EX)
""",
        exits=(0, 1),
    ),
    Attack(
        "environment",
        """
import os
os.environ['LD_PRELOAD'] = '/tmp/x.so'
os.environ.pop('HOME')
os.putenv('PYTHONSTARTUP', '/tmp/x.py')
""",
        exits=(0,),
    ),
    Attack(
        "builtins",
        """
import builtins
builtins.print = builtins.len = builtins.sum = builtins.int = builtins.open = lambda *a, **k: 42
""",
        exits=(0,),
    ),
    Attack(
        "modules",
        """
import sys, os, gc
sys.modules.clear()
os.fork = os.waitpid = os._exit = os.kill = None
gc.collect = None
""",
        exits=(0, 1, 70),
    ),
    Attack(
        "import system",
        """
import sys
sys.path[:] = ['/tmp']
sys.meta_path.clear()
sys.path_hooks.clear()
sys.path_importer_cache.clear()
""",
        exits=(0,),
    ),
    Attack(
        "the interpreter's own functions",
        """
import sys
frame = sys._getframe(1)
for name in list(frame.f_globals):
    if not name.startswith('__'): frame.f_globals[name] = None
""",
        exits=(0, 1, 70),
    ),
    Attack(
        "trace, profile, hooks",
        """
import sys, threading
f = lambda *a: None
sys.settrace(f)
sys.setprofile(f)
threading.settrace(f)
sys.excepthook = sys.unraisablehook = sys.displayhook = f
sys.addaudithook(f)
1/0
""",
        exits=(1,),
    ),
    Attack(
        "signal handlers and timers",
        """
import signal, time
signal.signal(signal.SIGALRM, lambda *a: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
time.sleep(0.05)
""",
        exits=(0,),
    ),
    Attack(
        "alarm kills it",
        """
import signal, time
signal.alarm(1)
signal.setitimer(signal.ITIMER_REAL, 0.01)
time.sleep(9)
""",
        exits=(-14,),
    ),
]
