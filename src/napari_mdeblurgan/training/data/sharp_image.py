"""One sharp micrograph for training: a plane of a file, scaled to [0, 1] and
read piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.intensity import Window, measure_window, sample, spots
from napari_mdeblurgan.restoration.label_maps import is_label_map
from napari_mdeblurgan.storage import FileImage, Micrograph
from napari_mdeblurgan.training.data.content import contrast_map, probes
from napari_mdeblurgan.training.data.image_store import ImageStore, computed, read_whole

_COLOURS = ("red", "green", "blue")


class Sharp(Protocol):
    """What patches are drawn from: an array, or anything that is cut like one. float32 in [0, 1],
    (channels, y, x).
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, y and x."""

    def __getitem__(self, key: tuple[slice, slice, slice], /) -> np.ndarray:
        """The piece between bounds along channels, y and x."""


@dataclass(frozen=True, slots=True, eq=False)
class SharpImage:
    """One plane of a file, cut like an array: ``image[:, 100:200, 50:90]`` is float32 in [0, 1] and
    reads no more than it must.

    Attributes
    ----------
    name : str
        The file relative to its folder, then which plane of it, if it has several.
    shape : (int, int, int)
        Channels, y and x.
    path : Path
        The file.
    index : tuple of int
        Which plane: one number for every axis before y.
    colour : int or None
        Which of the colours is this grey image; None for all three, or for a grey plane.
    dtype : dtype
        Of the file. 8-bit values are divided by 255.
    window : Window
        What becomes 0 and 1 for every other dtype; values beyond are clipped, what is no number
        becomes 0.
    lazy : bool
        Whether it is too large to be held in memory.
    store : ImageStore
        Where planes are kept.
    image : str or None
        Which image of the file, where it holds several.
    """

    name: str
    shape: tuple[int, int, int]
    path: Path
    index: tuple[int, ...]
    colour: int | None
    dtype: np.dtype
    window: Window
    lazy: bool
    store: ImageStore
    image: str | None = None

    def __getitem__(self, key: tuple[slice, slice, slice]) -> np.ndarray:
        channels, y, x = key
        piece = computed(self.path, self.store.plane(self._file_image, self.index)[y, x])
        planes = piece[None] if piece.ndim == 2 else piece.transpose(2, 0, 1)
        first, count = self.colour or 0, self.shape[0]
        return self._scaled(planes[first : first + count][channels])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The whole image; not for what is larger than memory."""
        return np.asarray(self[:, :, :], dtype)

    def contrasts(self) -> np.ndarray:
        """Where the image shows something: measured the first time, see `contrast_map`."""
        return self.store.map(
            (self._file_image, self.index, self.colour), lambda: contrast_map(self)
        )

    @property
    def _file_image(self) -> FileImage:
        return FileImage(self.path, self.image)

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        if values.dtype == np.uint8:
            return np.multiply(values, np.float32(1 / 255), dtype=np.float32, order="C")
        scaled = np.ascontiguousarray(self.window.normalise(values))
        return np.nan_to_num(np.clip(scaled, 0, 1, out=scaled), copy=False, nan=0)


def training_window(samples: Iterable[np.ndarray]) -> Window:
    """The window of samples of an image: their extremes, unless these are far outliers.

    It reaches from the lowest to the highest value, but no further than one span of the robust
    window (its 0.1 and 99.9 percentiles) below that and three above, so that a hot pixel does not
    darken the rest, and sparse bright spots keep their shape.

    Raises
    ------
    ImageError
        If no value is finite.
    """
    parts = [np.asarray(part) for part in samples]
    window = measure_window(parts)
    finite = [part[np.isfinite(part)] for part in parts]
    lowest = min(part.min().item() for part in finite if part.size)
    highest = max(part.max().item() for part in finite if part.size)
    span = window.high - window.low
    return Window(max(lowest, window.low - span), min(highest, window.high + 3 * span))


