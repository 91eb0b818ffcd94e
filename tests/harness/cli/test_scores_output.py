"""What the terminal says of scores: no figure is certain, and groups of images are no people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facebench.harness.cli.output import scores
from facebench.harness.comparison.pair_agreement import agreements
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.case import Case
from facebench.harness.records.pair_scores import PairScores
from facebench.harness.records.record import Record
from facebench.harness.verification.protocol import verify
from facebench.harness.verification.summary import summarise

PEOPLE = 40


def record(network: str, spread: float, recovered: bool = False) -> Record:
    """Each of 40 people is in two genuine and two impostor pairs."""
    index = np.arange(4 * PEOPLE)
    same, who = index % 2 == 0, index // 4
    people = np.stack([who, np.where(same, who, (who + 1) % PEOPLE)], axis=1).tolist()
    noise = spread * np.random.default_rng(0).normal(size=len(index))
    kept = PairScores.pack(np.where(same, 0.8, 0.2) + noise, same, index // 16, people, "p")
    result = verify(replace(kept, recovered=recovered), "", "none", 1.0)
    case = Case("accuracy", network, dataset="list:p", runtime="torch")
    return Record(case, "measured", "ok", result)


def said(capfd: pytest.CaptureFixture[str], *records: Record) -> str:
    summaries = {
        one.case.key: summarise(one.result.scores)
        for one in records
        if isinstance(one.result, Accuracy) and one.result.scores
    }
    scores.scores(records, summaries)
    scores.agreements(agreements(records))
    return capfd.readouterr().out


def test_no_errors_are_no_certainty(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores.out, "width", 250)
    shown = said(capfd, record("n", 0.01))
    # The exact bound of one side: with so many errors as this, none is seen in 5 of 100 cases.
    bound = 1 - 0.05 ** (1 / PEOPLE)
    assert f"at least {100 * (1 - bound):.2f}" in shown
    assert f"at most {100 * bound:.2f}" in shown
    assert f"at least {1 - bound:.5f}" in shown
    assert " to 100.00" not in shown
    assert " to 1.00000" not in shown


def test_groups_of_images_are_not_called_people(capfd: pytest.CaptureFixture[str]) -> None:
    named = said(capfd, record("a", 0.3), record("b", 0.4))
    found = said(capfd, record("a", 0.3, True), record("b", 0.4, True))
    assert named.count(f"over {PEOPLE} people") == 2
    words = " ".join(found.split())
    assert words.count(f"over {PEOPLE} groups of images") == 2
    assert "people." not in words.replace("widened for people.", "")
