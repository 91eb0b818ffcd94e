"""Changes the images of a batch at random, all at once, where the network is trained.

Pixels are moved, enlarged, blurred and lowered in resolution along rows and along columns, each
by a matrix of the image's own, so that all of this together is two products of matrices. By
default nothing is changed, as in the paper. What is drawn is given; see `batches`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto
from functools import lru_cache, reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from facebench.architectures.errors import BadInputError
from facebench.harness.training.data.source import SIZE

_MOST_SHIFT, _MOST_ZOOM, _MOST_BLUR, _LEAST_SIZE = 32, 0.5, 10.0, 4

# Of a covered rectangle: its share of the image, and the most of height to width or the reverse;
# Z. Zhong et al., "Random Erasing Data Augmentation", arXiv 1708.04896, have 0.02 to 0.4 and 3.3.
_AREAS, _ASPECT = (0.02, 0.25), 3.3

# Of red, green and blue in grey: ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)


class Draw(IntEnum):
    """It names the random numbers of one image, each in [0, 1)."""

    ACROSS = 0
    DOWN = auto()
    BRIGHTNESS = auto()
    CONTRAST = auto()
    ZOOM = auto()
    SATURATION = auto()
    BLURRED = auto()
    BLUR = auto()
    LOWERED = auto()
    RESOLUTION = auto()
    ERASED = auto()
    AREA = auto()
    ASPECT = auto()
    LEFT = auto()
    TOP = auto()
    RED = auto()
    GREEN = auto()
    BLUE = auto()


@dataclass(frozen=True)
class Augmentation:
    """It says how far an image is changed at most, each time by another amount.

    Attributes:
        shift: pixels to each side; what comes into view is black, as where a face is
            aligned at the edge of a photograph.
        zoom: a share by which the image is enlarged or made smaller about its middle, 0 to 0.5.
        brightness: a share of the full scale added or taken, 0 to 1.
        contrast: a share by which differences from the image's mean grow or shrink, 0 to 1.
        saturation: a share by which differences from grey do, 0 to 1.
        blur: standard deviation of a Gaussian, in pixels, 0 to 10.
        least_size: of images that are made smaller and enlarged again, the least height and
            width, 4 to 112.
        degraded: share of images that are blurred, and share of those whose resolution is
            lowered, each drawn by itself, 0 to 1.
        erased: share of images of which a rectangle gets one colour, 0 to 1.

    Raises:
        BadInputError: one is out of range.
    """

    shift: int = 0
    zoom: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    blur: float = 0.0
    least_size: int = SIZE[0]
    degraded: float = 0.2
    erased: float = 0.0

    def __post_init__(self) -> None:
        shares = self.brightness, self.contrast, self.saturation, self.degraded, self.erased
        good = (
            all(0 <= share <= 1 for share in shares)
            and 0 <= self.shift <= _MOST_SHIFT
            and 0 <= self.zoom <= _MOST_ZOOM
            and 0 <= self.blur <= _MOST_BLUR
            and _LEAST_SIZE <= self.least_size <= SIZE[0]
        )
        if not good:
            raise BadInputError(
                f"an augmentation of {self} is not valid: shift is 0 to {_MOST_SHIFT} pixels, "
                f"zoom 0 to {_MOST_ZOOM}, blur 0 to {_MOST_BLUR:g} pixels, least_size "
                f"{_LEAST_SIZE} to {SIZE[0]}, all others 0 to 1"
            )

    @property
    def lowers(self) -> bool:
        """Say whether the resolution of any image is lowered."""
        return self.least_size < SIZE[0]


NONE = Augmentation()


def augment(images: Tensor, options: Augmentation, draws: Tensor) -> Tensor:
    """Return changed copies, or the images themselves where nothing is asked for.

    Args:
        images: `(B, 3, 112, 112)`, uint8, RGB.
        options: how far they may change.
        draws: `(B, len(Draw))`, float32, random, in [0, 1), on the same device.

    Returns:
        Of the same shape and type.
    """
    if options == NONE:
        return images
    pixels = images.float()
    drawn = {draw: draws[:, draw].view(-1, 1, 1, 1) for draw in Draw}
    for rows, columns in _resampling(options, drawn, pixels.device):
        pixels = rows @ pixels.contiguous() @ columns.mT
    pixels = _coloured(pixels, options, drawn)
    if options.erased:
        pixels = _erased(pixels, options, drawn)
    return pixels.clamp(0, 255).round().to(torch.uint8)


_Drawn = dict[Draw, Tensor]
# For rows and for columns, each `(B, 1, 112, 112)`: weights of pixels, in the last place, for
# each pixel that they make.
_Matrices = tuple[Tensor, Tensor]


def _resampling(
    options: Augmentation, drawn: _Drawn, device: torch.device
) -> tuple[_Matrices, ...]:
    """Return what the rows and columns of each image are multiplied by; nothing for nothing."""
    steps: list[_Matrices] = []
    if options.shift or options.zoom:
        larger = 1 + options.zoom * (2 * drawn[Draw.ZOOM] - 1)
        across, down = (
            (drawn[draw] * (2 * options.shift + 1)).floor() - options.shift
            for draw in (Draw.ACROSS, Draw.DOWN)
        )
        steps.append((_moved(down, larger), _moved(across, larger)))
    if options.blur:
        chosen = drawn[Draw.BLURRED] < options.degraded
        both = _smoothed(options.blur * drawn[Draw.BLUR] * chosen)
        steps.append((both, both))
    if options.lowers:
        chosen = drawn[Draw.LOWERED] < options.degraded
        spared = (drawn[Draw.RESOLUTION] * (SIZE[0] - options.least_size)).long()
        table = _lowered(options.least_size, device)
        both = table[torch.where(chosen, spared, len(table) - 1)[:, :, 0, 0]]
        steps.append((both, both))
    if not steps:
        return ()
    return (reduce(lambda done, then: (then[0] @ done[0], then[1] @ done[1]), steps),)


def _places(device: torch.device) -> Tensor:
    return torch.arange(SIZE[0], dtype=torch.float32, device=device)


def _moved(moved: Tensor, larger: Tensor) -> Tensor:
    """Return matrices that move by pixels and enlarge about the middle, linear in between."""
    places, middle = _places(moved.device), (SIZE[0] - 1) / 2
    source = middle + (places.view(-1, 1) - middle - moved) / larger
    return (1 - (source - places).abs()).clamp(min=0)


def _smoothed(deviation: Tensor) -> Tensor:
    """Return matrices of Gaussians; at the edge only what is in the image counts."""
    places = _places(deviation.device)
    away = (places.view(-1, 1) - places) / deviation.clamp(min=1e-3)
    weights = (-0.5 * away.square()).exp()
    return weights / weights.sum(-1, keepdim=True)


@lru_cache(maxsize=4)
def _lowered(least: int, device: torch.device) -> Tensor:
    """Return matrices `(113 - least, 112, 112)` that make smaller, averaging, and enlarge again.

    They are for all sizes from `least` to 112, the last of which changes nothing.
    """
    whole = torch.eye(SIZE[0]).view(1, 1, *SIZE)
    made = []
    for size in range(least, SIZE[0] + 1):
        small = F.interpolate(whole, (size, SIZE[1]), mode="bilinear", antialias=True)
        made.append(F.interpolate(small, SIZE, mode="bilinear")[0, 0])
    return torch.stack(made).to(device)


def _coloured(pixels: Tensor, options: Augmentation, drawn: _Drawn) -> Tensor:
    if options.saturation:
        luma = torch.tensor(_LUMA, device=pixels.device).view(1, 3, 1, 1)
        grey = (pixels * luma).sum(1, keepdim=True)
        stronger = 1 + options.saturation * (2 * drawn[Draw.SATURATION] - 1)
        pixels = grey + (pixels - grey) * stronger
    if options.brightness or options.contrast:
        brighter = 255 * options.brightness * (2 * drawn[Draw.BRIGHTNESS] - 1)
        steeper = 1 + options.contrast * (2 * drawn[Draw.CONTRAST] - 1)
        mean = pixels.mean((1, 2, 3), keepdim=True)
        pixels = (pixels - mean) * steeper + (mean + brighter)
    return pixels


def _erased(pixels: Tensor, options: Augmentation, drawn: _Drawn) -> Tensor:
    least, most = _AREAS
    area = least + (most - least) * drawn[Draw.AREA]
    aspect = _ASPECT ** (2 * drawn[Draw.ASPECT] - 1)
    rows = _within((area * aspect).sqrt(), drawn[Draw.TOP])
    columns = _within((area / aspect).sqrt(), drawn[Draw.LEFT])
    covered = rows.mT & columns & (drawn[Draw.ERASED] < options.erased)
    colour = torch.cat([drawn[draw] for draw in (Draw.RED, Draw.GREEN, Draw.BLUE)], dim=1)
    return torch.where(covered, 255 * colour, pixels)


def _within(length: Tensor, where: Tensor) -> Tensor:
    """Return which places `(B, 1, 1, 112)` lie on a stretch, whose length is a share of 112."""
    length = (SIZE[0] * length.clamp(max=1)).round()
    start = (where * (SIZE[0] - length + 1)).floor()
    places = _places(length.device)
    return (places >= start) & (places < start + length)
