"""A folder of sharp micrographs: what is in it, what cannot be used and why, what is trained on and
what is held out.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_mdeblurgan.errors import FileError, ImageError, MdeblurganError
from napari_mdeblurgan.storage import read_image
from napari_mdeblurgan.storage.listing import folder_images, image_files
from napari_mdeblurgan.storage.provenance import is_result
from napari_mdeblurgan.training.data.copies import first_copies
from napari_mdeblurgan.training.data.image_store import MEMORY_BYTES, ImageStore
from napari_mdeblurgan.training.data.sharp_image import Sharp, SharpImage, sharp_images

_SMALLEST = 64
VALIDATION = 0.1
COLOURS_AS_GREY = 0.35  # sharp texture is scarce among grey images

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WeightedImages:
    """Images of one kind and how often patches are drawn from them.

    Attributes
    ----------
    name : str
        What the images show.
    images : tuple of Sharp
        Arrays, or images that are read lazily: float32 in [0, 1], (channels, y, x).
    weight : float
        Share of the patches, relative to the other sources.
    """

    name: str
    images: tuple[Sharp, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class SharpFolder:
    """The usable images of a folder, read lazily.

    Attributes
    ----------
    training : tuple of WeightedImages
        What patches are drawn from.
    validation : tuple of SharpImage
        Images of files that `training` has nothing of. ``image[:, :, :]`` reads one, (channels, y,
        x).
    skipped : tuple of (Path, str)
        Image files that are not used, each with one sentence that says why.
    """

    training: tuple[WeightedImages, ...]
    validation: tuple[SharpImage, ...]
    skipped: tuple[tuple[Path, str], ...]


def read_sharp(path: Path) -> np.ndarray:
    """Read a single micrograph whole, as float32 in [0, 1]: (y, x) or (y, x, 3).

    8-bit images are divided by 255; images of more bits are scaled from their minimum and maximum.

    Raises
    ------
    FileError
        If it cannot be read.
    ImageError
        If it is neither one grey plane nor a colour image.
    """
    micrograph = read_image(path)
    image = micrograph.data[..., :3] if micrograph.rgb else micrograph.data
    if micrograph.axes not in ("YX", "YXS"):
        raise ImageError(
            f"{path} is neither one grey nor one colour image ({micrograph.axes}); take a plane "
            "of it."
        )
    if image.dtype == np.uint8:
        return image.astype(np.float32) / 255
    image = image.astype(np.float32)
    low, high = float(image.min()), float(image.max())
    return (image - low) / max(high - low, 1e-6)


def open_folder(
    folder: Path,
    channels: int,
    validation: float = VALIDATION,
    seed: int = 0,
    *,
    weights: Mapping[str, float] | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> SharpFolder:
    """Find the sharp images of a folder and split them by file into those to train on and those to
    judge by.

    TIFF, PNG, JPEG and OME-Zarr of any size, in nested folders, too. Every plane of a stack is an
    image, and every channel of a fluorescence image is a grey one. For a grey model the colours of
    a colour image serve as grey images, less often than true grey ones where there are both; for a
    colour model grey images are left out. Files that cannot be used, label maps, and results of
    this program are skipped and logged.

    Images of one kind make a source: those whose file names begin with the same word before a
    hyphen, or, where there is no hyphen, those of one folder. All sources have the same weight
    unless `weights` says otherwise.

    Parameters
    ----------
    folder : Path
        Where the images are.
    channels : {1, 3}
        Of the model: 1 for grey, 3 for colour.
    validation : float
        Share of the files that is held out, in [0, 1). One at least if there are two or more files,
        unless it is 0. The names of the files decide which: the same folder is always split alike.
        Copies of a file are held out with it.
    seed : int
        Another seed holds out others.
    weights : mapping of str to float, optional
        Weight of sources, by name; 1 for the others.
    memory_bytes : int
        Budget for small images that are held in memory.

    Raises
    ------
    FileError
        If there is no such folder or no image in it.
    ImageError
        If no image in it can be trained on.
    """
    if channels not in (1, 3) or not 0 <= validation < 1:
        raise ValueError(
            f"channels must be 1 or 3 and validation in [0, 1), got {channels} and {validation}"
        )
    paths = image_files(folder)
    if not paths:
        raise FileError(
            f"{folder} has no image in it; put TIFF, PNG, JPEG or OME-Zarr files there."
        )
    store = ImageStore(memory_bytes)
    usable: dict[Path, list[SharpImage]] = {}
    skipped: list[tuple[Path, str]] = []
    for path in paths:
        restored = is_result(path)
        for name, one in folder_images(folder, path):
            try:
                if restored:
                    raise ImageError(f"{path} is a result of this program: no truth to learn from.")
                usable[path] = usable.get(path, []) + sharp_images(
                    one, name, channels, _SMALLEST, store
                )
            except MdeblurganError as error:
                skipped.append((one.path, str(error)))
                log.info("Skipped: %s", error)
    if not usable:
        others = f", nor can {len(skipped) - 1} more" if len(skipped) > 1 else ""
        raise ImageError(
            f"No image in {folder} can be trained on: {skipped[0][1].rstrip('.')}{others}."
        )
    held_out = _held_out(folder, list(usable), validation, seed)
    return SharpFolder(
        _sources(
            {path: images for path, images in usable.items() if path not in held_out}, weights or {}
        ),
        tuple(image for path, images in usable.items() if path in held_out for image in images),
        tuple(skipped),
    )


def _held_out(folder: Path, paths: Sequence[Path], share: float, seed: int) -> set[Path]:
    """The files whose names, hashed, come first, each with its copies: another file more or less
    moves hardly any of them.
    """
    if share == 0 or len(paths) < 2:
        return set()
    count = min(len(paths) - 1, max(1, round(share * len(paths))))
    copies: dict[Path, set[Path]] = {}
    first = first_copies(paths)
    for path in paths:
        copies.setdefault(first[path], set()).add(path)

    def rank(path: Path) -> bytes:
        return hashlib.sha256(
            f"{seed}/{path.relative_to(folder).as_posix()}".encode("utf-8", "surrogateescape")
        ).digest()

    held_out: set[Path] = set()
    for path in sorted(paths, key=rank):
        alike = copies[first[path]]
        if len(held_out) < count and len(held_out | alike) < len(paths):
            held_out |= alike
    return held_out


def _sources(
    usable: Mapping[Path, Sequence[SharpImage]], weights: Mapping[str, float]
) -> tuple[WeightedImages, ...]:
    """Images grouped by kind; colours that serve as grey images make sources of their own."""
    grouped: dict[tuple[str, bool], list[SharpImage]] = {}
    for path, images in usable.items():
        grouped.setdefault((kind_of(path), images[0].colour is not None), []).extend(images)
    mixed = len({colour for _, colour in grouped}) == 2
    return tuple(
        WeightedImages(
            name,
            tuple(images),
            weights.get(name, 1.0) * (COLOURS_AS_GREY if colour and mixed else 1.0),
        )
        for (name, colour), images in grouped.items()
    )


def kind_of(path: Path) -> str:
    """What an image shows, by its name: the word before the first hyphen, or the name of its folder
    if there is none.
    """
    word, hyphen, _ = path.name.partition("-")
    return word if hyphen and word else path.parent.name
