"""Modelled times hold against sums done by hand, and intervals against their definition."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.harness.devices.emulator import model
from facebench.harness.devices.emulator.ratio_spread import Load
from facebench.harness.devices.emulator.terms import Terms
from facebench.harness.machine.boards import BOARDS, described
from facebench.harness.machine.cores import CORES, Figures
from facebench.harness.records.instructions import Instructions, Work

MODELLED = [core for core in CORES if core.figures is not None]


def figures(core: str = "cortex-a72") -> Figures:
    found = CORES[core].figures
    assert found is not None
    return found


def work(cycles: float = 0.0, l1: int = 0, misses: int = 0, written: int = 0) -> Work:
    return Work(10, {}, 0, 0, (l1, misses), written, cycles=cycles)


def inference(counted: Work) -> Instructions:
    return Instructions("cortex-a72", (64, 64), counted, (), 0.0, "")


def test_the_terms_are_those_of_the_page() -> None:
    # 1.5 GHz, 21 cycles to the second level, 4.93 GB/s.
    found = model.terms(work(cycles=1.5e9, l1=1_500_000, misses=10**6, written=10**6), figures())
    assert found.pipeline == pytest.approx(1.0)
    assert found.l1_misses == pytest.approx(0.021)
    assert found.memory == pytest.approx(2 * 64e6 / 4.93e9)


def test_a_time_is_the_sum_of_terms_times_constants() -> None:
    constants = replace(model.constants(), pipeline=2.0, l1_misses=3.0, memory=0.5)
    assert constants.seconds(Terms(0.1, 0.01, 0.2)) == pytest.approx(0.2 + 0.03 + 0.1)


amounts = st.integers(0, 10**9)


@given(amounts, amounts, amounts, st.sampled_from(MODELLED), st.floats(1.01, 4.0))
def test_a_faster_clock_and_memory_are_never_slower(
    cycles: int, l1: int, misses: int, core: object, faster: float
) -> None:
    known = core.figures  # type: ignore[attr-defined]
    counted = replace(work(cycles, l1), misses=(*[l1] * (len(known.levels) - 1), misses))
    constants = model.constants()
    slow = constants.seconds(model.terms(counted, known))
    hertz, memory = known.frequency_hz * faster, known.dram_bandwidth_bytes_s * faster
    for better in (
        replace(known, frequency_hz=round(hertz)),
        replace(known, dram_bandwidth_bytes_s=memory),
    ):
        assert constants.seconds(model.terms(counted, better)) <= slow + 1e-15


def test_cycles_by_term_are_the_milliseconds() -> None:
    counted = inference(work(3e8, 10**6, 10**6, 10**5))
    made = model.cycles(counted, figures(), "ncnn 1")
    assert sum(made.terms.values()) / 1.5e9 * 1e3 == pytest.approx(made.milliseconds["1"], rel=1e-6)


def test_a_modelled_time_says_of_what_it_is_and_how_sure() -> None:
    made = model.cycles(inference(work(3e8)), figures(), "ncnn 1.0.20261020")
    assert list(made.milliseconds) == ["1"]
    assert made.interval_ms is not None
    low, high = made.interval_ms
    assert low < made.milliseconds["1"] < high
    assert math.log(high / low) == pytest.approx(2 * model.constants().time_reach)
    said = made.sentence()
    for part in ("modelled", "cortex-a72 at 1.5 GHz", "ncnn 1.0.20261020", "1 thread", " to "):
        assert part in said


def test_a_runtime_that_was_not_validated_has_no_interval() -> None:
    made = model.cycles(inference(work(3e8)), figures(), "tvm 1", validated=False)
    assert made.interval_ms is None
    assert "no interval is known" in made.sentence()


def test_one_measured_figure_corrects_and_narrows_and_more_do_more() -> None:
    none, one, many = (model.anchor([0.2] * count) for count in (0, 1, 14))
    assert none.factor == 1.0
    assert 1.0 < one.factor < many.factor < math.exp(0.2)
    assert none.reach > one.reach > many.reach
    # However many there are, networks differ.
    constants = model.constants()
    share = constants.within / math.hypot(constants.within, constants.between)
    assert many.reach == pytest.approx(constants.time_reach * share, rel=0.1)


@given(st.floats(0.05, 20.0))
def test_the_interval_of_a_ratio_holds_it(ratio: float) -> None:
    low, high = model.ratio_interval(ratio, Load(10**8, 10**7), Load(10**7, 10**7))
    assert low < ratio < high
    assert high / ratio == pytest.approx(ratio / low)


@pytest.mark.parametrize("board", list(BOARDS), ids=lambda board: board.name)
def test_a_board_is_a_core_with_its_own_clock_and_memory(board: object) -> None:
    found = described(board.name)  # type: ignore[attr-defined]
    core = CORES[found.name]
    assert found.figures is not None
    assert core.figures is not None
    assert found.figures.levels == core.figures.levels
    assert found.figures.frequency_hz == board.frequency_hz  # type: ignore[attr-defined]
    for name in ("frequency_hz", "dram_bandwidth_bytes_s", "board"):
        assert len(found.source(name)) > 3
