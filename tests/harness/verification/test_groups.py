"""Accuracy by group, and thresholds that were set elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.verification.folds import cross_validate
from facebench.harness.verification.groups import by_group, of_group, widest_gap
from facebench.harness.verification.intervals import rates_at


def score(means, pairs=600, people=60, seed=0, grouped=True):
    """Pairs of groups of people, of which each tells its own with a mean of its own."""
    rng = np.random.default_rng(seed)
    scores, same, folds, who, groups = [], [], [], [], []
    for number, (name, mean) in enumerate(means.items()):
        genuine = np.arange(pairs) % 2 == 0
        fold = np.arange(pairs) * 10 // pairs
        # Nobody is in two folds.
        one = fold * (people // 10) + rng.integers(0, people // 10, pairs)
        two = fold * (people // 10) + (one + 1) % (people // 10)
        scores.append(rng.normal(np.where(genuine, mean, 0.0), 0.2))
        same.append(genuine)
        folds.append(fold)
        who.append(1000 * number + np.stack([one, np.where(genuine, one, two)], axis=1))
        groups += [name] * pairs
    packed = PairScores.pack(
        np.concatenate(scores),
        np.concatenate(same),
        np.concatenate(folds),
        np.concatenate(who).tolist(),
        "d",
        groups=groups if grouped else (),
    )
    accuracies, thresholds = cross_validate(
        packed.scores.astype(np.float64), packed.same, packed.folds
    )
    return Accuracy(accuracies, thresholds, len(packed), "", "sum", 1.0, packed)


def test_a_groups_accuracy_is_that_of_its_pairs_alone():
    means = {"north": 0.7, "south": 0.5}
    found = by_group(score(means))
    for one in found.groups:
        alone = score({one.name: means[one.name]}, seed=0) if one.name == "north" else None
        if alone:
            assert one.accuracy.value == pytest.approx(alone.accuracy)
    assert [one.name for one in found.groups] == ["north", "south"]
    assert [one.pairs for one in found.groups] == [600, 600]
    assert (found.gap.best, found.gap.worst) == ("north", "south")
    values = [one.accuracy.value for one in found.groups]
    assert found.gap.difference.value == pytest.approx(values[0] - values[1])
    low, high = found.gap.difference.interval
    assert 0 < low < found.gap.difference.value < high


def test_far_and_frr_are_counted_at_the_threshold_of_all_pairs():
    made = score({"north": 0.7, "south": 0.5, "west": 0.6})
    found = by_group(made)
    # 900 impostor pairs: one in a thousand is refused, and one in a hundred is nine of them.
    assert found.common.rate == 0.01
    pairs = made.scores
    accepted = pairs.scores >= found.common.threshold
    assert np.sum(accepted & ~pairs.same) == 9
    for number, one in enumerate(found.groups):
        inside = pairs.groups == number
        assert one.common.far.value == pytest.approx(np.mean(accepted[inside & ~pairs.same]))
        assert one.common.frr.value == pytest.approx(np.mean(~accepted[inside & pairs.same]))


def test_equal_groups_have_a_gap_whose_interval_holds_zero():
    found = by_group(score(dict.fromkeys("abcd", 0.5)))
    low, high = found.gap.difference.interval
    assert low < 0 < high


def test_the_gaps_interval_grows_with_the_number_of_groups():
    made = score(dict.fromkeys("abcd", 0.5))
    two = {name: of_group(made, name) for name in "ab"}
    four = {name: of_group(made, name) for name in "abcd"}
    widths = [np.ptp(widest_gap(parts).difference.interval) for parts in (two, four)]
    assert widths[0] < widths[1]


def test_pairs_without_groups_or_with_one_have_no_gap():
    assert by_group(score({"a": 0.5, "b": 0.5}, grouped=False)) is None
    assert by_group(score({"a": 0.5})) is None


def test_groups_of_few_people_have_no_interval_and_say_why():
    found = by_group(score({"a": 0.6, "b": 0.5}, pairs=100, people=10))
    assert all(one.accuracy.interval is None for one in found.groups)
    assert found.gap.difference.interval is None
    assert "too few for an interval" in found.gap.difference.note


@pytest.mark.parametrize("kind", [True, False])
def test_a_group_with_pairs_of_one_kind_is_named(kind):
    made = score({"north": 0.7, "south": 0.5})
    pairs = made.scores
    groups = np.array(pairs.group_names)[np.frombuffer(pairs.packed_groups, np.uint8)]
    keep = (groups == "north") | (pairs.same == kind)
    left = PairScores.pack(
        pairs.scores[keep],
        pairs.same[keep],
        pairs.folds[keep],
        pairs.identities[keep].tolist(),
        "d",
        groups=groups[keep].tolist(),
    )
    counts = "300 genuine and 0" if kind else "0 genuine and 300"
    with pytest.raises(BadInputError, match=f"south has {counts} impostor pairs"):
        by_group(replace(made, scores=left))


def test_too_few_impostor_pairs_for_a_common_threshold_are_refused():
    with pytest.raises(RefusedError, match="a FAR of 0.1 isn't supported"):
        by_group(score({"a": 0.6, "b": 0.5}, pairs=20, people=20))


def test_groups_survive_packing():
    pairs = score({"a": 0.6, "b": 0.5}).scores
    assert pairs.group_names == ("a", "b")
    assert pairs.groups.tolist() == [0] * 600 + [1] * 600
    part = pairs.of_group("b")
    np.testing.assert_array_equal(part.scores, pairs.scores[600:])
    assert (part.group_names, len(part.groups)) == ((), 0)
    with pytest.raises(ValueError, match="groups are not those of"):
        PairScores(*[getattr(part, name) for name in (
            "packed_scores", "packed_same", "packed_folds", "packed_identities", "digest"
        )], group_names=("a",))  # fmt: skip


@pytest.mark.parametrize("threshold", [-1.0, 0.3, 2.0])
def test_rates_at_a_threshold_are_counted_and_its_interval_takes_it_as_it_is(threshold):
    pairs = score({"a": 0.6}).scores
    found = rates_at(pairs, threshold)
    accepted = pairs.scores >= threshold
    assert found.far.value == pytest.approx(np.mean(accepted[~pairs.same]))
    assert found.frr.value == pytest.approx(np.mean(~accepted[pairs.same]))
    for rate in (found.far, found.frr):
        assert rate.interval[0] <= rate.value <= rate.interval[1]
    if threshold == 2.0:
        assert "not one error is seen" in found.far.note
