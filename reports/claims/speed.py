"""Judges claims on speed: ratios within one setting, since milliseconds are the phone's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from facebench.harness.measures.validity import DISTURBANCES, slowed_up_to
from facebench.harness.records.cost import Cost
from facebench.harness.records.latency import Latency
from facebench.reports.claims import REFUTED, SUPPORTED, UNDECIDED, ClaimFinding, claim
from facebench.reports.comparison import RelativeLatency, latency_ratio, representative
from facebench.reports.digits import Estimate, earned, interval
from facebench.reports.emulated import PAPER_THREADS, places
from facebench.reports.evidence import BASELINE, WITH_GDCONV, Evidence
from facebench.reports.tables import LatencyRow, Setting, settings

RIVAL, _FEWER, _RELU = "mobilenet_v2", "mobilefacenet_96x96", "mobilefacenet_relu"

# "More than 2 times."
_TIMES = 2.0
# Table 2: 18 of 24 ms, each rounded to a millisecond.
_FASTEST = Estimate(18 / 24, 17.5 / 24.5, 18.5 / 23.5)
# Table 2: 50 of 49 ms, at most 50.5 of 48.5.
_GDCONV_AT_MOST = 50.5 / 48.5


@claim(
    "speed-up",
    text=f"{BASELINE} is more than 2 times as fast as MobileNetV2 (49 against 24 ms).",
    where="abstract, Table 2",
    needs=f"latencies of {BASELINE} and {RIVAL} under one runtime, on one device",
    order=20,
)
def speed_up(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge the speed-up by runtime, device and threads; a modelled time decides nothing."""
    found = [_faster(evidence, one) for one in settings(evidence.latencies)]
    return [*filter(None, found), *_modelled(evidence, RIVAL)]


