"""Cells that several sections have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from facebench.architectures.errors import BadInputError
from facebench.harness.records.accuracy import Accuracy, Bounded
from facebench.harness.records.record import Record
from facebench.harness.verification.intervals import accuracy
from facebench.reports.digits import Estimate, earned, interval, percentage, significant
from facebench.reports.page import Cell, Column, Notes
from facebench.reports.scores import NO_SCORES
from facebench.reports.tables import LatencyRow
from facebench.reports.text import plain

NOTHING = Cell("–")

# With fewer samples no pair of order statistics covers the median with 95 %.
FEWEST_SAMPLES = 6

# Names in a note: how many, and of how many characters.
_MOST_NAMES, _LONGEST_NAME = 5, 60

# What becomes of images without a face; `exclude` also says how many pairs that cost.
_ABSENT = {
    "exclude": "they were left out",
    "reject": "their pairs score −1, the lowest cosine there is",
    "centre": "the middle of the image was taken for the face",
}


def absent(status: str, reason: str, notes: Notes) -> Cell:
    """Return the cell of a figure that was refused or failed; the reason becomes a note."""
    return Cell(status, notes=notes.add(reason or "no reason was recorded"))


def estimated(
    estimate: Estimate, kind: str, *, badge: str = "", notes: tuple[int, ...] = ()
) -> Cell:
    """Return a figure with its interval below it."""
    return Cell(earned(estimate), interval(estimate), kind, badge, notes)


def rate(estimate: Estimate, kind: str, notes: tuple[int, ...] = ()) -> Cell:
    """Return a percentage with its interval below it."""
    return Cell(*percentage(estimate), kind, notes=notes)


def median(row: LatencyRow, notes: Notes, *, strong: bool = False) -> Cell:
    """Return a median time with its interval; or the status, and why, where there is none."""
    if row.median is None:
        return absent(row.status, row.reason, notes)
    marks = notes.add(*doubts(row.record), few_samples(row), row.remark)
    badge = "untuned" if row.untuned else ""
    return Cell(
        earned(row.median), interval(row.median), row.setting.kind, badge, marks, strong=strong
    )


def few_samples(row: LatencyRow) -> str:
    """Return what to say of an interval from too few samples; empty where there are enough."""
    if row.samples >= FEWEST_SAMPLES:
        return ""
    return f"{row.samples} samples do not reach a 95 % interval: the whole range is shown"


def doubts(record: Record) -> list[str]:
    """Return conditions of validity that did not hold, each a sentence."""
    return [f"check '{check.name}' did not hold: {check.detail}" for check in record.failed_checks]


def percent(score: Accuracy, confidence: float = 0.95) -> Estimate:
    """Return the accuracy and its interval over people in percent; 0 to 100 if it is refused."""
    return in_percent(sure(score, confidence))


def in_percent(found: Bounded) -> Estimate:
    """Return a figure in percent with its interval; all of 0 to 100 where that is refused."""
    low, high = found.interval or (0.0, 1.0)
    return Estimate(100.0 * found.value, 100.0 * low, 100.0 * high)


def bounded(found: Bounded, kind: str, notes: Notes) -> Cell:
    """Return a share in percent with its interval; a note where that is refused or one-sided."""
    marks = notes.add(found.note)
    if found.interval is None:
        return Cell(significant(100.0 * found.value), kind=kind, notes=marks)
    return rate(in_percent(found), kind, marks)


# Tables, figures, claims and files all ask for the same.
@lru_cache(maxsize=1024)
def sure(score: Accuracy, confidence: float = 0.95) -> Bounded:
    """Return accuracy and its interval over people; refused where the record holds no scores."""
    try:
        return accuracy(score, confidence) or Bounded(score.accuracy, None, NO_SCORES)
    except BadInputError as error:
        return Bounded(score.accuracy, None, str(error))


def millions(count: int) -> str:
    """Return an exact count in millions."""
    return significant(count / 1e6)


def quantity(value: float | None, like: Estimate | None) -> str:
    """Return a further statistic of a sample, to the digits that its median has earned."""
    if value is None or like is None:
        return NOTHING.text
    return earned(Estimate(value, value - like.half_width, value + like.half_width))


OBTAINED = Column("Obtained", words=True)


def obtained(record: Record) -> Cell:
    """Return when, where and with what a record was made, shown on demand."""
    made, machine = record.provenance, record.environment
    version = machine.get(record.case.runtime)
    parts = [
        f"{record.kind}, {record.created[:16].replace('T', ' ')} UTC",
        f"in {record.duration_s:g} s" if record.duration_s else "",
        f"facebench {made.get('facebench', '')} {made.get('git_revision', '')}".strip(),
        f"on {machine['cpu_model']}" if "cpu_model" in machine else "",
        f"{record.case.runtime} {version}" if version else "",
        f"weights {record.case.weights}",
        f"record {record.fingerprint[:12]}" if record.fingerprint else "",
    ]
    return Cell("", more="; ".join(filter(None, parts)))


def weights(text: str) -> str:
    """Return weights by a name that fits a cell: a digest is cut to eight digits."""
    scheme, _, rest = text.partition(":")
    return f"{scheme}:{rest[:8]}…" if scheme == "sha256" and len(rest) > 8 else text


def case_columns(records: Sequence[Record]) -> list[tuple[Column, Callable[[Record], Cell]]]:
    """Return columns that tell records on one dataset apart; what is as always is left out."""
    cases = [record.case for record in records]
    found: list[tuple[Column, Callable[[Record], Cell]]] = [
        (Column("Network", words=True), lambda record: Cell(record.case.network)),
        (Column("Weights", words=True), lambda record: Cell(weights(record.case.weights))),
        (
            Column("Runtime", words=True),
            lambda record: Cell(record.case.runtime or NOTHING.text),
        ),
    ]
    if any(case.precision != "fp32" for case in cases):
        found.append((Column("Precision", words=True), _precision))
    if any(case.landmarks not in ("", "file") for case in cases):
        landmarks = Column("Landmarks", words=True)
        found.append((landmarks, lambda record: Cell(record.case.landmarks or NOTHING.text)))
    if any(case.absent not in ("", "refuse") for case in cases):
        without = Column("Without a face", words=True)
        found.append((without, lambda record: Cell(record.case.absent or NOTHING.text)))
    return found


def missing_faces(absent: str, not_found: Sequence[str], excluded_pairs: int = 0) -> str:
    """Return what to say of images in which no face was found; empty where there are none."""
    if not not_found:
        return ""
    names = [_cut(name) for name in not_found[:_MOST_NAMES]]
    more = len(not_found) - len(names)
    listed = ", ".join(names) + (f" and {more:,} more" if more else "")
    fate = _ABSENT.get(absent, "")
    lost = f"{excluded_pairs:,} pairs left out" if excluded_pairs else ""
    found_in = f"no face found in {len(not_found):,} image{'s' if len(not_found) > 1 else ''}"
    return "; ".join(filter(None, [f"{found_in} ({listed})", fate, lost]))


def _precision(record: Record) -> Cell:
    source = f"calibrated on {record.case.calibration}" if record.case.calibration else ""
    return Cell(record.case.precision, source if record.case.precision == "int8" else "")


def _cut(name: str) -> str:
    clean = plain(name)
    return clean if len(clean) <= _LONGEST_NAME else f"{clean[: _LONGEST_NAME - 1]}…"
