"""Answers a session's requests on standard input, one after another, on standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import BinaryIO

from facebench.architectures.errors import FacebenchError
from facebench.harness.machine.die_with_parent import die_with_parent
from facebench.harness.runtimes import wire

# From a request's words and payload to what is answered.
Answer = Callable[[list[str], bytes], bytes]


def run(answer: Answer) -> None:
    """Serve until the input ends."""
    die_with_parent()
    # Libraries print to standard output as they like; replies must be alone there.
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        serve(sys.stdin.buffer, output, answer)


def serve(requests: BinaryIO, replies: BinaryIO, answer: Answer) -> None:
    """Answer request after request."""
    while (message := wire.read(requests)) is not None:
        try:
            said = answer(*message)
        except FacebenchError as error:
            replies.write(wire.error(str(error)))
        except Exception as error:  # a runtime's defect must be told, whatever it is
            replies.write(wire.error(f"{type(error).__name__}: {error}"))
        else:
            replies.write(wire.reply(said))
        replies.flush()
