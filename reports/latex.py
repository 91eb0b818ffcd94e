"""Provides tables for papers: booktabs rules, siunitx numbers with their uncertainty in
parentheses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.architectures.registry import Registry
from facebench.harness.comparison.pair_agreement import agreements
from facebench.harness.records.accuracy import Accuracy
from facebench.harness.records.record import Record
from facebench.harness.verification.paired import holm
from facebench.reports.cells import percent
from facebench.reports.comparison import THREADS, representative
from facebench.reports.digits import Estimate, earned, percentage
from facebench.reports.evidence import Evidence, real_faces
from facebench.reports.tables import LatencyRow, Setting, settings
from facebench.reports.text import plain
from facebench.reports.time_ratios import fastest
from facebench.reports.trade_off import real_dataset

_LEVEL = 0.05

# What LaTeX takes for something else than a letter.
_ACTIVE = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
}  # fmt: skip


@dataclass(frozen=True)
class PaperTable:
    """It is a table for a paper.

    Attributes:
        name: for `facebench report --only table:NAME`.
        make: its LaTeX, from the records; empty where they hold nothing for it.
    """

    name: str
    make: Callable[[Evidence], str]


TABLES: Registry[PaperTable] = Registry("table")


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is; what is not ASCII becomes a question mark.

    Example:
        >>> print(escape("mobilefacenet_m & 50 %"))
        mobilefacenet\\_m \\& 50 \\%
    """
    shown = plain(text).encode("ascii", "replace").decode()
    return "".join(_ACTIVE.get(letter, letter) for letter in shown)


def number(estimate: Estimate, *, best: bool = False) -> str:
    """Return a figure with half of its 95 % interval in parentheses, in units of its last digit.

    Example:
        >>> print(number(Estimate(3.2712, 3.24, 3.31)), number(Estimate(221.0, 221.0, 221.0)))
        \\num{3.27(4)} \\num{221.0}
    """
    # Rounded to tens, the digits in parentheses would be those of ones.
    text = percentage(estimate)[0].replace(",", "")
    if estimate.half_width > 0:
        unit = Decimal(1).scaleb(Decimal(text).as_tuple().exponent)  # type: ignore[arg-type]
        text += f"({max(round(Decimal(estimate.half_width) / unit), 1)})"
    return _num(text, best)


def share(estimate: Estimate, *, best: bool = False) -> str:
    """Return a percentage likewise, but with both ends where half of its interval would pass 100.

    Example:
        >>> print(share(Estimate(99.43, 99.01, 99.85)), share(Estimate(100.0, 97.5, 100.0)))
        \\num{99.4(4)} \\num{100} [97, 100]
    """
    value, around = percentage(estimate)
    if estimate.half_width <= min(estimate.value, 100 - estimate.value):
        return number(estimate, best=best)
    low, high = around.split("–")
    return f"{_num(value, best)} [{low}, {high}]"


def tabular(heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """Return a table with its rules; the notes say what its signs mean."""
    lines = [
        "% Needs \\usepackage{booktabs,siunitx}; made by facebench.",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        rf"{' & '.join(heads)} \\",
        r"\midrule",
        *(rf"{' & '.join(row)} \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(f"% {note}" for note in notes),
    ]
    return "\n".join(lines) + "\n"


def _comparison(evidence: Evidence) -> str:
    columns = [
        one
        for one in settings(evidence.latencies, threads=THREADS)
        if one.batch == 1 and not one.denormals
    ]
    dataset = real_dataset(evidence)
    scores = _scores(evidence, dataset) if dataset else {}
    names = [n for n in evidence.networks if n in evidence.costs or n in scores]
    if not names:
        return ""
    leaders = {id(_leader(evidence, names, one)) for one in columns}
    best = _most_accurate(list(scores.values()))
    heads = ["network", "parameters, M", "MAdds, M"]
    heads += [f"{escape(one.label)}, ms" for one in columns]
    heads += [rf"{escape(dataset)}, \%"] if dataset else []
    rows = []
    for name in names:
        cost = evidence.costs.get(name)
        counts = (cost.parameters_bn_folded, cost.madds["conv+linear"]) if cost else (None, None)
        cells = [escape(name), *(_count(one) for one in counts)]
        cells += [_time(representative(evidence, name, one), leaders) for one in columns]
        if dataset:
            record = scores.get(name)
            cells.append(_accuracy(record, best) if record else "--")
        rows.append(cells)
    notes = [
        "In parentheses half of the 95 % interval, in units of the last digit; in brackets both",
        "ends, where half of it would pass 100 %.",
        f"Times: median of one inference, {THREADS} thread; bold where the 95 % interval of the",
        "ratio to each other network of the column is below 1; u: untuned code, not ranked.",
        "Accuracy: 10-fold protocol; bold where Tango's test over people against every other",
        "network, corrected by Holm's procedure, decides for it at 5 %.",
    ]
    return tabular(heads, rows, notes)


def _scores(evidence: Evidence, dataset: str) -> dict[str, Record]:
    found = {name: evidence.score(name, dataset) for name in evidence.networks}
    return {name: one for name, one in found.items() if one is not None and real_faces(one)}


def _leader(evidence: Evidence, names: Sequence[str], setting: Setting) -> LatencyRow | None:
    rows = [row for name in names if (row := representative(evidence, name, setting))]
    return fastest(rows)


def _most_accurate(records: Sequence[Record]) -> Record | None:
    """Return the one that a paired test shows to be better than each of the others, if there is
    one.
    """
    if len(records) < 2:
        return None
    leader = max(records, key=_mean)
    others = [one for one in records if one is not leader]
    try:
        made = [agreements([leader, one])[0].paired for one in others]
    except (BadInputError, RefusedError):  # other pairs, or none: then nothing is shown
        return None
    shown = all(p < _LEVEL for p in holm([one.p_value for one in made]))
    return leader if shown and all(one.difference < 0 for one in made) else None


def _mean(record: Record) -> float:
    assert isinstance(record.result, Accuracy)
    return record.result.accuracy


def _num(text: str, best: bool) -> str:
    # siunitx sets numbers in the document's own weight unless it is told to look.
    return rf"\bfseries\num[detect-all]{{{text}}}" if best else rf"\num{{{text}}}"


def _count(count: int | None) -> str:
    return "--" if count is None else rf"\num{{{earned(_exact(count / 1e6)).replace(',', '')}}}"


def _exact(value: float) -> Estimate:
    return Estimate(value, value, value)


def _time(row: LatencyRow | None, leaders: set[int]) -> str:
    if row is None or row.median is None:
        return "--"
    return number(row.median, best=id(row) in leaders) + (r"$^u$" if row.untuned else "")


def _accuracy(record: Record, best: Record | None) -> str:
    assert isinstance(record.result, Accuracy)
    return share(percent(record.result), best=record is best)


TABLES.add("comparison", PaperTable("comparison", _comparison))