def sharp_images(
    one: FileImage, name: str, channels: int, smallest: int, store: ImageStore
) -> list[SharpImage]:
    """Every image that a file holds for a model of so many channels: planes of stacks, channels,
    colours.

    Enough is read to find the window of what is not 8-bit, and to see that the file can be read:
    small single planes whole, of others some squares spread over them.

    Parameters
    ----------
    one, name : FileImage and str
        The image in its file, and what to call it.
    channels : {1, 3}
        Of the model. For 1 the three colours are an image each, unless they are all the same; for 3
        only colour images will do.
    smallest : int
        Fewest pixels along y and x.
    store : ImageStore
        Keeps what is read.

    Raises
    ------
    FileError
        If the file cannot be read.
    ImageError
        If its images cannot be trained on.
    """
    file = store.opened(one)
    image_axes = 3 if file.rgb else 2
    stack, sizes = (
        file.data.shape[: file.data.ndim - image_axes],
        file.data.shape[file.data.ndim - image_axes :],
    )
    if file.data.dtype.kind not in "buif":
        raise ImageError(
            f"{one} has pixels of type {file.data.dtype}; save it with integers or real numbers."
        )
    if channels == 3 and not file.rgb:
        raise ImageError(
            f"{one} is grey, which teaches a colour model nothing; train a grey model on it."
        )
    if min(sizes[:2]) < smallest or 0 in stack:
        size = " × ".join(map(str, (*stack, *sizes[:2])))
        raise ImageError(
            f"{one} is too small ({size} pixels); {smallest} are needed along y and x."
        )
    if not file.rgb and is_label_map(file.data):
        raise ImageError(f"{one} looks like a label map, whose numbers name objects; leave it out.")
    images = []
    letters = file.axes[: len(stack)]
    for channel in range(file.channels):
        window, alike = _measured(one, file, channel, store)
        colours = (
            ((None,) if channels == 3 else (0,) if alike else (0, 1, 2)) if file.rgb else (None,)
        )
        for index in np.ndindex(*stack):
            if file.channel_axis is not None and index[file.channel_axis] != channel:
                continue
            place = [f"{letter.lower()}={at}" for letter, at in zip(letters, index, strict=True)]
            lazy = not read_whole(file.data[index])
            for colour in colours:
                labels = [*place, _COLOURS[colour]] if colour is not None and not alike else place
                full = f"{name} [{', '.join(labels)}]" if labels else name
                shape = (channels, int(sizes[0]), int(sizes[1]))
                images.append(
                    SharpImage(
                        full,
                        shape,
                        one.path,
                        index,
                        colour,
                        file.data.dtype,
                        window,
                        lazy,
                        store,
                        one.image,
                    )
                )
    return images


def _measured(
    one: FileImage, file: Micrograph, channel: int, store: ImageStore
) -> tuple[Window, bool]:
    """The window of one channel of all planes of a file, and whether its three colours are the same
    everywhere.
    """
    parts = [part[..., :3] if file.rgb else part for part in _samples(one, file, channel, store)]
    if file.data.dtype.kind == "b" or file.data.dtype == np.uint8:
        window = Window(0, 255 if file.data.dtype == np.uint8 else 1)
        empty = len({value for part in parts for value in (part.min(), part.max())}) == 1
    else:
        try:
            window = training_window(parts)
        except ImageError:
            raise ImageError(f"{one} holds nothing but NaN and infinity; leave it out.") from None
        empty = window.low == window.high
    if empty:
        raise ImageError(
            f"{one} shows nothing: every pixel looked at has the same value; leave it out."
        )
    return window, file.rgb and all(
        np.array_equal(part[..., 0], part[..., at]) for part in parts for at in (1, 2)
    )


def _samples(
    one: FileImage, file: Micrograph, channel: int, store: ImageStore
) -> Iterator[np.ndarray]:
    image_axes = 3 if file.rgb else 2
    if file.data.ndim == image_axes and read_whole(file.data):
        yield from sample(store.plane(one, (), file), image_axes)
        return
    data = file.data
    if file.channel_axis is not None:
        data = data[(slice(None),) * file.channel_axis + (channel,)]
    values: set[Any] = set()
    for spot in spots(data.shape, image_axes):
        part = computed(one.path, data[spot])
        values |= {part.min().item(), part.max().item()}
        yield part
    if len(values) > 1:
        return
    planes = {spot[: data.ndim - image_axes] for spot in spots(data.shape, image_axes)}
    for plane in planes:  # it shows something in few places, or nothing
        for square in probes(data.shape[data.ndim - image_axes :][:2]):
            yield computed(one.path, data[(*plane, *square)])
