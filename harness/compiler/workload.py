"""Describes what a kernel computes, not how: the key of its tuning record.

Maps are in memory as (N, H, W, C), channels innermost, so that vectors run over
channels and a pointwise convolution is a matrix product as it stands.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from facebench.harness.storage.serialization import convert

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A window says where a kernel's taps fall.

    Attributes:
        kernel: rows and columns of taps.
        stride: between outputs.
        padding: rows above and columns to the left that count as zero.
        dilation: between taps.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @property
    def taps(self) -> int:
        """Return how many elements are under the window."""
        return self.kernel[0] * self.kernel[1]

    def pointwise(self) -> bool:
        """Return one tap, on every element: pixels need no rows."""
        return self.taps == 1 and self.stride == (1, 1) and self.padding == (0, 0)


# Steps between the sum and the output, in the order in which they are applied:
# "add" another map; "relu"; "relu6"; "prelu", with a slope for each channel;
# "leaky", the same where no slope is above 1, so that it is max(x, slope * x);
# or one of `activations.ACTIVATIONS`.
Epilogue = tuple[str, ...]


@dataclass(frozen=True)
class Convolution:
    """It is a dense or grouped convolution, with bias.

    Attributes:
        batch: images.
        input: height and width.
        output: height and width.
        channels: of the input.
        filters: channels of the output.
        window: kernel, stride, padding, dilation.
        groups: each reads its own channels.
        shuffle: the input's channels are read as a channel shuffle of so many groups
            would have left them; 1 is none.
        planar: the input is (N, C, H, W): the image.
        epilogue: what follows the sum.
    """

    batch: int
    input: Pair
    output: Pair
    channels: int
    filters: int
    window: Window
    groups: int = 1
    shuffle: int = 1
    planar: bool = False
    epilogue: Epilogue = ()

    @property
    def weights(self) -> tuple[int, int, int, int]:
        """Return the shape of its weights, (F, C / groups, KH, KW)."""
        return (self.filters, self.channels // self.groups, *self.window.kernel)

    @property
    def reduced(self) -> int:
        """Return how many products an output is the sum of, padding included."""
        return math.prod(self.weights[1:])

    @property
    def madds(self) -> int:
        """Return its multiply-adds, padding included."""
        return self.batch * self.output[0] * self.output[1] * self.filters * self.reduced


@dataclass(frozen=True)
class Shifted(Convolution):
    """It is a pointwise convolution of a map whose channels were moved first (arXiv 1711.08141).

    Each tap of the window reads its own channels, as many as every other; those that remain
    are read by the tap in the middle too. Padding is half of the window.
    """

    @property
    def weights(self) -> tuple[int, int, int, int]:
        """Return the shape of its weights, (F, C, 1, 1)."""
        return (self.filters, self.channels, 1, 1)

    @property
    def share(self) -> int:
        """Return the channels of a tap, but those that remain."""
        return self.channels // self.window.taps


@dataclass(frozen=True)
class Depthwise:
    """A convolution of each channel by itself, with bias; the attributes are Convolution's."""

    batch: int
    input: Pair
    output: Pair
    channels: int
    window: Window
    epilogue: Epilogue = ()

    @property
    def weights(self) -> tuple[int, int, int, int]:
        """Return the shape of its weights, (C, 1, KH, KW)."""
        return (self.channels, 1, *self.window.kernel)

    @property
    def madds(self) -> int:
        """Return its multiply-adds, padding included."""
        return self.batch * self.output[0] * self.output[1] * self.channels * self.window.taps


@dataclass(frozen=True)
class Pooling:
    """It is the largest or the mean element under a window, of each channel by itself.

    Attributes:
        kind: "max"; or "mean", over all taps, those in the padding included.
    """

    batch: int
    input: Pair
    output: Pair
    channels: int
    window: Window
    kind: str
    epilogue: Epilogue = ()


Workload = Convolution | Depthwise | Pooling


def key(workload: Workload) -> str:
    """Return a workload in one line of text, equal where and only where workloads are."""
    words = [type(workload).__name__.lower()]
    for field in fields(workload):
        value = getattr(workload, field.name)
        words.append(f"{field.name}={_text(value)}")
    return " ".join(words)


def to_json(workload: Workload) -> dict[str, Any]:
    """Return a workload in JSON's types, for another process."""
    return {"type": type(workload).__name__, **asdict(workload)}


def from_json(data: dict[str, Any]) -> Workload:
    """Make the workload that `to_json` was given."""
    kinds: dict[str, type[Workload]] = {
        one.__name__: one for one in (Convolution, Shifted, Depthwise, Pooling)
    }
    rest = {name: value for name, value in data.items() if name != "type"}
    return convert(rest, kinds[data["type"]])


def name(workload: Workload) -> str:
    """Return what a kernel is called where people read of it, and in a library's symbols.

    Example:
        pointwise_14x14_128to256_leaky, depthwise3x3s2_28x28_128_relu, max3x3s2_56x56_24,
        shifted3x3_14x14_128to128
    """
    return "_".join([_form(workload), *workload.epilogue])


def _form(workload: Workload) -> str:
    pixels = "x".join(map(str, workload.output))
    if not isinstance(workload, Convolution):
        kind = "depthwise" if isinstance(workload, Depthwise) else workload.kind
        return f"{kind}{_taps(workload.window)}_{pixels}_{workload.channels}"
    name = "shifted" if isinstance(workload, Shifted) else "convolution"
    kind = "pointwise" if workload.window.taps == 1 else f"{name}{_taps(workload.window)}"
    groups = f"_groups{workload.groups}" if workload.groups > 1 else ""
    return f"{kind}_{pixels}_{workload.channels}to{workload.filters}{groups}"


def _taps(window: Window) -> str:
    stride = "" if window.stride == (1, 1) else f"s{window.stride[0]}"
    return f"{window.kernel[0]}x{window.kernel[1]}{stride}"


def _text(value: object) -> str:
    if isinstance(value, Window):
        return ",".join(f"{'x'.join(map(str, getattr(value, f.name)))}" for f in fields(value))
    if isinstance(value, tuple):
        joiner = "x" if all(isinstance(part, int) for part in value) and value else "+"
        return joiner.join(map(str, value)) or "none"
    return str(int(value)) if isinstance(value, bool) else str(value)
