"""Says which files of others may be read: a pipe or a device would be waited for, or never end."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from facebench.architectures.errors import BadInputError


def regular(path: Path) -> Path:
    """Return the path of a regular file, or of none: to open that says so in its own words.

    Raises:
        BadInputError: there is something else, such as a pipe or a folder.
    """
    with suppress(OSError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadInputError(f"{path} is no regular file: give a file, not a pipe or a folder")
    return path
