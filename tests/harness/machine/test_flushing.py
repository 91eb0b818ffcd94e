"""The mode of denormal numbers against what arithmetic does in the same thread."""

import platform
import threading

import numpy as np
import pytest

from facebench.architectures.errors import UnavailableError
from facebench.harness.machine import flushing
from facebench.harness.machine.flushing import FLUSHED, KEPT

SMALLEST = np.float32(2.0**-126)

pytestmark = pytest.mark.skipif(
    flushing.mode() is None, reason=f"the register of {platform.machine()} is not known"
)


def by_arithmetic() -> str:
    half = np.full(4, SMALLEST) * np.float32(0.5)
    return KEPT if (half * np.float32(2.0**30)).any() else FLUSHED


@pytest.mark.parametrize("wanted", [KEPT, FLUSHED])
def test_arithmetic_does_what_the_mode_says(wanted: str) -> None:
    with flushing.held(wanted):
        assert (flushing.mode(), by_arithmetic()) == (wanted, wanted)


def test_the_mode_before_comes_back_after_an_error_too() -> None:
    before = flushing.mode()
    with pytest.raises(KeyError), flushing.held(FLUSHED):
        raise KeyError
    assert flushing.mode() == before


@pytest.mark.parametrize("wanted", [KEPT, FLUSHED])
def test_a_thread_begins_with_the_mode_of_the_one_that_starts_it(wanted: str) -> None:
    seen: list[str] = []
    with flushing.held(wanted):
        thread = threading.Thread(target=lambda: seen.append(by_arithmetic()))
        thread.start()
        thread.join()
    assert seen == [wanted]


def test_nothing_asked_for_leaves_all_as_it_is() -> None:
    with flushing.held(FLUSHED), flushing.held(""):
        assert flushing.mode() == FLUSHED


def test_torch_switches_the_same_bits() -> None:
    torch = pytest.importorskip("torch")
    with flushing.held(KEPT):
        assert torch.set_flush_denormal(True)
        assert flushing.mode() == FLUSHED


def test_an_unknown_processor_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert flushing.mode() is None
    with pytest.raises(UnavailableError, match="riscv64"):
        flushing.switch(FLUSHED)
