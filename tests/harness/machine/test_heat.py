"""Heat and clocks are read from a sysfs tree; here, one that the test writes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.harness.machine.heat import (
    Cooler,
    Cpu,
    ThermalState,
    ThermalZone,
    capture,
    cool_down,
    throttled,
)
from facebench.harness.storage.serialization import convert

ZONE = "sys/class/thermal/thermal_zone{}/{}"
COOLER = "sys/class/thermal/cooling_device{}/{}"
CLOCK = "sys/devices/system/cpu/cpu{}/cpufreq/{}"
FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"

Board = Callable[..., Path]


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """Writes a Raspberry Pi's sysfs, or changes what was written."""

    def write(
        temperature: int = 48312, khz: int = 1500000, cooling: int = 0, flags: str = "0"
    ) -> Path:
        files = {
            ZONE.format(0, "type"): "cpu-thermal",
            ZONE.format(0, "temp"): temperature,
            COOLER.format(0, "type"): "cpufreq-cpu0",
            COOLER.format(0, "cur_state"): cooling,
            CLOCK.format(0, "scaling_cur_freq"): khz,
            CLOCK.format(0, "scaling_min_freq"): 600000,
            CLOCK.format(0, "scaling_max_freq"): 1500000,
            CLOCK.format(0, "cpuinfo_max_freq"): 1800000,
            CLOCK.format(0, "scaling_governor"): "performance",
            CLOCK.format(0, "scaling_driver"): "cpufreq-dt",
            FLAGS: flags,
        }
        return fill(tmp_path, files)

    return write


