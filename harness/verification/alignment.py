"""Faces brought to one place: five landmarks onto a network's template."""

from __future__ import annotations

import cv2
import numpy as np

from facebench.architectures.errors import BadInputError
from facebench.harness.stats.arrays import Floats, Picture

# Eyes, nose and corners of the mouth in a 112x96 face, as SphereFace published them
# (W. Liu et al., CVPR 2017, arXiv 1704.08063; its preprocessing aligns MTCNN's landmarks to them).
_TEMPLATE_112X96 = np.array(
    [
        [30.2946, 51.6963],
        [65.5318, 51.5014],
        [48.0252, 71.7366],
        [33.5493, 92.3655],
        [62.7299, 92.2041],
    ]
)

# By height and width. ArcFace (J. Deng et al., CVPR 2019, arXiv 1801.07698) centres the
# same face in a square: 8 more pixels left and right (InsightFace's `arcface_dst`).
# No publication gives a template for 96x96, which the paper uses without saying how: here
# it is the 112x112 face with 8 pixels cut off on each side, so that a face has the same
# size in all three and they differ in what surrounds it alone.
TEMPLATES: dict[tuple[int, int], Floats] = {
    (112, 112): np.add(_TEMPLATE_112X96, [8, 0]),
    (112, 96): _TEMPLATE_112X96,
    (96, 96): np.subtract(_TEMPLATE_112X96, [0, 8]),
}

# Below this variance (pixels squared) five landmarks are one point.
_LEAST_VARIANCE = 1e-6


def template(input_size: tuple[int, int]) -> Floats:
    """Return where the five landmarks belong in a network's input, `(5, 2)`: x and y in pixels.

    Args:
        input_size: height and width in pixels.

    Raises:
        BadInputError: no template is known for this size.
    """
    try:
        return TEMPLATES[input_size]
    except KeyError:
        known = ", ".join(f"{height}x{width}" for height, width in TEMPLATES)
        raise BadInputError(
            f"no landmark template for an input of {input_size[0]}x{input_size[1]}: "
            f"use a network whose input is one of {known}"
        ) from None


def similarity(source: Floats, target: Floats) -> Floats:
    """Return the rotation, uniform scale and shift that bring `source` nearest to `target`.

    Least squares in closed form: S. Umeyama, "Least-squares estimation of
    transformation parameters between two point patterns", IEEE PAMI 13(4), 1991,
    equations 34 to 43. Mirroring is excluded, whatever the points suggest.

    Args:
        source: `(K, 2)`.
        target: `(K, 2)`, in the same order.

    Returns:
        `(2, 3)`: the matrix that maps a column `(x, y, 1)`.

    Raises:
        BadInputError: the source has elements that are not finite, or its
            points coincide, or no turn of them resembles the target.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if not np.isfinite(source).all():
        raise BadInputError("landmarks are not finite: find them anew")
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)  # (34), (35)
    source, target = source - source_mean, target - target_mean
    variance = np.mean(np.sum(source**2, axis=1))  # (36)
    covariance = target.T @ source / len(source)  # (38)
    u, d, v_transposed = np.linalg.svd(covariance)
    s = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(v_transposed))])  # (43)
    spread = float(d @ s)
    if variance < _LEAST_VARIANCE or spread < _LEAST_VARIANCE:
        raise BadInputError("landmarks coincide or do not resemble a face: find them anew")
    rotation = u @ np.diag(s) @ v_transposed  # (40)
    scale = spread / variance  # (42)
    shift = target_mean - scale * rotation @ source_mean  # (41)
    return np.column_stack([scale * rotation, shift])


def align(picture: Picture, landmarks: Floats, input_size: tuple[int, int]) -> Picture:
    """Return the face, turned, scaled and cut so that its landmarks lie on the template.

    Bilinear interpolation; what lies outside the picture is black.

    Args:
        picture: `(H, W, 3)`.
        landmarks: `(5, 2)`, x and y in pixels of the picture.
        input_size: height and width of the result in pixels.

    Returns:
        `(height, width, 3)`.

    Raises:
        BadInputError: no template is known for this size, or the landmarks are degenerate.
    """
    height, width = input_size
    matrix = similarity(landmarks, template(input_size))
    aligned = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(aligned, np.uint8)
