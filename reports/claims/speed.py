"""Judges claims on speed: ratios within one setting, since milliseconds are the phone's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from facebench.harness.measures.doubt import Doubt, doubts
from facebench.harness.records.cost import Cost
from facebench.harness.records.record import Record
from facebench.reports.claims import REFUTED, SUPPORTED, UNDECIDED, ClaimFinding, claim
from facebench.reports.claims.modelled import modelled
from facebench.reports.claims.places import ClaimPlace, base, judged_together, sentence
from facebench.reports.comparison import RelativeLatency, latency_ratio, representative
from facebench.reports.digits import Estimate, earned, interval
from facebench.reports.evidence import BASELINE, WITH_GDCONV, Evidence
from facebench.reports.tables import Setting, settings
from facebench.reports.time_ratios import undisturbed

RIVAL, _FEWER, _RELU = "mobilenet_v2", "mobilefacenet_96x96", "mobilefacenet_relu"

# "More than 2 times."
_TIMES = 2.0
# Table 2: 18 of 24 ms, each rounded to a millisecond.
_FASTEST = Estimate(18 / 24, 17.5 / 24.5, 18.5 / 23.5)
# Table 2: 50 of 49 ms, at most 50.5 of 48.5.
_GDCONV_AT_MOST = 50.5 / 48.5


@claim(
    "speed-up",
    short="2x as fast as V2",
    text=f"{BASELINE} is more than 2 times as fast as MobileNetV2 (49 against 24 ms).",
    where="abstract, Table 2",
    needs=f"latencies of {BASELINE} and {RIVAL} under one runtime, on one device",
    order=20,
)
def speed_up(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge the speed-up by runtime, device and threads, timed or modelled."""
    found = [_faster(evidence, one) for one in settings(evidence.latencies)]
    return [*judged_together(list(filter(None, found))), *modelled(evidence, RIVAL, _twice)]


