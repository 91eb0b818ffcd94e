"""Emulated cores: what an inference executes there, and the time a model makes of it."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.instructions import Instructions, Work
from facebench.reports.cells import NOTHING, absent, doubts, millions
from facebench.reports.digits import significant
from facebench.reports.emulated import (
    PAPER_THREADS,
    EmulatedCore,
    EmulatedRow,
    ModelledRatio,
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

_TABLE_2 = (
    "the ten unambiguous latencies of arXiv 1804.07573, Table 2 (Snapdragon 820, ncnn, 4 threads)"
)
_OLDER = "modelled by an older facebench, whose model is off by more: run it again"
_NO_INTERVAL = (
    "no published times of this runtime were held against the model, so its error is not known"
)

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
        "and bytes are exact counts of the difference between one inference and none; misses are "
        "those of simulated caches, without prefetching. “To and from memory” is the lines that "
        "the last level of cache missed and wrote back. A modelled time is computed from these "
        "counts, a simulation of the core’s pipeline and published figures of the core; it was "
        "observed nowhere. Its 95 % interval is of errors on families of cores that the model was "
        "not fitted to. Times of several threads are not modelled. The paper’s times are "
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
        Column(TIME, "ms, 1 thread", "modelled"),
        Column("modelled", "1 thread", "modelled", RATIO),
        *_by_table_2(place),
        Column("paper", f"{PAPER_THREADS} threads", "published", RATIO),
    ]
    untuned = " The code is untuned." if place.untuned else ""
    caption = f"{place.label}: counts of one inference, and modelled times.{untuned}"
    return Table(name, caption, columns, [RowGroup(rows)], notes.texts)


def _cells(
    row: EmulatedRow, place: EmulatedCore, levels: int, evidence: Evidence, notes: Notes
) -> list[Cell]:
    theirs = paper_ratio(evidence, row)
    return [
        Cell(row.network),
        *_counts(row, levels, notes),
        _time(row, notes),
        _ratio(place.ratio(row)),
        *([_plain_ratio(place.table_2_ratio(row), "modelled")] if place.fitted else []),
        _plain_ratio(theirs, "published"),
    ]


def _by_table_2(place: EmulatedCore) -> list[Column]:
    if not place.fitted:
        return []
    return [Column("by constants fitted to it", f"{PAPER_THREADS} threads", "modelled", RATIO)]


def _ratio(found: ModelledRatio | None) -> Cell:
    if found is None:
        return NOTHING
    return Cell(f"{found.value:.2f}", _interval(found.interval, 2), "modelled")


def _plain_ratio(ratio: float | None, kind: str) -> Cell:
    return NOTHING if ratio is None else Cell(f"{ratio:.2f}", kind=kind)


def _interval(interval: tuple[float, float] | None, digits: int) -> str:
    """Return an interval as text; that of the baseline over itself is none."""
    if interval is None or interval[0] == interval[1]:
        return ""
    return "–".join(significant(end, digits) for end in interval)


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


def _time(row: EmulatedRow, notes: Notes) -> Cell:
    record, modelled = row.times, row.modelled
    if record is None:
        return NOTHING
    if modelled is None:
        if record.status == "ok":
            return Cell(NOTHING.text, notes=notes.add(_OLDER))
        return absent(record.status, record.reason, notes)
    marks = notes.add(*([_NO_INTERVAL] if modelled.interval_ms is None else []))
    badge = "untuned" if row.untuned else ""
    text = significant(modelled.milliseconds["1"], 3)
    return Cell(text, _interval(modelled.interval_ms, 2), "modelled", badge, marks)


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
    """Return how far the ratios of the paper's place are off the paper's."""
    found = refit(evidence, place)
    if found is None:
        return []
    kinds = ("modelled", "published")
    left_out = (
        f"is how far ratios of {place.label} with {PAPER_THREADS} threads are off the paper’s on "
        "average when each network in turn is left out, and modelled by constants fitted to the "
        "others. These two constants stand for the software and the phone of Table 2, and for "
        "nothing else."
    )
    within = (
        "is the mean error when the two constants are fitted to all of these records "
        f"(pipeline × {found.compute:.2f}, memory × {found.memory:.2f}) and {_TABLE_2}. Spearman’s "
        "rank correlation of modelled and published times is "
        f"{found.rank_correlation:.3f}."
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
