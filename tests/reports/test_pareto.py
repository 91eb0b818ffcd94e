"""The front: a network leaves it only where another is shown to be better."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from facebench.reports.digits import Estimate
from facebench.reports.pareto import Spot, placed
from tests.reports.report_records import latency


def spot(madds: float, accuracy: float, side: float = 0.0) -> Spot:
    y = Estimate(accuracy, accuracy - side, accuracy + side)
    return Spot("n", Estimate(madds, madds, madds), y, ("counted", "measured"))


def standing(*spots: Spot) -> list[tuple[bool, bool]]:
    return [(one.front, one.shown) for one in placed(spots)]


FRONT, OPEN, BEATEN = (True, True), (True, False), (False, False)


def test_twice_the_cost_for_a_difference_that_is_chance_is_on_the_front_and_not_shown() -> None:
    assert standing(spot(220, 95.0, 1.0), spot(440, 95.02, 1.0)) == [FRONT, OPEN]
    assert standing(spot(220, 95.0, 1.0), spot(440, 94.9, 1.0)) == [FRONT, OPEN]


def test_a_network_leaves_the_front_where_another_is_shown_to_be_better() -> None:
    assert standing(spot(220, 95.0, 1.0), spot(440, 93.0, 1.0)) == [FRONT, BEATEN]
    assert standing(spot(220, 95.0, 1.0), spot(440, 97.0, 1.0)) == [FRONT, FRONT]
    assert standing(spot(220, 95.0), spot(440, 95.0)) == [FRONT, BEATEN]
    assert standing(spot(220, 95.0), spot(220, 95.0)) == [FRONT, FRONT]


def test_a_time_that_is_not_shown_to_be_shorter_beats_none() -> None:
    def timed(ms: float, accuracy: float, run: str) -> Spot:
        record = replace(latency("mobilefacenet", "ncnn"), provenance={"run": run})
        return replace(spot(ms, accuracy), time=record)

    # Of one process each: a tenth is more than processes differ by, of two runs it is not.
    assert standing(timed(10, 97, "a"), timed(11.5, 95, "a")) == [FRONT, BEATEN]
    assert standing(timed(10, 97, "a"), timed(11.5, 95, "b")) == [FRONT, OPEN]


some = st.lists(
    st.tuples(st.integers(1, 5), st.integers(90, 99), st.sampled_from([0.0, 0.4, 3.0])),
    min_size=1,
    max_size=6,
)


@given(some)
def test_without_intervals_it_is_the_front_of_the_figures_themselves(
    given_ones: list[tuple[int, int, float]],
) -> None:
    exact = [spot(x, y) for x, y, _ in given_ones]
    for one in placed(exact):
        beaten = any(
            (other.x.value <= one.x.value and other.y.value >= one.y.value)
            and (other.x.value, other.y.value) != (one.x.value, one.y.value)
            for other in exact
        )
        assert one.front != beaten


@given(some, st.floats(0.0, 5.0))
def test_wider_intervals_beat_none_and_show_none(
    given_ones: list[tuple[int, int, float]], more: float
) -> None:
    narrow = placed([spot(*one) for one in given_ones])
    wide = placed([spot(x, y, side + more) for x, y, side in given_ones])
    for one, other in zip(narrow, wide, strict=True):
        assert one.front <= other.front
        assert other.shown <= one.shown or not one.front
    line = sorted((one for one in wide if one.shown), key=lambda one: one.x.value)
    assert [one.y.value for one in line] == sorted(one.y.value for one in line)
