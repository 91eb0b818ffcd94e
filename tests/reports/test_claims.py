"""Verdicts on the paper's claims follow from intervals and conditions, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.harness.records.accuracy import (
    Accuracy,
    Bounded,
    Identification,
    OperatingPoint,
    SearchBounds,
)
from facebench.harness.records.instructions import Cycles
from facebench.harness.records.latency import Latency, Process
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.receptive_fields import Fields
from facebench.harness.records.record import Check, Record
from facebench.reports.claims import (
    DEPENDS,
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    VERDICTS,
    ClaimFinding,
    Judged,
)
from facebench.reports.claims.accuracy import AccuracyClaim
from facebench.reports.claims.papers import judged, load
from facebench.reports.claims.relations import verdict as verdict_on
from facebench.reports.digits import Estimate
from facebench.reports.evidence import Evidence
from tests.reports.report_records import (
    cost,
    emulated,
    full_run,
    hostile_run,
    large_cost,
    latency,
    lfw,
    pair_scores,
    scored,
    searched,
    seen,
)

PAPER = load()
NAMES = [one.name for one in PAPER.claims]


def said(name: str, *records: Record) -> Judged:
    return next(one for one in judged(Evidence(records)) if one.claim.name == name)


def told(finding: ClaimFinding) -> str:
    return " ".join(finding.reasons)


def timed(
    network: str, ms: float, runtime: str = "ncnn", spread: float = 0.001, processes: int = 4
) -> Record:
    """A time of several processes that are alike."""
    one = latency(network, runtime)
    assert isinstance(one.result, Latency)
    samples = tuple(
        ms * (1 + spread * (i - 32) / 32) for k in range(processes) for i in range(k, 64, processes)
    )
    counts = (64 // processes,) * processes
    result = replace(one.result, samples_ms=samples, label="", processes=counts)
    return replace(one, result=result)


def trained(record: Record, conditions: str = "alike", seed: int = 0) -> Record:
    training = {
        "recipe": "distill", "epochs": 12.0, "seed": seed, "images": 21_497, "people": 3_556,
        "conditions": conditions,
    }  # fmt: skip
    return replace(record, provenance=record.provenance | {"training": training})


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


def disturbed(record: Record) -> Record:
    return replace(record, checks=(Check("machine kept its speed", False, "1.4 times"),))


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


def test_a_lead_in_one_of_many_places_is_corrected_for_their_number() -> None:
    def verdicts(places: int) -> list[str]:
        records = [
            replace(one, case=replace(one.case, dataset=f"folder:{place}"))
            for place in range(places)
            for name, distance in (("mobilefacenet", 3.0 if place else 3.8), ("mobilenet_v2", 3.0))
            for one in of_seeds(name, distance, 2)
        ]
        return [one.verdict for one in said("accuracy-v2", *records).findings]

    assert verdicts(1) == [SUPPORTED]
    assert verdicts(12) == [UNDECIDED] * 12


def test_bases_are_places_too() -> None:
    claim = PAPER["gdconv"]
    assert isinstance(claim, AccuracyClaim)
    bases = claim.networks
    records = [
        one
        for number, both in enumerate(bases)
        for name, distance in zip(both, (3.0 if number else 3.7, 3.0), strict=True)
        for one in of_seeds(name, distance, 2)
    ]
    found = said("gdconv", *records)
    assert [one.verdict for one in found.findings] == [UNDECIDED] * len(bases)
    assert "judged in 4 places" in told(found.findings[0])
    # The same figures, were only the first base looked at.
    first = replace(claim, networks=bases[:1])
    assert Judged(first, first.judge(Evidence(records))).verdict == SUPPORTED


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


def test_a_count_decides_by_the_rule_it_was_counted_by() -> None:
    one = said("parameters", cost("mobilefacenet"))
    assert [finding.verdict for finding in one.findings] == [SUPPORTED, REFUTED]
    assert one.verdict == DEPENDS
    rules = {f.place: f.verdict for f in said("madds", cost("mobilefacenet")).findings}
    assert rules == {"conv+linear": SUPPORTED, "+bn": REFUTED, "+activation": REFUTED}
    assert said("size", cost("mobilefacenet")).verdict == SUPPORTED


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


@given(st.floats(0.1, 10), st.floats(0, 1), st.floats(0, 1))
def test_no_interval_that_holds_the_limit_decides(value: float, below: float, above: float) -> None:
    estimate = Estimate(value, value * (1 - below), value * (1 + above))
    found = verdict_on(estimate, "more than", Estimate(2.0, 2.0, 2.0))
    assert (found == UNDECIDED) == (estimate.low <= 2.0 <= estimate.high)


def of_seeds(name: str, distance: float, seeds: int, **fields: object) -> list[Record]:
    """A network trained from so many seeds, which err on other pairs each."""
    return [
        trained(replace(one, case=replace(one.case, weights=f"sha256:{name}{seed}")), seed=seed)
        for seed in range(seeds)
        for one in [scored(name, pair_scores(100 * len(name) + seed, distance, **fields))]  # type: ignore[arg-type]
    ]


def test_accuracy_is_compared_between_networks_trained_alike_alone() -> None:
    ours, theirs = of_seeds("mobilefacenet", 4.0, 2), of_seeds("mobilenet_v2", 2.0, 2)
    unlike = [trained(one, "other", seed) for seed, one in enumerate(theirs)]
    assert said("accuracy-v2", *ours, *unlike).verdict == UNDECIDED
    (finding,) = said("accuracy-v2", *ours, *theirs).findings
    assert finding.verdict == SUPPORTED
    assert "over people" in told(finding)
    assert "over seeds, of which 2 and 2 are here" in told(finding)
    swapped = of_seeds("mobilefacenet", 2.0, 2), of_seeds("mobilenet_v2", 4.0, 2)
    assert said("accuracy-v2", *swapped[0], *swapped[1]).verdict == REFUTED
    same = said("prelu", *ours, *of_seeds("mobilefacenet_relu", 4.0, 2))
    assert same.verdict == UNDECIDED


def test_one_seed_each_decides_nothing_but_others_can_say_how_far_seeds_differ() -> None:
    single = [*of_seeds("mobilefacenet", 4.0, 1), *of_seeds("mobilenet_v2", 2.0, 1)]
    (finding,) = said("accuracy-v2", *single).findings
    assert finding.verdict == UNDECIDED
    assert "trained from one seed" in told(finding)
    (finding,) = said("accuracy-v2", *single, *of_seeds("mobilenet_v1", 3.0, 3)).findings
    assert finding.verdict == SUPPORTED
    assert "2 degrees of freedom" in told(finding)


def test_the_spread_of_seeds_is_part_of_the_interval() -> None:
    def of(values: Sequence[float], name: str) -> list[Record]:
        made = []
        for one, value in zip(of_seeds(name, 3.0, len(values)), values, strict=True):
            assert isinstance(one.result, Accuracy)
            result = replace(one.result, fold_accuracies=(value / 100,) * 10)
            made.append(replace(one, result=result))
        return made

    wide = [*of((92.0, 96.0), "mobilefacenet"), *of((86.0, 90.0), "mobilenet_v2")]
    close = [*of((93.9, 94.1), "mobilefacenet"), *of((87.9, 88.1), "mobilenet_v2")]
    assert said("accuracy-v2", *wide).verdict == UNDECIDED
    assert said("accuracy-v2", *close).verdict == SUPPORTED


def test_seeds_that_agree_by_chance_do_not_make_faces_certain() -> None:
    # Of 600 pairs half a point is three pairs, whatever the seeds do.
    alike = [
        replace(one, result=replace(one.result, fold_accuracies=(value,) * 10))
        for name, value in (("mobilefacenet", 0.925), ("mobilenet_v2", 0.92))
        for one in of_seeds(name, 3.0, 2)
        if isinstance(one.result, Accuracy)
    ]
    assert said("accuracy-v2", *alike).verdict == UNDECIDED


@pytest.mark.parametrize("distance", [1.0, 2.0, 2.8, 3.0, 3.2, 4.0])
def test_weaker_evidence_moves_a_verdict_towards_undecided_alone(distance: float) -> None:
    def verdict(seeds: int, pairs: int) -> str:
        ours = of_seeds("mobilefacenet", 3.0, seeds, pairs=pairs)
        theirs = of_seeds("mobilenet_v2", distance, seeds, pairs=pairs)
        return said("accuracy-v2", *ours, *theirs).verdict

    strong = verdict(4, 1200)
    for seeds, pairs in ((1, 1200), (2, 40), (1, 40)):
        assert verdict(seeds, pairs) in (strong, UNDECIDED)


def faultless(people: int) -> Record:
    """Not one error on LFW, in two pairs of each of so many people."""
    index = np.arange(2 * people)
    same, who = index % 2 == 0, index // 2
    pairs = np.stack([who, np.where(same, who, (who + 1) % people)], axis=1).tolist()
    scores = PairScores.pack(np.where(same, 0.9, 0.1), same, index * 10 // len(index), pairs, "p")
    return scored("mobilefacenet", scores)


def test_the_fewer_people_are_known_the_less_the_score_on_lfw_says() -> None:
    # Of so many trials without an error 99.545 % is the exact lower bound.
    enough = int(np.ceil(np.log(0.05) / np.log(0.99545)))
    assert said("lfw", faultless(enough)).verdict == SUPPORTED
    assert said("lfw", faultless(enough - 1)).verdict == UNDECIDED
    assert said("lfw", faultless(30)).verdict == UNDECIDED
    assert said("lfw", faultless(enough), lfw("mobilefacenet")).verdict == SUPPORTED
    # Two weights are two chances to be faultless by chance.
    once = faultless(enough)
    again = replace(once, case=replace(once.case, weights="sha256:other"))
    assert said("lfw", once, again).verdict == UNDECIDED


def of_as_many_images(record: Record, images: int = 3_800_000) -> Record:
    """With weights trained on as many images as the paper's."""
    training = {"conditions": "alike", "seed": 0, "images": images, "people": 85_000}
    return replace(record, provenance=record.provenance | {"training": training})


