"""Makes texts from files harmless for where they are shown.

Names of networks and files come from users, reasons from other programs.
"""

from __future__ import annotations

import re


def visible(text: str) -> str:
    """Put a text on one line and replace what is invisible: control characters, turns of direction.

    Example:
        >>> visible("a\\tb \\x1b[2J \\u202ecba")
        'a b \ufffd[2J \ufffdcba'
    """
    one_line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in one_line)


def markdown(text: str) -> str:
    """Return a text as a cell of GitHub's Markdown: no markup, links, mentions or references.

    Example:
        >>> print(markdown("a|b <i> @me #1 [x](y)"))
        a&#124;b &lt;i&gt; &#64;me &#35;1 &#91;x&#93;&#40;y&#41;
    """
    # A text that begins with www. becomes a link by itself.
    pattern = r"[^\w\s.,;%+\-/±=']|_|(?<=www)\."
    return re.sub(pattern, _entity, visible(text), flags=re.IGNORECASE)


def command_data(text: str) -> str:
    """Return a text as the message of a workflow command of GitHub Actions.

    Source: `escapeData` in actions/toolkit, packages/core/src/command.ts.

    Example:
        >>> command_data("50 % of a::b")
        '50 %25 of a::b'
    """
    return visible(text).replace("%", "%25")


def command_property(text: str) -> str:
    """Return a text as a property of such a command: `escapeProperty` there.

    Example:
        >>> command_property("onnx:a,b")
        'onnx%3Aa%2Cb'
    """
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def _entity(found: re.Match[str]) -> str:
    letter = found.group()
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(letter, f"&#{ord(letter)};")
