"""The command line: parse, call one function, print."""

from __future__ import annotations

import errno
import os
import signal
import sys
import warnings
from importlib.metadata import version
from types import FrameType

import click

from facebench.architectures.errors import FacebenchError
from facebench.harness.cli.commands import (
    baselines,
    cache,
    card,
    claims,
    comparing,
    data,
    denormals,
    device,
    instructions,
    networks,
    runs,
    throughput,
    training,
    trial,
    tuning,
    verification,
)


def main() -> None:
    """Run the command; every error of the user is one sentence and exit code 2."""
    # Libraries' notes to their own developers; a user can do nothing about them.
    warnings.simplefilter("ignore", FutureWarning)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except FacebenchError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        if error.errno == errno.EPIPE:
            sys.exit(0)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        _fail(
            f"{error.filename or 'the disk'}: {error.strerror}; make room or choose another "
            "folder, then run the same command again",
            2,
        )
    except (KeyboardInterrupt, click.exceptions.Abort):
        _stopped("interrupted", signal.SIGINT)
    except _Terminated:
        _stopped("terminated", signal.SIGTERM)


class _Terminated(BaseException):
    """SIGTERM: as Ctrl-C, nothing of ours catches it."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _stopped(how: str, number: signal.Signals) -> None:
    click.echo(f"\nfacebench: {how}; a run goes on where it was with the same command", err=True)
    # Threads that wait for worker processes would hold a normal exit up; the
    # workers die with this process.
    os._exit(128 + number)


def _fail(sentence: str, code: int) -> None:
    click.echo(f"facebench: {sentence}", err=True)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("facebench"), prog_name="facebench")
def cli() -> None:
    """Compare face-verification networks for phones, and prove it.

    \b
    facebench run                       the paper's networks, all runtimes, a report
    facebench cost mobilefacenet        parameters and MAdds
    facebench latency mobilefacenet mobilenet_v2 --runtime ncnn,onnxruntime
    facebench device setup-emulated     ARM figures without a board
    """


for command in (
    networks.cost,
    networks.export,
    networks.compile_,
    tuning.tune,
    trial.new,
    trial.try_,
    networks.latency,
    denormals.denormals,
    instructions.instructions,
    throughput.throughput,
    verification.verify,
    training.train,
    card.card,
    data.data,
    device.device,
    runs.list_,
    runs.run,
    runs.plan_,
    runs.report,
    claims.claims,
    comparing.compare,
    baselines.baseline,
    baselines.history,
    cache.cache,
):
    cli.add_command(command)


if __name__ == "__main__":
    main()
