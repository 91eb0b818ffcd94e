"""Options that say what is measured: networks and what fills them, precisions, sampling."""

from __future__ import annotations

from collections.abc import Sequence

import click

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Preprocessing
from facebench.harness.cli.options import comma_list, gathered
from facebench.harness.models.networks import (
    GRAPH_PREFIXES,
    RANDOM,
    SHIPPED,
    Network,
    image_size,
    resolve,
    shipped_or_random,
    told_apart,
    with_prefix,
)
from facebench.harness.models.precision import PRECISIONS, require_known
from facebench.harness.runs.jobs import Precision, Sampling
from facebench.harness.training.teachers import TeacherRequest

WEIGHTS = "NETWORK=FILE|shipped"


def resolve_networks(
    networks: Sequence[str],
    weights: Sequence[str],
    channels: str | None,
    mean: str | None,
    scale: str | None,
    size: tuple[int, int] | None,
    output: str | None,
) -> list[Network]:
    """Return networks that a command line names, with their weights and preprocessing.

    Raises:
        BadInputError: an option does not have its form.
        UnknownNameError: there is no such network.
    """
    networks = [with_prefix(name) for name in networks]
    files, otherwise = parse_weights(weights)
    unused = set(files) - set(networks)
    if unused:
        raise BadInputError(
            f"--weights names {sorted(unused)[0]}, which is not among the networks asked for"
        )
    chosen = preprocessing(channels, mean, scale)
    if (size or output) and not any(name.startswith(GRAPH_PREFIXES) for name in networks):
        raise BadInputError(
            "--size and --output are of ONNX and TFLite files, and no network is one"
        )
    return told_apart(
        [
            resolve(
                name,
                files.get(name) or shipped_or_random(otherwise or RANDOM, name),
                chosen,
                size,
                output or "",
            )
            for name in networks
        ]
    )


def parse_weights(weights: Sequence[str]) -> tuple[dict[str, str], str]:
    """Return `NETWORK=FILE` texts as a table; and `shipped` where others get that, else nothing.

    Raises:
        BadInputError: a text has no equals sign, or names a graph of the user.
    """
    files = {}
    for text in weights:
        if text == SHIPPED:
            continue
        name, equals, file = text.partition("=")
        if not equals or not file or name.startswith(GRAPH_PREFIXES):
            raise BadInputError(
                f"--weights {text!r} is not valid: write NETWORK=FILE, with a registered network, "
                "or shipped"
            )
        files[name] = file
    return files, SHIPPED if SHIPPED in weights else ""


def preprocessing(
    channels: str | None, mean: str | None, scale: str | None
) -> Preprocessing | None:
    """Return how pixels become an input, of options' texts; None where none is given.

    Raises:
        BadInputError: a text is not what it should be.
    """
    if channels is None and mean is None and scale is None:
        return None
    default = Preprocessing()
    return Preprocessing(
        channels or default.channels,
        default.mean if mean is None else _three("--mean", mean),
        default.scale if scale is None else _three("--scale", scale),
    )


def teachers_of(
    teacher: Sequence[str],
    teacher_channels: Sequence[str],
    teacher_mean: Sequence[str],
    teacher_scale: Sequence[str],
    teacher_licence: Sequence[str],
) -> tuple[TeacherRequest, ...]:
    """Return whom a command line names as teachers.

    Raises:
        BadInputError: an option does not have its form, or is not there for each teacher.
    """

    def of_each(option: str, values: Sequence[str]) -> Sequence[str | None]:
        if values and len(values) != len(teacher):
            raise BadInputError(
                f"--teacher-{option} is there {len(values)} times and --teacher {len(teacher)} "
                "times: give it once for each teacher, in their order, or not at all"
            )
        return values or (None,) * len(teacher)

    each = zip(
        teacher,
        of_each("channels", teacher_channels),
        of_each("mean", teacher_mean),
        of_each("scale", teacher_scale),
        of_each("licence", teacher_licence),
        strict=True,
    )
    return tuple(
        TeacherRequest(name, preprocessing(channels, mean, scale), licence or "")
        for name, channels, mean, scale, licence in each
    )


def _three(option: str, text: str) -> tuple[float, float, float]:
    try:
        values = [float(part) for part in text.split(",")]
        if len(values) == 1:
            values *= 3
        first, second, third = values
    except ValueError:
        raise BadInputError(
            f"{option} {text!r} is not valid: give one number or three with commas"
        ) from None
    if option == "--scale" and 0.0 in values:
        raise BadInputError("--scale divides, so it cannot be 0")
    return first, second, third


