"""A count decides a claim on size, by the rule it was counted by."""

from __future__ import annotations

from facebench.reports.claims import DEPENDS, REFUTED, SUPPORTED
from tests.reports.claims.claim_records import said
from tests.reports.report_records import cost


def test_a_count_decides_by_the_rule_it_was_counted_by() -> None:
    one = said("parameters", cost("mobilefacenet"))
    assert [finding.verdict for finding in one.findings] == [SUPPORTED, REFUTED]
    assert one.verdict == DEPENDS
    rules = {f.place: f.verdict for f in said("madds", cost("mobilefacenet")).findings}
    assert rules == {"conv+linear": SUPPORTED, "+bn": REFUTED, "+activation": REFUTED}
    assert said("size", cost("mobilefacenet")).verdict == SUPPORTED
