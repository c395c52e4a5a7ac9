"""Zeiss CZI: scenes, mosaics of tiles, and what ZEN tells of them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.calibration import Calibration, labelled
from napari_mdeblurgan.storage.claims import checked_xml
from napari_mdeblurgan.storage.display import ChannelDisplay, color_of, limits_of
from napari_mdeblurgan.storage.geometry import AxisStep, Geometry, is_size
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.microscopes.czi_blocks import (
    CZI_PIXELS,
    CziBlock,
    CziContent,
    check_single,
    cut_short,
    read_block,
    read_content,
)
from napari_mdeblurgan.storage.objective import (
    Objective,
    labelled_objective,
    number_told,
    told_objective,
)
from napari_mdeblurgan.storage.planes import Planes, lazy_planes
from napari_mdeblurgan.storage.several import ImageList, chosen, unique_names
from napari_mdeblurgan.storage.stems import file_stem

SCENE, _TILE = "S", "M"
_USUAL = "TZCYX"  # the order of axes; others come before
EMPTIEST = 10_000  # times as many pixels may a mosaic claim as its tiles have
_KEPT_BYTES = 64 * 2**20  # of decoded tiles: neighbouring parts of an image share them
INFORMATION = "./Metadata/Information"


def list_images(path: Path) -> ImageList:
    """The scenes of a file, by their names, or else their numbers.

    Raises
    ------
    FileError
        If it is no CZI, or damaged.
    """
    content = read_content(path)
    scenes = _scenes(path, content)
    return ImageList(_scene_names(checked_xml(path, content.xml), list(scenes)))


def open_image(path: Path, image: str | int | None = None) -> Micrograph:
    """Open a scene at full resolution without reading its pixels; the first one where none is
    named.

    Tiles of a mosaic are put where they were taken, later ones over earlier ones; what lies between
    them is 0.

    Raises
    ------
    FileError
        If it is no CZI, damaged, or of pixels that are not read.
    """
    content = read_content(path)
    scenes = _scenes(path, content)
    root = checked_xml(path, content.xml)
    names = _scene_names(root, list(scenes))
    number = chosen(path, names, image)
    mosaic = _Mosaic(path, scenes[list(scenes)[number]])
    arguments = (list(scenes)[number],)
    data = lazy_planes(
        path, _opened, arguments, mosaic.axes, mosaic.shape, mosaic.dtype, mosaic.tile
    )
    stem = file_stem(path)
    name = f"{stem} {names[number]}" if len(names) > 1 else stem
    return labelled(data, mosaic.axes, _calibration(root, mosaic, content.seconds), name)


def _opened(path: str, scene: int | None) -> Planes:
    place = Path(path)
    mosaic = _Mosaic(place, _scenes(place, read_content(place))[scene])
    return Planes(mosaic.shape, mosaic.dtype, mosaic.axes.endswith("S"), mosaic.read)


def _scenes(path: Path, content: CziContent) -> dict[int | None, list[CziBlock]]:
    """The blocks of each scene at full resolution, by its number; of None where there are no
    scenes.
    """
    blocks = [block for block in content.blocks if not block.reduced]
    if not blocks:
        raise FileError(f"{path} holds no image; save it again.")
    check_single(path, blocks)
    found: dict[int | None, list[CziBlock]] = {}
    for block in blocks:
        found.setdefault(block.start.get(SCENE), []).append(block)
    return dict(sorted(found.items(), key=lambda item: -1 if item[0] is None else item[0]))


def _scene_names(root: Element | None, scenes: Sequence[int | None]) -> tuple[str, ...]:
    told = {}
    for each in (
        () if root is None else root.iterfind(f"{INFORMATION}/Image/Dimensions/S/Scenes/Scene")
    ):
        told[each.get("Index", "")] = each.get("Name", "")
    return unique_names(told.get(str(number), "") for number in scenes)


class _Mosaic:
    """The blocks of a scene, and what image they make."""

    def __init__(self, path: Path, blocks: list[CziBlock]) -> None:
        self.path = path
        kinds = {block.pixels for block in blocks}
        if not kinds <= CZI_PIXELS.keys() or len({CZI_PIXELS[kind][1] > 1 for kind in kinds}) > 1:
            raise FileError(
                f"{path} has pixels of a kind that is not read, such as complex numbers; save it "
                "as OME-TIFF."
            )
        self.dtype = np.result_type(
            *(np.dtype(CZI_PIXELS[kind][0]) for kind in kinds)
        ).newbyteorder("=")
        colours = CZI_PIXELS[next(iter(kinds))][1] > 1
        dimensions = {axis for block in blocks for axis in block.start} - {SCENE, _TILE}
        self.first = {
            axis: min(block.start.get(axis, 0) for block in blocks) for axis in dimensions
        }
        ends = {
            axis: max(block.start.get(axis, 0) + block.size.get(axis, 1) for block in blocks)
            for axis in dimensions
        }
        sizes = {axis: ends[axis] - self.first[axis] for axis in dimensions}
        leading = [axis for axis in sorted(dimensions - set(_USUAL)) if sizes[axis] > 1]
        leading += [axis for axis in _USUAL[:3] if sizes.get(axis, 1) > 1]
        self.leading = tuple(leading)
        self.axes = "".join(leading) + ("YXS" if colours else "YX")
        self.shape = tuple(sizes[axis] for axis in (*leading, "Y", "X")) + ((3,) if colours else ())
        self.tile = blocks[0].shape[:2]
        self._check(path, blocks, sizes)
        self._planes = self._by_plane(blocks)
        self._decoded: OrderedDict[int, np.ndarray] = OrderedDict()

    def _check(self, path: Path, blocks: list[CziBlock], sizes: dict[str, int]) -> None:
        there = sum(block.size["Y"] * block.size["X"] for block in blocks)
        claimed = int(np.prod([float(sizes[axis]) for axis in (*self.leading, "Y", "X")]))
        if claimed > EMPTIEST * there:
            raise cut_short(path)
        if any(
            block.size.get(axis, 1) != 1
            for block in blocks
            for axis in block.size
            if axis not in "XY"
        ):
            raise FileError(
                f"{path} has blocks of several planes, which are not read; save it as OME-TIFF."
            )

    def _by_plane(
        self, blocks: list[CziBlock]
    ) -> dict[tuple[int, ...], tuple[list[CziBlock], np.ndarray]]:
        """The blocks of each plane in the order in which they lie on each other, and their first
        and last rows and columns.
        """
        planes: dict[tuple[int, ...], list[CziBlock]] = {}
        for block in sorted(blocks, key=lambda block: block.start.get(_TILE, 0)):
            index = tuple(block.start.get(axis, 0) - self.first[axis] for axis in self.leading)
            planes.setdefault(index, []).append(block)
        y, x = self.first["Y"], self.first["X"]
        return {
            index: (
                found,
                np.array(
                    [
                        (
                            each.start["Y"] - y,
                            each.start["Y"] - y + each.size["Y"],
                            each.start["X"] - x,
                            each.start["X"] - x + each.size["X"],
                        )
                        for each in found
                    ]
                ),
            )
            for index, found in planes.items()
        }

    @property
    def channels(self) -> range:
        """The numbers that the channels have in the file."""
        count = self.shape[self.leading.index("C")] if "C" in self.leading else 1
        return range(self.first.get("C", 0), self.first.get("C", 0) + count)

    def read(self, index: tuple[int, ...], rows: slice, columns: slice) -> np.ndarray:
        """A part of a plane, put together of the blocks that lie in it."""
        colours = self.axes.endswith("S")
        found = np.zeros(
            (rows.stop - rows.start, columns.stop - columns.start, *((3,) if colours else ())),
            self.dtype,
        )
        if index not in self._planes:
            return found
        blocks, bounds = self._planes[index]
        y0, y1, x0, x1 = bounds.T
        met = np.flatnonzero(
            (y0 < rows.stop) & (y1 > rows.start) & (x0 < columns.stop) & (x1 > columns.start)
        )
        with self.path.open("rb") as file:
            for number in met:
                pixels = self._pixels(file, blocks[number])
                top, bottom = max(y0[number], rows.start), min(y1[number], rows.stop)
                left, right = max(x0[number], columns.start), min(x1[number], columns.stop)
                part = pixels[
                    top - y0[number] : bottom - y0[number], left - x0[number] : right - x0[number]
                ]
                place = (
                    slice(top - rows.start, bottom - rows.start),
                    slice(left - columns.start, right - columns.start),
                )
                found[place] = part if colours else part[..., 0]
        return found

    def _pixels(self, file: Any, block: CziBlock) -> np.ndarray:
        if (kept := self._decoded.get(block.position)) is None:
            kept = self._decoded[block.position] = read_block(self.path, file, block)
            while (
                len(self._decoded) > 1
                and sum(each.nbytes for each in self._decoded.values()) > _KEPT_BYTES
            ):
                self._decoded.popitem(last=False)
        return kept


def _calibration(root: Element | None, mosaic: _Mosaic, seconds: tuple[float, ...]) -> Calibration:
    apart = (seconds[-1] - seconds[0]) / (len(seconds) - 1) if len(seconds) > 1 else math.nan
    if root is None:
        return Calibration(time_step_s=apart if is_size(apart) else None)
    steps = {}
    for each in root.iterfind("./Metadata/Scaling/Items/Distance"):
        size = number_told(each.findtext("Value")) * 1e6
        if is_size(size):
            steps[each.get("Id", "")] = AxisStep(size, "µm")
    step = number_told(
        root.findtext(f"{INFORMATION}/Image/Dimensions/T/Positions/Interval/Increment")
    )
    step = step if is_size(step) else apart
    channels = root.findall(f"{INFORMATION}/Image/Dimensions/Channels/Channel")
    shown = _shown(root)
    mine = [
        channels[number] if number < len(channels) else Element("Channel")
        for number in mosaic.channels
    ]
    looks = [shown.get(each.get("Id", ""), Element("Channel")) for each in mine]
    names = tuple(
        own.get("Name") or look.get("Name") or own.findtext("Fluor") or ""
        for own, look in zip(mine, looks, strict=True)
    )
    display = tuple(
        _display(own, look, mosaic.dtype) for own, look in zip(mine, looks, strict=True)
    )
    known = any(each.color or each.limits for each in display)
    return Calibration(
        Geometry.of(steps),
        names if all(names) else (),
        step if is_size(step) else None,
        display if known else (),
        objective=_objective(root, mine),
    )


def _shown(root: Element) -> dict[str, Element]:
    """How each channel is shown, by its identifier."""
    return {
        each.get("Id", ""): each
        for each in root.iterfind("./Metadata/DisplaySetting/Channels/Channel")
    }


def _display(own: Element, look: Element, dtype: np.dtype) -> ChannelDisplay:
    """Colours are "#AARRGGBB" here, and limits shares of what the pixel type can hold."""
    colour = next((text for text in (look.findtext("Color"), own.findtext("Color")) if text), "")
    limits = None
    if dtype.kind == "u" and look.findtext("High"):
        largest = float(np.iinfo(dtype).max)
        ends = number_told(look.findtext("Low") or "0"), number_told(look.findtext("High"))
        limits = limits_of([end * largest for end in ends])
    return ChannelDisplay(color_of(colour.strip().lstrip("#")[-6:]), limits=limits)


def _objective(root: Element, channels: Sequence[Element]) -> Objective | None:
    waves = [number_told(each.findtext("EmissionWavelength")) / 1000 for each in channels]
    wanted = root.find(f"{INFORMATION}/Image/ObjectiveSettings/ObjectiveRef")
    name = None if wanted is None else wanted.get("Id")
    found = [
        each
        for each in root.iterfind(f"{INFORMATION}/Instrument/Objectives/Objective")
        if name in (None, each.get("Id"))
    ]
    if len(found) != 1:
        return None
    one = found[0]
    told = told_objective(
        one.findtext("LensNA"),
        waves,
        one.findtext("NominalMagnification"),
        one.findtext("Immersion"),
    )
    return told or labelled_objective(one.get("Name") or one.findtext("Manufacturer/Model"), waves)