def _size(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[int, int] | None:
    return None if text is None else image_size(text, "--size")


def _percent(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0.0001 <= share <= 1:
        raise BadInputError(f"--known-to {text!r} is not valid: give percents from 0.01% to 100%")
    return share


def precisions_of(precision: str, calibration: str) -> list[Precision]:
    """Return precisions that a command line names.

    Raises:
        UnknownNameError: one is unknown.
    """
    chosen = comma_list(precision)
    for name in chosen:
        require_known(name)
    return [Precision(name, calibration) for name in chosen]


weights = (
    click.option(
        "--weights", multiple=True, metavar=WEIGHTS,
        help="A file (.safetensors, or a state dict of torch), random:SEED, or shipped, "
        "those that come with facebench; 'shipped' alone is for all networks that have "
        "some. Default: random:0.",
    ),
    click.option(
        "--channels", type=click.Choice(["RGB", "BGR"]),
        help="Order of an input's channels. Default: the network's own.",
    ),
    click.option(
        "--mean", metavar="V[,V,V]",
        help="Subtracted from pixels of 0 to 255. Default: the network's own.",
    ),
    click.option(
        "--scale", metavar="V[,V,V]",
        help="Divides (pixel - mean), one value or one a channel. Default: the network's own.",
    ),
    click.option(
        "--size", callback=_size, metavar="HxW",
        help="Of images, where an ONNX or TFLite file leaves their height and width free.",
    ),
    click.option(
        "--output", metavar="NAME",
        help="Of an ONNX or TFLite file with several outputs, the one that holds the embedding; of "
        "several signatures, SIGNATURE or SIGNATURE:OUTPUT.",
    ),
)  # fmt: skip

# Arrives as `networks`: a list of `Network`.
networks = gathered(
    "networks",
    resolve_networks,
    click.argument("networks", nargs=-1, required=True, metavar="NETWORK..."),
    *weights,
)

# The same for a command that has another way to name them.
networks_or_none = gathered(
    "networks",
    resolve_networks,
    click.argument("networks", nargs=-1, metavar="[NETWORK]..."),
    *weights,
)

# Arrives as `weights`: what `parse_weights` returns.
plan_weights = gathered(
    "weights",
    parse_weights,
    click.option(
        "--weights", multiple=True, metavar=WEIGHTS,
        help="Instead of what the plan says; 'shipped' alone is for all networks that have some.",
    ),
)  # fmt: skip

# Arrives as `teachers`: of `TeacherRequest`, none or several.
teachers = gathered(
    "teachers",
    teachers_of,
    click.option(
        "--teacher", multiple=True, metavar="T",
        help="A trained network to learn from: onnx:FILE or NETWORK=FILE. Given several times, "
        "they teach as one; what follows is then said of each, in their order.",
    ),
    click.option(
        "--teacher-channels", multiple=True, type=click.Choice(["RGB", "BGR"]),
        help="Of its input.",
    ),
    click.option(
        "--teacher-mean", multiple=True, metavar="V[,V,V]",
        help="Of its input, in pixels of 0 to 255.",
    ),
    click.option("--teacher-scale", multiple=True, metavar="V[,V,V]", help="Of its input."),
    click.option(
        "--teacher-licence", multiple=True, metavar="TEXT",
        help="Of its weights; the cards of what is trained tell it.",
    ),
)  # fmt: skip

# Arrives as `precisions`: a list of `Precision`.
precisions = gathered(
    "precisions",
    precisions_of,
    click.option(
        "--precision", default="fp32", show_default=True, metavar="P[,P]",
        help=f"Of {', '.join(PRECISIONS)}, as far as the runtime runs them.",
    ),
    click.option(
        "--calibration", default="synthetic", show_default=True, metavar="DATASET",
        help="Faces that int8's ranges come from; none of them may be in a test. Those of a folder "
        "without landmarks.csv are aligned crops.",
    ),
)  # fmt: skip

# Arrives as `sampling`: a `Sampling`.
sampling = gathered(
    "sampling",
    Sampling,
    click.option(
        "--seconds", "sampling_s", type=click.FloatRange(0, 3600, min_open=True), metavar="S",
        help="Seconds of samples for each case, of its first processes together; at least "
        "64 samples are taken whatever it is. Default: 1, or what the plan says.",
    ),
    click.option(
        "--processes", type=click.IntRange(1, 100), metavar="N",
        help="Processes that time each case. Default: 3, or what the plan says.",
    ),
    click.option(
        "--known-to", callback=_percent, metavar="P",
        help="Start more, up to twice as many, until the median's 95 % interval is this "
        "narrow. Default: 2%, or what the plan says.",
    ),
    click.option(
        "--no-pin", "pin", flag_value=False, default=None,
        help="Let the scheduler move a process about. Default: as many cores as threads.",
    ),
)  # fmt: skip
