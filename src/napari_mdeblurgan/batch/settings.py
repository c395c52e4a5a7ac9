"""What the user of a batch wishes."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from napari_mdeblurgan.batch.batch_recipe import (
    BUNDLED_FOR_COLOURS,
    BUNDLED_FOR_GREY,
    FORMATS,
    Recipe,
    model_file,
)
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.writing import STREAMED_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """What the user wishes.

    Attributes
    ----------
    rgb_model, grey_model : str
        Names or paths of the models for colour and for grey images. What is stored in colours but
        has none goes through the one for grey images, unless the other is one of your own.
    format : str
        Of the results: one of `FORMATS`.
    device, precision, tile, softness
        As in `make_plan`.
    binning : int or "auto"
        By how many pixels along y and x images are binned first; 1 for not at all, "auto" for as
        many as each needs.
    output_scale : int or None
        As in `make_plan`.
    image : str or None
        Of files that hold several images only this one; None takes all.
    overwrite : bool
        Replace files that are there and that no batch with the same settings has made.
    trust : bool
        Assess every result, and keep what was found out about it with the result, with a report
        beside it, and maps.
    retry_failed : bool
        Do only what failed in an earlier run.
    scheduler : str or None
        Address of a dask.distributed scheduler to run on.
    workers : int or None
        Run on so many processes of this machine.
    large_bytes : int
        Results of more bytes are not made in memory but block by block on disk.
    """

    rgb_model: str = BUNDLED_FOR_COLOURS
    grey_model: str = BUNDLED_FOR_GREY
    format: str = "ome-tiff"
    device: str = "auto"
    precision: str = "auto"
    tile: int | None = None
    softness: float | str = "auto"
    binning: int | str = 1
    output_scale: int | None = None
    image: str | None = None
    overwrite: bool = False
    trust: bool = False
    retry_failed: bool = False
    scheduler: str | None = None
    workers: int | None = None
    large_bytes: int = STREAMED_BYTES

    def recipe(self) -> Recipe:
        """What of it makes a result what it is.

        Raises
        ------
        MdeblurganError
            If there is no such format, model, softness or tile, a number is none, or a model cannot
            give such an output scale.
        """
        from napari_mdeblurgan.restoration.binning import chosen_binning
        from napari_mdeblurgan.restoration.checking import check_tile
        from napari_mdeblurgan.restoration.output_scale import output_factor
        from napari_mdeblurgan.restoration.softness import chosen_softness

        if self.format not in FORMATS:
            raise FileError(
                f"There is no format {self.format!r}; choose one of {', '.join(FORMATS)}."
            )
        chosen_softness(self.softness)
        check_tile(self.tile)
        for name, value in (("workers", self.workers), ("large_bytes", self.large_bytes)):
            if value is not None and not (isinstance(value, Integral) and value > 0):
                raise FileError(f"{name} is {value!r}; give a whole number above 0.")
        rgb_model, grey_model = model_file(self.rgb_model), model_file(self.grey_model)
        for model in (rgb_model, grey_model):
            output_factor(self.output_scale, model)
        return Recipe(
            rgb_model=rgb_model,
            grey_model=grey_model,
            suffix=FORMATS[self.format],
            device=self.device,
            precision=self.precision,
            tile=_plain(self.tile),
            softness=_plain(self.softness),
            binning=chosen_binning(self.binning),
            output_scale=_plain(self.output_scale),
            trust=self.trust,
            large_bytes=_plain(self.large_bytes),
        )


def _plain(value: Any) -> Any:
    """A number of numpy as one of Python, which can be written down; all else as it is."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value
