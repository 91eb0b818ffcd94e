"""What is made once in a run of tests, and read by each process of pytest-xdist."""

import fcntl
from collections.abc import Callable
from pathlib import Path


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first who asks for it fills, while others who ask wait."""
    done = folder.with_suffix(".done")
    with folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not done.exists():
            make(folder)
            done.touch()
    return folder
