"""Links from the pages into the repository are links in a checkout, and names on the site."""

import posixpath
import re
from typing import Any

_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)]*)\)")


def on_page_markdown(markdown: str, page: Any, **rest: Any) -> str:
    """MkDocs calls this with each page's text."""
    folder = posixpath.dirname(page.file.src_uri)

    def replaced(found: re.Match[str]) -> str:
        outside = posixpath.normpath(posixpath.join(folder, found[2])).startswith("..")
        return f"`{found[1].strip('`')}`" if outside else found[0]

    return _LINK.sub(replaced, markdown)
