"""Draws docs/gallery.md and its pictures: every figure, from the records that are shipped.

Run it at the top of the checkout once a figure is new, or looks otherwise:

    python -m docs.draw_gallery
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from matplotlib.figure import Figure

import facebench
from docs.pictures import small
from facebench.reports.evidence import Evidence
from facebench.reports.figures import FIGURES, Drawing
from tests.places import ROOT

PAGE = ROOT / "docs" / "gallery.md"
PICTURES = ROOT / "docs" / "gallery"

_REFERENCE = "results/reference"

_DOTS_PER_INCH = 150

_BEGIN = """# Gallery

Every figure that facebench draws, each with the command and the three lines of Python that make \
it of the records that come with facebench, [results/reference](../results/reference/README.md). \
With `results/mine` in the place of `results/reference`, and `facebench.read("results/mine")` in \
that of `facebench.reference()`, it is made of yours. [Reports and papers](papers.md) says what \
else can be made of records; [a notebook](notebooks/figures.ipynb) restyles figures.

`python -m docs.draw_gallery` draws this page from the registry of figures.
"""

_SECTION = """
## {title}

![{title}](gallery/{name}.png)

{caption} ({kinds})

```sh
facebench report {results} \\
    --only figure:{name} --format png --size page -o gallery
```

```python
import facebench

figure = {records}.figure("{name}", "page")
figure.savefig("{name}.png")
```
"""

# What the records of one run do not show: emulated cores, and several revisions.
_OWN_RECORDS = {
    "modelled_ratio": "arm.jsonl",
    "modelled_validation": "arm.jsonl",
    "history": "history.jsonl",
}


@dataclass(frozen=True)
class Exhibit:
    """A figure with the records that it is drawn from.

    Attributes:
        drawing: of the registry.
        results: the file or folder of the records, from the top of the checkout.
    """

    drawing: Drawing
    results: str

    def section(self) -> str:
        """The figure's part of the page."""
        evidence = _evidence(self.results)
        whole = self.results == _REFERENCE
        return _SECTION.format(
            title=self.drawing.title,
            name=self.drawing.name,
            caption=self.drawing.caption(evidence),
            kinds=", ".join(self.drawing.kinds(evidence)),
            results=self.results,
            records="facebench.reference()" if whole else f'facebench.read("{self.results}")',
        )


def exhibits() -> list[Exhibit]:
    """All figures of the registry, in the order of a report."""
    ordered = sorted(FIGURES, key=lambda one: one.order)
    return [Exhibit(one, "/".join((_REFERENCE, *_own(one)))) for one in ordered]


def page() -> str:
    """The page's text, a section for each figure."""
    return _BEGIN + "".join(one.section() for one in exhibits())


def pictures() -> dict[Path, Figure]:
    """What each picture shows: a figure of the gallery, or what the pages begin with."""
    drawn = {
        PICTURES / f"{one.drawing.name}.png": facebench.read(ROOT / one.results).figure(
            one.drawing.name, "page"
        )
        for one in exhibits()
    }
    records, docs = facebench.reference(), ROOT / "docs"
    ncnn = records.filter(runtime=["", "ncnn"])
    first = {"pareto.png": records, "which-network.png": ncnn}
    return drawn | {docs / name: shown.figure("pareto") for name, shown in first.items()}


def png(figure: Figure) -> bytes:
    """A figure as a picture of few bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DOTS_PER_INCH)
    return small(stream.getvalue())


@cache
def _evidence(results: str) -> Evidence:
    return Evidence(facebench.read(ROOT / results))


def _own(drawing: Drawing) -> list[str]:
    return [_OWN_RECORDS[drawing.name]] if drawing.name in _OWN_RECORDS else []


def main() -> None:
    """Write the page and the pictures."""
    PICTURES.mkdir(exist_ok=True)
    for path in PICTURES.glob("*.png"):
        path.unlink()
    for path, figure in pictures().items():
        path.write_bytes(png(figure))
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
