"""Writes JUnit's XML: a test a line, a failure a regression, a skip for what could not be said.

There is no standard; elements and attributes are those that Jenkins, GitLab and GitHub's
reporters read (https://github.com/testmoapp/junitxml).
"""

from __future__ import annotations

from xml.etree import ElementTree

from facebench.harness.comparison.escape import visible
from facebench.harness.comparison.verdict import Comparison, Line, Verdict
from facebench.harness.comparison.wording import case_text, change_text, interval_text, why

_SKIPPED = (Verdict.NOT_DECIDABLE, Verdict.NOT_COMPARABLE)


def to_xml(comparison: Comparison) -> str:
    """Return the whole file."""
    suite = ElementTree.Element("testsuite", name="facebench compare")
    for line in comparison.lines:
        _add(suite, line)
    skipped = sum(line.verdict in _SKIPPED for line in comparison.lines)
    counts = {
        "tests": len(comparison.lines),
        "failures": len(comparison.regressions),
        "errors": 0,
        "skipped": skipped,
    }
    root = ElementTree.Element("testsuites")
    for element in (root, suite):
        element.attrib.update({name: str(count) for name, count in counts.items()})
    root.append(suite)
    ElementTree.indent(root)
    text: str = ElementTree.tostring(root, encoding="unicode", xml_declaration=True)
    return text + "\n"


def _add(suite: ElementTree.Element, line: Line) -> None:
    test = ElementTree.SubElement(
        suite,
        "testcase",
        classname=visible(case_text(line.case)),
        name=visible(line.figure),
    )
    said = (str(line.verdict), change_text(line), interval_text(line), line.kind, why(line))
    message = visible("; ".join(filter(None, said)))
    if line.verdict.alarms:
        ElementTree.SubElement(test, "failure", message=message, type=str(line.verdict))
    elif line.verdict in _SKIPPED:
        ElementTree.SubElement(test, "skipped", message=message)
    else:
        ElementTree.SubElement(test, "system-out").text = message
