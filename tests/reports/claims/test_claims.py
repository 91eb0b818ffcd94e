"""Whatever a claim is on: a verdict needs evidence, and weaker evidence decides no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.harness.records.accuracy import Accuracy, Identification
from facebench.harness.records.latency import Latency
from facebench.harness.records.receptive_fields import Fields
from facebench.harness.records.record import Record
from facebench.reports.claims import UNDECIDED, VERDICTS
from facebench.reports.claims.papers import judged
from facebench.reports.claims.relations import verdict as verdict_on
from facebench.reports.digits import Estimate
from facebench.reports.evidence import Evidence
from tests.reports.claims.claim_records import (
    PAPER,
    disturbed,
    million_searched,
    of_as_many_images,
    of_seeds,
    said,
    timed,
)
from tests.reports.report_records import (
    cost,
    full_run,
    hostile_run,
    large_cost,
    latency,
    pair_scores,
    scored,
    seen,
)

NAMES = [one.name for one in PAPER.claims]


# Judged by what others published, whatever the records are.
OF_PUBLISHED = {"software-age"}


@pytest.mark.parametrize("name", sorted(OF_PUBLISHED))
def test_a_claim_of_published_figures_needs_no_record_and_says_their_kind(name: str) -> None:
    one = said(name, latency("onnx:other.onnx", "ncnn"))
    assert {finding.kinds for finding in one.findings} == {("published",)}


@pytest.mark.parametrize("name", sorted(set(NAMES) - OF_PUBLISHED))
def test_without_a_record_a_claim_says_what_it_needs(name: str) -> None:
    one = said(name, latency("onnx:other.onnx", "ncnn"))
    assert one.verdict == UNDECIDED
    (finding,) = one.findings
    assert finding.why == f"It needs {one.claim.needs}."


@pytest.mark.parametrize("records", [full_run(), hostile_run()], ids=["full", "hostile"])
def test_every_finding_has_a_verdict_a_reason_and_kinds_for_its_figure(
    records: list[Record],
) -> None:
    found = judged(Evidence(records))
    assert [one.claim.name for one in found] == NAMES
    for one in found:
        for finding in one.findings:
            assert finding.verdict in VERDICTS
            assert all(reason.endswith(".") for reason in finding.reasons)
            assert not finding.figure or finding.kinds


def fewer_figures(record: Record) -> Record:
    """The same with less behind its figures: one process, no scores, no bounds, no weights."""
    result = record.result
    if isinstance(result, Latency):
        one = replace(result, processes=(), process_facts=(), reference_us=())
        return replace(record, result=one)
    if isinstance(result, Accuracy):
        return replace(record, result=replace(result, scores=None))
    if isinstance(result, Identification):
        return replace(record, result=replace(result, bounds=None))
    if isinstance(result, Fields):
        return replace(record, result=replace(result, weights=None))
    return record


def untold(record: Record) -> Record:
    """The same, but neither how it was trained nor of which run it is is known."""
    known = {k: v for k, v in record.provenance.items() if k not in ("training", "run")}
    return replace(record, provenance=known, created="2026-11-10T08:00:00+00:00")


def strong(name: str) -> list[Record]:
    """What decides a claim, at least in one place."""
    if name in ("speed-up", "fastest-variant", "gdconv-time"):
        names = {"mobilenet_v2": 30.0, "mobilefacenet_96x96": 2.0, "mobilenet_v2_gdconv": 29.0}
        return [timed("mobilefacenet", 10.0), *(timed(one, ms) for one, ms in names.items())]
    if name in ("accuracy-v2", "gdconv", "prelu"):
        better = {"gdconv": "mobilenet_v2_gdconv"}.get(name, "mobilefacenet")
        worse = {"prelu": "mobilefacenet_relu"}.get(name, "mobilenet_v2")
        return [*of_seeds(better, 4.0, 3), *of_seeds(worse, 2.0, 3)]
    if name == "lfw":
        return [of_as_many_images(scored("mobilefacenet", pair_scores(0, 2.0)))]
    if name == "megaface":
        return [million_searched(3990)]
    if name == "corner-units":
        return [seen("mobilefacenet")]
    names = ("mobilefacenet", "mobilenet_v2", "mobilenet_v2_gdconv")
    return [*map(cost, names), large_cost()]


@pytest.mark.parametrize("weaken", [fewer_figures, untold, disturbed])
@pytest.mark.parametrize("name", NAMES)
def test_weaker_evidence_makes_a_claim_only_ever_less_decided(
    name: str, weaken: Callable[[Record], Record]
) -> None:
    evidence = strong(name)
    found = said(name, *evidence)
    assert found.verdict != UNDECIDED
    decided = {one.place: one.verdict for one in found.findings}
    variants = [[weaken(one) if i == j else one for j, one in enumerate(evidence)]
                for i in range(len(evidence))]  # fmt: skip
    for weak in (*variants, [*map(weaken, evidence)]):
        for one in said(name, *weak).findings:
            assert one.verdict in (decided.get(one.place, UNDECIDED), UNDECIDED)


@pytest.mark.parametrize(
    ("name", "weaken"),
    [
        ("speed-up", disturbed), ("accuracy-v2", untold), ("gdconv", fewer_figures),
        ("prelu", untold), ("lfw", fewer_figures), ("megaface", fewer_figures),
        ("corner-units", fewer_figures),
    ],
)  # fmt: skip
def test_evidence_can_be_too_weak_to_decide(name: str, weaken: Callable[[Record], Record]) -> None:
    assert said(name, *map(weaken, strong(name))).verdict == UNDECIDED


@given(st.floats(0.1, 10), st.floats(0, 1), st.floats(0, 1))
def test_no_interval_that_holds_the_limit_decides(value: float, below: float, above: float) -> None:
    estimate = Estimate(value, value * (1 - below), value * (1 + above))
    found = verdict_on(estimate, "more than", Estimate(2.0, 2.0, 2.0))
    assert (found == UNDECIDED) == (estimate.low <= 2.0 <= estimate.high)
