"""Energy, read from made-up counters."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.harness.machine import energy
from facebench.harness.machine.energy import Energy, Meter, why_not

MOST_UJ = 10_000_000


def zone(root: Path, number: str, name: str, uj: int) -> Path:
    folder = root / "sys/class/powercap" / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{MOST_UJ}\n")
    (folder / "energy_uj").write_text(f"{uj}\n")
    return folder / "energy_uj"


@pytest.mark.parametrize(("end", "joules"), [(5_000_000, 4.0), (500_000, 9.5)])
def test_a_counter_that_wrapped_is_read_on(tmp_path: Path, end: int, joules: float) -> None:
    counter = zone(tmp_path, "0", "package-0", 1_000_000)
    meter = Meter(tmp_path)
    meter.start()
    counter.write_text(f"{end}\n")
    meter.stop(inferences=2)
    assert meter.energy is not None
    assert meter.energy.joules == pytest.approx(joules)
    assert meter.energy.joules_an_inference == pytest.approx(joules / 2)


def test_packages_are_added_and_their_parts_are_not(tmp_path: Path) -> None:
    counters = [
        zone(tmp_path, number, name, 0)
        for number, name in [("0", "package-0"), ("1", "package-1"), ("0:0", "core"), ("2", "psys")]
    ]
    meter = Meter(tmp_path)
    meter.start()
    for counter in counters:
        counter.write_text("1000000\n")
    meter.stop(inferences=1)
    assert meter.energy is not None
    assert meter.energy.joules == pytest.approx(2.0)


def test_rest_is_taken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = zone(tmp_path, "0", "package-0", 0)
    clock = iter([0.0, 0.5, 0.5, 2.5])
    monkeypatch.setattr(energy.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(energy.time, "sleep", lambda seconds: counter.write_text("2000000\n"))
    meter = Meter(tmp_path)
    meter.rest(0.5)
    meter.start()
    counter.write_text("9000000\n")
    meter.stop(inferences=10)
    assert meter.energy is not None
    # 2 J in half a second are 4 W: in the two seconds of the window 8 J.
    assert meter.energy == Energy(7.0, 2.0, 10, 4.0)
    assert meter.energy.net_joules_an_inference == pytest.approx((7 - 8) / 10)


def test_where_nothing_can_be_read_it_is_said_why(tmp_path: Path) -> None:
    assert why_not(tmp_path).startswith("no powercap")
    (tmp_path / "sys/class/powercap").mkdir(parents=True)
    assert "no counter of a CPU package" in why_not(tmp_path)
    counter = zone(tmp_path, "0", "package-0", 1)
    assert why_not(tmp_path) == ""
    counter.write_text("?\n")
    assert "cannot be read" in why_not(tmp_path)
    meter = Meter(tmp_path)
    meter.rest(0.0)
    meter.start()
    meter.stop(inferences=1)
    assert meter.energy is None
