"""Every procedure that says how sure a figure is has its truth in `benchmarks/truth.py`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import norm

import facebench
from facebench.harness.stats.procedures import PROCEDURES, procedure
from facebench.harness.verification.metrics import auc, eer, tar_at_far
from facebench.harness.verification.protocol import cross_validate

ROOT = Path(facebench.__file__).parents[1]


@pytest.fixture
def truth(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return import_module("truth")


def test_every_registered_procedure_has_an_entry_and_its_tables(truth: ModuleType) -> None:
    for room in ("harness", "reports"):
        for path in (ROOT / room).rglob("*.py"):
            if "@procedure(" in path.read_text():
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                import_module(f"facebench.{name}")
    assert set(PROCEDURES) == set(truth.ENTRIES)
    page = (ROOT / "docs" / "truth.md").read_text()
    assert all(f"### {name}" in page for name in PROCEDURES)


def test_two_procedures_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two procedures are called 'auc'"):
        procedure("auc")(len)


def test_the_simulated_truth_is_what_very_many_pairs_give(truth: ModuleType) -> None:
    simulated = sys.modules["simulated"]
    rng = np.random.default_rng(0)
    same = np.arange(400_000) % 2 == 0
    alone = np.arange(len(same))
    people = np.stack([alone, np.where(same, alone, alone + len(same))], axis=1)
    pairs = simulated.Pairs(people, np.stack([2 * alone, 2 * alone + 1], axis=1), alone // 40_000)
    for prime in simulated.DIFFICULTIES.values():
        (scores,) = simulated.scores(pairs, [prime], rng)
        known = simulated.truth(prime, [0.01])
        assert eer(scores, same) == pytest.approx(known["EER"], abs=0.002)
        assert auc(scores, same) == pytest.approx(known["AUC"], abs=0.002)
        rate = tar_at_far(scores, same, 0.01).true_rate
        assert rate == pytest.approx(known["TAR at 0.01"], abs=0.01)
        accuracies, _ = cross_validate(scores, same, pairs.folds)
        assert np.mean(accuracies) == pytest.approx(known["accuracy"], abs=0.002)
        assert np.std(scores[same]) == pytest.approx(1.0, abs=0.01)
    assert norm.cdf(simulated.better_by(2.0, 0.8) / 2) - norm.cdf(1.0) == pytest.approx(0.008)


def test_a_row_fails_only_where_chance_does_not_explain_it(truth: ModuleType) -> None:
    row = truth.Row("auc", "", "AUC", 1000, 0.0, 0.95)
    assert not row.failed
    assert truth.replace(row, hits=0.92).failed
    assert not truth.replace(row, hits=0.92, trials=100).failed
    assert truth.replace(row, figure="level", hits=0.08).failed
    assert not truth.replace(row, figure="power", hits=0.01).failed
