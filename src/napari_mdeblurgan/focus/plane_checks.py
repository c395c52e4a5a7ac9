"""What is no focus stack is refused, in words."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import ImageError, in_code
from napari_mdeblurgan.storage.micrograph import check_size_known

if TYPE_CHECKING:
    from napari_mdeblurgan.focus.stack import AllInFocus, FocusChoice

_SMALLEST = 64  # pixels along y and x


def check_planes(stack: Any, reference: int | None, *, registered: bool) -> None:
    """Refuse what is no focus stack.

    Raises
    ------
    ImageError
        In one sentence.
    """
    _check_is_stack(stack)
    if len(stack) < 2:
        raise ImageError(
            f"A focus stack has at least two planes; this one has {len(stack) or 'none'}."
        )
    for plane in stack:
        if plane.ndim not in (2, 3) or (plane.ndim == 3 and plane.shape[-1] != 3):
            raise ImageError(
                "A focus stack has the axes (planes, y, x), or with three colours at the end; a "
                f"plane of this one has the shape {' × '.join(map(str, plane.shape))}."
            )
        if plane.ndim != stack[0].ndim:
            raise ImageError(
                "Some planes of this stack are in colour and others are not; convert them to one "
                "kind."
            )
        if min(plane.shape[:2]) < _SMALLEST:
            size = " × ".join(map(str, plane.shape[:2]))
            raise ImageError(
                f"Planes of {size} pixels are too small; {_SMALLEST} × {_SMALLEST} are needed."
            )
        _check_type(plane.dtype)
        if registered and plane.shape != stack[0].shape:
            raise ImageError(
                "The planes of this stack differ in size, so they cannot lie on each other yet; "
                "register them."
            )
    whole = isinstance(reference, Integral) and not isinstance(reference, bool)
    if reference is not None and not (whole and 0 <= reference < len(stack)):
        raise ImageError(
            f"There is no plane {in_code(reference)}; the planes are 0 to {len(stack) - 1}."
        )


def check_follows(found: AllInFocus | FocusChoice, stack: Any) -> None:
    """Refuse a stack that cannot follow what was chosen of another one.

    Raises
    ------
    ImageError
        If its planes are others, or of no real numbers.
    """
    if not hasattr(found, "transforms"):
        raise ImageError(
            f"This {type(found).__name__} holds no choice of planes; pass what `all_in_focus` "
            "returns, and then the other stack."
        )
    _check_is_stack(stack)
    if len(stack) != len(found.transforms) or stack[found.reference].shape[:2] != tuple(
        found.height.shape
    ):
        raise ImageError(
            "The other stack has other planes; it must have as many, of the same sizes."
        )
    for plane in stack:
        _check_type(plane.dtype)


def check_channels(stacks: Any) -> None:
    """Refuse what are no channels of a focus stack.

    Raises
    ------
    ImageError
        If there is none, or one is no focus stack.
    """
    if not hasattr(stacks, "__len__") or not len(stacks):
        raise ImageError("There is no channel to choose from; pass a list of focus stacks.")
    for stack in stacks:
        check_planes(stack, None, registered=False)


def _check_is_stack(stack: Any) -> None:
    if hasattr(stack, "shape") and not hasattr(stack, "__len__"):  # as zarr's
        raise ImageError(
            f"This {type(stack).__name__} is no array of numpy or dask; pass "
            "`dask.array.from_array(stack)`, or `numpy.asarray(stack)`."
        )
    if isinstance(stack, str | bytes) or not hasattr(stack, "__len__"):
        raise ImageError(
            f"This {type(stack).__name__} is no focus stack; pass an array of the axes (planes, y, "
            "x), such as `read_image(path).data`, or a list of planes."
        )
    for plane in stack:
        if not isinstance(getattr(plane, "dtype", None), np.dtype):
            raise ImageError(
                f"A plane of this stack is no array of numpy or dask, but a {type(plane).__name__};"
                " pass `numpy.asarray(stack)`."
            )
        check_size_known(plane)


def _check_type(dtype: Any) -> None:
    if dtype.kind not in "uif":
        raise ImageError(
            f"A focus stack of the type {dtype} cannot be used; convert it to whole or real "
            "numbers."
        )
