"""Counts this process's instructions by the processor's own counter and Linux's perf_event.

The layout of `perf_event_attr` and the meaning of its flags are those of perf_event_open(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from facebench.architectures.errors import UnavailableError

# perf_event_open's number among the system calls.
_CALLS = {"x86_64": 298, "aarch64": 241}

_HARDWARE, _INSTRUCTIONS = 0, 1
_ATTRIBUTE_BYTES = 64  # PERF_ATTR_SIZE_VER0
_TOTAL_TIME_ENABLED, _TOTAL_TIME_RUNNING = 1 << 0, 1 << 1
_DISABLED, _INHERIT, _EXCLUDE_KERNEL, _EXCLUDE_HYPERVISOR = 1 << 0, 1 << 1, 1 << 5, 1 << 6
_THIS_THREAD, _ANY_CPU, _NO_GROUP, _CLOSE_ON_EXEC = 0, -1, -1, 1 << 3
_ENABLE, _DISABLE, _RESET = 0x2400, 0x2401, 0x2403

_PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
_ABSENT = (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Counter:
    """User-space instructions of this thread, and of all that it starts after the counter.

    Attributes:
        file: the kernel's descriptor of it.
    """

    file: int

    def reset_and_start(self) -> None:
        """Count from zero."""
        fcntl.ioctl(self.file, _RESET)
        fcntl.ioctl(self.file, _ENABLE)

    def stop(self) -> int:
        """Return what was executed since the start.

        Raises:
            UnavailableError: the counter served others too meanwhile: a count would be a guess.
        """
        fcntl.ioctl(self.file, _DISABLE)
        count, enabled, running = struct.unpack("<3Q", os.read(self.file, 24))
        if running < enabled:
            raise UnavailableError(
                f"the counter of instructions counted {running / enabled:.0%} of the time, since "
                "other counters took its place: end other profilers, then try again"
            )
        return int(count)


@contextlib.contextmanager
def instructions() -> Iterator[Counter]:
    """Open a counter that does not count yet.

    Raises:
        UnavailableError: the machine has none, or its kernel does not lend it.
    """
    number = _CALLS.get(platform.machine())
    if number is None:
        raise UnavailableError(f"perf_event is not known here on {platform.machine()}")
    file = _call(number, attribute())
    if file < 0:
        raise UnavailableError(_reason(ctypes.get_errno()))
    try:
        yield Counter(file)
    finally:
        os.close(file)


def attribute() -> bytes:
    """Return a `perf_event_attr` that is off: user-space instructions, those of new threads too."""
    flags = _DISABLED | _INHERIT | _EXCLUDE_KERNEL | _EXCLUDE_HYPERVISOR
    # type, size, config, sample_period, sample_type, read_format, flags
    packed = struct.pack(
        "<IIQQQQQ",
        _HARDWARE,
        _ATTRIBUTE_BYTES,
        _INSTRUCTIONS,
        0,
        0,
        _TOTAL_TIME_ENABLED | _TOTAL_TIME_RUNNING,
        flags,
    )
    return packed.ljust(_ATTRIBUTE_BYTES, b"\0")


def _call(number: int, packed: bytes) -> int:
    """Open a counter; -1, and `errno`, where that fails."""
    c = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(n) for n in (_THIS_THREAD, _ANY_CPU, _NO_GROUP, _CLOSE_ON_EXEC)]
    c.syscall.restype = ctypes.c_long
    return int(c.syscall(ctypes.c_long(number), ctypes.c_char_p(packed), *words))


def _reason(code: int) -> str:
    emulated = "count on an emulated core with --device emulated:CORE"
    if code in _ABSENT:
        return (
            "this machine shows no counter of instructions, as most virtual machines do not: "
            f"{emulated}, or use a machine of metal"
        )
    if code in (errno.EACCES, errno.EPERM):
        held = _PARANOID.read_text().strip() if _PARANOID.exists() else "unknown"
        return (
            f"the kernel does not lend its counter of instructions (perf_event_paranoid is {held}; "
            "a container may forbid it too): 'sysctl kernel.perf_event_paranoid=2' lends it, or "
            f"{emulated}"
        )
    return f"perf_event_open failed ({os.strerror(code)}): {emulated}"
