"""A published score is held to what faces, people and training data can say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facebench.harness.records.accuracy import Identification
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.record import Record
from facebench.reports.claims import REFUTED, SUPPORTED, UNDECIDED
from tests.reports.claims.claim_records import (
    million_searched,
    of_as_many_images,
    said,
    told,
    trained,
)
from tests.reports.report_records import lfw, pair_scores, scored


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


def test_only_as_much_data_as_the_papers_can_refute_its_score() -> None:
    low = scored("mobilefacenet", pair_scores(0, 2.0))
    assert said("lfw", of_as_many_images(low)).verdict == REFUTED
    assert said("lfw", of_as_many_images(low, 1000)).verdict == UNDECIDED


def test_fewer_data_refute_no_published_score() -> None:
    low = trained(scored("mobilefacenet", pair_scores(0, 2.0)))
    (finding,) = said("lfw", low).findings
    assert finding.verdict == UNDECIDED
    assert "21,497 images of 3,556 people" in told(finding)
    # Of a record that holds no scores nobody knows how sure it is.
    assert said("lfw", lfw("mobilefacenet")).verdict == UNDECIDED


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
