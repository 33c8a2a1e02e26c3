"""Programs that reach for the network and the kernel."""

from __future__ import annotations

from tests.attacks.attack import Attack, escape

ATTACKS = [
    escape(
        "connects to the internet",
        """
for host, port in (('1.1.1.1', 53), ('8.8.8.8', 443)):
    refused(lambda: socket.create_connection((host, port), 0.5))
""",
        2,
    ),
    escape(
        "asks for a name",
        """
refused(lambda: socket.getaddrinfo('example.com', 80))
""",
        1,
    ),
    escape(
        "connects to the host",
        """
refused(lambda: socket.create_connection(('127.0.0.1', int(ADDRESS[0])), 0.5))
""",
        1,
    ),
    escape(
        "sends datagrams",
        """
for address in ('1.1.1.1', '255.255.255.255', '169.254.169.254'):
    refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', (address, 53)))
""",
        3,
    ),
    escape(
        "abstract socket of the host",
        r"""
connection = socket.socket(socket.AF_UNIX)
refused(lambda: connection.connect('\0' + ADDRESS[1]))
""",
        1,
    ),
    escape(
        "sockets of other families",
        """
# vsock, netlink, packet, alg, bluetooth, xdp
for family, kind in ((40, 1), (16, 3), (17, 3), (38, 5), (31, 3), (44, 3)):
    forbidden(lambda: socket.socket(family, kind))
""",
        6,
    ),
    escape(
        "raw sockets",
        """
forbidden(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
""",
        1,
    ),
    escape(
        "network interfaces",
        """
for line in open('/proc/net/dev').read().splitlines()[2:]:
    print('held' if line.strip().startswith('lo:') else f'ESCAPED {line}')
""",
        1,
    ),
    escape(
        "a server",
        """
server = socket.create_server(('0.0.0.0', 8080))
print('held', server)
""",
        1,
    ),
    escape(
        "new namespaces",
        """
for flag in (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x08000000, 0x04000000, 0x02000000):
    forbidden(lambda: call('unshare', flag))
""",
        7,
    ),
    escape(
        "a child in a user namespace",
        """
forbidden(lambda: system_call(56, 0x10000000 | 17, 0, 0, 0, 0), lambda: system_call(435, 0, 0))
""",
        2,
    ),
    escape(
        "mounts",
        """
forbidden(
    lambda: call('mount', b'none', b'/tmp', b'tmpfs', 0, None), lambda: call('umount2', b'/tmp', 2),
    lambda: call('mount', None, b'/', None, 32 | 4096, None),
    lambda: system_call(428, -100, b'/', 1), lambda: system_call(430, b'tmpfs', 0),
    lambda: system_call(442, -100, b'/', 0, None, 0))
""",
        6,
    ),
    escape(
        "a root of its own",
        """
forbidden(lambda: os.chroot('/tmp'), lambda: system_call(155, b'/tmp', b'/tmp'),
    lambda: call('setns', os.open('/proc/self/ns/net', 0), 0))
""",
        3,
    ),
    escape(
        "parts of the kernel",
        """
for number in (321, 298, 425, 323, 248, 249, 250, 246, 320, 175, 313, 169, 103, 304, 135, 312, 153, 163, 167):
    forbidden(lambda: system_call(number, 0, 0, 0, 0, 0, 0))
""",
        19,
    ),
    escape(
        "x32 system calls",
        """
forbidden(lambda: system_call(0x40000000 | 39))
""",
        1,
    ),
    escape(
        "host name and clock",
        """
forbidden(lambda: socket.sethostname('x'), lambda: call('setdomainname', b'x', 1),
    lambda: time.clock_settime(time.CLOCK_REALTIME, 0))
print('held' if socket.gethostname() == 'sandbox' else 'ESCAPED')
""",
        4,
    ),
    escape(
        "programs of the host",
        """
import subprocess
for name in ('sh', '/bin/sh', '/usr/bin/env', 'bwrap', 'nsenter', 'su', 'mount'):
    refused(lambda: subprocess.run([name]))
""",
        7,
    ),
    Attack(
        "another Python",
        r"""
import os, sys
script = "try: print('ESCAPED', open('/etc/passwd').read())\nexcept OSError: print('held')"
os.execv(sys.executable, [sys.executable, '-S', '-c', script])
""",
        exits=(0,),
        held=1,
    ),
]
