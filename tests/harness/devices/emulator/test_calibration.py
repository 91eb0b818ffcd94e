"""The model's constants and errors follow from the shipped data, and hold where truth is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from facebench.harness.devices.emulator import calibration, model
from facebench.harness.devices.emulator.published import Row, counts, rows, times
from facebench.harness.devices.emulator.ratio_spread import Load, RatioSpread
from facebench.harness.devices.emulator.terms import Terms
from facebench.harness.machine.boards import BOARDS

KNOWN = (1.2, 0.3, 0.5)


def percent(left: list[calibration.Left]) -> np.ndarray:
    return 100 * np.abs([one.relative for one in left])


def test_the_shipped_constants_are_those_of_the_shipped_data() -> None:
    found, shipped = rows(), model.constants()
    constants = (shipped.pipeline, shipped.l1_misses, shipped.memory)
    assert calibration.fit(found) == pytest.approx(constants, abs=1e-5)
    assert shipped.rows == len(found)
    left = calibration.left_out(found, calibration.family)
    assert calibration.half_width([one.error for one in left]) == pytest.approx(
        shipped.time_reach, abs=1e-5
    )
    pairs = calibration.pairs(left)
    spread = calibration.ratio_spread(pairs)
    assert vars(spread) == pytest.approx(
        {name: getattr(shipped, f"ratio_{name}") for name in ("base", "memory", "size")}, abs=1e-5
    )
    assert calibration.half_width(calibration.scores(pairs, spread)) == pytest.approx(
        shipped.ratio_reach, abs=1e-4
    )


def test_families_of_cores_that_were_left_out_are_off_by_no_more_than_promised() -> None:
    found = percent(calibration.left_out(rows(), calibration.family))
    assert found.mean() <= 12
    assert np.percentile(found, 90) <= 24


def test_intervals_of_times_hold_what_was_left_out() -> None:
    assert 0.90 <= calibration.coverage(rows()) <= 0.98


def test_intervals_of_ratios_hold_what_was_left_out_however_wide_they_are() -> None:
    found = sorted(calibration.ratio_coverage(rows()), key=lambda one: one[1])
    held = [abs(pair.error) <= reach for pair, reach in found]
    assert 0.90 <= np.mean(held) <= 0.98
    for part in np.array_split(held, 4):
        assert np.mean(part) >= 0.90


def test_ratios_of_networks_that_are_alike_are_known_better_than_times() -> None:
    shipped = model.constants()
    one = Load(70_000_000, 20_000_000)
    low, high = model.ratio_interval(1.0, one, one)
    assert np.log(high) == pytest.approx(-np.log(low))
    assert np.log(high) < 0.8 * shipped.time_reach
    for other in (Load(700_000_000, 200_000_000), Load(70_000_000, 200_000_000)):
        assert model.ratio_interval(1.0, one, other)[1] > high


def test_a_spread_of_ratios_that_is_known_is_found() -> None:
    draw, known = np.random.default_rng(4), RatioSpread(0.004, 0.002, 0.01)
    pairs = []
    for _ in range(20_000):
        one, other = (
            Load(int(draw.uniform(1e7, 1e9)), int(draw.uniform(1e6, 1e9))) for _ in range(2)
        )
        if max(one.bytes_each, other.bytes_each) < 4:
            error = known.deviation(one, other) * float(draw.normal())
            pairs.append(calibration.RatioError(one, other, error))
    found = calibration.ratio_spread(pairs)
    assert vars(found) == pytest.approx(vars(known), rel=0.15)
    inside = np.abs(calibration.scores(pairs, found)) < 1.96
    assert np.mean(inside) == pytest.approx(0.95, abs=0.01)


def test_what_is_left_out_is_not_in_the_constants() -> None:
    # A family whose times are ten times as long changes its own error, and no constant of others.
    found = rows()
    strange = [
        replace(row, time=replace(row.time, ms=10 * row.time.ms))
        if row.time.core == "kryo"
        else row
        for row in found
    ]
    one, two = (
        {
            (left.row.time.device, left.row.time.network): left.error
            for left in calibration.left_out(given, calibration.family)
            if left.row.time.core == "kryo"
        }
        for given in (found, strange)
    )
    assert one
    for key, error in two.items():
        assert error - one[key] == pytest.approx(np.log(10))


def made(seed: int, noise: float) -> list[Row]:
    """Rows of three families with constants that are known."""
    draw, found = np.random.default_rng(seed), []
    given = rows()[0]
    for core, board in (
        ("cortex-a53", "ax630c"),
        ("cortex-a72", "rk3399"),
        ("cortex-a76", "rk3588"),
    ):
        for number in range(20):
            terms = Terms(*draw.uniform(0.005, 0.1, 3))
            seconds = float(np.dot(KNOWN, terms.as_row())) * np.exp(noise * draw.normal())
            time = replace(given.time, board=board, network=f"net{number}", ms=1e3 * seconds)
            assert time.core == core
            found.append(replace(given, time=time, terms=terms))
    return found


def test_constants_that_are_known_are_found() -> None:
    assert calibration.fit(made(0, 0.0)) == pytest.approx(KNOWN)
    assert calibration.fit(made(1, 0.05)) == pytest.approx(KNOWN, rel=0.1)


def test_the_half_width_is_an_order_statistic() -> None:
    assert calibration.half_width([0.1 * n for n in range(1, 20)], 0.95) == pytest.approx(1.9)
    assert calibration.half_width([-3.0, 1.0, 2.0], 0.5) == pytest.approx(2.0)


def test_the_spread_tells_what_devices_share_from_what_networks_do_not() -> None:
    draw = np.random.default_rng(3)
    given, left = rows()[0], []
    for number in range(200):
        shared = 0.2 * draw.normal()
        for other in range(15):
            time = replace(given.time, device=f"device{number}", network=f"net{other}")
            left.append(
                calibration.Left(replace(given, time=time), shared + 0.1 * float(draw.normal()))
            )
    found = calibration.spread(left)
    assert found.between == pytest.approx(0.2, rel=0.15)
    assert found.within == pytest.approx(0.1, rel=0.05)


def test_every_published_time_has_a_board_and_a_date_and_a_line() -> None:
    for time in times():
        assert time.board in BOARDS
        assert date(2018, 1, 1) < time.published < date(2026, 12, 31)
        assert time.line > 0
        assert 0.5 < time.ms < 5000


def test_every_row_is_of_code_of_its_age() -> None:
    for row in rows():
        counted = date.fromisoformat(
            f"{row.count.version[:4]}-{row.count.version[4:6]}-{row.count.version[6:]}"
        )
        assert abs((counted - row.time.published).days) <= 400
        assert row.count.core == row.time.core


def test_counts_are_one_for_each_version_core_network_and_precision() -> None:
    keys = [(one.version, one.emulated, one.core, one.network, one.precision) for one in counts()]
    assert len(keys) == len(set(keys))
