"""Brings faces to one place: five landmarks onto a network's template."""

from __future__ import annotations

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

_TEMPLATE_112X112 = np.add(_TEMPLATE_112X96, [8, 0])


def in_square(side: int) -> Floats:
    """Return the landmarks of a 112x112 crop once it is resized, `(5, 2)`: x, y in pixels.

    Args:
        side: height and width of the resized crop in pixels.
    """
    # Pixels have their places at their centres.
    return np.asarray((_TEMPLATE_112X112 + 0.5) * (side / 112) - 0.5)


def _light_cnn(side: int, eyes_y: float, eyes_to_mouth: float) -> Floats:
    """Return the 112x112 face where Light CNN has it: by its eyes' and its mouth's middle alone."""
    face = _TEMPLATE_112X112
    eyes, mouth = face[:2].mean(axis=0), face[3:].mean(axis=0)
    scale = eyes_to_mouth / (mouth - eyes)[1]
    return np.asarray((face - eyes) * scale + [(side - 1) / 2, eyes_y])


# By height and width. ArcFace (J. Deng et al., CVPR 2019, arXiv 1801.07698) centres the
# same face in a square: 8 more pixels left and right (InsightFace's `arcface_dst`).
# No publication gives a template for 96x96, which the paper uses without saying how: here
# it is the 112x112 face with 8 pixels cut off on each side, so that a face has the same
# size in all three and they differ in what surrounds it alone.
# 128x128 is Light CNN's (X. Wu et al., arXiv 1511.02683): its test images have the middle of
# the eyes at y = 40 and 48 pixels between there and the middle of the mouth
# (`AlfredXiangWu/LightCNN`, "Data Pre-processing"), the eyes' middle in the middle column.
# For 160x160 and 224x224 none is published with landmarks (FaceNet's 160x160 is a
# detector's box with a margin): the 112x112 crop resized, as InsightFace's code does for
# multiples of 112.
TEMPLATES: dict[tuple[int, int], Floats] = {
    (112, 112): _TEMPLATE_112X112,
    (112, 96): _TEMPLATE_112X96,
    (96, 96): np.subtract(_TEMPLATE_112X96, [0, 8]),
    (128, 128): _light_cnn(128, eyes_y=40, eyes_to_mouth=48),
    (160, 160): in_square(160),
    (224, 224): in_square(224),
}

# Below this variance (pixels squared) five landmarks are one point, such as those that somebody
# gave as shares of the image's sides.
_LEAST_VARIANCE = 0.25


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
            points coincide within a pixel, or no turn of them resembles the target.
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
    if variance < _LEAST_VARIANCE or spread < 1e-6:
        raise BadInputError(
            "landmarks coincide within a pixel or do not resemble a face: give them in pixels, or "
            "find them anew"
        )
    rotation = u @ np.diag(s) @ v_transposed  # (40)
    scale = spread / variance  # (42)
    shift = target_mean - scale * rotation @ source_mean  # (41)
    return np.column_stack([scale * rotation, shift])


# Orders in which people write the five points, where the image's left is not first.
_SWAPPED = {
    "left and right": (1, 0, 2, 4, 3),
    "left and right eye": (1, 0, 2, 3, 4),
    "left and right of the mouth": (0, 1, 2, 4, 3),
}
# Another order must fit a face this many times better to be taken for the right one. From 1.1
# to 1.3 none of LFW's 7,701 images is called swapped, and each is once it is, in any way.
_BETTER = 1.3


def residual(landmarks: Floats, target: Floats) -> float:
    """Return how far landmarks remain from a target once fitted, in its pixels (root mean square).

    In the complex plane a similarity is a factor, and the least squares have a closed form.

    Args:
        landmarks: `(K, 2)`, finite, not all at one place.
        target: `(K, 2)`, in the same order.
    """
    source, aim = (points[:, 0] + 1j * points[:, 1] for points in (landmarks, target))
    source, aim = source - source.mean(), aim - aim.mean()
    explained = abs(np.vdot(source, aim)) ** 2 / np.vdot(source, source).real
    left = np.vdot(aim, aim).real - explained
    return float(np.sqrt(max(left, 0.0) / len(aim)))


def swapped(landmarks: Floats) -> str:
    """Say what is exchanged in five landmarks, such as `left and right`; empty where nothing is.

    A mirrored face resembles no turned one, so the order in which the points fit a face
    best is the right one.

    Args:
        landmarks: `(5, 2)`, x and y in pixels.
    """
    if not np.isfinite(landmarks).all() or np.mean(np.var(landmarks, axis=0)) < _LEAST_VARIANCE:
        return ""  # `similarity` refuses them
    residuals = {
        what: residual(landmarks[list(order)], _TEMPLATE_112X112)
        for what, order in {"": (0, 1, 2, 3, 4), **_SWAPPED}.items()
    }
    best = min(residuals, key=residuals.__getitem__)
    return best if residuals[""] > _BETTER * residuals[best] else ""


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
    import cv2  # takes a while to load

    aligned = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(aligned, np.uint8)
