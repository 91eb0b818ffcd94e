"""The command that finds whom to leave out of a training set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli import case_options, options
from facebench.harness.cli.options import Command
from facebench.harness.cli.output import terminal
from facebench.harness.cli.output.progress import Bar
from facebench.harness.models.networks import Network, with_prefix
from facebench.harness.training.data.cleaning import Finding, write
from facebench.harness.training.data.overlap import Limits


def _limit(name: str, about: str) -> Callable[[Command], Command]:
    default = getattr(Limits(), name)
    return click.option(
        f"--{name}-cosine", name, type=float, default=default, show_default=True, help=about
    )


def _as_networks(
    context: click.Context, parameter: click.Parameter, teacher: str
) -> tuple[str, ...]:
    """Return the name as a command line names networks: of a file, with what says so."""
    return (with_prefix(teacher),)


# Arrives as `teachers`: a list of one `Network`.
_teacher = options.gathered(
    "teachers",
    case_options.resolve_networks,
    click.option(
        "--teacher", "networks", required=True, metavar="NETWORK", callback=_as_networks,
        help="An ONNX or TFLite file, or a network with --weights; trained on faces.",
    ),
    *case_options.weights,
)  # fmt: skip

_limits = options.gathered(
    "limits",
    Limits,
    _limit("person", "A person's mean this near a test image: the person is left out."),
    _limit("image", "An image this near a test image: it is left out; two: the person."),
    _limit("same", "Two people's means this near: one person."),
    _limit("label", "An image less near than this to the person's others: it is left out."),
)


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="DIR")
@_teacher
@click.option(
    "--against", default="", metavar="DATASET[,DATASET]",
    help="Test sets whose people must not be trained on; see 'facebench data list'.",
)  # fmt: skip
@click.option(
    "--landmarks", default="file", show_default=True, metavar="SOURCE",
    help="Where the training faces are: file, aligned, or a detector.",
)  # fmt: skip
@click.option(
    "--same", "same_folders", type=click.Choice(["merge", "leave-out"]), default="merge",
    show_default=True, help="What becomes of a person's second folder.",
)  # fmt: skip
@_limits
@click.option("--threads", type=click.IntRange(1, 1024), help="Default: all cores.")
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path, dir_okay=False),
    help="CSV file to write; none is overwritten.",
)  # fmt: skip
@options.data
@options.as_json
def clean(
    path: Path,
    teachers: Sequence[Network],
    against: str,
    same_folders: str,
    limits: Limits,
    out: Path,
    as_json: bool,
    **chosen: Any,
) -> None:
    """List whom to leave out of a training set: people of a test set, and wrong labels.

    A teacher's embeddings decide. The list is a CSV file, which you may look through
    and change.

    \b
    facebench data clean faces.tar --teacher teacher.onnx --against lfw -o without.csv
    facebench data clean CASIA-WebFace --landmarks scrfd --teacher teacher.onnx -o without.csv
    """
    from facebench.harness.training.data.clean import CleaningRequest
    from facebench.harness.training.data.clean import clean as find

    if out.exists():
        raise BadInputError(f"{out} is there already: name another file, or move it away")
    merge, tests = same_folders == "merge", options.comma_list(against)
    (teacher,) = teachers
    request = CleaningRequest(path, teacher, tests, merge=merge, limits=limits, **chosen)
    with Bar() as bar:
        findings = find(request, bar)
    write(out, findings)
    if as_json:
        terminal.as_json({"path": str(out), "findings": [asdict(found) for found in findings]})
    else:
        terminal.out.print(_summary(findings, out), markup=False, highlight=False, soft_wrap=True)


def _summary(findings: list[Finding], out: Path) -> str:
    counts = Counter((f.action, "images" if f.image else "identities", f.reason) for f in findings)
    lines = [
        f"{action}: {count:,} {what} ({reason})" for (action, what, reason), count in counts.items()
    ]
    return "\n".join([*lines, f"{len(findings):,} findings: {out}"])
