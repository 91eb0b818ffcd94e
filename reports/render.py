"""Renders records as a report: HTML, Markdown, CSV and PNG files in one folder."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import vl_convert
from markupsafe import Markup

from facebench.architectures.errors import BadInputError
from facebench.harness.records.record import Record
from facebench.harness.storage import writing
from facebench.harness.storage.cache import digest, entry
from facebench.reports import markdown
from facebench.reports.comparison import compare, comparison_frame
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES, shown
from facebench.reports.figures.style import Image, for_paper, image
from facebench.reports.latex import TABLES
from facebench.reports.page import assemble
from facebench.reports.paired import paired_frame
from facebench.reports.score_frames import identification_frame, verification_frame
from facebench.reports.tables import compile_frame, cost_frame, latency_frame
from facebench.reports.templating import ours, templates

_BUNDLE = "vega.js"

# What the report has as CSV, and `Records.table` as data frames.
FRAMES: Mapping[str, Callable[[Evidence], pd.DataFrame]] = {
    "comparison": lambda evidence: comparison_frame(compare(evidence)),
    "latency": lambda evidence: latency_frame(evidence.latencies),
    "cost": lambda evidence: cost_frame(evidence.records),
    "compile": lambda evidence: compile_frame(evidence.records),
    "verification": lambda evidence: verification_frame(evidence.records),
    "identification": lambda evidence: identification_frame(evidence.records),
    "paired": paired_frame,
}

TITLE = "Face-verification networks for phones, compared"


def render(records: Sequence[Record], out: Path, to_come: str = "") -> list[Path]:
    """Write the report on the newest record of each case.

    Everything is made in memory first, and each file replaces its predecessor
    in one step, so that a report that was there is never left half-written.

    Args:
        records: what is known.
        out: folder to write to.
        to_come: a sentence on what is not known yet, where a run goes on.

    Returns:
        The files, `report.html` first.

    Raises:
        BadInputError: there are no records, or the folder can't be written.
    """
    if not records:
        raise BadInputError("there are no records to report on: run 'facebench run' first")
    files = dict(_files(Evidence(records), to_come))
    for name, content in files.items():
        _write(out / name, content)
    return [out / name for name in files]


def render_one(records: Sequence[Record], what: str, form: str, size: str, out: Path) -> Path:
    """Write one figure or table for a paper.

    Args:
        records: that it is of.
        what: `figure:NAME` or `table:NAME`.
        form: of a figure `pdf`, `svg` or `png`; a table is LaTeX whatever it is.
        size: of a figure, `column` or `page` wide.
        out: folder to write to.

    Raises:
        UnknownNameError: there is no such figure or table.
        BadInputError: the records hold nothing for it, or the folder can't be written.
    """
    kind, _, name = what.partition(":")
    if kind not in ("figure", "table") or not name:
        raise BadInputError(f"--only {what!r} is not valid: write figure:NAME or table:NAME")
    evidence = Evidence(records)
    if kind == "table":
        path, content = out / f"{name}.tex", TABLES[name].make(evidence).encode()
    else:
        drawing = FIGURES[name]
        path, content = out / f"{name}.{form}", b""
        if drawing.shows(evidence):
            content = for_paper(partial(drawing.draw, evidence), size, form)
    if not content:
        raise BadInputError(f"the records hold nothing for {what}")
    _write(path, content)
    return path


def _files(evidence: Evidence, to_come: str) -> Iterator[tuple[str, bytes]]:
    sections, lead = assemble(evidence), " ".join(filter(None, (_lead(evidence), to_come)))
    drawings = shown(evidence)
    images = {one.name: image(partial(one.draw, evidence)) for one in drawings}
    template = templates().get_template("report.html.j2")
    charts = any(one.chart for one in drawings)
    page = template.render(
        title=TITLE,
        lead=lead,
        sections=sections,
        images=_addresses(images),
        script=ours("page.js"),
        charts=ours("charts.js") if charts else "",
        vega=_vega() if charts else "",
    )
    yield "report.html", page.encode()
    yield "report.md", markdown.document(TITLE, lead, sections).encode()
    for name, frame in FRAMES.items():
        yield f"{name}.csv", _csv(frame(evidence))
    for table in TABLES:
        if text := table.make(evidence):
            yield f"{table.name}.tex", text.encode()
    for name, made in images.items():
        yield f"{name}.png", made.png


def _lead(evidence: Evidence) -> str:
    days = sorted(record.created[:10] for record in evidence.own)
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    networks, cases = len(evidence.networks), len(evidence.own)
    return (
        f"facebench builds the networks of MobileFaceNet (arXiv 1804.07573) and their rivals, "
        f"counts, compiles, times and verifies them, and says of each figure how it was obtained. "
        f"This page rests on {cases:,} case{'s' if cases != 1 else ''} of {networks:,} "
        f"network{'s' if networks != 1 else ''}, recorded {when}."
    )


def _addresses(images: Mapping[str, Image]) -> dict[str, dict[str, str]]:
    """Return the figures for light and for dark pages, as data addresses."""
    return {
        name: {"light": _address(made.svg), "dark": _address(made.svg_dark)}
        for name, made in images.items()
    }


def _address(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


@cache
def _vega() -> Markup:
    """Vega, Vega-Lite and Vega-Embed in one script, which loads nothing.

    To put it together takes seconds, so it is kept.
    """
    key = digest(version("vl-convert-python"))
    return Markup((entry("vega", key, _bundle) / _BUNDLE).read_text())


def _bundle(folder: Path) -> None:
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    (folder / _BUNDLE).write_text(script.replace("</script", "<\\/script"))


def _csv(frame: pd.DataFrame) -> bytes:
    # A file's name may be no Unicode.
    text = frame.to_csv(index=False, lineterminator="\n")
    return bytes(text, "utf-8", "backslashreplace")


def _write(path: Path, content: bytes) -> None:
    try:
        writing.write(path, content)
    except OSError as error:
        raise BadInputError(
            f"cannot write {path}: {error.strerror}; make room or choose another folder with -o, "
            "then run 'facebench report' again"
        ) from error
