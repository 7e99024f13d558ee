"""A seccomp filter for sandboxed code: threads are allowed but new processes are not; internet and Unix sockets are
allowed but no others.

The kernel's process limit does not apply to a sandbox started by root, so fork bombs are stopped here: `fork`, `vfork`,
and `clone` without CLONE_THREAD fail with EPERM; `clone3`, whose flags a filter can't inspect, fails with ENOSYS, so
that the C library falls back to `clone`. Also refused are memory that no process limit accounts for (System V shared
memory, queues and semaphores, memory files), sockets of families that network namespaces do not cover, such as
AF_VSOCK, and calls that only widen the kernel's attack surface.
"""

from __future__ import annotations

import platform
import struct

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CALLS = {
    "x86_64": {
        "clone": 56,
        "clone3": 435,
        "fork": 57,
        "vfork": 58,
        "ptrace": 101,
        "mount": 165,
        "unshare": 272,
        "setns": 308,
        "keyctl": 250,
        "add_key": 248,
        "bpf": 321,
        "userfaultfd": 323,
        "perf_event_open": 298,
        "io_uring_setup": 425,
        "memfd_create": 319,
        "memfd_secret": 447,
        "shmget": 29,
        "msgget": 68,
        "semget": 64,
        "mq_open": 240,
        "socket": 41,
        "socketpair": 53,
    },
    "aarch64": {
        "clone": 220,
        "clone3": 435,
        "ptrace": 117,
        "mount": 40,
        "unshare": 97,
        "setns": 268,
        "keyctl": 219,
        "add_key": 217,
        "bpf": 280,
        "userfaultfd": 282,
        "perf_event_open": 241,
        "io_uring_setup": 425,
        "memfd_create": 279,
        "memfd_secret": 447,
        "shmget": 194,
        "msgget": 186,
        "semget": 190,
        "mq_open": 180,
        "socket": 198,
        "socketpair": 199,
    },
}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_CLONE_THREAD = 0x00010000
_X32_BIT = 0x40000000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_FAMILIES = (1, 2, 10)
"""AF_UNIX, AF_INET, AF_INET6. In a network namespace of its own, they reach nothing outside."""


def sandbox_filter() -> bytes | None:
    """The filter as a BPF program for `bwrap --seccomp`, or None for a processor that it does not cover."""
    machine = platform.machine()
    if machine not in _CALLS:
        return None
    calls = dict(_CALLS[machine])
    clone, clone3 = calls.pop("clone"), calls.pop("clone3")
    sockets = [calls.pop("socket"), calls.pop("socketpair")]
    program = [
        _step(_LOAD, _ARCH_AT),
        _step(_EQUAL, _AUDIT_ARCH[machine], yes=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
    ]
    if machine == "x86_64":  # x32 system calls have other numbers
        program += [_step(_AT_LEAST, _X32_BIT, no=1), _step(_RETURN, _ERRNO | _ENOSYS)]
    program += [_step(_EQUAL, clone3, no=1), _step(_RETURN, _ERRNO | _ENOSYS)]
    for number in calls.values():
        program += [_step(_EQUAL, number, no=1), _step(_RETURN, _ERRNO | _EPERM)]
    for number in sockets:
        program += [_step(_EQUAL, number, no=len(_FAMILIES) + 3), _step(_LOAD, _FIRST_ARGUMENT_AT)]
        for place, family in enumerate(_FAMILIES):
            program.append(_step(_EQUAL, family, yes=len(_FAMILIES) - place))
        program += [_step(_RETURN, _ERRNO | _EAFNOSUPPORT), _step(_RETURN, _ALLOW)]
    program += [
        _step(_EQUAL, clone, no=3),
        _step(_LOAD, _FIRST_ARGUMENT_AT),
        _step(_ANY_BIT, _CLONE_THREAD, yes=1),
        _step(_RETURN, _ERRNO | _EPERM),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One `struct sock_filter`; `yes` and `no` are the numbers of steps to skip after a comparison."""
    return struct.pack("HBBI", code, yes, no, value)
