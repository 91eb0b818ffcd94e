"""Networks are compared on faces where they were trained alike, over seeds and people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.reports.claims import REFUTED, SUPPORTED, UNDECIDED, Judged
from facebench.reports.claims.accuracy import AccuracyClaim
from facebench.reports.evidence import Evidence
from tests.reports.claims.claim_records import PAPER, of_seeds, said, told, trained
from tests.reports.report_records import pair_scores, scored


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


def test_drawn_faces_speak_to_no_claim_of_accuracy() -> None:
    drawn = [
        trained(scored(name, pair_scores(i, 4.0 - 2 * i), "synthetic", "drawn"))
        for i, name in enumerate(("mobilefacenet", "mobilenet_v2"))
    ]
    (finding,) = said("accuracy-v2", *drawn).findings
    assert finding.why.startswith("It needs")
