"""A program that prints, as JSON, what the device that it is called with says of itself."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from facebench.architectures.errors import FacebenchError
from facebench.harness.devices.board.device import BoardDevice
from facebench.harness.devices.registry import DEVICES


def main() -> None:
    """Ask one device."""
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
