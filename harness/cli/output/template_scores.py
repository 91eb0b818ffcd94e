"""Renders tables of templates, compared and searched for, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from facebench.harness.cli.output.cells import percent
from facebench.harness.cli.output.terminal import new_table, out
from facebench.harness.records.record import Record
from facebench.harness.records.templates import TemplateSearch, TemplateVerification

OVER = {
    "identities": "Intervals are over {people:,} people.",
    "groups": "Intervals are over {people:,} people: templates that genuine pairs join.",
}


def print_templates(records: Sequence[Record]) -> None:
    """Print the TAR of each record at each FAR, and what is to be known of it."""
    results = [(r, r.result) for r in records if isinstance(r.result, TemplateVerification)]
    if not results:
        return
    fars = sorted({point.rate for _, one in results for point in one.tar}, reverse=True)
    heads = [f"TAR % at\nFAR {far:g}" for far in fars]
    counts = ["templates", "genuine\npairs", "impostor\npairs", "images/s", "kind"]
    made = new_table("network", "runtime", "precision", *heads, *counts)
    for record, one in results:
        rates = {p.rate: bound for p, bound in zip(one.tar, one.bounds, strict=True)}
        made.add_row(
            escape(record.case.network),
            record.case.runtime,
            record.case.precision,
            *(percent(rates[far]) if far in rates else "" for far in fars),
            f"{one.templates:,}",
            f"{one.genuine:,}",
            f"{one.impostor:,}",
            f"{one.images_per_second:.3g}",
            record.kind + (f"\n{one.label.partition(':')[0]}" if one.label else ""),
        )
    out.print(made)
    for text in dict.fromkeys(filter(None, _notes([one for _, one in results]))):
        out.print(text, markup=False)


def print_template_searches(records: Sequence[Record]) -> None:
    """Print what each record found at each rank, and its FNIR at each FPIR."""
    results = [(r, r.result) for r in records if isinstance(r.result, TemplateSearch)]
    if not results:
        return
    ranks = sorted({rank for _, one in results for rank in one.ranks})
    fpirs = sorted({fpir for _, one in results for fpir in one.fpirs}, reverse=True)
    heads = [f"rank {rank} %" for rank in ranks] + [f"FNIR % at\nFPIR {f:g}" for f in fpirs]
    counts = ["probes", "galleries", "images/s", "kind"]
    made = new_table("network", "runtime", "precision", *heads, *counts)
    for record, one in results:
        at_rank = dict(zip(one.ranks, one.found, strict=True))
        at_fpir = dict(zip(one.fpirs, one.fnir, strict=True))
        made.add_row(
            escape(record.case.network),
            record.case.runtime,
            record.case.precision,
            *(percent(at_rank[rank]) if rank in at_rank else "" for rank in ranks),
            *(percent(at_fpir[fpir]) if fpir in at_fpir else "" for fpir in fpirs),
            f"{one.probes:,}",
            " and ".join(f"{size:,}" for size in one.galleries),
            f"{one.images_per_second:.3g}",
            record.kind + (f"\n{one.label.partition(':')[0]}" if one.label else ""),
        )
    out.print(made)
    texts = [text for _, one in results for text in _search_notes(one)]
    for text in dict.fromkeys(filter(None, texts)):
        out.print(text, markup=False)


def _search_notes(one: TemplateSearch) -> list[str]:
    texts = [
        one.label,
        "Means over the galleries; below a figure its 95 % interval. The "
        f"{one.people:,} people of mated probes, and thresholds, are chance; the galleries are as "
        "they are.",
    ]
    if one.missed:
        texts.append(f"{one.missed:,} templates have no image with a face: they find nobody.")
    return texts + [bound.note for bound in (*one.found, *one.fnir)]


def _notes(results: Sequence[TemplateVerification]) -> list[str]:
    texts = [one.label for one in results]
    for one in results:
        over = OVER[one.over].format(people=one.people)
        texts.append(f"Below a figure its 95 % interval. {over}")
        if one.missed:
            texts.append(f"{one.missed:,} templates have no image with a face: they score -1.")
        if one.excluded_pairs:
            texts.append(f"{one.excluded_pairs:,} pairs of templates without a face are left out.")
        texts += [bound.note for bound in one.bounds] + list(one.refused)
    return texts
