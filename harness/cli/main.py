"""The command line: parse, call one function, print."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import signal
import sys
import warnings
from types import FrameType

import click

from facebench.architectures.errors import FacebenchError
from facebench.harness.cli.lazy import LazyCommand, LazyGroup, PipeClosed

# As of a program that ends by SIGPIPE: 1 would be a regression, and 0 would hide one.
_PIPE_CLOSED = 128 + signal.SIGPIPE


def main() -> None:
    """Run the command; every error of the user is one sentence and exit code 2."""
    # Libraries' notes to their own developers; a user can do nothing about them.
    warnings.simplefilter("ignore", FutureWarning)
    _have_streams()
    # A last search for garbage among the modules of torch and TVM takes half a second.
    atexit.register(gc.freeze)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _run()
        sys.stdout.flush()  # a success is one once it is written
        sys.exit(code)
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        _say(told.getvalue().rstrip("\n"))
        sys.exit(error.exit_code)
    except FacebenchError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        # What could not be written is not tried again at the exit, nor said twice.
        sys.stdout = None
        if error.errno == errno.EPIPE:
            sys.exit(_PIPE_CLOSED)
        # Where one file is copied to another the second is the one that had no room.
        place = error.filename2 or error.filename or "the disk"
        _fail(
            f"{place}: {error.strerror or error}; make room or choose "
            "another place, then run the same command again",
            2,
        )
    except PipeClosed:
        sys.stdout = None
        sys.exit(_PIPE_CLOSED)
    except (KeyboardInterrupt, click.exceptions.Abort):
        _stopped("interrupted", signal.SIGINT)
    except _Terminated:
        _stopped("terminated", signal.SIGTERM)


def _run() -> int:
    """Run the command; returns its exit code."""
    try:
        return cli.main(standalone_mode=False) or 0
    except click.exceptions.Exit as stop:
        return stop.exit_code


def _have_streams() -> None:
    """See that all three standard streams are open, and take any text.

    The next file to be opened would get the place of a stream that is closed, and with it what
    child processes print. An encoding of before Unicode lacks the × and – of our tables, and
    letters of people's names: `?` stands for them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # What is opened gets the lowest number that is free.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


class _Terminated(BaseException):
    """It is SIGTERM: like Ctrl-C, nothing of ours catches it."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _stopped(how: str, number: signal.Signals) -> None:
    click.echo(f"\nfacebench: {how}; a run goes on where it was with the same command", err=True)
    # Threads that wait for worker processes would hold a normal exit up; the
    # workers die with this process.
    os._exit(128 + number)


def _say(text: str) -> None:
    from facebench.harness.cli.output.terminal import plain  # takes a while to load

    click.echo(plain(text), err=True)


def _fail(sentence: str, code: int) -> None:
    _say(f"facebench: {sentence}")
    sys.exit(code)


# Each command with where it is and the first sentence of its help.
_COMMANDS = (
    ("cost", "networks:cost", "Count parameters, MAdds, activations and bytes."),
    ("export", "networks:export", "Export to ONNX, BN folded, checked against torch."),
    ("compile", "networks:compile_", "Compile with TVM to a shared library."),
    ("tune", "tuning:tune", "Search for the fastest kernels of networks, for every later compile."),
    ("new", "trial:new", "Begin something of your own from a template."),
    ("try", "trial:try_", "Put the networks of a file of yours on trial beside a known one."),
    (
        "latency", "networks:latency",
        "Measure latency, each case in several processes of its own.",
    ),
    (
        "denormals", "denormals:denormals",
        "Count denormal numbers in weights and layers, and measure what they cost.",
    ),
    (
        "instructions", "instructions:instructions",
        "Count the instructions of one inference: a second opinion that noise cannot touch.",
    ),
    (
        "throughput", "throughput:throughput",
        "Measure images a second on this machine, against batch and threads.",
    ),
    (
        "verify", "verification:verify",
        "Score networks on faces: verification of pairs, or identification of probes.",
    ),
    ("train", "training:train", "Train networks, all under the same conditions."),
    (
        "compress", "compression:compress",
        "Make files of weights smaller by Deep Compression, and say what that costs in accuracy.",
    ),
    (
        "card", "card:card",
        "Print the model card of weights that 'train' made: data, recipe, scores, limits.",
    ),
    (
        "data", "data:data",
        "List, fetch and check datasets; draw pairs of your own images; clean training sets.",
    ),
    ("phone", "phone:phone", "Phones of your own, for modelled times."),
    ("device", "device:device", "Boards, and an emulated one: where networks run."),
    (
        "doctor", "doctor:doctor",
        "Say what is installed, what is missing for what, and what mends it.",
    ),
    ("list", "listing:list_", "List what there is to choose from."),
    ("run", "runs:run", "Run a plan and render its report: the main job."),
    (
        "plan", "runs:plan_",
        "Say what a plan holds, what of it is done, and how long the rest takes.",
    ),
    ("report", "runs:report", "Render a report from results files, anew."),
    (
        "claims", "claims:claims",
        "Judge each claim of a paper by records: supported, refuted, or not decidable here.",
    ),
    ("convert", "converting:convert", "Write records in a format that other programs read."),
    (
        "compare", "comparing:compare",
        "Say what became slower, larger or less accurate from BASE to NEW.",
    ),
    ("baseline", "baselines:baseline", "Keep what was accepted, in small files for git."),
    (
        "history", "baselines:history",
        "Show figures over revisions, and where their level changed.",
    ),
    ("cache", "cache:cache", "See what the cache holds, and make room."),
)  # fmt: skip


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="facebench", prog_name="facebench")
def cli() -> None:
    """Compare face-verification networks for phones, and prove it.

    \b
    facebench run                       the paper's networks, all runtimes, a report
    facebench cost mobilefacenet        parameters and MAdds
    facebench latency mobilefacenet mobilenet_v2 --runtime ncnn,onnxruntime
    facebench device setup-emulated     ARM figures without a board
    """


for name, where, about in _COMMANDS:
    cli.add_command(LazyCommand(name, f"facebench.harness.cli.commands.{where}", about))


if __name__ == "__main__":
    main()
