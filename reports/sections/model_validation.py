"""Modelled ARM times held against published ones that the model did not see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facebench.harness.devices.emulator import model
from facebench.harness.machine.cores import CORES
from facebench.reports.emulated import left_out, places
from facebench.reports.evidence import Evidence
from facebench.reports.page import (
    Block,
    Cell,
    Column,
    Paragraph,
    RowGroup,
    Statement,
    Statements,
    Table,
    section,
)

_KINDS = ("modelled", "published")


@section("model-validation", "How far modelled ARM times are off", order=46)
def model_validation(evidence: Evidence) -> Sequence[Block]:
    """Return the errors on families of cores that were left out, and what was not validated."""
    if not any(row.modelled for place in places(evidence) for row in place.rows):
        return []
    by = model.constants()
    text = (
        f"The model’s three constants were fitted to {by.fitted_to}, each held against code of "
        "its age. Here each time is modelled by constants of all other families of cores. "
        "docs/model.md has the rest."
    )
    return [Paragraph(text), _summary(), _table(), Paragraph(_not_validated())]


def _summary() -> Statements:
    found = 100 * np.abs([one.relative for one in left_out()])
    reach = np.exp(model.constants().time_reach)
    mean = "is the mean error of a time on a family of cores that the constants never saw."
    most = "is what nine of ten such times are off by at most."
    low, high = 100 - 100 / reach, 100 * reach - 100
    interval = "is the 95 % prediction interval of a modelled time, below and above."
    return Statements(
        [
            Statement(f"{found.mean():.1f} %", mean, _KINDS),
            Statement(f"{np.percentile(found, 90):.0f} %", most, _KINDS),
            Statement(f"−{low:.0f} % to +{high:.0f} %", interval, _KINDS),
        ]
    )


def _table() -> Table:
    groups: dict[tuple[str, str], list[float]] = {}
    for one in left_out():
        key = (one.row.time.core, one.row.time.device)
        groups.setdefault(key, []).append(100 * one.relative)
    rows = [
        [
            Cell(core),
            Cell(device),
            Cell(str(len(found)), kind="published"),
            Cell(f"{np.abs(found).mean():.1f}", kind="modelled"),
            Cell(f"{np.mean(found):+.1f}", kind="modelled"),
        ]
        for (core, device), found in sorted(groups.items())
    ]
    columns = [
        Column("Core, left out", words=True),
        Column("Device", words=True),
        Column("Published times", "", "published"),
        Column("Mean error", "%", "modelled"),
        Column("Bias", "%", "modelled"),
    ]
    caption = "Modelled over published, less one, of ncnn’s own benchmark, one thread."
    return Table("model-validation", caption, columns, [RowGroup(rows)])


def _not_validated() -> str:
    seen = {one.row.time.core for one in left_out()}
    unseen = [core.name for core in CORES if core.figures and core.name not in seen]
    cores = f"no published time of {', '.join(unseen)} is of an age that was counted, and " * bool(
        unseen
    )
    runtimes = "no runtime but ncnn was held against published times of the code that runs here."
    return f"Not validated: {cores}{runtimes}"
