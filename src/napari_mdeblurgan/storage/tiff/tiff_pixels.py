"""Pixels of a TIFF file as they are meant: palettes, opacity, inverted and signed greys, and the
order of axes.

All functions take numpy or dask arrays, and give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.storage.lazy_arrays import by_block, transposed
from napari_mdeblurgan.storage.orientations import SIDEWAYS, UPRIGHT, upright
from napari_mdeblurgan.storage.tiff.tiff_imagej import SIGNED_OFFSET, is_signed

if TYPE_CHECKING:
    from tifffile import TiffPage, TiffPageSeries

ASSOCIATED, UNASSOCIATED = (
    1,
    2,
)  # values of the tag ExtraSamples: colours are multiplied by opacity, or they are not
TABLES = (
    "imagej",
    "ome",
)  # dialects in which a palette, or white-is-zero, is but a way to show greys
SLAB_PIXELS = 2**22


def arranged_pixels(data: Any, axes: str, series: TiffPageSeries) -> tuple[Any, str]:
    """Pixels and axes with YX or YXS last, samples that are no colours as channels, and values as
    they are meant.

    Palettes become colours, greys that run from white to black are turned round, colours that are
    multiplied by opacity are divided by it, and numbers that ImageJ holds as unsigned ones become
    signed ones again. The real number that GDAL's tag calls no data becomes NaN. A plain TIFF is
    turned as its tag Orientation says; OME and ImageJ do not know it.

    Parameters
    ----------
    data : ndarray or dask.array.Array
        As tifffile decodes it.
    axes : str
        tifffile's letters.
    series : TiffPageSeries
        That it is of.
    """
    from tifffile import PHOTOMETRIC

    page, kind = series.keyframe, series.kind.lower()
    last = "YXS" if "S" in axes else "YX"
    order = [axis for axis in axes if axis not in last] + list(last)
    data, axes = transposed(data, [axes.index(axis) for axis in order]), "".join(order)
    if not data.dtype.isnative:
        data = by_block(_in_native_order, data)
    samples = data.shape[-1] if "S" in axes else 1
    opacity = page.extrasamples[0] if samples in (2, 4) and page.extrasamples else None
    if page.photometric == PHOTOMETRIC.PALETTE and page.colormap is not None and kind not in TABLES:
        return _from_palettes(data, axes, series, opacity)
    inverted = (
        page.photometric == PHOTOMETRIC.MINISWHITE and "PhotometricInterpretation" in page.tags
    )
    by_default = kind == "shaped" and data.dtype == bool  # tifffile says so of bits by itself
    if inverted and kind not in TABLES and not by_default:
        data = _turned_round(data, page, samples, opacity)
    greys = page.photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE)
    if samples == 2 and greys and opacity in (ASSOCIATED, UNASSOCIATED):
        data, samples, greys = data[..., [0, 0, 0, 1]], 4, False
    if samples == 4 and not greys and opacity == ASSOCIATED:
        data = _by_pixel(_divided, data, page.bitspersample)
    if kind == "imagej" and is_signed(series.keyframe.parent.imagej_metadata or {}, data.dtype):
        data = by_block(_signed, data)
    if data.dtype.kind == "f" and "GDAL_NODATA" in page.tags:
        data = by_block(_without, data, page.nodata)
    if is_turned(series):
        data = upright(data, _orientation(series), axes.index("Y"))
    if "S" in axes and (samples not in (3, 4) or greys):
        letter = "Q" if "C" in axes else "C"
        data = transposed(
            data, [*range(data.ndim - 3), data.ndim - 1, data.ndim - 3, data.ndim - 2]
        )
        axes = f"{axes.removesuffix('YXS')}{letter}YX"
    return data, axes


def is_turned(series: TiffPageSeries) -> bool:
    """Whether the first row that a plain TIFF holds is not the top one, or its first column not the
    left one.
    """
    return series.kind.lower() not in TABLES and _orientation(series) != UPRIGHT


def is_on_its_side(series: TiffPageSeries) -> bool:
    """Whether the rows that a plain TIFF holds are columns of the image."""
    return is_turned(series) and _orientation(series) in SIDEWAYS


def _orientation(series: TiffPageSeries) -> int:
    value = series.keyframe.tags.valueof("Orientation", UPRIGHT)
    return int(value) if value in range(1, 9) else UPRIGHT


def _in_native_order(data: np.ndarray) -> np.ndarray:
    return data.astype(data.dtype.newbyteorder("="))


def _without(data: np.ndarray, missing: float) -> np.ndarray:
    """Real numbers, with NaN for the one that a file says is no measurement."""
    return np.where(data == data.dtype.type(missing), data.dtype.type(np.nan), data)


def _signed(data: np.ndarray) -> np.ndarray:
    return (data ^ np.uint16(SIGNED_OFFSET)).view(np.int16)


def _turned_round(data: Any, page: TiffPage, samples: int, opacity: int | None) -> Any:
    """White-is-zero as black-is-zero; real numbers, whose white is not known, stay as they are."""
    if data.dtype.kind == "f":
        return data
    if samples == 2 and opacity in (ASSOCIATED, UNASSOCIATED):
        return _by_pixel(_turned_beside_opacity, data, page.bitspersample)
    return by_block(_inverse, data, page.bitspersample)


def _inverse(data: Any, bits: int) -> Any:
    """The largest value for the smallest, of as many bits as a pixel has: of
    signed numbers -1 - v.
    """
    return data.dtype.type(2**bits - 1) - data if data.dtype.kind == "u" else ~data


def _turned_beside_opacity(data: np.ndarray, bits: int) -> np.ndarray:
    return np.stack([_inverse(data[..., 0], bits), data[..., 1]], -1)


def _from_palettes(
    data: Any, axes: str, series: TiffPageSeries, opacity: int | None
) -> tuple[Any, str]:
    """The colours that numbers stand for, by the palette of each page where these differ."""
    palettes = [] if "S" in axes else _palettes(series)
    if not palettes:
        return _from_palette(data, axes, series.keyframe, opacity)
    tables = np.stack([_table(palette) for palette in palettes])
    if isinstance(data, np.ndarray):
        return _of_pages(data, tables), f"{axes}S"
    found = data.map_blocks(
        _by_page, tables, dtype=np.uint8, chunks=(*data.chunks, (3,)), new_axis=data.ndim
    )
    return found, f"{axes}S"


def _palettes(series: TiffPageSeries) -> list[np.ndarray]:
    """Those of the pages of a series, one after the other; none where all are alike, which is taken
    to be so where the second and the last have that of the first.
    """
    first: Any = series.keyframe
    if series.kind not in ("generic", "uniform") or len(series.shape) != 3 or len(series) < 2:
        return []

    def palette(number: int) -> np.ndarray:
        page: Any = series[number]
        own = page.aspage().colormap if page is not None else None
        return first.colormap if own is None else own

    if all(np.array_equal(palette(number), first.colormap) for number in (1, -1)):
        return []
    return [palette(number) for number in range(len(series))]


def _by_page(data: np.ndarray, tables: np.ndarray, block_info: Mapping[Any, Any]) -> np.ndarray:
    """Colours (page, y, x, 3) of some of the pages, by the table of each, (pages, n, 3)."""
    return _of_pages(data, tables[slice(*block_info[0]["array-location"][0])])


def _of_pages(data: np.ndarray, tables: np.ndarray) -> np.ndarray:
    pages = zip(data[..., None], tables, strict=True)
    return np.stack([_looked_up(page, table, 0) for page, table in pages])


def _table(palette: np.ndarray) -> np.ndarray:
    """Colours (n, 3) of 8 bits; some programs write 8 bits where there are to be 16."""
    return (np.asarray(palette) >> (8 if palette.max() > 255 else 0)).astype(np.uint8).T


def _from_palette(data: Any, axes: str, page: TiffPage, opacity: int | None) -> tuple[Any, str]:
    """The colours that numbers stand for, of 8 bits, with the opacity that lies beside them; or
    their greys, where there is no colour among them.
    """
    assert page.colormap is not None
    colours = _table(page.colormap)
    if "S" not in axes:
        if (page.colormap == page.colormap[:1]).all():
            greys = page.colormap[0] if len(colours) > 256 else colours[:, 0]
            return by_block(_grey_of, data, greys), axes
        data, axes = data[..., None], f"{axes}S"
    beside = opacity in (ASSOCIATED, UNASSOCIATED) and data.shape[-1] == 2
    return _by_pixel(
        _looked_up, data, colours, page.bitspersample if beside else 0, samples=4 if beside else 3
    ), axes


def _grey_of(data: np.ndarray, greys: np.ndarray) -> np.ndarray:
    return np.take(greys, data.astype(np.uint8) if data.dtype == bool else data)


def _looked_up(data: np.ndarray, colours: np.ndarray, bits: int) -> np.ndarray:
    """Colours (…, 3), or (…, 4) where the second sample is opacity of that many bits."""
    numbers = data[..., 0].astype(np.uint8) if data.dtype == bool else data[..., 0]
    found = np.take(colours, numbers, axis=0)
    if not bits:
        return found
    opacity = np.round(data[..., 1] * (255 / (2**bits - 1))).astype(np.uint8)
    return np.concatenate([found, opacity[..., None]], -1)


def _divided(data: np.ndarray, bits: int) -> np.ndarray:
    """Colours (…, 4) divided by their opacity; what is wholly transparent has none and is black."""
    result, flat = data.copy(), data.reshape(-1, 4)
    whole = 1.0 if data.dtype.kind == "f" else float(2**bits - 1)
    out = result.reshape(-1, 4)
    for start in range(0, len(flat), SLAB_PIXELS):
        part = flat[start : start + SLAB_PIXELS].astype(np.float64)
        opacity = part[:, 3:]
        colours = np.divide(
            part[:, :3] * whole, opacity, out=np.zeros_like(part[:, :3]), where=opacity > 0
        )
        if data.dtype.kind != "f":
            colours = np.minimum(np.round(colours), whole)
        out[start : start + SLAB_PIXELS, :3] = colours.astype(data.dtype)
    return result


def _by_pixel(
    function: Callable[..., np.ndarray], data: Any, *arguments: Any, samples: int = 0
) -> Any:
    """A function of all samples of a pixel, of an array or of the blocks of one that is lazy."""
    if isinstance(data, np.ndarray):
        return function(data, *arguments)
    blocks = data.rechunk({data.ndim - 1: -1})
    number = samples or data.shape[-1]
    example = function(np.zeros((1,) * (data.ndim - 1) + (data.shape[-1],), data.dtype), *arguments)
    chunks = (*blocks.chunks[:-1], (number,))
    return blocks.map_blocks(
        function, *arguments, dtype=example.dtype, chunks=chunks, meta=example[:0]
    )
