"""Makes text that came from users fit to be shown."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return the text on one line, characters that are not visible replaced.

    Control characters would break a terminal, and those that turn the writing
    direction would let one name pass for another.

    Example:
        >>> plain("a\\tb \\x1b[2J \\u202ecba")
        'a b �[2J �cba'
    """
    one_line = " ".join(text.split())
    if one_line.isprintable():
        return one_line
    return "".join(letter if letter.isprintable() else "�" for letter in one_line)
