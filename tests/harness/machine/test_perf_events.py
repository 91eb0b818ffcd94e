"""The counter: how it is asked for, what its refusals mean, and a real one where there is one."""

import errno
import os
import struct

import pytest

from facebench.architectures.errors import UnavailableError
from facebench.harness.machine import perf_events
from facebench.harness.machine.perf_events import Counter
from facebench.harness.measures.instructions import agree, count


def test_instructions_of_user_space_are_asked_for() -> None:
    packed = perf_events.attribute()
    kind, size, config, period, sample, read_format, flags = struct.unpack_from("<IIQQQQQ", packed)
    assert (kind, size, config, period, sample) == (0, len(packed), 1, 0, 0)
    assert read_format == 0b11
    # disabled, inherit, exclude_kernel, exclude_hv, as perf_event_open(2) orders its bit fields
    assert [bit for bit in range(64) if flags >> bit & 1] == [0, 1, 5, 6]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOENT, "shows no counter"),
        (errno.EACCES, "perf_event_paranoid"),
        (errno.EPERM, "perf_event_paranoid"),
        (errno.EMFILE, "Too many open files"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(
    code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perf_events, "_call", lambda number, packed: -1)
    monkeypatch.setattr(perf_events.ctypes, "get_errno", lambda: code)
    with (
        pytest.raises(UnavailableError, match=f"{said}.*--device emulated:CORE"),
        perf_events.instructions(),
    ):
        pass


def test_the_kernel_takes_the_call_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock of the kernel's own needs no hardware: nanoseconds that this thread ran.
    monkeypatch.setattr(perf_events, "_HARDWARE", 1)
    with opened() as counter:
        counter.reset_and_start()
        sum(range(200_000))
        first = counter.stop()
        sum(range(200_000))
        counter.reset_and_start()
        nothing = counter.stop()
    assert first > nothing > 0


def test_a_real_inference_would_be_counted() -> None:
    with opened() as counter:
        counts = count(counter, lambda: sum(range(100_000)))
    assert agree(counts).passed
    assert min(counts) > 100_000


def opened() -> "perf_events.contextlib.AbstractContextManager[Counter]":
    try:
        with perf_events.instructions():
            pass
    except UnavailableError as error:
        pytest.skip(str(error))
    return perf_events.instructions()


class Fake(Counter):
    """Counts 10 for what surrounds inferences, and 100 for each."""

    def reset_and_start(self) -> None:
        made.clear()

    def stop(self) -> int:
        return 10 + 100 * len(made)


made: list[int] = []


def test_what_surrounds_inferences_falls_away() -> None:
    assert set(count(Fake(0), lambda: made.append(1))) == {100}


def test_counts_that_differ_are_of_more_than_the_inference() -> None:
    assert agree([1000, 1000, 1001]).passed
    assert not agree([1000, 1000, 1010]).passed


def test_a_counter_that_was_shared_gives_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, struct.pack("<3Q", 1000, 100, 60))
    monkeypatch.setattr(perf_events.fcntl, "ioctl", lambda *arguments: 0)
    try:
        with pytest.raises(UnavailableError, match="60% of the time"):
            Counter(reading).stop()
    finally:
        os.close(reading)
        os.close(writing)
