"""Links from the pages into the repository are links in a checkout, and names on the site."""

import re
from typing import Any

_REPOSITORY = re.compile(r"\[([^\]]+)\]\((?:\.\./)+[^)]*\)")


def on_page_markdown(markdown: str, **rest: Any) -> str:
    """MkDocs calls this with each page's text."""
    return _REPOSITORY.sub(lambda found: f"`{found[1].strip('`')}`", markdown)
