"""Fills in templates of pages: whatever texts are given are escaped, and shown as they are."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from facebench.reports.text import plain


def templates() -> Environment:
    """Return the templates of this package, which know `style` and the filter `json`."""
    environment = Environment(
        loader=PackageLoader("facebench.reports"),
        autoescape=True,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = ours("style.css")
    environment.filters["json"] = _json
    return environment


def ours(name: str) -> Markup:
    """Return a style sheet or script of this package: escaped it would not be one."""
    return Markup((Path(__file__).parent / "templates" / name).read_text())


def _json(value: object) -> Markup:
    """JSON that can stand in a script element, whatever texts are in it."""
    text = json.dumps(value, allow_nan=False)
    return Markup(text.translate({ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}))


def _visible(value: object) -> object:
    return value if isinstance(value, Markup) or not isinstance(value, str) else plain(value)
