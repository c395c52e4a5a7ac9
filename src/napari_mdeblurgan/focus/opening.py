"""A focus stack from its files: one that holds it, its planes from end to end,
or a folder of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.pairs.matching import natural_key
from napari_mdeblurgan.storage import Micrograph, local_path, open_image
from napari_mdeblurgan.storage.geometry import MICROMETRES
from napari_mdeblurgan.storage.listing import ZARR, image_files
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_images import is_image_folder
from napari_mdeblurgan.storage.provenance import is_result


class UnevenPlanes(list):
    """Planes that may differ in size, which no array can hold."""

    @property
    def ndim(self) -> int:
        """Of all planes together."""
        return 1 + int(self[0].ndim)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many there are, and the lengths of the first one's axes."""
        return len(self), *self[0].shape


def open_stack(paths: Sequence[str | Path] | str | Path, z_step: float | None = None) -> Micrograph:
    """Open a focus stack; pixels are read when asked for.

    Parameters
    ----------
    paths : str or Path, or a sequence of these
        A file with a z axis; or single planes in the order of their depth, see `plane_files`; or a
        folder of such planes, sorted as people count.
    z_step : float or None
        From one plane to the next in µm; None for what the file says.

    Returns
    -------
    Micrograph
        With Z as its first axis.

    Raises
    ------
    ImageError
        In one sentence, if that is no focus stack.
    FileError
        If something cannot be read.
    """
    files = plane_files(paths)
    images = [open_image(file) for file in files]
    first = images[0]
    if len(images) == 1:
        stack = with_planes_first(first)
    else:
        names = {image.axes: file.name for file, image in zip(files, images, strict=True)}
        if len(names) > 1 or first.axes.removesuffix("S").removeprefix("C") != "YX":
            found = ", ".join(f"{axes} in {name}" for axes, name in names.items())
            raise ImageError(
                "Several files must be single planes, all grey, all in colour, or all of the same "
                f"channels; the axes are {found}."
            )
        stack = replace(
            first, data=UnevenPlanes(image.data for image in images), axes="Z" + first.axes
        )
    if z_step:
        sizes, unit = stack.physical()
        unit = unit or "µm"
        stack = replace(
            stack,
            pixel_size=sizes | {"Z": z_step / MICROMETRES[unit]},
            unit=unit,
            unitless=frozenset(),
        )
    return stack


def plane_files(paths: Sequence[str | Path] | str | Path) -> list[Path]:
    """The files of a focus stack: those that are named, and those in folders that are no OME-Zarr.

    In the order in which they are named; but where that is the order of a shell's pattern, which
    has 10 before 2, as people count.

    Raises
    ------
    ImageError
        If there is no path, a folder has no image in it, or results of this program beside other
        images.
    FileError
        If a path is an address.
    """
    given = (paths,) if isinstance(paths, str | Path) else paths
    named = [local_path(path) for path in given]
    if not named:
        raise ImageError("A focus stack is one file, several, or a folder; none is named.")
    if named == sorted(named):
        named.sort(key=natural_key)
    return [file for path in named for file in _planes_at(path)]


def _planes_at(path: Path) -> list[Path]:
    if not path.is_dir() or path.suffix.lower() == ZARR or is_image_folder(path):
        return [path]
    files = sorted(image_files(path), key=natural_key)
    if not files:
        raise ImageError(f"{path} has no image in it; put the planes of a focus stack there.")
    results = [file for file in files if is_result(file)]
    if 0 < len(results) < len(files):
        raise ImageError(
            f"{path} holds results of this program beside other images, such as {results[0].name}; "
            "move them elsewhere, or name the planes one by one."
        )
    return files


def with_planes_first(image: Micrograph) -> Micrograph:
    """A stack with Z as its first axis.

    Raises
    ------
    ImageError
        In one sentence, if it has no such axis.
    """
    if "Z" not in image.axes:
        others = [axis for axis in image.axes if axis not in "YXSC"]
        if others == ["T"]:
            raise ImageError(
                "This is a stack through time, not through focus; if its planes are at different "
                "focus, save them with a z axis."
            )
        if not others:
            raise ImageError(
                "This is a single plane; a focus stack has at least two. Name its files, or one "
                "with a z axis."
            )
        raise ImageError(
            f"The stack has the axes {image.axes}, of which none is z; save it with a z axis."
        )
    at = image.axes.index("Z")
    order = [at, *(axis for axis in range(image.data.ndim) if axis != at)]
    return replace(image, data=image.data.transpose(order), axes="Z" + image.axes.replace("Z", ""))
