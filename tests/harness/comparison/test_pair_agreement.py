"""Records on the same pairs, compared pair by pair."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import binomtest

from facebench.architectures.errors import RefusedError
from facebench.harness.comparison.pair_agreement import agreements
from facebench.harness.records.case import Case
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.record import Record
from facebench.harness.storage import cache
from facebench.harness.verification.protocol import verify

PAIRS = 400


def scored(network, quality, seed=0, runtime="ncnn", digest="pairs", provenance=None):
    """A record of a network whose genuine pairs lie `quality` deviations above the others."""
    rng = np.random.default_rng(seed)
    same = np.arange(PAIRS) % 2 == 0
    scores = np.clip(rng.normal(same * quality * 0.1, 0.1), -1, 1)
    people = [(i, i if genuine else i + 1) for i, genuine in enumerate(same)]
    packed = PairScores.pack(scores, same, np.arange(PAIRS) * 4 // PAIRS, people, digest)
    case = Case("accuracy", network, weights="sha256:0", runtime=runtime, flip="none")
    result = verify(packed, "", "none", 1.0)
    return Record(case, "measured", "ok", result, provenance=provenance or {})


def test_a_better_network_is_found_and_a_like_one_is_not_told_apart():
    good, like, bad = scored("good", 4, 0), scored("like", 4, 1), scored("bad", 1, 2)
    by_name = {
        (a.first.case.network, a.second.case.network): a for a in agreements([good, like, bad])
    }
    assert list(by_name) == [("good", "like"), ("good", "bad"), ("like", "bad")]
    assert by_name["good", "like"].verdict == "no difference shown"
    worse = by_name["good", "bad"]
    assert worse.verdict == "the first is more accurate"
    low, high = worse.paired.interval
    assert low < worse.paired.difference < high < 0
    assert worse.paired.difference == pytest.approx(bad.result.accuracy - good.result.accuracy)


def test_p_values_are_corrected_together():
    found = agreements([scored(str(i), 3 - i, i) for i in range(3)])
    for one in found:
        count = one.paired.only_first + one.paired.only_second
        expected = binomtest(one.paired.only_first, count).pvalue
        assert one.paired.mcnemar == pytest.approx(expected)
    smallest = min(one.paired.p_value for one in found)
    assert min(one.adjusted_p for one in found) == pytest.approx(min(1, 3 * smallest))


def test_a_decision_that_changed_is_counted_though_accuracy_is_the_same():
    first = scored("n", 2)
    scores = first.result.scores.scores.copy()
    scores[[0, 2]] = scores[[2, 0]]
    packed = dataclasses.replace(first.result.scores, packed_scores=scores.tobytes())
    second = dataclasses.replace(first, result=verify(packed, "", "none", 1.0))
    (one,) = agreements([first, second])
    assert one.same_network
    assert one.score_difference == pytest.approx(abs(float(scores[0] - scores[2])))
    (none,) = agreements([first, first])
    assert none.changed == 0
    assert none.verdict == "all 400 decisions are equal"


def test_embeddings_of_two_runtimes_are_compared_where_the_cache_holds_them():
    embeddings = np.random.default_rng(0).normal(size=(1, 8, 4)).astype(np.float32)
    other = embeddings.copy()
    other[0, 3, 1] += 0.25

    def keep(name, array):
        cache.entry("embeddings", name, lambda f: np.save(f / "embeddings.npy", array))
        return {"embeddings": [name]}

    first = scored("n", 2, runtime="torch", provenance=keep("agreement-a", embeddings))
    second = scored("n", 2, runtime="ncnn", provenance=keep("agreement-b", other))
    (one,) = agreements([first, second])
    assert one.embeddings is not None
    assert one.embeddings.relative == pytest.approx(0.25 / np.abs(embeddings).max(), rel=1e-5)
    a, b = embeddings[0, 3].astype(float), other[0, 3].astype(float)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert one.embeddings.lowest_cosine == pytest.approx(cosine)
    gone = scored("n", 2, runtime="tvm", provenance={"embeddings": ["agreement-gone"]})
    assert agreements([first, gone])[0].embeddings is None
    assert agreements([first, scored("m", 2)])[0].embeddings is None


def test_other_pairs_are_refused_and_so_are_records_without_scores():
    with pytest.raises(RefusedError, match="were scored on different pairs"):
        agreements([scored("a", 2), scored("b", 2, digest="others")])
    old = scored("old", 2)
    old = dataclasses.replace(old, result=dataclasses.replace(old.result, scores=None))
    with pytest.raises(RefusedError, match="accuracy old ncnn holds no scores of pairs"):
        agreements([scored("a", 2), old])
