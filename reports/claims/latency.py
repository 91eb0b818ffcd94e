"""Judges claims on speed: ratios within one setting, since milliseconds are the phone's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from facebench.harness.measures.doubt import Doubt, doubts
from facebench.harness.records.cost import Cost
from facebench.harness.records.record import Record
from facebench.reports.claims import UNDECIDED, ClaimFinding, Pairs, Words, judgement
from facebench.reports.claims.modelled import modelled
from facebench.reports.claims.places import ClaimPlace, judged_together, pair_place, sentence
from facebench.reports.claims.relations import FigureClaim
from facebench.reports.comparison import RelativeLatency, latency_ratio, representative
from facebench.reports.digits import Estimate, earned, interval
from facebench.reports.evidence import BASELINE, Evidence
from facebench.reports.tables import Setting, settings
from facebench.reports.time_ratios import undisturbed

# Of more than so many times the work, a percentage is hard to read.
_MUCH_MORE = 1.1


@dataclass(frozen=True, kw_only=True)
class LatencyClaim(FigureClaim):
    """It is a claim on how many times as long one network takes as another.

    Attributes:
        networks: pairs, the first of which takes so many times the time of the second.
        relu: the second of a pair with ReLU in its activations' place, whose time says what
            PReLU costs; none where it is empty.
    """

    networks: Pairs
    relu: Words = ""

    @property
    def named(self) -> tuple[str, ...]:
        """Return the networks."""
        return (*(name for pair in self.networks for name in pair), *filter(None, [self.relu]))


@judgement(
    "latency", LatencyClaim, needs="latencies of {networks} under one runtime, on one device"
)
def latency(evidence: Evidence, claim: LatencyClaim) -> Sequence[ClaimFinding]:
    """Judge the ratio by runtime, device and threads, timed or modelled."""
    found = [
        _timed(_Ratio(evidence, *pair, one), claim)
        for pair in claim.networks
        for one in settings(evidence.latencies)
        # Of several pairs one may have nothing to say.
        if len(claim.networks) == 1 or evidence.timed(pair[1], one)
    ]
    # The model has times over the baseline's.
    by_model = [
        finding
        for network, over in claim.networks
        if over == BASELINE
        for finding in modelled(evidence, network, claim.verdict)
    ]
    return [*judged_together(list(filter(None, found))), *by_model]


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


def _timed(ratio: _Ratio, claim: LatencyClaim) -> ClaimPlace | None:
    """Return what the times say in one setting; None where the network was not timed there."""
    one = ratio.at()
    label, kind = f"{ratio.setting.label}, {ratio.setting.threads_text}", ratio.setting.kind
    place = pair_place(claim.networks, ratio.network, label)
    if one.estimate is None:
        missing = ClaimFinding(UNDECIDED, place, "", "", (kind,), f"{one.reason}.")
        return None if one.status == "missing" else ClaimPlace(missing)
    sure = ratio.sure()
    shown = sure or one.estimate
    figure, kinds = (f"{earned(shown)}×", interval(shown)), (kind, "published")
    if "untuned" in one.label:
        told = "This code is untuned, so it says nothing of what tuned code does."
        return ClaimPlace(ClaimFinding(UNDECIDED, place, *figure, kinds, told))
    doubted = claim.verdict(sure) if sure else UNDECIDED
    turned = _turned(ratio.records, claim.verdict(one.estimate), doubted)
    why = [*_reasons(ratio, claim, shown), *turned, *([one.warning] if one.warning else [])]
    told, *also = (*map(sentence, why), *claim.notes)
    verdict_now = UNDECIDED if one.warning else doubted
    finding = ClaimFinding(verdict_now, place, *figure, kinds, told, tuple(also))
    if one.warning or sure is None:
        return ClaimPlace(finding)
    return ClaimPlace(finding, lambda confidence: _by(claim.verdict, ratio.sure(confidence)))


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


def _reasons(ratio: _Ratio, claim: LatencyClaim, found: Estimate) -> Iterator[str]:
    """Say what holds here, and why as far as records can: what PReLU costs, the work of both."""
    yield _bound(claim) if claim.rounding else _outcome(ratio, claim, found)
    if claim.relu:
        yield from _price(ratio, claim.relu)
    costs = (ratio.evidence.costs.get(name) for name in (ratio.network, ratio.over))
    first, second = costs
    if first is not None and second is not None:
        yield _work(ratio, first, second)


def _bound(claim: LatencyClaim) -> str:
    published = claim.published
    if claim.relation == "at most":
        said = f"is at most {published.high:.3f}"
    elif claim.relation == "at least":
        said = f"is at least {published.low:.3f}"
    else:
        said = f"lies in {interval(published)}"
    return f"the published ratio {said}, rounded as its milliseconds are"


def _outcome(ratio: _Ratio, claim: LatencyClaim, found: Estimate) -> str:
    if found.low <= 1.0 <= found.high:
        return "the two cannot be told apart here"
    faster = ratio.over if found.low > 1.0 else ratio.network
    if (found.low > 1.0) == (claim.published.value >= 1.0):
        return f"here {faster} is the faster of the two"
    return f"the order is reversed here: {faster} is the faster of the two"


def _price(ratio: _Ratio, relu: str) -> Iterator[str]:
    price = latency_ratio(ratio.evidence, ratio.over, ratio.setting, relu).estimate
    if price and price.low > 1.0:
        yield (
            f"PReLU makes {ratio.over} {earned(price)} times ({interval(price)}) as slow as "
            "ReLU does, so this runtime does not fuse it for free"
        )
    elif price and price.high < 1.02:
        yield "PReLU costs nothing against ReLU here"


def _work(ratio: _Ratio, first: Cost, second: Cost) -> str:
    madds = first.madds["conv+linear"] / second.madds["conv+linear"]
    if 1.0 <= madds < _MUCH_MORE:
        return f"by count {ratio.network} takes {madds - 1:.2%} more MAdds than {ratio.over}"
    traffic = (first.activation_bytes + first.weight_bytes) / (
        second.activation_bytes + second.weight_bytes
    )
    return (
        f"by count {ratio.network} takes {madds:.2f} times the MAdds of {ratio.over} and moves "
        f"{traffic:.2f} times the bytes"
    )
