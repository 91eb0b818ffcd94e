"""Tells whether this thread takes denormal numbers for zero, and switches it.

The mode is in the thread's floating-point control register: on x86-64 bits 15 (results
become zero) and 6 (operands count as zero) of MXCSR, on aarch64 bit 24 (both) of FPCR. A
thread begins with the mode of the one that starts it. The C library's `fegetenv` and
`fesetenv` carry the register, so nothing needs to be compiled.
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
from collections.abc import Iterator
from dataclasses import dataclass

from facebench.architectures.errors import UnavailableError

KEPT, FLUSHED = "kept", "flushed"
# One of the two bits alone: set by hand, or by a library built with -ffast-math.
IN_PART = "flushed in part"

# How to switch it in a program of one's own.
OF_THREAD = (
    "_MM_SET_FLUSH_ZERO_MODE and _MM_SET_DENORMALS_ZERO_MODE on x86-64, FPCR.FZ on aarch64, in "
    "the thread that infers, before the runtime starts others"
)


@dataclass(frozen=True)
class _Register:
    """Where `fenv_t` of glibc and musl holds the register: a 32-bit word of it, and the bits."""

    word: int
    bits: int


_REGISTERS = {
    "x86_64": _Register(7, 1 << 15 | 1 << 6),
    "aarch64": _Register(0, 1 << 24),
}


def mode() -> str | None:
    """Return what becomes of denormal numbers in this thread; None where that cannot be read."""
    register = _REGISTERS.get(platform.machine())
    if register is None:
        return None
    held = _read()[register.word] & register.bits
    return {0: KEPT, register.bits: FLUSHED}.get(held, IN_PART)


def switch(wanted: str) -> None:
    """Have this thread, and those it starts from now on, keep or flush denormal numbers.

    Args:
        wanted: `KEPT` or `FLUSHED`.

    Raises:
        UnavailableError: this machine's register is not known here.
    """
    register = _REGISTERS.get(platform.machine())
    if register is None:
        raise UnavailableError(
            f"how denormal numbers are flushed on {platform.machine()} is not known here: "
            f"use one of {', '.join(_REGISTERS)}"
        )
    words = _read()
    words[register.word] &= ~register.bits
    words[register.word] |= register.bits if wanted == FLUSHED else 0
    _c().fesetenv(words)


@contextlib.contextmanager
def held(wanted: str) -> Iterator[None]:
    """Switch for the length of a block; an empty text leaves all as it is.

    Example:
        >>> with held(FLUSHED):
        ...     mode()
        'flushed'
    """
    if not wanted:
        yield
        return
    before = _read()
    switch(wanted)
    try:
        yield
    finally:
        _c().fesetenv(before)


def _read() -> ctypes.Array[ctypes.c_uint32]:
    words = (ctypes.c_uint32 * 8)()
    _c().fegetenv(words)
    return words


def _c() -> ctypes.CDLL:
    return ctypes.CDLL("libm.so.6")
