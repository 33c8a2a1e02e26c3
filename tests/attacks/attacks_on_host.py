"""Programs that reach for the host's files, the judge's process and what it knows."""

from __future__ import annotations

from tests.attacks.attack import escape

ATTACKS = [
    escape(
        "files of the host",
        """
for path in ('/etc/passwd', '/etc/shadow', '/etc/hosts', '/root/.bashrc', '/home', '/boot', '/var/log/dpkg.log',
             '/proc/kcore', '/proc/kmsg', '/dev/mem', '/dev/kmsg', '/dev/vda', '/sys/kernel/notes'):
    refused(lambda: open(path).read())
""",
        13,
    ),
    escape(
        "the judge's files",
        """
refused(*(lambda path=path: open(path).read() for path in ADDRESS[3:]))
""",
        2,
    ),
    escape(
        "any file with the secret",
        """
import re
for top, _, names in os.walk('/'):
    if top.startswith(('/proc', '/dev', '/lib', '/usr/lib', os.path.dirname(os.__file__))): continue
    for name in names:
        with open(os.path.join(top, name), errors='replace') as file:
            print(*re.findall('SECRET-OF-THE-JUDGE-[0-9a-f]{16}', file.read()))
print('held')
""",
        1,
        cpu_seconds=5.0,
    ),
    escape(
        "packages of the host",
        """
import importlib
for name in ('numpy', 'torch', 'pytest', 'pip', 'recipes', 'site_packages'):
    try: print('ESCAPED', importlib.import_module(name))
    except ImportError: print('held')
""",
        6,
    ),
    escape(
        "writes outside",
        """
for directory in ('', '/judge', '/judge/sandboxed', '/lib', '/lib64', '/dev', '/proc', '/etc', '/var/tmp',
                  os.path.dirname(os.__file__), os.path.dirname(sys.executable)):
    refused(lambda: open(f'{directory}/{ADDRESS[2]}', 'w'))
""",
        11,
    ),
    escape(
        "overwrites what it runs on",
        """
interpreter = '/judge/sandboxed/interpreter.py'
forbidden(*(lambda path=path: open(path, 'r+b') for path in (sys.executable, os.__file__, interpreter)),
    lambda: os.unlink(interpreter),
    lambda: os.chmod(interpreter, 0o777))
refused(lambda: os.rename('/judge', '/tmp/judge'), lambda: os.rmdir('/tmp'), lambda: os.rename('/tmp', '/x'))
""",
        8,
    ),
    escape(
        "kernel settings",
        """
for path in ('/proc/sys/kernel/hostname', '/proc/sysrq-trigger', '/proc/sys/vm/drop_caches', '/proc/1/oom_score_adj',
             '/proc/self/uid_map'):
    refused(lambda: os.write(os.open(path, os.O_WRONLY), b'1'))
""",
        5,
    ),
    escape(
        "device nodes",
        """
forbidden(lambda: os.mknod('disk', 0o60600, os.makedev(8, 0)), lambda: os.mknod('memory', 0o20600, os.makedev(1, 1)))
""",
        2,
    ),
    escape(
        "set-uid programs",
        """
import shutil
shutil.copy(sys.executable, 'python')
refused(lambda: os.chown('python', 0, 0), lambda: os.setuid(0), lambda: os.setgroups([0]),
    lambda: os.setresuid(0, 0, 0))
""",
        4,
        cpu_seconds=2.0,
    ),
    escape(
        "the interpreter's memory",
        """
forbidden(
    lambda: open('/proc/1/mem', 'rb'), lambda: open('/proc/1/maps').read(), lambda: open('/proc/1/environ').read(),
    lambda: os.listdir('/proc/1/fd'), lambda: os.readlink('/proc/1/exe'), lambda: os.listdir('/proc/1/map_files'),
    lambda: os.listdir('/proc/1/root'))
""",
        7,
    ),
    escape(
        "the interpreter's socket",
        """
forbidden(*(lambda number=number: os.open(f'/proc/1/fd/{number}', os.O_RDWR) for number in range(64)))
""",
        64,
    ),
    escape(
        "ptrace",
        """
forbidden(*(lambda request=request: call('ptrace', request, 1, 0, 0) for request in (0, 16, 0x4206)))
""",
        3,
    ),
    escape(
        "another process's memory",
        """
buffer = ctypes.create_string_buffer(64)
class Vector(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
here, there = Vector(ctypes.addressof(buffer), 64), Vector(id(None), 64)
forbidden(lambda: call('process_vm_readv', 1, ctypes.byref(here), 1, ctypes.byref(there), 1, 0),
    lambda: call('process_vm_writev', 1, ctypes.byref(here), 1, ctypes.byref(there), 1, 0))
""",
        2,
    ),
    escape(
        "descriptors of another process",
        """
pidfd = os.pidfd_open(1)
forbidden(*(lambda number=number: system_call(438, pidfd, number, 0) for number in (0, 40, 41)))
""",
        3,
    ),
    escape(
        "namespaces of the interpreter",
        """
forbidden(*(lambda name=name: os.open(f'/proc/1/ns/{name}', os.O_RDONLY) for name in ('pid', 'net', 'mnt', 'user')))
""",
        4,
    ),
    escape(
        "other processes",
        """
others = [int(name) for name in os.listdir('/proc') if name.isdigit() and int(name) not in (1, os.getpid())]
print('ESCAPED' if others else 'held', others)
""",
        1,
    ),
    escape(
        "kills everything",
        """
refused(lambda: os.kill(-1, 9))
""",
        1,
    ),
    escape(
        "kills the interpreter",
        """
for number in range(1, 65): os.kill(1, number)
time.sleep(0.05)
print('held')
""",
        1,
    ),
    escape(
        "kills the parent and its group",
        """
os.kill(os.getppid(), 9)
refused(lambda: os.killpg(1, 9) if os.getpgid(1) != os.getpgrp() else os.kill(99999, 9))
""",
        1,
    ),
    escape(
        "objects of the interpreter",
        """
import gc
for thing in gc.get_objects():
    try:
        if type(thing) is dict and 'SECRET' in repr(list(thing.values())[:50]): print(thing)
    except Exception: pass
print('held')
""",
        1,
        cpu_seconds=5.0,
        wall_seconds=9.0,
    ),
    escape(
        "frames of the interpreter",
        """
frame = sys._getframe()
while frame is not None:
    print(list(frame.f_locals.values()), [v for k, v in frame.f_globals.items() if k != '__builtins__'])
    frame = frame.f_back
print('held')
""",
        1,
    ),
    escape(
        "its own memory",
        """
import re
with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
    for line in maps:
        span, mode = line.split()[:2]
        begin, end = (int(part, 16) for part in span.split('-'))
        if mode[0] != 'r' or end - begin > 1 << 26: continue
        try:
            memory.seek(begin)
            data = memory.read(end - begin)
        except (OSError, OverflowError, ValueError): continue
        print(*re.findall(b'SECRET-OF-THE-JUDGE-[0-9a-f]{16}', data))
print('held')
""",
        1,
        cpu_seconds=3.0,
        wall_seconds=9.0,
    ),
    escape(
        "environment",
        """
print(dict(os.environ), open('/proc/self/environ').read(), sys.argv, sys.orig_argv, open('/proc/1/cmdline').read())
print('held')
""",
        1,
    ),
    escape(
        "sockets of the interpreter",
        """
import gc, _socket
for thing in gc.get_objects():
    if isinstance(thing, _socket.socket): refused(lambda: thing.send(b'x'))
print('held')
""",
        1,
    ),
    escape(
        "forged replies",
        """
reply = bytes([30, 0, 0, 0, 0, 0, 0, 0]) + b'm22:s4:exit' + b'i1:0s5:limitn0:'
refused(*(lambda number=number: os.write(number, reply) for number in range(3, 128)))
""",
        125,
    ),
]