def test_only_as_much_data_as_the_papers_can_refute_its_score() -> None:
    low = scored("mobilefacenet", pair_scores(0, 2.0))
    assert said("lfw", of_as_many_images(low)).verdict == REFUTED
    assert said("lfw", of_as_many_images(low, 1000)).verdict == UNDECIDED


def test_drawn_faces_speak_to_no_claim_of_accuracy() -> None:
    drawn = [
        trained(scored(name, pair_scores(i, 4.0 - 2 * i), "synthetic", "drawn"))
        for i, name in enumerate(("mobilefacenet", "mobilenet_v2"))
    ]
    (finding,) = said("accuracy-v2", *drawn).findings
    assert finding.why.startswith("It needs")


def test_fewer_data_refute_no_published_score() -> None:
    low = trained(scored("mobilefacenet", pair_scores(0, 2.0)))
    (finding,) = said("lfw", low).findings
    assert finding.verdict == UNDECIDED
    assert "21,497 images of 3,556 people" in told(finding)
    # Of a record that holds no scores nobody knows how sure it is.
    assert said("lfw", lfw("mobilefacenet")).verdict == UNDECIDED


def million_searched(accepted: int, distractors: int = 1_000_000) -> Record:
    """A search of which so many of 4,000 genuine pairs are accepted at FAR 1e-6."""
    searched_by = searched("mobilefacenet", "megaface")
    assert isinstance(searched_by.result, Identification)
    points, share = (OperatingPoint(1e-6, 0.5, accepted, 4000),), accepted / 4000
    bounds = SearchBounds(
        Bounded(0.9, (0.85, 0.94)), (), (Bounded(share, (share - 0.01, share + 0.002)),)
    )
    result = replace(searched_by.result, distractors=distractors, tar=points, bounds=bounds)
    return trained(replace(searched_by, result=result))


@pytest.mark.parametrize(
    ("distractors", "accepted", "verdict"),
    [
        (1_000_000, 3704, UNDECIDED),  # 92.6 %, of which 91.6 is not excluded
        (999_300, 3990, SUPPORTED),
        (1_000_000, 3000, UNDECIDED),
        (20_000, 3990, UNDECIDED),
    ],
)
def test_a_search_among_a_million_distractors_speaks_to_megaface(
    distractors: int, accepted: int, verdict: str
) -> None:
    searched_by = million_searched(accepted, distractors)
    (finding,) = said("megaface", searched_by).findings
    assert finding.verdict == verdict
    assert bool(finding.figure) == (distractors > 20_000)
    other_data = replace(searched_by, case=replace(searched_by.case, dataset="megaface_mini"))
    assert isinstance(searched_by.result, Identification)
    result = replace(searched_by.result, label="drawn: no faces")
    drawn = replace(searched_by, result=result)
    for one in (other_data, drawn):
        (finding,) = said("megaface", one).findings
        assert finding.why.startswith("It needs")
