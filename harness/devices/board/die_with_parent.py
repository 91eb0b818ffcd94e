"""Runs a command that ends with the process that started it, however that does."""

from __future__ import annotations

import os
import sys

from facebench.harness.machine.processes import die_with_parent

if __name__ == "__main__":
    # The wish outlives exec: the command is killed with its parent.
    die_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])