@claim(
    "fastest-variant",
    short="96x96 takes 0.75x",
    text="The fastest MobileFaceNet, of 96x96 pixels, takes 18 ms: 0.75 times the time of the "
    "primary one.",
    where="abstract, Table 2",
    needs=f"latencies of {BASELINE} and {_FEWER} under one runtime, on one device",
    order=22,
)
def fastest_variant(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge the ratio beside the published one, whose milliseconds are rounded."""
    found = [_as_fast(evidence, one) for one in settings(evidence.latencies)]
    return [*judged_together(list(filter(None, found))), *modelled(evidence, _FEWER, _as_published)]


@claim(
    "gdconv-time",
    short="GDConv takes no time",
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
    return judged_together(list(filter(None, found)))


def _faster(evidence: Evidence, setting: Setting) -> ClaimPlace | None:
    def why(estimate: Estimate) -> list[str]:
        return [_outcome(estimate), *_reasons(evidence, setting)]

    return _place(_Ratio(evidence, RIVAL, BASELINE, setting), _twice, why)


def _as_fast(evidence: Evidence, setting: Setting) -> ClaimPlace | None:
    def why(estimate: Estimate) -> list[str]:
        return [
            f"the published ratio lies in {interval(_FASTEST)}, rounded as its milliseconds are"
        ]

    return _place(_Ratio(evidence, _FEWER, BASELINE, setting), _as_published, why)


def _at_most(evidence: Evidence, gdconv: str, plain: str, setting: Setting) -> ClaimPlace | None:
    def why(estimate: Estimate) -> list[str]:
        most = f"{_GDCONV_AT_MOST:.3f}"
        told = [f"the published ratio is at most {most}, rounded as its milliseconds are"]
        costs = evidence.costs.get(gdconv), evidence.costs.get(plain)
        if costs[0] and costs[1]:
            more = costs[0].madds["conv+linear"] / costs[1].madds["conv+linear"] - 1
            told.append(f"it takes {more:.2%} more MAdds")
        return told

    if not evidence.timed(plain, setting):
        return None
    ratio = _Ratio(evidence, gdconv, plain, setting)
    return _place(ratio, _little, why, f"{base(gdconv)}: ")


def _twice(estimate: Estimate) -> str:
    return _against(estimate, _TIMES)


def _as_published(estimate: Estimate) -> str:
    if estimate.high < _FASTEST.low or estimate.low > _FASTEST.high:
        return REFUTED
    inside = _FASTEST.low <= estimate.low and estimate.high <= _FASTEST.high
    return SUPPORTED if inside else UNDECIDED


def _little(estimate: Estimate) -> str:
    if estimate.high <= _GDCONV_AT_MOST:
        return SUPPORTED
    return REFUTED if estimate.low > _GDCONV_AT_MOST else UNDECIDED


def _against(estimate: Estimate, limit: float) -> str:
    if estimate.low > limit:
        return SUPPORTED
    return REFUTED if estimate.high < limit else UNDECIDED


@dataclass(frozen=True, eq=False)
class _Ratio:
    """It is the time of a network over that of another, in one setting."""

    evidence: Evidence
    network: str
    over: str
    setting: Setting

    @property
    def records(self) -> list[Record]:
        """Return the records of both times, as far as there are any."""
        rows = (representative(self.evidence, n, self.setting) for n in (self.network, self.over))
        return [row.record for row in rows if row]

    def at(self, confidence: float = 0.95) -> RelativeLatency:
        """Return the ratio as if all conditions of validity held."""
        return latency_ratio(self.evidence, self.network, self.setting, self.over, confidence)

    def sure(self, confidence: float = 0.95) -> Estimate | None:
        """Return the ratio with what conditions that did not hold may have done to each time."""
        estimate = self.at(confidence).estimate
        return undisturbed(estimate, *self.records) if estimate else None


_Verdict = Callable[[Estimate], str]


def _place(
    ratio: _Ratio, verdict: _Verdict, why: Callable[[Estimate], list[str]], names: str = ""
) -> ClaimPlace | None:
    """Return what the times say in one setting; None where the network was not timed there."""
    one = ratio.at()
    place, kind = f"{names}{ratio.setting.label}, {ratio.setting.threads_text}", ratio.setting.kind
    if one.estimate is None:
        missing = ClaimFinding(UNDECIDED, place, "", "", (kind,), f"{one.reason}.")
        return None if one.status == "missing" else ClaimPlace(missing)
    sure = ratio.sure()
    shown = sure or one.estimate
    figure, kinds = (f"{earned(shown)}×", interval(shown)), (kind, "published")
    if "untuned" in one.label:
        told = "This code is untuned, so it says nothing of what tuned code does."
        return ClaimPlace(ClaimFinding(UNDECIDED, place, *figure, kinds, told))
    doubted = verdict(sure) if sure else UNDECIDED
    turned = _turned(ratio.records, verdict(one.estimate), doubted)
    told, *also = map(sentence, [*why(shown), *turned, *([one.warning] if one.warning else [])])
    verdict_now = UNDECIDED if one.warning else doubted
    finding = ClaimFinding(verdict_now, place, *figure, kinds, told, tuple(also))
    if one.warning or sure is None:
        return ClaimPlace(finding)
    return ClaimPlace(finding, lambda confidence: _by(verdict, ratio.sure(confidence)))


def _by(verdict: _Verdict, estimate: Estimate | None) -> str:
    return verdict(estimate) if estimate else UNDECIDED


def _turned(records: Sequence[Record], plain: str, doubted: str) -> Iterator[str]:
    """Yield the conditions that did not hold, where they could turn a verdict, and by how much.

    Args:
        records: of the two times.
        plain: the verdict if all conditions held.
        doubted: the verdict with all that those that did not hold can have done.
    """
    if plain == doubted:
        return
    for record in records:
        for doubt in doubts(record):
            yield (
                f"“{doubt.check}” did not hold for {record.case.network}, whose time "
                f"{_moved(doubt)}: that could turn the verdict, which would be {plain}"
            )


def _moved(doubt: Doubt) -> str:
    if math.inf in (doubt.shorter, doubt.longer):
        return "may have moved, by how much is not known"
    if doubt.longer == 1.0:
        return f"may be up to {doubt.shorter:.3g} times as long as undisturbed"
    return f"may be up to {max(doubt.shorter, doubt.longer):.3g} times too long or too short"


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
        f"by count {RIVAL} takes {madds:.2f} times the MAdds and moves {traffic:.2f} times the "
        "bytes, so 2 is reached where memory is the limit"
    )
