"""Ctrl-C while TVM works."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Check = Callable[[], None]


@contextmanager
def noticed() -> Iterator[Check]:
    """Give a function that raises KeyboardInterrupt once Ctrl-C was pressed.

    Python raises it at once, too; but where a function of ours that TVM has called was
    running, TVM makes a plain error of it, and a kernel would be said to have failed.
    """
    pressed = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        pressed.set()
        raise KeyboardInterrupt

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check  # signals are the main thread's
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
