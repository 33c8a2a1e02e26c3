"""The system calls that no program under test needs, as a seccomp filter for ``bwrap --seccomp``.

Namespaces and limits already contain a program; this takes away what they do not count or cover (memory files, shared
memory segments, kernel keys, virtual machine sockets) and the parts of the kernel that escapes have come through.
"""

from __future__ import annotations

import errno
import functools
import os
import struct

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; both machines are little-endian
_NEW_NAMESPACES = 0x7E020080
_FAMILIES = (1, 2, 10)
"""AF_UNIX, AF_INET, AF_INET6: the network namespace confines them; AF_VSOCK, for one, it does not."""

_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000

# name: (x86_64, aarch64); None where the machine has no such call. Answered with EPERM.
_FORBIDDEN: dict[str, tuple[int | None, int | None]] = {
    "_sysctl": (156, None),
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "sysfs": (139, None),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "ustat": (136, None),
    "vhangup": (153, 58),
    "vmsplice": (278, 75),
}
# Answered with ENOSYS, so that the C library takes another way: the filter cannot see clone3's flags.
_ABSENT: dict[str, tuple[int, int]] = {
    "clone3": (435, 435),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
}
_CLONE, _SOCKET = (56, 220), (41, 198)
_OF_ITSELF = {  # allowed for "me", 0: the interpreter's own priority and limits are not a program's to change
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
}
_SETPRIORITY = (141, 140)


@functools.cache
def seccomp_filter() -> bytes | None:
    """The BPF program, or None on a machine other than x86_64 and aarch64: there the namespaces have to do."""
    machine = os.uname().machine
    if machine not in _MACHINES:
        return None
    column = list(_MACHINES).index(machine)
    program = [
        _statement(_LOAD, _ARCHITECTURE),
        _jump(_JUMP_EQUAL, _MACHINES[machine], 1, 0),
        _statement(_RETURN, _KILL_PROCESS),
        _statement(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        program += [_jump(_JUMP_GREATER_EQUAL, _X32, 0, 1), _error(errno.ENOSYS)]
    for calls, error in ((_FORBIDDEN, errno.EPERM), (_ABSENT, errno.ENOSYS)):
        for numbers in calls.values():
            if (number := numbers[column]) is not None:
                program += [_jump(_JUMP_EQUAL, number, 0, 1), _error(error)]
    load, load_who = _statement(_LOAD, _ARGUMENTS), _statement(_LOAD, _ARGUMENTS + 8)
    allow, forbid = _statement(_RETURN, _ALLOW), _error(errno.EPERM)
    zero_or_forbid = [_jump(_JUMP_EQUAL, 0, 1, 0), forbid]
    checks = {
        _CLONE[column]: [load, _jump(_JUMP_ANY_BIT, _NEW_NAMESPACES, 0, 1), forbid, allow],
        _SETPRIORITY[column]: [load, *zero_or_forbid, load_who, *zero_or_forbid, allow],
        _SOCKET[column]: [
            load,
            *(part for family in _FAMILIES for part in (_jump(_JUMP_EQUAL, family, 0, 1), allow)),
            _error(errno.EAFNOSUPPORT),
        ],
        **{numbers[column]: [load, *zero_or_forbid, allow] for numbers in _OF_ITSELF.values()},
    }
    for number, body in checks.items():
        program += [_jump(_JUMP_EQUAL, number, 0, len(body)), *body]
    return b"".join([*program, allow])


def _statement(code: int, value: int) -> bytes:
    return struct.pack("<HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _error(number: int) -> bytes:
    return _statement(_RETURN, _ERRNO | number)
