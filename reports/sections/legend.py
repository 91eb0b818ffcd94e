"""Explains how each figure on the page was obtained."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.reports.evidence import BASELINE, PAPER, PAPER_CONDITIONS, Evidence
from facebench.reports.page import Block, Definition, Definitions, section

KIND_MEANINGS = {
    "counted": "Exact arithmetic on a graph or a file. It has no spread.",
    "measured": "Observed here, on the machine under Environment, in a process of its own.",
    "emulated": "From an emulated CPU. Its time says nothing of the real one; counts do.",
    "modelled": "Computed from a model of the hardware, not observed.",
    "recorded": "Measured elsewhere, with the very weights; the record came with facebench.",
    "published": f"Read from {PAPER}; latency on {PAPER_CONDITIONS}. Not obtained here.",
}


@section("legend", "How each figure was obtained", order=100)
def legend(evidence: Evidence) -> Sequence[Block]:
    """Return kinds first, then the statistics."""
    kinds = [Definition(kind, text, kind) for kind, text in KIND_MEANINGS.items()]
    return [Definitions([*kinds, *_statistics()])]


def _statistics() -> list[Definition]:
    return [
        Definition(
            "Median and its 95 % interval",
            "The interval is distribution-free, from two order statistics of the samples. It holds "
            "what one process saw; another run on a shared machine can differ by more.",
        ),
        Definition("P90", "Given from 64 samples on; fewer do not support it."),
        Definition(
            f"Ratio to {BASELINE}",
            "Of two medians. The sides of its interval are the roots of the summed squares of the "
            "sides of the two intervals, on a logarithmic scale (Zou and Donner, Statistics in "
            "Medicine 27:1693, 2008).",
        ),
        Definition(
            "Digits",
            "A figure shows the digits its interval has earned, and at most four; interval ends "
            "are rounded outwards.",
        ),
        Definition(
            "Untuned",
            "Code that TVM generated without a search for a schedule. It is shown to prove that it "
            "runs and gives the right answer; its time is never ranked.",
        ),
    ]
