"""Verdicts on speed follow from a ratio's interval and from conditions, timed or modelled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.harness.records.instructions import Cycles
from facebench.harness.records.latency import Latency, Process
from facebench.harness.records.record import Check, Record
from facebench.reports.claims import DEPENDS, REFUTED, SUPPORTED, UNDECIDED, Judged
from facebench.reports.evidence import Evidence
from tests.reports.claims.claim_records import PAPER, said, timed, told
from tests.reports.report_records import cost, emulated


def test_claims_that_are_true_nowhere_are_decided_somewhere_in_five_of_a_hundred_cases() -> None:
    """The ratio is just 2 in each of eight runtimes, whose two times are of two runs."""
    history = {"long_run": {"spread": 0.03, "hours": 200}}

    def once(draw: np.random.Generator) -> bool:
        records = []
        for place in range(8):
            for name, ms in (("mobilefacenet", 10.0), ("mobilenet_v2", 20.0)):
                one = timed(name, ms * np.exp(0.03 * draw.normal()))
                case = replace(one.case, runtime=f"r{place}")
                told = one.provenance | history | {"run": f"{place} {name}"}
                records.append(replace(one, case=case, provenance=told))
        return said("speed-up", *records).verdict != UNDECIDED

    trials = 60
    false = sum(once(draw) for draw in map(np.random.default_rng, range(trials)))
    # Three standard errors; without a correction it would be a third of them.
    assert false <= 0.05 * trials + 3 * np.sqrt(0.05 * 0.95 * trials)


@pytest.mark.parametrize(
    ("ratio", "spread", "verdict"),
    [(2.2, 0.001, SUPPORTED), (1.9, 0.001, REFUTED), (2.0, 0.2, UNDECIDED), (0.8, 0.001, REFUTED)],
)
def test_twice_as_fast_needs_the_whole_interval(ratio: float, spread: float, verdict: str) -> None:
    one = said(
        "speed-up",
        timed("mobilefacenet", 10.0, spread=spread),
        timed("mobilenet_v2", 10.0 * ratio, spread=spread),
    )
    assert one.verdict == verdict
    assert ("order is reversed" in one.findings[0].why) == (ratio < 1)


def of_speed(*records: Record) -> dict[str, str]:
    evidence = Evidence(records)
    names = ("speed-up", "fastest-variant", "gdconv-time")
    return {name: Judged(PAPER[name], PAPER[name].judge(evidence)).verdict for name in names}


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(*[st.floats(1.0, 30.0)] * 3), st.sampled_from([0.001, 0.02, 0.2]), st.integers(0, 3)
)
def test_weaker_times_move_a_verdict_only_towards_not_decidable(
    ms: tuple[float, float, float], spread: float, which: int
) -> None:
    names = ("mobilefacenet_96x96", "mobilenet_v2", "mobilenet_v2_gdconv")
    known = [("mobilefacenet", 10.0), *zip(names, ms, strict=True)]
    strong = [timed(name, value, spread=spread) for name, value in known]
    verdicts = of_speed(*strong)
    one = strong[which]
    disturbed = Check("machine kept its speed", False, "1.4 times")
    for weak in (
        timed(*known[which], spread=spread, processes=1),
        replace(one, created="2026-11-25T12:00:00+00:00"),
        replace(one, provenance=one.provenance | {"run": "another"}),
        replace(one, checks=(disturbed,)),
        replace(one, environment=one.environment | {"ncnn": "2.0"}),
    ):
        for name, verdict in of_speed(*(weak if r is one else r for r in strong)).items():
            assert verdict in (verdicts[name], UNDECIDED)


@pytest.mark.parametrize(("slow", "verdict"), [(1.3, REFUTED), (3.0, UNDECIDED), (0.0, UNDECIDED)])
def test_a_gross_ratio_is_seen_through_a_disturbance_that_cannot_explain_it(
    slow: float, verdict: str
) -> None:
    """The reference kernel took `slow` times its fastest; 0 where it was not timed."""

    def disturbed(record: Record) -> Record:
        assert isinstance(record.result, Latency)
        processes = len(record.result.by_process)
        one = Process(0.0, 0, references=int(slow > 0), settled=True, fastest_us=float(slow > 0))
        seen = replace(
            record.result,
            reference_us=(slow,) * processes if slow else (),
            process_facts=(one,) * processes,
        )
        check = Check("machine kept its speed", False, "it did not")
        return replace(record, result=seen, checks=(check,))

    fast, slower = timed("mobilefacenet", 10.0), timed("mobilenet_v2", 4.5)
    assert said("speed-up", fast, slower).verdict == REFUTED
    (finding,) = said("speed-up", disturbed(fast), disturbed(slower)).findings
    assert finding.verdict == verdict
    assert ("could turn the verdict, which would be refuted" in told(finding)) == (
        verdict == UNDECIDED
    )


def test_one_process_a_side_supports_no_ratio_that_processes_alone_could_make() -> None:
    pair = [
        timed(name, ms, processes=1)
        for name, ms in (("mobilefacenet", 10), ("mobilenet_v2", 20.19))
    ]
    (finding,) = said("speed-up", *pair).findings
    assert (finding.verdict, finding.figure, finding.interval) == (UNDECIDED, "2.0×", "1.8–2.2")
    far = [pair[0], timed("mobilenet_v2", 26.0, processes=1)]
    assert said("speed-up", *far).verdict == SUPPORTED


def test_times_of_two_runs_are_uncertain_by_what_runs_differ_by() -> None:
    pair = [timed("mobilefacenet", 10.0), timed("mobilenet_v2", 22.0)]
    runs = [
        replace(one, provenance=one.provenance | {"run": run})
        for one, run in zip(pair, "ab", strict=True)
    ]
    assert said("speed-up", *pair).verdict == SUPPORTED
    assert said("speed-up", *runs).verdict == UNDECIDED
    history = {"long_run": {"spread": 0.01, "hours": 20}}
    known = [replace(one, provenance=one.provenance | history) for one in runs]
    assert said("speed-up", *known).verdict == SUPPORTED


def test_runtimes_may_disagree_and_each_has_its_verdict() -> None:
    one = said(
        "speed-up",
        timed("mobilefacenet", 10.0),
        timed("mobilenet_v2", 25.0),
        timed("mobilefacenet", 10.0, "onnxruntime"),
        timed("mobilenet_v2", 8.0, "onnxruntime"),
    )
    assert {f.place: f.verdict for f in one.findings} == {
        "ncnn, 1 thread": SUPPORTED,
        "onnxruntime, 1 thread": REFUTED,
    }
    assert one.verdict == DEPENDS


def test_what_prelu_costs_is_measured_not_assumed() -> None:
    pair = timed("mobilefacenet", 10.0), timed("mobilenet_v2", 9.0)
    (bare,) = said("speed-up", *pair).findings
    (priced,) = said("speed-up", *pair, timed("mobilefacenet_relu", 6.0)).findings
    (free,) = said("speed-up", *pair, timed("mobilefacenet_relu", 10.0)).findings
    assert "PReLU" not in told(bare)
    assert "PReLU makes mobilefacenet 1.667 times" in told(priced)
    assert "PReLU costs nothing" in told(free)


@pytest.mark.parametrize(
    ("ratio", "spread", "verdict"),
    [(1.02, 0.001, SUPPORTED), (0.9, 0.001, SUPPORTED), (1.2, 0.001, REFUTED), (1.04, 0.5, "")],
)
def test_the_global_operator_may_take_as_long_as_the_paper_s(
    ratio: float, spread: float, verdict: str
) -> None:
    one = said(
        "gdconv-time",
        cost("mobilenet_v2"),
        cost("mobilenet_v2_gdconv"),
        timed("mobilenet_v2", 10.0, spread=spread),
        timed("mobilenet_v2_gdconv", 10.0 * ratio, spread=spread),
        # Pooling alone says nothing of GDConv.
        timed("shufflenet_v1_gdconv", 5.0),
    )
    assert one.verdict == (verdict or UNDECIDED)
    (finding,) = one.findings
    assert finding.place == "mobilenet_v2: ncnn, 1 thread"
    assert "% more MAdds" in told(finding)


def test_untuned_code_decides_nothing() -> None:
    pair = [timed("mobilefacenet", 10.0), timed("mobilenet_v2", 30.0)]
    untuned = [
        replace(one, result=replace(one.result, label="untuned"))  # type: ignore[type-var]
        for one in pair
    ]
    assert said("speed-up", *untuned).verdict == UNDECIDED


@pytest.mark.parametrize(
    ("times", "verdict"), [(4.0, SUPPORTED), (2.2, UNDECIDED), (1.8, UNDECIDED), (1.1, REFUTED)]
)
def test_a_modelled_ratio_decides_where_its_interval_does(times: float, verdict: str) -> None:
    counts, base = emulated("mobilefacenet")
    theirs, rival = emulated("mobilenet_v2")
    assert isinstance(base.result, Cycles)
    slower = replace(base.result, milliseconds={"1": times * base.result.milliseconds["1"]})
    one = said("speed-up", counts, base, theirs, replace(rival, result=slower))
    (finding,) = one.findings
    assert one.verdict == finding.verdict == verdict
    assert finding.kinds[0] == "modelled"
    assert finding.why.startswith("Modelled")
    assert "1 thread" in finding.place
    assert finding.interval


def test_a_modelled_ratio_without_counts_decides_nothing_and_says_what_to_do() -> None:
    (_, base), both = emulated("mobilefacenet"), emulated("mobilenet_v2")
    (finding,) = said("speed-up", base, *both).findings
    assert finding.verdict == UNDECIDED
    assert "'facebench latency' there counts them" in finding.why


def test_a_modelled_ratio_of_a_runtime_that_was_not_validated_decides_nothing() -> None:
    records = [*emulated("mobilefacenet", "kryo", "tvm"), *emulated("mobilenet_v2", "kryo", "tvm")]
    (finding,) = said("speed-up", *records).findings
    assert finding.verdict == UNDECIDED
    assert "has no interval" in finding.why
