from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.harness.devices.emulator import model
from facebench.harness.devices.emulator.instructions import KINDS
from facebench.harness.machine.cores import CORES, Figures
from facebench.harness.records.instructions import Instructions, Work

CONSTANTS = model.Constants(compute=2.0, memory=3.0, fitted_to="nothing")
MODELLED = [core for core in CORES if core.figures is not None]

mixes = st.fixed_dictionaries({kind: st.integers(0, 10**6) for kind in KINDS})


def figures(core: str = "cortex-a72") -> Figures:
    found = CORES[core].figures
    assert found is not None
    return found


def inference(issue_cycles: float, misses: int = 0, written: int = 0) -> Instructions:
    work = Work(10, {}, 0, 0, (5 * misses, misses), written, issue_cycles)
    return Instructions("cortex-a72", (64, 64), work, (), 0.0, "untuned")


def block(**counts: int) -> dict[str, int]:
    return dict.fromkeys(KINDS, 0) | counts


@pytest.mark.parametrize(
    ("mix", "cycles"),
    [
        (block(), 0),
        (block(fma=12), 12),  # one vector of four lanes a cycle
        (block(fma=6, simd=6), 12),
        (block(load=10), 10),
        (block(store=10), 20),  # half a store a cycle
        (block(load=10, store=2), 10),
        (block(integer=30), 10),  # three wide
        (block(fma=4, integer=29), 11),
    ],
)
def test_the_busiest_unit_of_a_cortex_a72_decides(mix: dict[str, int], cycles: float) -> None:
    assert model.issue_cycles(mix, figures()) == pytest.approx(cycles)


def test_where_two_vectors_issue_a_cycle_multiply_adds_take_half_the_time() -> None:
    mix = block(fma=100)
    one, two = (model.issue_cycles(mix, figures(core)) for core in ("cortex-a72", "cortex-a76"))
    assert one == 2 * two


@given(mixes, st.sampled_from(KINDS), st.integers(1, 1000), st.sampled_from(MODELLED))
def test_more_instructions_of_any_kind_never_take_fewer_cycles(
    mix: dict[str, int], kind: str, more: int, core: object
) -> None:
    on = core.figures  # type: ignore[attr-defined]
    assert model.issue_cycles(mix | {kind: mix[kind] + more}, on) >= model.issue_cycles(mix, on)


@given(mixes, st.integers(2, 9), st.sampled_from(MODELLED))
def test_issue_cycles_grow_with_the_code_as_a_whole(
    mix: dict[str, int], times: int, core: object
) -> None:
    on = core.figures  # type: ignore[attr-defined]
    longer = {kind: times * count for kind, count in mix.items()}
    assert model.issue_cycles(longer, on) == pytest.approx(times * model.issue_cycles(mix, on))


@pytest.mark.parametrize(("chain", "cycles"), [(0, 12), (4, 12), (5, 15)])
def test_a_chain_of_multiply_adds_is_waited_for(chain: int, cycles: float) -> None:
    assert model.issue_cycles(block(fma=12), figures(), chain) == cycles


def test_terms_of_parts_sum_to_those_of_the_whole() -> None:
    parts = [inference(8e6, 7, 3).work, inference(1e6, 5, 0).work]
    whole = inference(9e6, 12, 3).work
    sums = [model.terms(part, figures(), CONSTANTS) for part in parts]
    for name, term in model.terms(whole, figures(), CONSTANTS).items():
        assert sum(one[name] for one in sums) == pytest.approx(term)


def test_time_is_the_sum_of_both_terms_and_threads_divide_only_one() -> None:
    on = replace(figures(), frequency_hz=10**9, dram_bandwidth_bytes_s=6.4e9)
    made = model.cycles(inference(8e6, misses=70_000, written=30_000), on, CONSTANTS)
    # 2 x 8 ms of one thread, and 3 x 1 ms for 100,000 lines of 64 bytes.
    assert made.milliseconds == pytest.approx({"1": 19.0, "2": 11.0, "4": 7.0})
    assert made.terms == pytest.approx({"compute": 16e6, "memory": 3e6})


def test_a_modelled_time_says_of_what_it_is_and_what_it_was_fitted_to() -> None:
    made = model.cycles(inference(1e6), figures())
    assert (made.core, made.board) == ("cortex-a72", "Raspberry Pi 4 Model B")
    assert (made.frequency_hz, made.label) == (1_500_000_000, "untuned")
    assert "1804.07573" in made.fitted_to


@given(
    st.floats(1, 1e9), st.integers(0, 10**7), st.integers(0, 10**7),
    st.tuples(st.floats(0, 1e9), st.integers(0, 10**7), st.integers(0, 10**7)),
)  # fmt: skip
def test_more_of_any_count_is_never_faster(
    issue: float, misses: int, written: int, more: tuple[float, int, int]
) -> None:
    base = inference(issue, misses, written)
    larger = inference(issue + more[0], misses + more[1], written + more[2])
    ours, theirs = (model.cycles(one, figures()).milliseconds for one in (base, larger))
    assert all(theirs[threads] >= ours[threads] for threads in ours)
    assert ours["1"] >= ours["2"] >= ours["4"] > 0


def test_memory_is_what_the_last_level_misses_and_writes_back() -> None:
    assert inference(1.0, misses=3, written=4).memory_bytes == 7 * 64
    without = Instructions("cortex-a7", (), Work(1, {}, 0, 0, (), 0, 0.0), (), 0.0)
    assert without.memory_bytes == 0
