"""From a file of this program to the layers that it was saved from. No Qt in here."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.utils.colormaps import AVAILABLE_COLORMAPS, Colormap

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import Micrograph, images_in, open_image
from napari_mdeblurgan.storage.display import ChannelDisplay
from napari_mdeblurgan.storage.formats import is_of_a_microscope
from napari_mdeblurgan.storage.provenance import entries_of, read_provenance
from napari_mdeblurgan.storage.reading import loaded
from napari_mdeblurgan.widgets.keep.layer_images import (
    LOOK,
    METADATA_KEY,
    SHOWN_SOFTENED,
    LayerTuple,
    placement_in,
)
from napari_mdeblurgan.widgets.layers.appearance import colour_table
from napari_mdeblurgan.widgets.layers.axes import lazy, micrograph, put_back
from napari_mdeblurgan.widgets.layers.result_metadata import keeping_trust
from napari_mdeblurgan.widgets.runs.cut import SHOWN_WITHIN, outline_of_image
from napari_mdeblurgan.widgets.runs.outline import outline_in

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.softened_result import WindowOf

_SHARPEST, _SOFTEST = 0.01, 64.0  # pixels: by less or more no record in a file blurs
MOST_IMAGES = 32  # of a file that become layers
_ALIKE = 1e-6  # relative: what formats and units round off
_NOT_KEPT = (
    "preview",
    "file",
    SHOWN_WITHIN,
    SHOWN_SOFTENED,
)  # what told of the file, and not of its layer
UNNAMED_AXIS = {"I": "i", "Q": "q"}


@dataclass(frozen=True)
class _Part:
    """What becomes a layer: levels with axes named by letters, the image that they are of, and its
    entry in the record.
    """

    levels: list[Any]
    axes: str
    image: Micrograph
    entry: Mapping[str, Any]
    name: str
    display: ChannelDisplay | None


def layers_in(path: Path, in_memory_bytes: int) -> list[LayerTuple]:
    """The layers that were saved in a file, or that show any other image.

    Parameters
    ----------
    path : Path
        An OME-TIFF, the folder of an OME-Zarr, or a file of a microscope, all images of which are
        opened.
    in_memory_bytes : int
        How large an image may be, with its pyramid, to be read into memory; of a larger one pixels
        are read when they are shown.

    Raises
    ------
    FileError
        In one sentence, if it cannot be read, or holds more images than are opened at once, or
        planes that are too large to be shown.
    """
    names = images_in(path)
    if path.is_dir():
        from napari_mdeblurgan.storage.ome_zarr.ome_zarr_image import open_levels

        if len(names) > 1:
            raise FileError(
                f"{path} holds {len(names):,} images; open the folder of one of them, such as "
                f"{path / names[0]}."
            )
        return _layers_of(path, open_image(path), open_levels(path), in_memory_bytes)
    if len(names) > MOST_IMAGES:
        raise FileError(
            f"{path} holds {len(names):,} images, more than are opened at once; restore them by "
            "Batch."
        )
    images = (
        [open_image(path, number) for number in range(len(names))]
        if len(names) > 1
        else [open_image(path)]
    )
    if is_of_a_microscope(path):
        for image in images:
            _check_planes(path, image, in_memory_bytes)
    return [
        layer
        for image in images
        for layer in _layers_of(path, image, [image.data], in_memory_bytes)
    ]


def _check_planes(path: Path, image: Micrograph, most: int) -> None:
    """Make sure that a plane, which is shown whole, is not too large for that."""
    size = image.data.nbytes // max(math.prod(image.data.shape[: image.axes.index("Y")]), 1)
    if size > most:
        raise FileError(
            f"{path} has planes of {size / 2**20:,.0f} MiB, too large to be shown without a "
            "pyramid; restore it by Batch, or as `mdeblurgan restore FILE RESULT.ome.zarr`, which "
            "makes one."
        )


def _layers_of(
    path: Path, image: Micrograph, levels: list[Any], in_memory_bytes: int
) -> list[LayerTuple]:
    """The layers of one image."""
    if sum(level.nbytes for level in levels) <= in_memory_bytes:
        levels = [loaded(level) for level in levels]
    entries = entries_of(read_provenance(path))
    return [_layer(part, path) for part in _parts(image, levels, entries)]


def _parts(
    image: Micrograph, levels: list[Any], entries: Sequence[Mapping[str, Any]]
) -> list[_Part]:
    """One for each layer that was saved; of an image without a record, one for each channel of
    which something is known.
    """
    channels = image.channels
    told = bool(entries) and (len(entries) == channels > 1)
    common = entries[0] if len(entries) == 1 else {}
    named = channels > 1 and bool(image.channel_names or image.display)
    if not told and (
        "axes" in common or not named
    ):  # which a layer has, and what the command line writes has not
        entry = common
        shown = image.display[0] if image.display else None
        return [_Part(levels, image.axes, image, entry, image.name, shown)]
    axis = image.axes.index("C")
    names = image.channel_names or tuple(f"{image.name} {number}" for number in range(channels))
    return [
        _Part(
            [level[(slice(None),) * axis + (number,)] for level in levels],
            image.axes.replace("C", ""),
            image,
            entries[number] if told else common,
            names[number],
            image.display[number] if image.display else None,
        )
        for number in range(channels)
    ]


def _layer(part: _Part, path: Path) -> LayerTuple:
    part = _within_its_shape(_as_soft_as_shown(part))
    rgb, entry = part.axes.endswith("S"), part.entry
    levels, axes = _as_saved(part)
    attributes: dict[str, Any] = {"name": _text(entry.get("name")) or part.name, "rgb": rgb}
    place = _placement(entry, axes, levels[0].shape, part.image) or _told_by_file(axes, part.image)
    placement = placement_in(place, len(axes) - rgb)
    attributes |= placement.layer_arguments()
    levels = [put_back(level, placement.order) for level in levels]
    attributes |= {
        "multiscale": len(levels) > 1,
        "metadata": _metadata(
            entry, levels[0].shape, None if isinstance(levels[0], np.ndarray) else path
        ),
    }
    if part.display is not None and not rgb:
        attributes["colormap"] = _colormap(part.display, entry.get("colormap"))
        if part.display.limits is not None:
            attributes["contrast_limits"] = part.display.limits
        attributes["visible"] = part.display.active
        if part.axes != part.image.axes:  # one of several channels, which are seen together
            attributes["blending"] = "additive"
    else:
        attributes |= _look_told(entry, rgb=rgb)
    attributes |= _look(entry.get("look"))
    return (levels if len(levels) > 1 else levels[0]), attributes, "image"


def _windows_told(made: Mapping[str, Any], axes: str, leading: tuple[int, ...]) -> WindowOf | None:
    """As `hot_windows`, by what the file of a result tells: one for all, one for each image, or one
    for each entry of an axis, that of the channels where it may be another.

    Parameters
    ----------
    made : mapping
        From the file.
    axes, leading
        Letters and sizes of the axes before y.
    """
    from napari_mdeblurgan.restoration.intensity import Window

    pairs = made.get("window")
    if made.get("scale") != 1 or not isinstance(pairs, list):
        return None
    windows = [Window(*map(float, pair)) for pair in pairs if _is_span(pair)]
    count = len(windows)
    if count != len(pairs):
        return None
    if count == 1:
        return lambda _: windows[0]
    if count == math.prod(leading):
        return lambda index: windows[int(np.ravel_multi_index(index, leading))]
    fitting = [at for at, length in enumerate(leading) if length == count]
    if not fitting:
        return None
    axis = max(fitting, key=lambda at: axes[at] == "C")
    return lambda index: windows[index[axis]]


def _is_span(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(each, int | float) and abs(each) <= sys.float_info.max for each in pair)
    )


def _as_soft_as_shown(part: _Part) -> _Part:
    """As soft as its layer was shown: the file of a result on disk holds what the network gave."""
    made = part.entry.get("made")
    if not isinstance(made, Mapping):
        return part
    sigma = made.get(SHOWN_SOFTENED)
    if not isinstance(sigma, int | float) or not _SHARPEST < sigma <= _SOFTEST:
        return part
    from napari_mdeblurgan.restoration.softened_result import SoftLevels

    first = part.axes.find("YX")
    if part.axes[first + 2 :] not in ("", "S") or first < 0:
        return part
    levels = [lazy(level) for level in part.levels]
    windows = _windows_told(made, part.axes, levels[0].shape[:first])
    rgb = part.axes.endswith("S")
    soft: list[Any] = SoftLevels(levels, rgb=rgb, sigma=float(sigma), windows=windows).arrays
    if all(isinstance(level, np.ndarray) for level in part.levels):
        soft = [loaded(level) for level in soft]
    return replace(part, levels=soft)


def _within_its_shape(part: _Part) -> _Part:
    """Without a value around the shape that a result on disk was restored for, whose file holds the
    box around it.
    """
    made = part.entry.get("made")
    corners = outline_in(made.get(SHOWN_WITHIN)) if isinstance(made, Mapping) else None
    first = part.axes.find("YX")
    if corners is None or part.axes[first + 2 :] not in ("", "S") or first < 0:
        return part
    outline = outline_of_image(corners, first, rgb=part.axes.endswith("S"))
    if all(isinstance(level, np.ndarray) for level in part.levels):
        return replace(part, levels=[np.asarray(level) for level in outline.over(part.levels)])
    return replace(part, levels=outline.over_lazy(part.levels))


def _as_saved(part: _Part) -> tuple[list[Any], str]:
    """The levels with the axes that the layer had: TIFF may bring them in another order, and leave
    out those of length 1.
    """
    wanted, levels, axes = part.entry.get("axes"), part.levels, part.axes
    known = isinstance(wanted, str) and len(set(wanted)) == len(wanted) and set(axes) <= set(wanted)
    if not known or not isinstance(wanted, str) or not wanted.removesuffix("S").endswith("YX"):
        return levels, axes
    lacking = "".join(letter for letter in wanted if letter not in axes)
    if len(wanted) > 8 or ("S" in lacking):
        return levels, axes
    there = lacking + axes
    order = [there.index(letter) for letter in wanted]
    return [level[(None,) * len(lacking)].transpose(order) for level in levels], wanted


def _placement(
    entry: Mapping[str, Any], axes: str, shape: Sequence[int], image: Micrograph
) -> Mapping[str, Any] | None:
    """The place of the layer that was saved, unless the file says by now that the image lies
    elsewhere.
    """
    told, count = entry.get("placement"), len(axes.removesuffix("S"))
    if not isinstance(told, Mapping):
        return None
    try:
        tiny = Image(np.zeros((1,) * count), **_known(told))
        placement = placement_in(_attributes(tiny), count)
        data = np.broadcast_to(np.uint8(0), shape)
        expected = micrograph(data, "", axes.endswith("S"), placement)
    except Exception:  # whatever stands in the file
        return None
    return _attributes(tiny) if expected.axes == axes and _alike(expected, image) else None


def _known(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: told[name]
        for name in ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
        if name in told
    }


def _attributes(layer: Image) -> dict[str, Any]:
    return {
        "scale": layer.scale,
        "translate": layer.translate,
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine.affine_matrix,
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }


def _alike(one: Micrograph, other: Micrograph) -> bool:
    """Whether two images lie at the same place along X, Y and Z, as far as a file tells."""
    mine, theirs = one.geometry, other.geometry
    for axis in "ZYX":
        if axis not in one.axes or axis not in other.axes:
            continue
        scale, unit = mine.scale.get(axis, 1.0), mine.unit_of(axis)
        if unit != theirs.unit_of(axis) or not np.isclose(
            scale, theirs.scale.get(axis, 1.0), rtol=_ALIKE, atol=0
        ):
            return False
        begins = mine.origin.get(axis, 0.0), theirs.origin.get(axis, 0.0)
        if not np.isclose(*begins, rtol=_ALIKE, atol=_ALIKE * abs(scale)):
            return False
    return True


def _told_by_file(axes: str, image: Micrograph) -> dict[str, Any]:
    """The place that the file tells of."""
    geometry, letters = image.geometry, axes.removesuffix("S")
    scale = {**geometry.scale, "T": image.time_step_s or image.time_step or 1.0}
    begin = {**geometry.origin, "T": image.time_origin}
    units = {axis: geometry.unit_of(axis) for axis in geometry.scale} | {
        "T": "s" if image.time_step_s else None
    }
    return {
        "scale": [scale.get(axis, 1.0) for axis in letters],
        "translate": [begin.get(axis, 0.0) for axis in letters],
        "units": [units.get(axis) or "pixel" for axis in letters],
        "axis_labels": [UNNAMED_AXIS.get(axis, axis.lower()) for axis in letters],
    }


def _metadata(
    entry: Mapping[str, Any], shape: tuple[int, ...], path: Path | None
) -> dict[str, Any]:
    """How it was made, as the metadata of its layer told; which layer its source is, nobody knows
    any more.

    `path` is the file that the layer goes on to be read from, if it does.
    """
    made = entry.get("made")
    if not isinstance(made, Mapping) or not made:
        return {}
    kept = {name: value for name, value in made.items() if name not in _NOT_KEPT}
    kept |= {"file": str(path)} if path is not None else {}
    if isinstance(entry.get("trust"), Mapping):
        kept = keeping_trust(kept, dict(entry["trust"]), shape)
    return {METADATA_KEY: kept}


def _colormap(display: ChannelDisplay, name: Any) -> str | Colormap:
    """The colormap of that name, if it has these colours; else one of these colours."""
    known = AVAILABLE_COLORMAPS.get(name) if isinstance(name, str) else None
    table = None if known is None else colour_table(known.model_dump())
    if known is not None and table is not None and np.array_equal(table, display.table):
        return known
    return (
        "gray"
        if display.grey
        else Colormap(display.table.T / 255, name=_text(name) or "of the file")
    )


def _look_told(entry: Mapping[str, Any], *, rgb: bool) -> dict[str, Any]:
    """Colours and limits by the record, of a file that has no other place for them."""
    colormap, limits = entry.get("colormap"), entry.get("contrast_limits")
    look: dict[str, Any] = {}
    if not rgb and isinstance(colormap, str) and colormap in AVAILABLE_COLORMAPS:
        look["colormap"] = colormap
    match limits:
        case [int() | float() as low, int() | float() as high] if low < high:
            look["contrast_limits"] = (low, high)
    return look


def _look(told: Any) -> dict[str, Any]:
    """How the layer looked, as far as napari takes it."""
    if not isinstance(told, Mapping):
        return {}
    look = {name: told[name] for name in LOOK if told.get(name) is not None}
    try:
        Image(np.zeros((1, 1)), **look)
    except Exception:  # whatever stands in the file
        return {}
    return look


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
