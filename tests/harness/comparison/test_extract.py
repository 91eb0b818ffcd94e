from __future__ import annotations

import json
import statistics
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.architectures.errors import BadInputError
from facebench.harness.comparison.extract import entries, entry
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.case import Case
from facebench.harness.records.comparable import Counted, Decided, Timed
from facebench.harness.records.latency import Latency
from facebench.harness.records.record import Check, Record, from_json, to_json
from facebench.harness.records.throughput import Throughput
from tests.reports.report_records import cost, emulated, pair_scores, scored, searched

CASE = Case("latency", "m", runtime="ncnn")
samples = st.lists(st.floats(0.1, 100.0), min_size=1, max_size=5)


def record(result: Latency, fingerprint: str = "f", **fields: object) -> Record:
    given: dict[str, object] = {"status": "ok", "fingerprint": fingerprint, **fields}
    return Record(CASE, "measured", result=result, **given)  # type: ignore[arg-type]


def timed(made: object) -> Timed:
    assert isinstance(made, Timed)
    return made


@given(st.lists(samples, min_size=1, max_size=5))
def test_each_process_counts_once_by_its_median(groups: list[list[float]]) -> None:
    flat = tuple(sample for group in groups for sample in group)
    result = Latency(flat, (), 1.0, 0.0, processes=tuple(map(len, groups)))
    assert result.by_process == tuple(map(tuple, groups))
    figure = timed(entry(record(result)).figures[0])
    assert figure.medians == tuple(statistics.median(group) for group in groups)
    assert figure.samples == tuple(map(len, groups))


def test_without_a_word_on_processes_all_samples_are_of_one() -> None:
    result = Latency((1.0, 2.0, 3.0), (), 1.0, 0.0)
    assert result.by_process == ((1.0, 2.0, 3.0),)


@pytest.mark.parametrize("processes", [(1,), (2, 2), (3, 0), (4, -1)])
def test_processes_that_do_not_give_the_samples_are_refused(processes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="3 samples are not those of processes"):
        Latency((1.0, 2.0, 3.0), (), 1.0, 0.0, processes=processes)
    data = to_json(record(Latency((1.0, 2.0, 3.0), (), 1.0, 0.0)))
    data["result"]["processes"] = list(processes)
    with pytest.raises(BadInputError, match="not a record"):
        from_json(data)


def test_a_time_of_schema_4_is_read_as_one_of_one_process() -> None:
    whole = record(Latency((1.0, 2.0), (), 1.0, 0.0, processes=(1, 1)))
    data = json.loads(json.dumps(to_json(whole)))
    assert from_json(data) == whole
    del data["result"]["processes"]
    found = from_json(data | {"schema": 4}).result
    assert isinstance(found, Latency)
    assert found.by_process == ((1.0, 2.0),)


def test_the_newest_record_of_a_case_counts_and_its_repetitions_are_processes() -> None:
    old, first, again = (
        record(Latency((ms,), (), 1.0, 0.0), fingerprint)
        for ms, fingerprint in ((9.0, "old"), (5.0, "new"), (6.0, "new"))
    )
    (found,) = entries([old, first, again])
    assert timed(found.figures[0]).medians == (5.0, 6.0)


def test_no_record_is_looked_at_for_another_ones_case(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def equal(case: Case, other: object) -> bool:
        nonlocal compared
        compared += 1
        return isinstance(other, Case) and case.key == other.key

    monkeypatch.setattr(Case, "__eq__", equal)
    made = record(Latency((5.0,), (), 1.0, 0.0))
    records = [replace(made, case=replace(CASE, network=f"{number % 50}")) for number in range(500)]
    found = entries(records)
    assert [len(timed(one.figures[0]).medians) for one in found] == 50 * [10]
    assert compared <= len(records)


def test_records_without_a_fingerprint_repeat_nothing() -> None:
    made = [record(Latency((ms,), (), 1.0, 0.0), "") for ms in (5.0, 6.0)]
    (found,) = entries(made)
    assert timed(found.figures[0]).medians == (6.0,)


def test_a_repetition_that_failed_is_not_passed_over() -> None:
    good = record(Latency((5.0,), (), 1.0, 0.0))
    failed = Record(CASE, "measured", "failed", reason="killed", fingerprint="f")
    (found,) = entries([good, failed])
    assert (found.status, found.reason, found.figures) == ("failed", "killed", ())
    (found,) = entries([failed, good])
    assert found.status == "ok"


def test_conditions_that_did_not_hold_are_doubts() -> None:
    checks = (Check("no drift", False, "1.1 times"), Check("not throttled", True, ""))
    made = record(Latency((5.0,), (), 1.0, 0.0), checks=checks)
    assert entry(made).doubts == ("no drift: no, 1.1 times",)


def test_counts_come_under_their_conventions() -> None:
    figures = {figure.name: figure for figure in entry(cost("mobilefacenet")).figures}
    assert figures["MAdds (conv+linear)"].value == 220_965_376
    assert figures["parameters"].value == 1_003_136
    assert all(isinstance(figure, Counted) for figure in figures.values())


def test_what_was_emulated_and_modelled_keeps_its_kind() -> None:
    counted, modelled = (entry(one) for one in emulated("mobilefacenet"))
    assert (counted.kind, modelled.kind) == ("emulated", "modelled")
    assert modelled.figures[0].name == "modelled time, 1 thread"


def test_accuracy_is_the_share_of_pairs_decided_rightly_in_their_folds() -> None:
    made = scored("mobilefacenet", pair_scores(1))
    assert isinstance(made.result, Accuracy)
    (figure,) = entry(made).figures
    assert isinstance(figure, Decided)
    assert figure.value == pytest.approx(made.result.accuracy)
    assert np.mean(figure.decisions.right) == pytest.approx(made.result.accuracy)
    assert figure.people.shape == (600, 2)
    assert len(figure.lost) == 10


def test_a_search_has_a_share_and_no_decisions() -> None:
    (figure,) = entry(searched("mobilefacenet")).figures
    assert isinstance(figure, Decided)
    assert (figure.value, figure.right) == (0.9, b"")


def test_throughput_is_a_time_so_that_less_is_better() -> None:
    case = replace(CASE, measure="throughput")
    made = Record(case, "measured", "ok", Throughput((100.0, 200.0, 300.0)))
    assert timed(entry(made).figures[0]).medians == (5.0,)


def test_turns_lie_beside_each_other_within_one_measurement_only() -> None:
    result = Latency(
        (1.0, 3.0, 5.0, 7.0, 8.0, 9.0),
        (),
        1.0,
        0.0,
        processes=(3, 3),
        turns=(2, 1, 1, 2),
        beside="token",
    )
    made = record(result)
    (alone,) = entries([made])
    figure = timed(alone.figures[0])
    assert figure.beside == "token"
    assert figure.by_process.tolist() == [[2.0, 5.0], [7.0, 8.5]]
    (twice,) = entries([made, made])
    joined = timed(twice.figures[0])
    assert (joined.beside, joined.turns, len(joined.medians)) == ("", (), 4)


@pytest.mark.parametrize("turns", [(1,), (2, 2), (4, -2, 2)])
def test_turns_that_do_not_give_the_samples_are_refused(turns: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="turns"):
        Latency((1.0, 2.0, 3.0), (), 1.0, 0.0, processes=(3,), turns=turns, beside="token")


def test_a_count_that_can_be_none_is_one_sentence() -> None:
    record = cost("mobilefacenet")
    odd = replace(record, result=replace(record.result, parameters=-1))
    with pytest.raises(BadInputError, match="mobilefacenet.* holds no figures to compare .a count"):
        entry(odd)
