"""Draws docs/house.svg: the rooms from the ground up, and who imports whom.

Run it at the top of the checkout once an import between two rooms is new or gone:

    python -m docs.draw_house
"""

from __future__ import annotations

import ast
from html import escape

from tests import house
from tests.places import ROOT

PICTURE = ROOT / "docs" / "house.svg"

# From the ground up. Two roofs, the command line and the Python of notebooks: they alone import
# reports.
FLOORS = ("architectures", *house.ROOMS[:-2], "reports", *house.ROOMS[-2:])

# In pixels: floors are `_FLOOR` high, from `_TOP` down, and the columns beside them `_COLUMN` wide.
_TOP, _FLOOR, _LEFT, _WALL, _COLUMN = 108, 32, 20, 740, 18
_WIDTH = _WALL + 10 + _COLUMN * len(FLOORS) + 16
_HEIGHT = _TOP + _FLOOR * len(FLOORS) + 16

_ROOM = "#dbe5f0"
_COLOURS = {"architectures": "#e3d9c6", "reports": "#d5e4d3", "cli": "#e9d3d0", "api": "#e9d3d0"}


def arrows() -> set[tuple[str, str]]:
    """Pairs of floors of which the first imports from the second."""
    pairs = {(house.room(one.importer), house.room(one.imported)) for one in house.imports()}
    return {(a, b) for a, b in pairs if a != b and {a, b} <= set(FLOORS)}


def draw() -> str:
    """The picture, as SVG that needs no font, script or style from elsewhere."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="12.5" role="img">',
        "<title>The rooms of facebench, and the imports between them</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="64" font-size="15" font-weight="bold" fill="#222222">'
        "From the ground up: a room imports only from rooms below it</text>",
        f'<text x="{_LEFT}" y="86" fill="#555555">A dot: the room on the left imports from the '
        "one above. All dots lie left of the diagonal.</text>",
        *map(_floor, FLOORS),
        *map(_column, FLOORS),
        *(_dot(*pair) for pair in sorted(arrows())),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _floor(name: str) -> str:
    """A room: its name, what is in it, and its own place in the grid."""
    y, colour = _y(name), _COLOURS.get(name, _ROOM)
    return (
        f'<rect x="{_LEFT}" y="{y - 14:g}" width="{_WALL - _LEFT}" height="28" rx="4" '
        f'fill="{colour}"/>'
        f'<text x="{_LEFT + 12}" y="{y + 4:g}" font-weight="bold" fill="#222222">{name}</text>'
        f'<text x="{_LEFT + 118}" y="{y + 4:g}" fill="#333333">{escape(_about(name))}</text>'
        f'<rect x="{_x(name) - 8:g}" y="{y - 14:g}" width="16" height="28" fill="{colour}"/>'
    )


def _column(name: str) -> str:
    """A room's name over its column, and the line that leads down to its floor."""
    x, top, floor = _x(name), _TOP - 8, _y(name) - 14
    return (
        f'<text transform="translate({x + 4:g} {top}) rotate(-90)" font-size="11.5" '
        f'fill="#333333">{name}</text>'
        f'<line x1="{x:g}" y1="{_TOP}" x2="{x:g}" y2="{floor:g}" stroke="#e4e4e4"/>'
    )


def _dot(importer: str, imported: str) -> str:
    return f'<circle cx="{_x(imported):g}" cy="{_y(importer):g}" r="4.5" fill="#34557a"/>'


def _y(name: str) -> float:
    """The middle of a floor."""
    return _TOP + _FLOOR * (len(FLOORS) - FLOORS.index(name) - 0.5)


def _x(name: str) -> float:
    """The middle of a column."""
    return _WALL + 10 + _COLUMN * (FLOORS.index(name) + 0.5)


def _about(name: str) -> str:
    """The first sentence of a room's docstring."""
    part = name if name in house.PARTS else f"harness/{name}"
    text = ast.get_docstring(ast.parse((ROOT / part / "__init__.py").read_text())) or ""
    return text.partition("\n")[0].rstrip(".")


if __name__ == "__main__":
    PICTURE.write_text(draw())
