"""The names by which one facebench starts another, which may be of an older release."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """It says where a release has what other releases ask of it.

    Attributes:
        cli: module of the command line; a release that has it has this layout.
        session: module that serves an open artifact, as `runtimes.wire` says.
        listing: module that lists what of a plan is timed.
        prepare: module that deploys and checks a case.
        protocol: package that says which protocol the two before follow.
        plans: package in whose folder `plans` the built-in plans are.
    """

    cli: str
    session: str
    listing: str
    prepare: str
    protocol: str
    plans: str


# Whoever moves one of these modules adds the names that it had before to `LAYOUTS`.
CURRENT = Layout(
    cli="facebench",
    session="facebench.harness.runtimes.session_process",
    listing="facebench.harness.comparison.interleaved.listing",
    prepare="facebench.harness.comparison.interleaved.prepare",
    protocol="facebench.harness.comparison.interleaved",
    plans="facebench.harness.runs",
)

# Until November 2026 there were three packages at the top: architectures, harness and reports.
THREE_PACKAGES = Layout(
    cli="harness.cli",
    session="harness.stands.process",
    listing="harness.beside.listing",
    prepare="harness.beside.prepare",
    protocol="harness.beside",
    plans="harness",
)

LAYOUTS = (CURRENT, THREE_PACKAGES)
