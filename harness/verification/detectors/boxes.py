"""Provides rectangles around faces: overlap, suppression of doubles, and the one that matters.

A box is `(left, top, right, bottom)` in pixels.
"""

from __future__ import annotations

import numpy as np

from facebench.harness.stats.arrays import Floats, Indices


def suppress(boxes: Floats, scores: Floats, most: float, *, of_smaller: bool = False) -> Indices:
    """Suppress all but the best box of every group that overlaps (greedy non-maximum suppression).

    Source: P. Felzenszwalb et al., "Object Detection with Discriminatively Trained
    Part-Based Models", IEEE PAMI 32(9), 2010, section 7.2.

    Args:
        boxes: `(N, 4)`.
        scores: `(N,)`; of equal ones the earlier box is better.
        most: a box that overlaps a better one by more than this is dropped.
        of_smaller: take the overlap as a part of the smaller box, which drops
            a box inside another; otherwise as a part of the union of both.

    Returns:
        Rows that remain, best first.

    Example:
        >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
        >>> suppress(boxes, np.array([0.7, 0.9, 0.8]), 0.5)
        array([1, 2])
    """
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(int(best))
        waiting = waiting[overlaps(boxes[best], boxes[waiting], of_smaller) <= most]
    return np.array(kept, np.intp)


def overlaps(box: Floats, boxes: Floats, of_smaller: bool = False) -> Floats:
    """Return what a box shares with each of `(N, 4)` others, `(N,)`, 0 to 1."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    one, others = areas(box[None])[0], areas(boxes)
    whole = np.minimum(one, others) if of_smaller else one + others - shared
    # Boxes without area share nothing.
    return np.asarray(np.divide(shared, whole, out=np.zeros(len(boxes)), where=whole > 0))


def areas(boxes: Floats) -> Floats:
    """Return pixels in each of `(N, 4)` boxes, `(N,)`; none where it is turned inside out."""
    return np.asarray(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1), np.float64)


def choose(boxes: Floats, height: int, width: int) -> int:
    """Return which face a picture in a verification set is about: large, and near its centre.

    Sets such as LFW show one person, who is in the middle, and sometimes
    passers-by. As scripts that align LFW do (D. Sandberg's facenet, then
    InsightFace's), the box with the largest area less twice the squared
    distance of its centre from the picture's is taken, all in pixels. The
    detector's confidence does not count: a face out of focus behind the person
    may have the higher one.

    Args:
        boxes: `(N, 4)`, at least one.
        height: of the picture.
        width: of the picture.

    Example:
        A face in the middle, before a larger one at the edge:

        >>> choose(np.array([[100, 100, 150, 150], [0, 0, 60, 60]]), 250, 250)
        0
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    squares = np.sum((centres - [width / 2, height / 2]) ** 2, axis=1)
    return int(np.argmax(areas(boxes) - 2 * squares))
