"""Networks of integers that are drawn, whose results fill their range and more."""

from dataclasses import replace

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from facebench.harness.models.integer_network import network
from facebench.harness.models.integer_network.network import (
    ImageStep,
    IntegerMap,
    IntegerNetwork,
    JoinStep,
    PairStep,
    PoolStep,
    ShuffleStep,
    SliceStep,
    Step,
    SumsStep,
    TableStep,
)
from facebench.harness.stats.arrays import FloatArray

ACTIVATIONS = ("", "leaky", "prelu", "limits")


class Drawing:
    """A network of random steps, each after the one before."""

    def __init__(self, seed: int, height: int, width: int) -> None:
        self._random = np.random.default_rng(seed)
        # Whether the last product is of each channel alone.
        self.by_channel = False
        self.maps = {"image": self._map(3, height, width)}
        zero = self.maps["image"].zero
        limits = (0 - zero) / 128, (255 - zero) / 128
        offset = 256 * zero + int(self._random.integers(256))
        self.steps: list[Step] = [ImageStep("image", limits, 256 * 128.0, offset)]

    def _map(self, channels: int, height: int, width: int) -> IntegerMap:
        zero = self._random.choice([0, 255, self._random.integers(256)])
        return IntegerMap((channels, height, width), 1.0, int(zero))

    def _next(self, channels: int, kernel: tuple[int, int], stride: int, padding: int) -> str:
        _, *extents = self.maps[self.steps[-1].result].shape
        rows, columns = (
            (e + 2 * padding - k) // stride + 1 for e, k in zip(extents, kernel, strict=True)
        )
        name = f"map{len(self.steps)}"
        self.maps[name] = self._map(channels, rows, columns)
        return name

    def sums(
        self,
        filters: int,
        kernel: tuple[int, int] = (1, 1),
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        activation: str = "",
        added: str = "",
        real: bool = False,
    ) -> None:
        """Add a convolution whose results fill their range and more."""
        draw, source = self._random, self.steps[-1].result
        shape = (filters, self.maps[source].shape[0] // groups, *kernel)
        taps = int(np.prod(shape[1:]))
        # Whatever the bytes are, a sum stays below 2^24, and its products small.
        most = max(1, min(127, (1 << 22) // (255 * taps)))
        weights = draw.integers(-most, most + 1, shape)
        share = np.maximum(1, network.alternate(weights, groups) / network.LARGEST_FOUR)
        weights = np.trunc(weights / share[:, None, None, None]).astype(np.int8)
        spread = most * 70 * np.sqrt(taps)
        bias = draw.integers(-int(spread), int(spread) + 1, filters).astype(np.int32)
        # Products of 16 bits in some steps, and more in others.
        largest = draw.choice([300, 8000])
        multipliers = (draw.choice([0.0, 20, 60, largest], filters) / spread).astype(np.float32)
        slopes = {"leaky": (-0.5, 1.0), "prelu": (-1.0, 3.0)}.get(activation, (1.0, 1.0))
        step = SumsStep(
            source,
            "embedding" if real else self._next(filters, kernel, stride, padding),
            weights,
            bias,
            multipliers,
            (multipliers * draw.uniform(*slopes, filters)).astype(np.float32),
            (stride, stride),
            (padding, padding),
            groups=groups,
            added=added,
            added_multipliers=draw.uniform(0, spread / 70, filters * bool(added)).astype(
                np.float32
            ),
            limits=(30, 180) if activation == "limits" else (0, 255),
            real=real,
        )
        self.steps.append(step)

    def pool(self, kind: str, kernel: int, stride: int, padding: int) -> None:
        source = self.steps[-1].result
        result = self._next(self.maps[source].shape[0], (kernel, kernel), stride, padding)
        if kind == "max":
            self.maps[result] = IntegerMap(self.maps[result].shape, 1.0, self.maps[source].zero)
        multiplier = 1.0 if kind == "max" else float(np.float32(1.7 / kernel**2))
        pair = (kernel, kernel), (stride, stride), (padding, padding)
        self.steps.append(PoolStep(source, result, kind, *pair, multiplier))

    def shuffle(self, groups: int) -> None:
        source = self.steps[-1].result
        result = self._next(self.maps[source].shape[0], (1, 1), 1, 0)
        self.maps[result] = self.maps[source]
        self.steps.append(ShuffleStep(source, result, groups))

    def join(self, *sources: str) -> None:
        channels = sum(self.maps[name].shape[0] for name in sources)
        self.steps.append(JoinStep(sources, self._next(channels, (1, 1), 1, 0)))

    def slice(self, first: int, count: int) -> None:
        source = self.steps[-1].result
        result = self._next(count, (1, 1), 1, 0)
        self.maps[result] = IntegerMap(self.maps[result].shape, 1.0, self.maps[source].zero)
        self.steps.append(SliceStep(source, result, first))

    def table(self) -> None:
        source = self.steps[-1].result
        table = self._random.integers(0, 256, 256).astype(np.uint8)
        result = self._next(self.maps[source].shape[0], (1, 1), 1, 0)
        self.steps.append(TableStep(source, result, table))

    def pair(self, kind: str, other: str) -> None:
        source = self.steps[-1].result
        result = self._next(self.maps[source].shape[0], (1, 1), 1, 0)
        if kind == "max":
            self.maps[result] = self.maps[source]
        multiplier = 1.0 if kind == "max" else float(np.float32(self._random.uniform(0, 0.03)))
        self.steps.append(PairStep((source, other), result, kind, multiplier))

    def halves(self) -> None:
        """Add sums of 26 bits, whose products are halfway between integers once rounded to 24."""
        self.sums(8)
        step = self.steps[-1]
        assert isinstance(step, SumsStep)
        near = np.array([1, -1, 3, -3, 1, -1, 3, -3]) * (1 << 25) + np.repeat([1, -1], 4)
        halved = np.full(8, 0.5**26, np.float32)
        weights = np.zeros_like(step.weights)
        self.steps[-1] = replace(step, weights=weights, bias=near.astype(np.int32),
                                 multipliers=halved, negative=halved)  # fmt: skip

    def network(self) -> IntegerNetwork:
        """Return the network, which ends in a product with the whole of its last map.

        Two of its sums are of 30 bits.
        """
        channels, *extents = self.maps[self.steps[-1].result].shape
        filters, groups = (channels, channels) if self.by_channel else (8, 1)
        self.sums(filters, (extents[0], extents[1]), groups=groups, real=True)
        last = self.steps[-1]
        assert isinstance(last, SumsStep)
        last.bias[-2:] = self._random.integers(-(1 << 29), 1 << 29, 2)
        return IntegerNetwork(self.maps, tuple(self.steps))

    def images(self, batch: int) -> FloatArray:
        """Return noise, in part beyond the range."""
        return self._random.uniform(-1.5, 1.5, (batch, 3, *self.maps["image"].shape[1:])).astype(
            np.float32
        )


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    made = Drawing(draw(st.integers(0, 999)), draw(st.integers(7, 19)), draw(st.integers(7, 19)))
    channels = draw(st.sampled_from([4, 24, 64, 72, 132]))
    made.sums(channels, (3, 3), draw(st.sampled_from([1, 2])), 1, activation="leaky")
    for _ in range(draw(st.integers(1, 3))):
        activation = draw(st.sampled_from(ACTIVATIONS))
        kind = draw(st.sampled_from(["pointwise", "depthwise", "grouped", "pool"]))
        kernel, stride = draw(st.sampled_from([(1, 1), (2, 1), (3, 1), (3, 2), (5, 1)]))
        padding = kernel // 2
        if kind == "pool":
            made.pool(draw(st.sampled_from(["mean", "max"])), 3, stride, draw(st.integers(0, 1)))
        elif kind == "depthwise":
            given = (kernel, kernel), stride, padding
            made.sums(channels, *given, channels, activation)
        elif kind == "grouped" and channels > 4:
            groups = 3 if channels % 3 == 0 else 2
            made.sums(channels, groups=groups, activation=activation)
        else:
            added = made.steps[-1].result if draw(st.booleans()) else ""
            made.sums(channels, activation=activation, added=added)
    return made


def drawn(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True)


def bottlenecks(seed: int) -> Drawing:
    """Return what MobileFaceNet and MobileNetV2 have, on maps that a tile divides and not."""
    made = Drawing(seed, 16, 12)
    made.sums(64, (3, 3), 2, 1, activation="leaky")
    shortcut = made.steps[-1].result
    made.sums(128, activation="prelu")
    made.sums(128, (3, 3), 1, 1, 128, "leaky")
    made.sums(64, added=shortcut)
    made.sums(96, (3, 3), 2, 1, activation="limits")
    made.sums(96, (4, 3), groups=96)
    return made


def ending_in_depthwise(seed: int) -> Drawing:
    """Return a network whose embedding is a depthwise convolution's, of several registers."""
    made = Drawing(seed, 3, 3)
    made.sums(88)
    made.by_channel = True
    return made


def shuffling(seed: int) -> Drawing:
    """Return what ShuffleNet has."""
    made = Drawing(seed, 15, 14)
    made.sums(24, (3, 3), 1, 1)
    made.pool("max", 3, 2, 1)
    shortcut = made.steps[-1].result
    made.sums(60, activation="limits")
    made.shuffle(3)
    made.sums(60, (3, 3), 1, 1, 60)
    made.sums(72, groups=3, activation="leaky")
    made.join(shortcut, made.steps[-1].result)
    made.sums(180, groups=3)
    made.shuffle(3)
    made.pool("mean", 3, 2, 1)
    return made


def attending(seed: int, channels: int = 22) -> Drawing:
    """Return what newer networks have, with numbers of channels that four does not divide."""
    made = Drawing(seed, 10, 9)
    made.sums(channels, (3, 3), 1, 1, activation="prelu")
    before = made.steps[-1].result
    made.sums(channels, (3, 3), 1, 1, channels)
    made.table()
    shape = made.maps[made.steps[-1].result].shape
    whole = made.steps[-1].result
    made.pool("mean", shape[1] - 1, 2, 0)
    gate = made.steps[-1].result
    made.maps[gate] = IntegerMap(made.maps[gate].shape, 1.0, 128)
    made.steps.append(PairStep((whole, gate), f"gated{seed}", "product", 0.01))
    made.maps[f"gated{seed}"] = IntegerMap(shape, 1.0, 77)
    made.pair("max", before)
    made.slice(1, channels // 2)
    made.sums(channels // 2, groups=channels // 2, activation="leaky")
    made.join(made.steps[-1].result, before)
    made.shuffle(3)
    made.sums(3 * channels, groups=channels // 2 * 3)
    made.pair("product", made.steps[-1].result)
    return made
