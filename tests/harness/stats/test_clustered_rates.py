"""Rates over many pairs: counted by person, they spread as where each pair is held."""

import numpy as np
import pytest

from facebench.harness.stats import clustered_rates
from facebench.harness.stats.clustered import Members, centred
from facebench.harness.stats.clustered_rates import PairCounts


@pytest.mark.parametrize("people", [3, 40, 5000])
@pytest.mark.parametrize("rate", [0.0, 0.002, 0.4, 1.0])
def test_the_spread_is_that_of_each_pairs_influence(people, rate, monkeypatch):
    rng = np.random.default_rng(people)
    pairs = rng.integers(0, people, (4000, 2)).astype(np.int32)
    chosen = rng.random(4000) < rate
    monkeypatch.setattr(clustered_rates, "_PART", 1000)
    found = PairCounts(pairs[:, 0], pairs[:, 1], people).spread(np.flatnonzero(chosen))
    one = np.ones(len(pairs), np.bool_)
    expected = Members.of(pairs, one).spread(centred(chosen.astype(np.float64), one) / len(pairs))
    assert found.independent == pytest.approx(expected.independent, rel=1e-9, abs=1e-18)
    assert found.variance == pytest.approx(expected.variance, rel=1e-9, abs=1e-18)
    assert found.carriers == pytest.approx(expected.carriers, rel=1e-6, abs=1e-9) or rate in (0, 1)


def test_pairs_of_one_person_count_once():
    alone = np.array([0, 0, 1, 1, 2])
    found = PairCounts(alone, alone, 3).spread(np.array([0, 4]))
    influence = np.array([0.6, -0.4, -0.4, -0.4, 0.6]) / 5
    expected = Members.of(np.stack([alone, alone], axis=1), np.zeros(5)).spread(influence)
    assert found.variance == pytest.approx(expected.variance)
