"""Blocks of code take the cycles that measurements and manuals give for them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.harness.devices.emulator.pipeline.simulate import Simulator, simulator
from facebench.harness.machine.cores import CORES, Figures
from tests.harness.devices.emulator.assembly import words

MODELLED = [core.name for core in CORES if core.figures]
IN_ORDER = [core.name for core in CORES if core.figures and core.figures.in_order]

# Independent sums, as many as hide any latency.
SUMS = [f"fmla v{n}.4s, v30.4s, v31.4s" for n in range(24)]
HALVES = [f"fmla v{n}.8h, v30.8h, v31.8h" for n in range(24)]
INTEGER_LOADS = [f"ldr x{n}, [x20, #{8 * n}]" for n in range(4)]
LINES = (
    *SUMS,
    *HALVES,
    *INTEGER_LOADS,
    "fmla v0.4s, v0.4s, v31.4s",
    "fadd v0.4s, v0.4s, v31.4s",
    "fdiv v0.4s, v1.4s, v2.4s",
    "fdiv v3.4s, v4.4s, v5.4s",
    "ldr x0, [x0]",
    "ldr q28, [x1]",
    "ldr d28, [x1]",
    "ld1 {v24.4s-v27.4s}, [x1]",
    "ldp q24, q25, [x1]",
    "ldr q24, [x1], #16",
    "str q29, [x2]",
    "st1 {v24.4s-v27.4s}, [x2]",
    "mov v28.d[1], x3",
    "add x4, x4, #1",
    "add x5, x6, x7",
    "subs w8, w8, #1",
    "b.ne .",
    "prfm pldl1keep, [x1, #256]",
    "nop",
    "zip1 v29.4s, v30.4s, v31.4s",
    "fmul v29.4s, v30.4s, v31.4s",
)


def code(*lines: str) -> bytes:
    known = words(*LINES)
    return b"".join(known[line] for line in lines)


def figures(core: str) -> Figures:
    found = CORES[core].figures
    assert found is not None
    return found


def cycles(core: str, *lines: str) -> float:
    return simulator(figures(core)).cycles(code(*lines))


# GFLOPS of one core, measured with FMLA on registers alone: github.com/pigirons/cpufp,
# benchmark_result/arm64.
@pytest.mark.parametrize(
    ("core", "gflops", "ghz"),
    [
        ("cortex-a53", 11.26, 1.416),
        ("cortex-a55", 14.59, 1.8),
        ("cortex-a72", 11.96, 1.5),
        ("cortex-a76", 38.37, 2.4),
    ],
)
def test_independent_multiply_adds_reach_the_measured_peak(
    core: str, gflops: float, ghz: float
) -> None:
    operations = 2 * 4 * len(SUMS)
    modelled = operations / cycles(core, *SUMS) * ghz
    assert modelled == pytest.approx(gflops, rel=0.03)


@pytest.mark.parametrize("core", ["cortex-a55", "cortex-a76", "cortex-a78", "tsv110"])
def test_half_precision_does_twice_as_much_in_the_same_time(core: str) -> None:
    assert cycles(core, *HALVES) == cycles(core, *SUMS)


@pytest.mark.parametrize("core", MODELLED)
@pytest.mark.parametrize("length", [1, 4])
def test_a_sum_waits_for_itself_as_long_as_an_addend_is_forwarded(core: str, length: int) -> None:
    taken = cycles(core, *[SUMS[0]] * length)
    assert taken == pytest.approx(length * figures(core).fma_accumulate_cycles)


@pytest.mark.parametrize("core", MODELLED)
def test_a_chain_of_factors_takes_the_whole_latency(core: str) -> None:
    taken = cycles(core, *["fmla v0.4s, v0.4s, v31.4s"] * 3)
    assert taken == pytest.approx(3 * figures(core).fma_latency_cycles)


@pytest.mark.parametrize("core", MODELLED)
def test_other_chains_take_their_latency(core: str) -> None:
    known = figures(core)
    assert cycles(core, "ldr x0, [x0]") == known.l1d.latency_cycles
    assert cycles(core, "fadd v0.4s, v0.4s, v31.4s") == known.vector_latency_cycles
    assert cycles(core, *["add x4, x4, #1"] * 3) == 3


# ncnn, docs/developer-guide/arm-a53-a55-dual-issue.md: what issues beside FMLA.
@pytest.mark.parametrize(
    ("core", "load", "more"),
    [
        ("cortex-a53", "ldr q28, [x1]", 2),
        ("cortex-a53", "ldr d28, [x1]", 1),
        ("cortex-a53", "ldr x0, [x20, #0]", 0),
        ("cortex-a53", "add x5, x6, x7", 0),
        ("cortex-a55", "ldr q28, [x1]", 2),
        ("cortex-a55", "ldr d28, [x1]", 0),
        ("cortex-a55", "ldr x0, [x20, #0]", 0),
    ],
)
def test_what_an_in_order_core_issues_beside_multiply_adds(core: str, load: str, more: int) -> None:
    assert cycles(core, *SUMS[:4], load, *SUMS[4:8]) == pytest.approx(8 + more)


def test_a_vector_insert_issues_beside_a_vector_load_on_the_a53() -> None:
    both = cycles("cortex-a53", "ldr d28, [x1]", "mov v28.d[1], x3", *SUMS[:6])
    # The insert waits for the load, and by then the sums have begun.
    assert both <= 7 + figures("cortex-a53").vector_load_latency_cycles - 1


@pytest.mark.parametrize("core", MODELLED)
def test_a_load_of_four_vectors_takes_four_times_as_long_as_one(core: str) -> None:
    one = cycles(core, *["ldr q28, [x1]"] * 4)
    four = cycles(core, "ld1 {v24.4s-v27.4s}, [x1]")
    pairs = cycles(core, *["ldp q24, q25, [x1]"] * 2)
    assert four == pytest.approx(one, rel=0.01)
    assert pairs == pytest.approx(one, rel=0.01)
    assert one >= 4 / figures(core).loads_per_cycle * 0.99


@pytest.mark.parametrize("core", MODELLED)
def test_stores_take_the_pipe_that_there_is(core: str) -> None:
    taken = cycles(core, *["st1 {v24.4s-v27.4s}, [x2]"] * 2)
    assert taken >= 8 / max(figures(core).stores_per_cycle, 1e-9) * 0.99


@pytest.mark.parametrize("core", MODELLED)
def test_nothing_to_do_takes_decoding_alone(core: str) -> None:
    assert cycles(core, *["nop"] * 12) == pytest.approx(12 / figures(core).decode_width, rel=0.1)


@pytest.mark.parametrize("core", MODELLED)
def test_divisions_follow_one_another(core: str) -> None:
    taken = cycles(core, "fdiv v0.4s, v1.4s, v2.4s", "fdiv v3.4s, v4.4s, v5.4s")
    assert taken >= 2 * figures(core).division_cycles


@pytest.mark.parametrize("core", sorted(set(MODELLED) - set(IN_ORDER)))
def test_out_of_order_an_address_that_moves_on_is_ahead_of_its_data(core: str) -> None:
    moved = cycles(core, *["ldr q24, [x1], #16"] * 4)
    # Each address waits for the one before, a cycle, and for no load.
    assert moved == pytest.approx(4, abs=0.6)


def test_a_small_window_hides_less_latency() -> None:
    lines = ["ldr x0, [x0]", *SUMS, *SUMS]
    wide = figures("cortex-a72")
    narrow = replace(wide, window=4)
    assert Simulator(narrow).cycles(code(*lines)) > Simulator(wide).cycles(code(*lines))


blocks = st.lists(st.sampled_from(LINES), min_size=1, max_size=20)
WIDER = {
    "decode_width": 2,
    "fma_lanes_per_cycle": 2,
    "vector_operations_per_cycle": 2,
    "loads_per_cycle": 2,
    "stores_per_cycle": 2,
    "memory_operations_per_cycle": 2,
    "integer_operations_per_cycle": 2,
}


@settings(max_examples=60)
@given(blocks, st.sampled_from(sorted(WIDER)), st.sampled_from(IN_ORDER))
def test_more_width_is_never_slower_in_order(lines: list[str], name: str, core: str) -> None:
    known = figures(core)
    wider = replace(known, **{name: getattr(known, name) * WIDER[name]})
    assert Simulator(wider).cycles(code(*lines)) <= cycles(core, *lines) + 1e-9


@settings(max_examples=60)
@given(blocks, st.sampled_from(sorted(WIDER)), st.sampled_from(MODELLED))
def test_more_width_is_never_slower(lines: list[str], name: str, core: str) -> None:
    known = figures(core)
    wider = replace(known, **{name: getattr(known, name) * WIDER[name]})
    # Who comes first takes a unit, which can cost what comes after; a cycle at most.
    assert Simulator(wider).cycles(code(*lines)) <= cycles(core, *lines) + 1


@settings(max_examples=60)
@given(blocks, st.sampled_from(MODELLED))
def test_no_block_beats_its_decoder_and_its_units(lines: list[str], core: str) -> None:
    known = figures(core)
    taken = cycles(core, *lines)
    sums = sum(line.startswith("fmla") for line in lines)
    assert taken >= sums / known.fmas_per_cycle - 0.2
    assert taken >= (len(lines) - 1) / known.decode_width - 0.2


@settings(max_examples=60)
@given(blocks, st.sampled_from(MODELLED))
def test_a_block_twice_takes_twice_as_long(lines: list[str], core: str) -> None:
    assert cycles(core, *lines, *lines) == pytest.approx(2 * cycles(core, *lines), rel=0.1, abs=1)
