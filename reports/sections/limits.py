"""Shows where the limit is: each time beside the peak of its cores and the roofline."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import groupby

from facebench.harness.records.record import Record
from facebench.reports.cells import NOTHING, estimated, millions, weights
from facebench.reports.digits import Estimate, significant
from facebench.reports.evidence import Evidence
from facebench.reports.limits import PRECISION, Limit, Roof, left_out, limits, roofs_of
from facebench.reports.page import Block, Cell, Column, Notes, Paragraph, RowGroup, Table, section

PEAK = (
    "The rate of a network is its multiply-adds (MAdds, of convolutions and linear layers) over "
    "its time. The peak of a machine was measured there, just before the first case of each "
    "runtime and in a process that had ended when the runtime was opened, with as many threads: "
    "a loop of vector multiply-adds that never leave the registers, generated for that CPU; then "
    "a loop that reads a buffer of at least four times the last level of cache, and one that "
    "reads half of the second level. The fastest repetition of all on one machine counts, since "
    "whatever else runs there only slows them; it has no interval, so shares are shown to the "
    "percent. The peak of an emulated core is lanes × clock as published, its bandwidth is "
    "published too unless a note says otherwise, and its time is modelled: nothing of such a row "
    "was observed."
)
ROOFLINE = (
    "The roofline (Williams, Waterman and Patterson, Communications of the ACM 52(4):65, 2009) is "
    "the lesser of the peak and of what memory can feed: its bandwidth times the multiply-adds a "
    "byte. Bytes are those of the weights once and of each layer’s input and output, fp32, batch "
    "normalization and activations fused. The bound is what a network needs at least if all of "
    "these bytes come from memory and all of its multiply-adds are done: caches that keep an "
    "activation for the next layer, or a convolution by Winograd’s method, may beat it, and a "
    "share then exceeds 100 %. It is the bound of a network as a whole: single layers, depthwise "
    "ones above all, do less with a byte than it does, so memory can hold them back where the "
    "bound names arithmetic."
)


@section("limits", "Where the limit is: shares of the core’s peak and of the roofline", order=47)
def limit(evidence: Evidence) -> Sequence[Block]:
    """Return how the roofs were obtained, what they are, and each time below its own."""
    found = limits(evidence)
    roofs = roofs_of(found)
    if not roofs:
        return []
    return [Paragraph(PEAK), Paragraph(ROOFLINE), _roofs(roofs), _times(found), *_missing(evidence)]


def _roofs(roofs: Sequence[Roof]) -> Table:
    notes = Notes()
    columns = [
        Column("Place", words=True),
        Column("Threads"),
        Column("Kind", words=True),
        Column("Peak", "G MAdds/s"),
        Column("Memory", "GB/s"),
        Column("Second-level cache", "GB/s"),
        Column("Ridge", "MAdds/byte"),
    ]
    caption = (
        "The roofs, with the median of all repetitions below the fastest where they were measured. "
        "From the ridge on, arithmetic is the bound and not memory."
    )
    return Table(
        "roofs", caption, columns, [RowGroup([_roof(r, notes) for r in roofs])], notes.texts
    )


def _roof(roof: Roof, notes: Notes) -> list[Cell]:
    rates = [
        (roof.multiply_adds_per_s, [r for one in roof.peaks for r in one.multiply_adds_per_s]),
        (roof.memory_bytes_per_s, [r for one in roof.peaks for r in one.memory_bytes_per_s]),
        (roof.cache_bytes_per_s, [r for one in roof.peaks for r in one.cache_bytes_per_s]),
    ]
    return [
        Cell(roof.place, roof.board, notes=notes.add(*roof.sources)),
        Cell(str(roof.threads)),
        Cell(roof.kind),
        *(_best(best, all_, roof.kind) for best, all_ in rates),
        Cell(significant(roof.ridge, 2), kind=roof.kind),
    ]


def _best(best: float, repetitions: Sequence[float], kind: str) -> Cell:
    if not best:
        return NOTHING
    detail = f"median {_giga(statistics.median(repetitions))}" if repetitions else ""
    return Cell(_giga(best), detail, kind)


def _giga(rate: float) -> str:
    return significant(rate / 1e9, 3)


def _times(found: Sequence[Limit]) -> Table:
    notes = Notes()
    columns = [
        Column("Runtime", words=True),
        Column("Threads"),
        Column("MAdds", "M", "counted"),
        Column("Time", "ms"),
        Column("Rate", "G MAdds/s"),
        Column("Share of peak", "%"),
        Column("Intensity", "MAdds/byte", "counted"),
        Column("Bound", "ms", "modelled"),
        Column("Share of roofline", "%", "modelled"),
        Column("Weights", words=True),
    ]
    groups = [
        RowGroup([_cells(one, notes) for one in rows], network)
        for network, rows in groupby(found, key=lambda one: one.network)
    ]
    caption = (
        f"Every {PRECISION} time beside its limit, by network: the median with its 95 % interval, "
        "or the modelled time."
    )
    return Table("limits", caption, columns, groups, notes.texts)


def _cells(one: Limit, notes: Notes) -> list[Cell]:
    kind = one.setting.kind
    return [
        Cell(one.setting.label, badge="untuned" if one.untuned else ""),
        Cell(str(one.setting.threads)),
        Cell(millions(one.madds), kind="counted"),
        _figure(one.time_ms, kind, notes.add(_doubt(one.record))),
        _figure(_scaled(one.rate, 1e-9), kind),
        _share(one.share_of_peak, kind, notes.add(one.reason, _above(one))),
        Cell(significant(one.intensity, 3), kind="counted"),
        NOTHING if one.bound_ms is None else Cell(significant(one.bound_ms, 3), kind="modelled"),
        _share(one.share_of_roof, "modelled"),
        Cell(weights(one.record.case.weights)),
    ]


def _doubt(record: Record) -> str:
    """Names of the conditions that did not hold; the table of the times says more of them."""
    names = ", ".join(f"'{check.name}'" for check in record.failed_checks)
    return f"in doubt, as under Latency: {names} did not hold" if names else ""


def _above(one: Limit) -> str:
    """Return what a rate above the peak can mean; empty for one below it."""
    if one.share_of_peak is None or one.share_of_peak.value <= 1:
        return ""
    return (
        "more than the peak: fewer multiply-adds are done than are counted, or something else had "
        "the machine each time the peak was measured"
    )


def _figure(estimate: Estimate, kind: str, notes: tuple[int, ...] = ()) -> Cell:
    """With its interval; that of a modelled time is with the time."""
    if kind == "modelled":
        return Cell(significant(estimate.value, 3), kind=kind, notes=notes)
    return estimated(estimate, kind, notes=notes)


def _share(share: Estimate | None, kind: str, notes: tuple[int, ...] = ()) -> Cell:
    if share is None:
        return Cell(NOTHING.text, notes=notes)
    percent = 100 * share.value
    return Cell(f"{percent:.0f}" if percent >= 9.95 else f"{percent:.1f}", kind=kind, notes=notes)


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    return Estimate(factor * estimate.value, factor * estimate.low, factor * estimate.high)


def _missing(evidence: Evidence) -> list[Paragraph]:
    count = len(left_out(evidence))
    if not count:
        return []
    text = (
        f"{count} time{'s are' if count > 1 else ' is'} left out: of a network that was not "
        f"counted, or in another precision than {PRECISION}, whose peak is another."
    )
    return [Paragraph(text)]
