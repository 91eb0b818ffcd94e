"""What a device says of itself, asked in a process that may be lost with it.

Run as a program with a device's name, it prints the device's facts as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from facebench.architectures.errors import FacebenchError, UnavailableError

if TYPE_CHECKING:
    from facebench.harness.devices.registry import Facts

# Of the whole question: a process's start, a connection, and one call.
_SECONDS = 60.0


def facts(name: str) -> Facts:
    """The facts of the device called `name`.

    Raises:
        UnavailableError: it cannot be reached, or answers no more.
    """
    from facebench.harness.devices.registry import Facts

    command = [sys.executable, "-P", "-m", __name__, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{name} did not say what it is within {_SECONDS:.0f} s") from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it gave no reason"]
        raise UnavailableError(last[0])
    told = json.loads(done.stdout.splitlines()[-1])
    return Facts(**told | {"runtimes": tuple(told["runtimes"])})


def main() -> None:
    """Ask one device."""
    from facebench.harness.devices.board.device import BoardDevice
    from facebench.harness.devices.registry import DEVICES

    try:
        device = DEVICES[sys.argv[1]]
        assert isinstance(device, BoardDevice)
        found = device.ask()
    except FacebenchError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
