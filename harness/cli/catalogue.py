"""Lists what there is to choose from, for `facebench list`."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from facebench.architectures import registry
from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Published
from facebench.harness.compiler.targets import TARGETS
from facebench.harness.devices.emulator.published import calibrating
from facebench.harness.devices.registry import DEVICES
from facebench.harness.machine import phones
from facebench.harness.machine.boards import BOARDS, NamedBoard
from facebench.harness.machine.cores import CORES
from facebench.harness.machine.environment import version
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.storage import cache, fingerprints
from facebench.harness.verification.datasets.registry import DATASETS, data_root

Entry = dict[str, Any]

_ENTRIES = "entries.json"


def entries(kind: str | None, data: Path | None) -> dict[str, list[Entry]]:
    """Return entries by kind, of those in `KINDS`; or of one kind."""
    wanted = [kind] if kind else list(KINDS)
    return {name: KINDS[name](data_root(data)) for name in wanted}


def _architectures(data: Path | None) -> list[Entry]:
    return [
        {
            "name": found.name,
            "input": "x".join(map(str, found.input_size)),
            "embedding": found.embedding_size,
            "paper_row": found.paper_row or "",
            "published": _published(found.published),
            "reference": found.reference,
            "large": found.large,
            "note": found.note,
        }
        for found in map(registry.find, registry.names())
    ]


def _published(figures: Published | None) -> str:
    """Return what a network's publication says it costs, in a line."""
    if figures is None:
        return ""
    madds = f"{figures.madds} M MAdds" if figures.madds else ""
    flops = f"{figures.flops} M FLOPs" if figures.flops else ""
    parameters = f"{figures.parameters} M parameters" if figures.parameters else ""
    megabytes = f"{figures.megabytes} MB" if figures.megabytes else ""
    return ", ".join(filter(None, (parameters, madds, flops, megabytes)))


def _runtimes(data: Path | None) -> list[Entry]:
    return [
        {
            "name": runtime.name,
            "installed": runtime.installed(),
            "version": version(runtime.packages[0]) or "",
            "install": runtime.install,
        }
        for runtime in RUNTIMES
    ]


def _targets(data: Path | None) -> list[Entry]:
    return [
        {
            "name": target.name,
            "triple": target.triple or "detected",
            "cpu": target.cpu or "detected",
            "about": target.description,
        }
        for target in TARGETS
    ]


def _devices(data: Path | None) -> list[Entry]:
    families = [
        {"name": f"{prefix}:<address>", "about": about}
        for prefix, about in DEVICES.families().items()
    ]
    boards = [{"name": f"emulated:{board.name}", "about": _described(board)} for board in BOARDS]
    own = [{"name": f"emulated:{name}", "about": "a phone of yours"} for name in phones.names()]
    return [{"name": "local", "about": "this machine"}, *families, *boards, *own]


def _described(board: NamedBoard) -> str:
    """Describe a board, and the published times that hold the model to it."""
    clock = f"{board.core} at {board.frequency_hz / 1e9:.3g} GHz"
    own, core = calibrating(board.core, board.name), calibrating(board.core)
    return f"{board.description}: {clock}; {own} published times of it, {core} of its core"


def _cores(data: Path | None) -> list[Entry]:
    return [
        {
            "name": core.name,
            "target": core.target,
            "modelled": core.figures.board if core.figures else "no",
            "about": core.description,
        }
        for core in CORES
    ]


def _datasets(data: Path | None) -> list[Entry]:
    registered = [
        {
            "name": dataset.name,
            "found": dataset.found(data),
            "label": dataset.label or "real faces",
            "about": dataset.about,
        }
        for dataset in DATASETS
    ]
    # Whether a path is there is known once there is a path.
    return registered + [
        {"name": f"{prefix}:<path>", "found": "", "label": "", "about": about}
        for prefix, about in DATASETS.families().items()
    ]


def _measures(data: Path | None) -> list[Entry]:
    if entry_points(group="facebench.measures"):
        return _imported_measures()
    return _kept("measures", "facebench.harness.measures", _imported_measures)


def _formats(data: Path | None) -> list[Entry]:
    return _kept("formats", "facebench.reports.exchange", _imported_formats)


def _kept(name: str, package: str, imported: Callable[[], list[Entry]]) -> list[Entry]:
    """Return what a package of ours registers; it is kept, since to import it is to import what
    it works with.
    """

    def write(folder: Path) -> None:
        (folder / _ENTRIES).write_text(json.dumps(imported()))

    try:
        folder = cache.entry(name, cache.digest(fingerprints.code(package)), write)
    except BadInputError:  # nothing can be kept
        return imported()
    found: list[Entry] = json.loads((folder / _ENTRIES).read_text())
    return found


def _imported_measures() -> list[Entry]:
    from facebench.harness.measures.registry import MEASURES  # loads OpenCV and scipy

    return [
        {"name": measure.name, "timed": measure.timed, "about": measure.about}
        for measure in MEASURES
    ]


def _imported_formats() -> list[Entry]:
    from facebench.reports.exchange.registry import FORMATS  # loads pandas, OpenCV and scipy

    return [{"name": one.name, "about": one.about, "reader": one.reader} for one in FORMATS]


KINDS: dict[str, Callable[[Path | None], list[Entry]]] = {
    "architectures": _architectures,
    "runtimes": _runtimes,
    "targets": _targets,
    "devices": _devices,
    "cores": _cores,
    "datasets": _datasets,
    "measures": _measures,
    "formats": _formats,
}
