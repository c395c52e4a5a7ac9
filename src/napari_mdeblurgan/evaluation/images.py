"""The sharp images that methods are judged on, and the squares of fundus images that the paper's
protocol asks for.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from napari_mdeblurgan.before_after import middle_plane
from napari_mdeblurgan.errors import FileError, ImageError, MdeblurganError
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.restoration.colourless import is_colourless
from napari_mdeblurgan.restoration.label_maps import is_label_map
from napari_mdeblurgan.storage import FileImage, open_image
from napari_mdeblurgan.storage.listing import folder_images, image_files
from napari_mdeblurgan.storage.provenance import is_result

_SMALLEST = 64
_LARGEST = 2048
FUNDUS_EDGE = 512
DARK = 0.05  # mean of a square that shows nothing but the mask around the fundus


@dataclass(frozen=True, slots=True)
class SharpPart:
    """A sharp image, or a square of one, which is read when it is needed.

    Attributes
    ----------
    name : str
        Path within the folder; squares have their place added.
    path : Path
        Of the file.
    colour : bool
        Whether it is RGB.
    y, x, height, width : int
        The part, in pixels.
    image : str or None
        Which image of the file, where it holds several.
    """

    name: str
    path: Path
    colour: bool
    y: int
    x: int
    height: int
    width: int
    image: str | None = None

    def read(self, multiple: int = 1) -> np.ndarray:
        """(y, x) or (y, x, 3), float32 in [0, 1]; the last pixels that make no whole block of
        `multiple` are left out.

        8-bit images are divided by 255, others scaled from their minimum and maximum within the
        part.

        Raises
        ------
        ImageError
            If not all of its values are finite.
        """
        plane = _plane(FileImage(self.path, self.image), self.path.stat().st_mtime_ns)
        height, width = (length // multiple * multiple for length in (self.height, self.width))
        part = np.asarray(plane[self.y : self.y + height, self.x : self.x + width])
        if part.ndim == 3:  # what is stored in colours may have none
            part = part[..., :3] if self.colour else part[..., 0]
        if part.dtype == np.uint8:
            return np.ascontiguousarray(part, dtype=np.float32) / np.float32(255)
        values = part.astype(np.float64)
        if not np.isfinite(values).all():
            raise ImageError(
                f"{self.path} has values that are not finite; take it out of the folder."
            )
        low, high = float(values.min()), float(values.max())
        return ((values - low) / max(high - low, 1e-12)).astype(np.float32)


def to_judge_by(images: Iterable[SharpPart]) -> tuple[list[SharpPart], list[str]]:
    """Those that show something, and a sentence for every other one: of an image of one value every
    method makes the truth, and the mean of all would be infinite.
    """
    kept, skipped = [], []
    for image in images:
        try:
            values = image.read()
        except MdeblurganError as error:
            skipped.append(str(error))
            continue
        if values.min() < values.max():
            kept.append(image)
        else:
            skipped.append(f"{image.path} shows nothing: all its pixels have the same value.")
    return kept, skipped


@functools.lru_cache(maxsize=1)
def _plane(one: FileImage, changed_ns: int) -> np.ndarray:  # noqa: ARG001
    """The squares of one image are read one after the other; one that was
    changed is opened again.
    """
    return middle_plane(open_image(one.path, one.image))


def digest(image: np.ndarray) -> str:
    """What tells one image from another: 16 hexadecimal digits."""
    return hashlib.sha256(
        str(image.shape).encode() + np.ascontiguousarray(image).tobytes()
    ).hexdigest()[:16]


def find_images(folder: Path) -> tuple[list[SharpPart], list[str]]:
    """The images of a folder and of the folders in it.

    Of a stack its middle plane is taken, of channels the first, of an image above 2048 pixels its
    middle. A file may hold several images.

    Returns
    -------
    list of SharpPart
    list of str
        A sentence for every file that cannot be used.

    Raises
    ------
    FileError
        If there is no such folder or no image in it.
    """
    found, skipped = [], []
    for name, one in (each for path in image_files(folder) for each in folder_images(folder, path)):
        try:
            colour, height, width = _facts(one)
        except MdeblurganError as error:
            skipped.append(str(error))
            continue
        (y, rows), (x, columns) = (_middle(length) for length in (height, width))
        found.append(SharpPart(name, one.path, colour, y, x, rows, columns, one.image))
    if not found:
        why = f": {skipped[0]}" if skipped else "."
        raise FileError(f"{folder} has no image of {_SMALLEST} pixels and more{why}")
    return found, skipped


def _facts(one: FileImage) -> tuple[bool, int, int]:
    if is_result(one.path):
        raise ImageError(f"{one} is a result of this program: no truth to judge by.")
    image = open_image(one.path, one.image)
    plane = middle_plane(image)
    height, width = plane.shape[:2]
    if min(height, width) < _SMALLEST:
        raise ImageError(
            f"{one} has {height} × {width} pixels, too few to be judged by; {_SMALLEST} are needed."
        )
    if not image.rgb and is_label_map(image.data):
        raise ImageError(f"{one} looks like a label map, whose numbers name objects: no truth.")
    return image.rgb and not is_colourless(plane), height, width


def _middle(length: int) -> tuple[int, int]:
    kept = min(length, _LARGEST)
    return (length - kept) // 2, kept


def fundus_squares(folder: Path | None) -> tuple[list[SharpPart], list[str], str]:
    """The paper's squares of 512² pixels, side by side in the middle of every fundus image, less
    those of black surroundings.

    Parameters
    ----------
    folder : Path or None
        Fundus images, of the FIRE data set for example; None takes the one that comes with
        scikit-image.

    Returns
    -------
    list of SharpPart
    list of str
        A sentence for every file that cannot be used.
    str
        What was used, in words.

    Raises
    ------
    FileError
        If there is no such image.
    """
    skipped: list[str] = []
    if folder is None:
        path = Path(str(resources.files("skimage.data").joinpath("retina.jpg")))
        if not path.is_file():
            raise FileError(
                "scikit-image came without its retina image; name a folder of fundus images, FIRE "
                "for example."
            )
        whole, source = (
            [(path.name, FileImage(path))],
            "the retina image that comes with scikit-image (CC0)",
        )
    else:
        whole = [each for path in image_files(folder) for each in folder_images(folder, path)]
        source = f"the fundus images in `{real_path(folder).name}`"
    squares = []
    for name, one in whole:
        try:
            colour, height, width = _facts(one)
        except MdeblurganError as error:
            skipped.append(str(error))
            continue
        for y, x in _corners(height, width):
            place = f"{name} at {y}, {x}"
            square = SharpPart(place, one.path, colour, y, x, FUNDUS_EDGE, FUNDUS_EDGE, one.image)
            if square.read().mean() > DARK:
                squares.append(square)
    if not squares:
        raise FileError(
            f"{folder} has no fundus image of {FUNDUS_EDGE} pixels and more; name another folder."
        )
    return squares, skipped, source


def _corners(height: int, width: int) -> list[tuple[int, int]]:
    """Upper left corners of the whole squares that fit, centred."""
    rows, columns = (length // FUNDUS_EDGE for length in (height, width))
    top, left = (height - rows * FUNDUS_EDGE) // 2, (width - columns * FUNDUS_EDGE) // 2
    return [
        (top + r * FUNDUS_EDGE, left + c * FUNDUS_EDGE) for r in range(rows) for c in range(columns)
    ]
