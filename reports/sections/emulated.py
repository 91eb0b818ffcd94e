"""Emulated cores: what an inference executes there, and the time a model makes of it."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.instructions import Instructions, Work
from facebench.reports.cells import NOTHING, absent, doubts, millions
from facebench.reports.digits import significant
from facebench.reports.emulated import (
    PAPER_CORE,
    PAPER_THREADS,
    EmulatedCore,
    EmulatedRow,
    paper_ratio,
    places,
    refit,
)
from facebench.reports.evidence import BASELINE, PAPER_CONDITIONS, Evidence
from facebench.reports.figures.style import short
from facebench.reports.page import (
    Block,
    Cell,
    Column,
    Notes,
    Paragraph,
    RowGroup,
    Statement,
    Statements,
    Table,
    section,
)

# Of a table of functions: rows, and characters of a name, which C++ makes as long as it likes.
MOST_KERNELS, LONGEST_NAME = 5, 80

MISSES, TIME, RATIO = "Misses, thousand", "Time", f"Time, relative to {BASELINE}"

KERNEL_HEADS = [
    Column("Function", words=True),
    Column("Instructions", "M", "emulated"),
    Column("Of all", "%", "emulated"),
    Column("Multiply-adds", "%", "emulated"),
    Column("Loaded and stored", "MB", "emulated"),
]


@section("emulated", "ARM cores, emulated and modelled: nothing here was timed on ARM", order=45)
def emulated(evidence: Evidence) -> Sequence[Block]:
    """Return what the figures mean; a table a place; then the functions that do the work."""
    found = places(evidence)
    if not found:
        return []
    text = (
        "One inference of one thread in QEMU, which runs ARM code on this machine. Instructions "
        "and bytes are exact counts of the difference between two inferences and one; misses are "
        "those of simulated caches, without prefetching. “To and from memory” is the lines that "
        "the last level of cache missed and wrote back. A modelled time is computed from these "
        "counts and published figures of the core; it was observed nowhere. The paper’s times are "
        f"of a phone ({PAPER_CONDITIONS}), in whole milliseconds: about 3 % of rounding in a "
        "ratio. docs/model.md explains the model and its limits."
    )
    blocks: list[Block] = [Paragraph(text)]
    for index, place in enumerate(found):
        blocks += [_table(f"emulated-{index + 1}", place, evidence), *_trust(evidence, place)]
    return [*blocks, *_kernels(found)]


def _table(name: str, place: EmulatedCore, evidence: Evidence) -> Table:
    notes = Notes()
    levels = max((len(row.counted.work.misses) for row in place.rows if row.counted), default=0)
    rows = [_cells(row, place, levels, evidence, notes) for row in place.rows]
    columns = [
        Column("Network", words=True),
        Column("Instructions", "M", "emulated"),
        Column("Multiply-adds", "%", "emulated"),
        Column("Loaded and stored", "MB", "emulated"),
        *(Column(f"L{level + 1}", "", "emulated", MISSES) for level in range(levels)),
        Column("To and from memory", "MB", "emulated"),
        Column("1 thread", "ms", "modelled", TIME),
        Column(f"{PAPER_THREADS} threads", "ms", "modelled", TIME),
        Column("ours", f"{PAPER_THREADS} threads", "modelled", RATIO),
        Column("paper", f"{PAPER_THREADS} threads", "published", RATIO),
    ]
    untuned = " The code is untuned." if place.untuned else ""
    caption = f"{place.label}: counts of one inference, and modelled times.{untuned}"
    return Table(name, caption, columns, [RowGroup(rows)], notes.texts)


def _cells(
    row: EmulatedRow, place: EmulatedCore, levels: int, evidence: Evidence, notes: Notes
) -> list[Cell]:
    ours, theirs = place.ratio(row), paper_ratio(evidence, row)
    return [
        Cell(row.network),
        *_counts(row, levels, notes),
        *_times(row, notes),
        NOTHING if ours is None else Cell(f"{ours:.2f}", kind="modelled"),
        NOTHING if theirs is None else Cell(f"{theirs:.2f}", kind="published"),
    ]


def _counts(row: EmulatedRow, levels: int, notes: Notes) -> list[Cell]:
    counted, record = row.counted, row.counts
    if record is None or counted is None:
        gap = absent(record.status, record.reason, notes) if record else NOTHING
        return [gap, *[NOTHING] * (levels + 3)]
    work, badge = counted.work, "untuned" if row.untuned else ""
    misses = [Cell(significant(count / 1e3), kind="emulated") for count in work.misses]
    return [
        Cell(millions(work.instructions), "", "emulated", badge, notes.add(*doubts(record))),
        _multiply_adds(work),
        _moved(work),
        *misses,
        *[NOTHING] * (levels - len(misses)),
        _memory(counted),
    ]


def _times(row: EmulatedRow, notes: Notes) -> list[Cell]:
    record = row.times
    if record is None or row.modelled is None:
        gap = absent(record.status, record.reason, notes) if record else NOTHING
        return [gap, NOTHING]
    badge = "untuned" if row.untuned else ""
    found = [row.milliseconds(threads) for threads in (1, PAPER_THREADS)]
    return [
        NOTHING if ms is None else Cell(significant(ms, 3), kind="modelled", badge=badge)
        for ms in found
    ]


def _multiply_adds(work: Work) -> Cell:
    """Return the share of instructions that multiply and add; of 32-bit code it is not told."""
    if not work.mix:
        return NOTHING
    return _share(work.mix.get("fma", 0), work.instructions)


def _share(part: int, whole: int) -> Cell:
    return Cell(f"{100 * part / whole:.1f}" if whole else NOTHING.text, kind="emulated")


def _moved(work: Work) -> Cell:
    return Cell(significant((work.bytes_loaded + work.bytes_stored) / 1e6), kind="emulated")


def _memory(counted: Instructions) -> Cell:
    if not counted.work.misses:
        return NOTHING
    return Cell(significant(counted.memory_bytes / 1e6), kind="emulated")


def _trust(evidence: Evidence, place: EmulatedCore) -> list[Block]:
    """Return how far the modelled times of a place may be believed."""
    to = next((row.modelled.fitted_to for row in place.rows if row.modelled), None)
    if to is None:
        return []
    if not place.fitted:
        if place.core == PAPER_CORE:
            what = f"no time of {place.case.runtime} was fitted to"
        else:
            what = f"no figure of {place.core} was fitted to"
        return [
            Paragraph(
                f"{place.label}: {what}. The model’s two constants are those fitted to {to}; how "
                "far they carry to another core or runtime is not known here."
            )
        ]
    found = refit(evidence, place)
    if found is None:
        text = (
            f"{place.label}: the model’s two constants were fitted to {to}. Its error is told "
            "where all of these rows were counted, which is not so here."
        )
        return [Paragraph(text)]
    kinds = ("modelled", "published")
    left_out = (
        f"is how far the modelled ratios of {place.label} are off the paper’s on average when each "
        "network in turn is left out and modelled by constants fitted to the others. The model’s "
        "constants were fitted to these rows, so the left-out error is the one to believe."
    )
    within = (
        "is the mean error when the two constants are fitted to all of these records "
        f"(compute × {found.compute:.2f}, memory × {found.memory:.2f}) and {to}. Spearman’s rank "
        f"correlation of modelled and published times is {found.rank_correlation:.3f}."
    )
    return [
        Statements(
            [
                Statement(f"{100 * found.left_out:.1f} %", left_out, kinds),
                Statement(f"{100 * found.mean_error:.1f} %", within, kinds),
            ]
        )
    ]


def _kernels(found: Sequence[EmulatedCore]) -> list[Table]:
    groups = []
    for place in found:
        row = place.row(BASELINE)
        if row and row.counted and row.counted.kernels:
            heading = f"{place.label}{' (untuned)' if row.untuned else ''}"
            groups.append(RowGroup(_kernel_rows(row.counted), heading))
    if not groups:
        return []
    caption = f"The {MOST_KERNELS} functions that execute most instructions of {BASELINE}."
    return [Table("emulated-functions", caption, KERNEL_HEADS, groups)]


def _kernel_rows(counted: Instructions) -> list[list[Cell]]:
    return [
        [
            Cell(short(kernel.name, LONGEST_NAME)),
            Cell(millions(kernel.work.instructions), kind="emulated"),
            _share(kernel.work.instructions, counted.work.instructions),
            _multiply_adds(kernel.work),
            _moved(kernel.work),
        ]
        for kernel in counted.kernels[:MOST_KERNELS]
    ]