def fill(root: Path, files: Mapping[str, object]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n")
    return root


def clock(hz: int = 1_500_000_000, **changes: Any) -> ThermalState:
    cpu = Cpu("cpu0", hz, 600_000_000, 1_500_000_000, 1_800_000_000, "performance", "cpufreq-dt")
    return ThermalState(cpus=(replace(cpu, **changes),))


def test_a_board_is_read(board: Board) -> None:
    state = capture(board(cooling=2, flags="50005"))
    assert state.zones == (ThermalZone("thermal_zone0", "cpu-thermal", 48.312),)
    assert state.cooling == (Cooler("cooling_device0", "cpufreq-cpu0", 2),)
    assert state.cpus == clock().cpus
    assert state.pi_flags == 0x50005
    assert state.hottest_c == 48.312


def test_the_flags_of_a_raspberry_pi_5_are_found(tmp_path: Path) -> None:
    name = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
    assert capture(fill(tmp_path, {name: "e0008"})).pi_flags == 0xE0008


def test_a_machine_that_shows_nothing_has_an_empty_state(tmp_path: Path) -> None:
    assert capture(tmp_path) == ThermalState()
    assert capture(tmp_path / "absent") == ThermalState()


def test_sensors_that_are_off_or_absurd_are_left_out(tmp_path: Path) -> None:
    files = {ZONE.format(i, "temp"): temp for i, temp in enumerate(["", "n/a", 4000000, 50000])}
    files |= {COOLER.format(i, "cur_state"): n for i, n in enumerate([-1, 0, "?", 3])}
    (tmp_path / ZONE.format(9, "temp")).mkdir(parents=True)
    state = capture(fill(tmp_path, {**files, FLAGS: "none"}))
    assert [zone.temperature_c for zone in state.zones] == [50.0]
    assert [cooler.state for cooler in state.cooling] == [3]
    assert state.pi_flags is None


def test_cpus_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = {CLOCK.format(i, "scaling_cur_freq"): 1000 + i for i in (10, 2, 0)}
    names["sys/devices/system/cpu/cpufreq/boost"] = 1
    names["sys/devices/system/cpu/cpu3/online"] = 1
    assert [cpu.name for cpu in capture(fill(tmp_path, names)).cpus] == ["cpu0", "cpu2", "cpu10"]


states = st.builds(
    ThermalState,
    zones=st.tuples(st.builds(ThermalZone, st.text(), st.text(), st.floats(-40, 150))),
    cpus=st.lists(st.builds(Cpu, st.text(), st.none() | st.integers(0))).map(tuple),
    cooling=st.tuples(st.builds(Cooler, st.text(), st.text(), st.integers(1))),
    pi_flags=st.none() | st.integers(0, 2**20),
)


@given(states)
def test_a_state_survives_json(state: ThermalState) -> None:
    assert convert(json.loads(json.dumps(state.to_json())), ThermalState) == state


@given(states)
def test_nothing_slowed_a_machine_that_shows_nothing(state: ThermalState) -> None:
    assert throttled(ThermalState(), ThermalState()) == ""
    assert isinstance(throttled(state, state, [state]), str)


def test_a_board_in_order_was_not_throttled(board: Board) -> None:
    state = capture(board())
    assert throttled(state, state, [state, state]) == ""


def test_a_clock_that_fell_is_named_with_its_frequencies() -> None:
    reason = throttled(clock(), clock(), [clock(1_400_000_000), clock(600_000_000)])
    assert reason == "cpu0 fell from 1500 MHz to 600 MHz under the performance governor"


def test_a_fall_of_less_than_a_twentieth_is_none() -> None:
    assert throttled(clock(), clock(1_430_000_000)) == ""


@pytest.mark.parametrize("changes", [{"governor": "ondemand"}, {"driver": "intel_pstate"}])
def test_a_clock_that_is_free_may_fall(changes: dict[str, Any]) -> None:
    assert throttled(clock(**changes), clock(600_000_000, **changes)) == ""


def test_a_lowered_limit_is_a_reason() -> None:
    reason = throttled(clock(), clock(maximum_hz=1_200_000_000))
    assert reason == "cpu0's highest frequency was lowered from 1500 MHz to 1200 MHz"


@pytest.mark.parametrize(
    ("kind", "slows"),
    [
        ("thermal-cpufreq-0", True),
        ("cpufreq-cpu0", True),
        ("Processor", True),
        ("intel_powerclamp", True),
        ("pwm-fan", False),
        ("cpu-fan", False),
        ("thermal-devfreq-0", False),
    ],
)
def test_only_what_holds_the_cpu_back_throttles(kind: str, slows: bool) -> None:
    active = ThermalState(cooling=(Cooler("cooling_device0", kind, 1),))
    reason = throttled(ThermalState(), ThermalState(), [active, active])
    assert reason == (f"the cooling device {kind} held the CPU back" if slows else "")


@pytest.mark.parametrize(
    ("before", "during", "after", "named"),
    [
        (0, 0x1, 0, "under-voltage"),
        (0x2, 0, 0, "capped frequency"),
        (0, 0, 0x4, "throttling"),
        (0, 0x8, 0, "the soft temperature limit"),
        (0, 0, 0x40000, "throttling"),  # between two looks
        (0x50000, 0x50000, 0x50000, ""),  # before the case
        (0, None, None, ""),
        (None, None, 0x40000, ""),
    ],
)
def test_the_raspberry_pis_flags(
    before: int | None, during: int | None, after: int | None, named: str
) -> None:
    reason = throttled(
        ThermalState(pi_flags=before), ThermalState(pi_flags=after), [ThermalState(pi_flags=during)]
    )
    assert reason == (f"the Raspberry Pi's firmware reported {named}" if named else "")


def test_reasons_are_joined_and_said_once(board: Board) -> None:
    before = capture(board())
    hot = capture(board(khz=600000, cooling=3, flags="40004"))
    assert throttled(before, hot, [hot]).split("; ") == [
        "the Raspberry Pi's firmware reported throttling",
        "the cooling device cpufreq-cpu0 held the CPU back",
        "cpu0 fell from 1500 MHz to 600 MHz under the performance governor",
    ]


def never(seconds: float) -> None:
    raise AssertionError(f"slept {seconds} s")


def test_a_machine_without_sensors_is_not_waited_for(tmp_path: Path) -> None:
    assert cool_down(60, tmp_path, sleep=never) == 0


def test_a_cool_board_is_not_waited_for(board: Board) -> None:
    assert cool_down(60, board(temperature=60000), sleep=never) == 0


def test_a_weak_supply_is_not_waited_for(board: Board) -> None:
    assert cool_down(60, board(flags="50001"), sleep=never) == 0


@pytest.mark.parametrize("hot", [{"cooling": 1}, {"flags": "4"}, {"flags": "8"}])
def test_what_holds_the_cpu_back_is_waited_for(board: Board, hot: dict[str, object]) -> None:
    root = board(**hot)
    looks = iter([hot, hot, {}])
    assert cool_down(60, root, sleep=lambda seconds: board(**next(looks))) == 3


def test_a_hot_board_cools_to_near_its_coolest(board: Board) -> None:
    root = board(temperature=70000)
    assert cool_down(60, root, sleep=never) == 0
    board(temperature=82000)
    temperatures = iter([80000, 76000, 75000])
    assert cool_down(60, root, sleep=lambda _: board(temperature=next(temperatures))) == 3


def test_the_wait_ends_at_its_limit(board: Board) -> None:
    naps: list[float] = []
    assert cool_down(2.5, board(cooling=1), sleep=naps.append) == 2.5
    assert naps == [1.0, 1.0, 0.5]
    assert cool_down(0, board(cooling=1), sleep=never) == 0