@claim(
    "fastest-variant",
    text="The fastest MobileFaceNet, of 96x96 pixels, takes 18 ms: 0.75 times the time of the "
    "primary one.",
    where="abstract, Table 2",
    needs=f"latencies of {BASELINE} and {_FEWER} under one runtime, on one device",
    order=22,
)
def fastest_variant(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge the ratio beside the published one, whose milliseconds are rounded."""
    found = [_as_fast(evidence, one) for one in settings(evidence.latencies)]
    return [*filter(None, found), *_modelled(evidence, _FEWER)]


@claim(
    "gdconv-time",
    text="GDConv in place of pooling costs next to no time: MobileNetV2 takes 50 ms with it and "
    "49 ms without.",
    where="section 3.2, Table 2",
    needs="latencies of a network with GDConv and of the same with pooling under one runtime, on "
    "one device",
    order=24,
)
def gdconv_time(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge the time on each base that has both, by the most that the rounded figures allow."""
    found = [
        _at_most(evidence, gdconv, plain, one)
        for gdconv, plain in WITH_GDCONV
        for one in settings(evidence.latencies)
    ]
    return list(filter(None, found))


def _faster(evidence: Evidence, setting: Setting) -> ClaimFinding | None:
    one = _ratio(evidence, RIVAL, setting)
    if one.estimate is None:
        return _none(one)
    verdict = _against(one.estimate, _TIMES)
    why = [_outcome(one.estimate), *_reasons(evidence, setting)]
    return _finding(evidence, one, verdict, (RIVAL, BASELINE), why)


def _as_fast(evidence: Evidence, setting: Setting) -> ClaimFinding | None:
    one = _ratio(evidence, _FEWER, setting)
    if one.estimate is None:
        return _none(one)
    apart = one.estimate.high < _FASTEST.low or one.estimate.low > _FASTEST.high
    inside = _FASTEST.low <= one.estimate.low and one.estimate.high <= _FASTEST.high
    verdict = REFUTED if apart else SUPPORTED if inside else UNDECIDED
    why = [f"the published ratio lies in {interval(_FASTEST)}, rounded as its milliseconds are"]
    return _finding(evidence, one, verdict, (_FEWER, BASELINE), why)


def _at_most(evidence: Evidence, gdconv: str, plain: str, setting: Setting) -> ClaimFinding | None:
    one = _ratio(evidence, gdconv, setting, plain)
    names = f"{gdconv}, {plain}: "
    if one.estimate is None:
        return _none(one, names) if evidence.timed(plain, setting) else None
    most = _GDCONV_AT_MOST
    verdict = (
        SUPPORTED if one.estimate.high <= most else
        REFUTED if one.estimate.low > most else UNDECIDED
    )  # fmt: skip
    why = [f"the published ratio is at most {most:.3f}, rounded as its milliseconds are"]
    costs = evidence.costs.get(gdconv), evidence.costs.get(plain)
    if costs[0] and costs[1]:
        more = costs[0].madds["conv+linear"] / costs[1].madds["conv+linear"] - 1
        why.append(f"it takes {more:.2%} more MAdds")
    return _finding(evidence, one, verdict, (gdconv, plain), why, names)


def _ratio(
    evidence: Evidence, network: str, setting: Setting, over: str = BASELINE
) -> RelativeLatency:
    """Return the ratio of two times with what others may have done to each in its interval."""
    one = latency_ratio(evidence, network, setting, over)
    if one.estimate is None:
        return one
    value, low, high = one.estimate.value, one.estimate.low, one.estimate.high
    above, below = (_slowed(representative(evidence, name, setting)) for name in (network, over))
    if math.inf in (above, below):
        return replace(one, warning="the machine was disturbed, by how much is not known")
    return replace(one, estimate=Estimate(value, low / above, high * below))


def _slowed(row: LatencyRow | None) -> float:
    """Return how many times its undisturbed time a time may be."""
    if row is None or not _disturbances([row]):
        return 1.0
    result = row.record.result
    return slowed_up_to(result) if isinstance(result, Latency) else math.inf


def _disturbances(rows: Sequence[LatencyRow]) -> list[str]:
    failed = {check.name for row in rows for check in row.record.failed_checks}
    return [name for name in DISTURBANCES if name in failed]


def _against(estimate: Estimate, limit: float) -> str:
    if estimate.low > limit:
        return SUPPORTED
    return REFUTED if estimate.high < limit else UNDECIDED


def _finding(
    evidence: Evidence,
    one: RelativeLatency,
    verdict: str,
    networks: tuple[str, str],
    why: list[str],
    names: str = "",
) -> ClaimFinding:
    assert one.estimate is not None
    rows = [row for name in networks if (row := representative(evidence, name, one.setting))]
    if "untuned" in one.label:
        verdict = UNDECIDED
        why = ["this code is untuned, so it says nothing of what tuned code does"]
    elif (disturbed := _disturbances(rows)) and not one.warning:
        most = max(map(_slowed, rows))
        why.append(
            f"the machine was disturbed ({', '.join(disturbed)}: no), by which a time may be "
            f"{most:.2g} times as long: the interval has it"
        )
    elif failed := {check.name for row in rows for check in row.record.failed_checks}:
        why.append(f"a condition of validity did not hold: {', '.join(sorted(failed))}")
    if one.warning:
        verdict = UNDECIDED
        why.append(one.warning)
    return ClaimFinding(
        verdict,
        names + _place(one.setting),
        f"{earned(one.estimate)}×",
        interval(one.estimate),
        (one.setting.kind, "published"),
        _sentence(why),
    )


def _none(one: RelativeLatency, names: str = "") -> ClaimFinding | None:
    if one.status == "missing":
        return None
    return ClaimFinding(
        UNDECIDED, names + _place(one.setting), "", "", (one.setting.kind,), f"{one.reason}."
    )


def _outcome(estimate: Estimate) -> str:
    if estimate.high < 1.0:
        return f"the order is reversed here: {RIVAL} is the faster of the two"
    if estimate.low <= 1.0:
        return "the two cannot be told apart here"
    return f"here {BASELINE} is the faster of the two"


def _reasons(evidence: Evidence, setting: Setting) -> Iterator[str]:
    """Why, as far as the records can say: what PReLU costs here, and the work of both."""
    price = latency_ratio(evidence, BASELINE, setting, _RELU).estimate
    if price:
        if price.low > 1.0:
            yield (
                f"PReLU makes {BASELINE} {earned(price)} times ({interval(price)}) as slow as "
                "ReLU does, so this runtime does not fuse it for free"
            )
        elif price.high < 1.02:
            yield "PReLU costs nothing against ReLU here"
    costs = [evidence.costs.get(name) for name in (RIVAL, BASELINE)]
    rival, own = costs
    if rival is not None and own is not None:
        yield _work(rival, own)


def _work(rival: Cost, own: Cost) -> str:
    madds = rival.madds["conv+linear"] / own.madds["conv+linear"]
    traffic = (rival.activation_bytes + rival.weight_bytes) / (
        own.activation_bytes + own.weight_bytes
    )
    return (
        f"{RIVAL} takes {madds:.2f} times the MAdds and moves {traffic:.2f} times the bytes, so "
        f"2 is reached where memory is the limit"
    )


def _modelled(evidence: Evidence, network: str) -> Iterator[ClaimFinding]:
    for place in places(evidence):
        row = place.row(network)
        found = place.ratio(row) if row else None
        if found is not None:
            why = "A model's ratio has no interval, so it decides nothing: docs/model.md says how "
            name = f"{place.label}, {PAPER_THREADS} threads"
            kinds = ("modelled", "published")
            yield ClaimFinding(UNDECIDED, name, f"{found:.2f}×", "", kinds, f"{why}far it is off.")


def _place(setting: Setting) -> str:
    return f"{setting.label}, {setting.threads_text}"


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
