"""Provides the three networks of MTCNN, whichever way they were exported.

Exports differ in where the channels are, in the order of the outputs, and in
whether pictures go in turned over their diagonal: the authors trained from
MATLAB, where columns come first, and most conversions keep that. The first two
are read from shapes. The third is in no shape, but a face looks the same in a
mirror and not upside down, so the network itself tells: see `is_transposed`.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import FloatArray, Floats
from facebench.harness.verification.detectors.networks import (
    DetectorNetwork,
    Outputs,
    load,
)

# Pixels that a place of the first network's map sees, and between two places.
CELL, STRIDE = 12, 2
# Height and width of the inputs of the other two.
REFINED_SIZES = (24, 48)

# What the outputs are, by their elements.
_SCORE, _BOX, _LANDMARKS = 2, 4, 10
# A probe that the first network maps to places of neither 2 nor 4 rows or columns.
_PROBE = (24, 36)
# Pictures of noise, and the width of its spots in pixels.
_NOISES, _SPOT = 32, 4.0


class CascadeStage:
    """A stage is one network of the three.

    Args:
        network: as it was exported.
        heads: elements of its outputs, such as `(2, 4)`.
        size: height and width of its input; none where it takes any, and makes maps.

    Raises:
        BadInputError: the outputs do not fit.
    """

    def __init__(
        self, network: DetectorNetwork, heads: tuple[int, ...], size: tuple[int, int] | None
    ) -> None:
        self._network, self._makes_maps = network, size is None
        self.transposed = False
        _require_size(network, size)
        outputs = network(np.zeros((1, *(size or _PROBE), 3), np.float32))
        self._order, self._axes = _order(network, outputs, heads, self._makes_maps)
        scores = np.moveaxis(outputs[self._order[0]], self._axes[0], -1)
        if scores.min() < 0 or not np.allclose(scores.sum(axis=-1), 1, atol=1e-3):
            raise BadInputError(
                f"{network.path} gives scores that do not add up to 1: export it with its softmax"
            )

    def __call__(self, pictures: FloatArray) -> tuple[Floats, Floats, Floats]:
        """Return what the network says of pictures `(N, H, W, 3)`.

        Returns:
            Confidence that it is a face `(N, ...)`, shifts of the box `(N, ..., 4)` and
            landmarks `(N, ..., 10)`, as parts of the box; where the network
            makes a map, `...` are its rows and columns. A network that finds no
            landmarks gives NaN for them.
        """
        outputs = self._network(pictures.swapaxes(1, 2) if self.transposed else pictures)
        found = [
            self._straight(outputs[index], axis)
            for index, axis in zip(self._order, self._axes, strict=True)
        ]
        nowhere = np.broadcast_to(np.nan, (*found[1].shape[:-1], _LANDMARKS))
        return found[0][..., 1], found[1], found[2] if len(found) > 2 else nowhere

    def _straight(self, output: Floats, axis: int) -> Floats:
        """Return an output with its elements last, and the picture's rows before its columns."""
        last = np.moveaxis(output, axis, -1).astype(np.float64)
        if not self._makes_maps:
            return last.reshape(len(last), -1)
        return last.swapaxes(1, 2) if self.transposed else last


def open_stages(paths: tuple[Path, ...]) -> tuple[CascadeStage, CascadeStage, CascadeStage]:
    """Return the networks P, R and O.

    Raises:
        BadInputError: one of the files is no such network.
    """
    p, r, o = (load(path) for path in paths)
    small, large = ((size, size) for size in REFINED_SIZES)
    stages = (
        CascadeStage(p, (_SCORE, _BOX), None),
        CascadeStage(r, (_SCORE, _BOX), small),
        CascadeStage(o, (_SCORE, _BOX, _LANDMARKS), large),
    )
    transposed = is_transposed(stages[2])
    for stage in stages:
        stage.transposed = transposed
    return stages


def is_transposed(output: CascadeStage) -> bool:
    """Return whether the network that finds landmarks expects pictures turned over their diagonal.

    It is shown noise. Where the noise draws its landmarks to the left, the
    mirrored noise draws them to the right, for it was trained on faces and
    their mirror images. Noise upside down does no such thing. So of the two axes
    of the input, the one along which turning round turns the shift round is the
    horizontal one.
    """
    rng = np.random.default_rng(0)
    size = REFINED_SIZES[1]
    noise = [
        cv2.GaussianBlur(rng.normal(size=(size, size, 3)), (0, 0), _SPOT) for _ in range(_NOISES)
    ]
    pictures = np.clip(np.stack(noise) * _SPOT, -1, 1).astype(np.float32)

    def sideways(pictures: FloatArray) -> Floats:
        _, _, points = output(pictures)
        x = points[:, :5].mean(axis=1)
        return np.asarray(x - x.mean())

    plain = sideways(pictures)
    across, down = sideways(pictures[:, :, ::-1]), sideways(pictures[:, ::-1])
    return bool(plain @ down < plain @ across)


def _require_size(network: DetectorNetwork, size: tuple[int, int] | None) -> None:
    """Refuse a network whose input is fixed at another size; `None` asks for free ones."""
    fits = (None, None) if size is None else size
    if any(is_ not in (None, wanted) for is_, wanted in zip(network.size, fits, strict=True)):
        shown = "x".join("any" if side is None else str(side) for side in network.size)
        wanted = "any height and width" if size is None else f"{size[0]}x{size[1]}"
        raise BadInputError(
            f"{network.path} takes pictures of {shown}, not of {wanted}: export it for that, or "
            "check that the files are not mixed up"
        )


def _order(
    network: DetectorNetwork, outputs: Outputs, heads: tuple[int, ...], makes_maps: bool
) -> tuple[list[int], list[int]]:
    """Return the output of each head and the axis of its elements, by shape."""
    axes = [_axis(output.shape, heads) for output in outputs]
    elements = [output.shape[axis] for output, axis in zip(outputs, axes, strict=True) if axis]
    flat = makes_maps and any(output.ndim != 4 for output in outputs)
    if sorted(elements) != sorted(heads) or not all(axes) or flat:
        shown = ", ".join(str(output.shape) for output in outputs)
        raise BadInputError(
            f"{network.path} gives outputs of shape {shown}, not one each of "
            f"{', '.join(map(str, heads))} elements: check that it is MTCNN's {network.path.stem}"
        )
    order = [elements.index(head) for head in heads]
    return order, [axes[index] for index in order]


def _axis(shape: tuple[int, ...], heads: tuple[int, ...]) -> int:
    """Return the only axis but the first as long as one of the heads; 0 where there is none."""
    fitting = [axis for axis in range(1, len(shape)) if shape[axis] in heads]
    return fitting[0] if len(fitting) == 1 else 0
