"""Where a restored layer lies: exactly on its source, whatever the source's scale, rotation, shear
or affine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import CompositeAffine
from napari.utils.transforms.transform_utils import expand_upper_triangular

from napari_mdeblurgan.widgets.layers.axes import order_of

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

STRAIGHT = 1e-6  # of a pixel for each: how far an image that counts as straight may run aside


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How a layer's pixels lie in the world: world = affine (rotate · shear · scale · index +
    translate).

    Attributes
    ----------
    scale, translate : ndarray
        (n,), one value per axis, in world units; the colour axis has none.
    rotate : ndarray
        (n, n) rotation matrix.
    shear : ndarray
        Upper triangle (n · (n - 1) / 2,) or matrix (n, n), as napari gives it.
    affine : ndarray
        (n + 1, n + 1), applied last.
    units, axis_labels : tuple
        One per axis.
    order : tuple of int
        The axes in the order of the image that is restored: y and x are the last two of them.
    """

    scale: NDArray[np.float64]
    translate: NDArray[np.float64]
    rotate: NDArray[np.float64]
    shear: NDArray[np.float64]
    affine: NDArray[np.float64]
    units: tuple[Any, ...]
    axis_labels: tuple[str, ...]
    order: tuple[int, ...]

    @property
    def linear(self) -> NDArray[np.float64]:
        """(n, n): rotate · shear · scale."""
        made = CompositeAffine(scale=self.scale, rotate=self.rotate, shear=self.shear)
        return np.asarray(made.linear_matrix)

    @property
    def plain(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """A scale and a translation for each axis that say the whole of it, as files have them; the
        scale is negative along a mirrored axis. None where the image is rotated or sheared.
        """
        matrix = self.affine[:-1, :-1] @ self.linear
        scale = np.diag(matrix).copy()
        least = np.minimum.outer(np.abs(scale), np.abs(scale))
        if np.any(np.abs(matrix - np.diag(scale)) > STRAIGHT * least):
            return None
        return scale, self.affine[:-1, :-1] @ self.translate + self.affine[:-1, -1]

    def layer_arguments(self) -> dict[str, Any]:
        """The same as keywords of `napari.layers.Layer`."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "order"}

    def told(self) -> dict[str, Any]:
        """The same in plain values, which are the same in another process: what tells a place from
        every other.
        """
        numbers = {
            name: value
            for name, value in self.layer_arguments().items()
            if isinstance(value, np.ndarray)
        }
        told: dict[str, Any] = {
            name: (value + 0.0).tolist() for name, value in numbers.items()
        }  # -0 is 0
        return told | {
            "units": [str(unit) for unit in self.units],
            "axis_labels": list(self.axis_labels),
        }


def placement_of(layer: Layer, order: Sequence[int] | None = None) -> Placement:
    """Copy `layer`'s placement, so that it can change or vanish later; its order, if not given, is
    what the labels tell.
    """
    return Placement(
        scale=np.array(layer.scale, dtype=float),
        translate=np.array(layer.translate, dtype=float),
        rotate=np.array(layer.rotate, dtype=float),
        shear=np.array(layer.shear, dtype=float),
        affine=np.array(layer.affine.affine_matrix, dtype=float),
        units=tuple(layer.units),
        axis_labels=tuple(layer.axis_labels),
        order=order_of(layer.axis_labels) if order is None else tuple(order),
    )


def enlarged(source: Placement, factor: float, origin: Sequence[int] | None = None) -> Placement:
    """Place an image of `factor` times the pixel density along y and x exactly on its source.

    Parameters
    ----------
    source : Placement
        Of the layer that was restored.
    factor : float
        How many pixels of the result lie along one pixel of the source, along y and x; below 1 for
        larger pixels.
    origin : sequence of int, optional
        Index in the source of the restored part's first pixel, one per axis in the order of the
        image; all zero if the whole was restored.

    Notes
    -----
    Pixel centres sit at whole numbers, so the result's pixel i lies at source index i / f - (1 -
    1/f) / 2 + origin. As napari adds `translate` after rotation and shear, this shift goes through
    both; for an upright layer it comes to -scale · (1 - 1/f) / 2.
    """
    shift, plane = np.zeros(len(source.scale)), list(source.order[-2:])
    if origin is not None:
        shift[list(source.order)] = origin
    shift[plane] -= (1 - 1 / factor) / 2
    scale = source.scale.copy()
    scale[plane] /= factor
    return replace(source, scale=scale, translate=source.translate + source.linear @ shift)


def moved_along(made: Mapping[str, Any], before: Placement, now: Placement) -> dict[str, Any]:
    """Keywords of a layer that lies on its source, after that was moved or given another scale.

    Parameters
    ----------
    made : mapping
        Keywords of the layer, among them those of its placement, as it lies on `before`.
    before, now : Placement
        Of the source, which has as many axes as the layer.
    """
    origin = np.linalg.solve(before.linear, np.asarray(made["translate"]) - before.translate)
    place = {
        "scale": now.scale * (made["scale"] / before.scale),
        "translate": now.translate + now.linear @ origin,
    }
    return {**made, **now.layer_arguments(), **place}


def collapsed(
    source: Placement, lengths: Sequence[int], axes: Sequence[int]
) -> tuple[Placement, tuple[int, ...]]:
    """Place an image that has no extent along some axes of its source any more, such as one image
    made of a stack.

    It is to be seen wherever the source is seen. Axes that are the first of all are left out, for
    napari lets an image of fewer axes be seen all along those that it lacks in front. Others stay,
    of length 1, and as long as they were.

    Parameters
    ----------
    source : Placement
        Of the layer that the image was made from.
    lengths : sequence of int
        Of the source, one per axis of the layer.
    axes : sequence of int
        Axes of the layer.

    Returns
    -------
    Placement, tuple of int
        And the axes that are left out.
    """
    left_out: list[int] = []
    matrices = source.linear, source.affine[:-1, :-1]
    while (first := len(left_out)) in axes and not any(
        _mixed(matrix, first) for matrix in matrices
    ):
        left_out.append(first)
    kept = [axis for axis in axes if axis not in left_out]
    middle = np.zeros(len(source.scale))
    middle[kept] = [(lengths[axis] - 1) / 2 for axis in kept]
    scale = source.scale.copy()
    scale[kept] *= [lengths[axis] for axis in kept]
    shear = source.shear if source.shear.ndim == 2 else expand_upper_triangular(source.shear)
    place = Placement(
        scale=scale[first:],
        translate=(source.translate + source.linear @ middle)[first:],
        rotate=source.rotate[first:, first:],
        shear=shear[first:, first:],
        affine=source.affine[first:, first:],
        units=source.units[first:],
        axis_labels=source.axis_labels[first:],
        order=tuple(axis - first for axis in source.order if axis >= first),
    )
    return place, tuple(left_out)


def _mixed(matrix: NDArray[np.float64], axis: int) -> bool:
    """Whether an axis is turned or sheared together with others."""
    others = np.arange(len(matrix)) != axis
    across = np.concatenate([matrix[axis, others], matrix[others, axis]])
    return bool(np.abs(across).max(initial=0) > STRAIGHT)
