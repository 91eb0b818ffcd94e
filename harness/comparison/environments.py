"""Finds what else two entries differ in, and which differences matter to a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facebench.harness.comparison.entry import Entry
from facebench.harness.machine import facts
from facebench.harness.measures.registry import MEASURES
from facebench.harness.records.comparable import Counted, Decided, Figure

KINDS = {
    "machine": "the CPU: model, features, cores",
    "system": "the kernel of the operating system",
    "versions": "Python and the packages that the case runs on",
    "settings": "governor, thread variables and whatever else is recorded",
    "weights": "what fills the network",
    "threads": "threads the runtime may use",
    "label": "how the code came about, such as untuned",
}

_DIGEST = len("sha256:") + 12


@dataclass(frozen=True)
class Difference:
    """It is one fact on which two entries disagree, and which of `KINDS` it is."""

    kind: str
    name: str
    base: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.name} ({brief(self.base)} and {brief(self.new)})"


def brief(value: Any) -> str:
    """Return a fact as text; of a digest as much as tells two files apart.

    Example:
        >>> brief("sha256:" + 64 * "a"), brief(2)
        ('sha256:aaaaaaaaaaaa', '2')
    """
    text = str(value)
    return text[:_DIGEST] if text.startswith("sha256:") else text


def differences(base: Entry, new: Entry) -> list[Difference]:
    """Return facts that both entries state, and state differently."""
    ours, theirs = facts.relevant(base.environment), facts.relevant(new.environment)
    found = [
        Difference(facts.kind_of(name), name, ours[name], theirs[name])
        for name in ours
        if name in theirs
        and ours[name] != theirs[name]
        and facts.PACKAGES.get(name, new.case.runtime) == new.case.runtime
    ]
    stated = [
        ("weights", base.case.weights, new.case.weights),
        ("threads", base.case.threads, new.case.threads),
        ("label", base.label or "none", new.label or "none"),
    ]
    return found + [Difference(name, name, a, b) for name, a, b in stated if a != b]


def matters(difference: Difference, figure: Figure, measure: str) -> bool:
    """Return whether a figure depends on what differs, so that no ratio across it means anything.

    A time depends on all, and so does the memory of a process. A count does not depend on
    the machine, nor does a decision on a pair but for the last digit of a score; what a
    network costs depends on the network alone.
    """
    if isinstance(figure, Decided):
        return difference.kind in ("versions", "weights", "label")
    if not isinstance(figure, Counted) or not figure.exact:
        return True
    return not MEASURES[measure].of_network and difference.kind in ("versions", "threads", "label")
