"""Affine transforms between the pixel centres of two images, as 3 × 3 matrices on (y, x, 1)."""

from __future__ import annotations

import math

import numpy as np


def affine(linear: np.ndarray, to: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The transform that is `linear` and takes `centre` to `to`."""
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = to - linear @ centre
    return matrix


def turned(degrees: float) -> np.ndarray:
    """(2, 2): a rotation that takes the y axis towards the x axis."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])


def reduction(factor: float) -> np.ndarray:
    """From the pixels of an image to those of its means over blocks of factor × factor pixels."""
    matrix = np.diag([1 / factor, 1 / factor, 1.0])
    matrix[:2, 2] = 0.5 / factor - 0.5
    return matrix


def moved(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where points go; (…, 2)."""
    return points @ transform[:2, :2].T + transform[:2, 2]


def corners(shape: tuple[int, ...]) -> np.ndarray:
    """(4, 2): the centres of an image's four corner pixels, around it."""
    y, x = shape[0] - 1, shape[1] - 1
    return np.array([(0, 0), (0, x), (y, x), (y, 0)], float)


def box(transform: np.ndarray, high: tuple[int, ...], low: tuple[int, ...]) -> tuple[slice, slice]:
    """The smallest box of whole pixels of the low-magnification image around what both images show;
    may be empty.
    """
    points = moved(np.linalg.inv(transform), corners(high))
    start = np.maximum(np.floor(points.min(axis=0)), 0).astype(int)
    stop = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, low[:2])
    return slice(int(start[0]), max(int(stop[0]), int(start[0]))), slice(
        int(start[1]), max(int(stop[1]), int(start[1]))
    )
