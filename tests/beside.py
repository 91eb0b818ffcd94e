"""Runs commands of `tox` side by side: `python -m tests.beside COMMAND COMMAND...`.

What checks types has both cores while what sets up the emulated device waits for downloads.
"""

import shlex
import subprocess
import sys
from collections.abc import Sequence


def main(commands: Sequence[str]) -> int:
    """Run them all, and show what each printed; one that begins with `-` may fail.

    Returns:
        An exit code of one that failed and may not; 0 where there is none.
    """
    started = [
        subprocess.Popen(
            shlex.split(command.removeprefix("-")),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in commands
    ]
    code = 0
    for command, process in zip(commands, started, strict=True):
        printed, _ = process.communicate()
        print(f"{command}\n{printed}", end="", flush=True)
        if not command.startswith("-"):
            code = code or process.returncode
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
