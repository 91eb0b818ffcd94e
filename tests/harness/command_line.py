"""Commands run in the test's own process."""

import sys

import pytest

from facebench.harness.cli import main


def facebench(*arguments: object) -> int:
    """Run a command in this process.

    Returns:
        Its exit code.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["facebench", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main.main()
    return int(stop.value.code or 0)
