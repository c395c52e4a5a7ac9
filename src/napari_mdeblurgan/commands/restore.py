"""`mdeblurgan restore`: single images, read and restored in memory."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_mdeblurgan.commands import common
from napari_mdeblurgan.commands.common import (
    WrongUse,
    check_device,
    check_model,
    check_output,
    check_source,
    one_line_errors,
)
from napari_mdeblurgan.commands.options import (
    Aperture,
    Binning,
    Device,
    Model,
    OutputScale,
    Precision,
    PrecisionOption,
    Region,
    Softness,
    Tile,
    Wavelength,
)
from napari_mdeblurgan.commands.progress import shown
from napari_mdeblurgan.commands.trust import Wishes, Work

if TYPE_CHECKING:
    import numpy as np

    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.storage.objective import Objective

LINE_EVERY = 0.1  # of the work, where progress goes into a pipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How images are restored.

    Attributes
    ----------
    model : str or None
        None where it follows from the image.
    image : str or None
        Which image of a file of several; None takes the one that `read_image` takes.
    device, tile, precision, softness, objective
        As in `make_plan`.
    binning : int
        By how many pixels along y and x images are binned first; 1 for not at all.
    region : str or None
        The part that is restored, see `common.region_option`; None for all.
    output_scale : int or None
        As in `make_plan`.
    """

    model: str | None = None
    image: str | None = None
    device: str = "auto"
    tile: int | None = None
    precision: str = "auto"
    softness: float | str = "auto"
    binning: int = 1
    region: str | None = None
    output_scale: int | None = None
    objective: Objective | None = None

    def options(self, image: Micrograph) -> dict[str, Any]:
        """For `make_plan`, of an image as it is in its file; what is left to the image is not named."""
        chosen: dict[str, Any] = {"tile": self.tile, "device": self.device, "precision": self.precision}
        if self.region is not None:
            chosen["region"] = common.region_option(self.region, image, self.binning)
        if self.softness != "auto":
            chosen["softness"] = self.softness
        if self.output_scale is not None:
            chosen["output_scale"] = self.output_scale
        if self.objective is not None:
            chosen["objective"] = self.objective
        return chosen


def restore(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(metavar="INPUT", help="TIFF, OME-Zarr, PNG, JPEG, or a microscope's CZI, ND2, LIF, …"),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Ends in .tif, .ome.tif, .png or .ome.zarr.")],
    model: Model = None,
    image: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a file of several images: a name, or a number from 0.")
    ] = None,
    device: Device = "auto",
    tile: Tile = None,
    precision: PrecisionOption = Precision.auto,
    softness: Softness = "auto",
    binning: Binning = 1,
    region: Region = None,
    output_scale: OutputScale = None,
    numerical_aperture: Aperture = None,
    wavelength: Wavelength = None,
    compare: Annotated[Path | None, typer.Option(metavar="PICTURE", help="Also draw before and after: a .png.")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Also write maps of how far to trust it beside OUTPUT.")
    ] = False,
    report: Annotated[Path | None, typer.Option(metavar="PAGE", help="Also write a report on that: an .html.")] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Average of 8, flipped and turned: a little better, 8 × as long.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")] = False,
) -> None:
    """Restore one image: sharper, and of higher pixel density if wished.

    Stacks are restored plane by plane, channels each in their own range of intensities. Type, axes, channel names and pixel
    size (divided by the factor, which --output-scale 1 makes 1) go into OUTPUT. An .ome.zarr is made block by block, of images of
    any size; the same command goes on where it was interrupted, and the maps of trust lie within it. A part
    of an image (--region) is what it would be in the whole, and keeps its place. Of a file of several
    images (series, pages of other sizes, wells and fields of a plate) one is restored, and it is said which; `mdeblurgan
    batch` takes all of them.

    \b
    Example:
      mdeblurgan restore blurred.tif sharp.tif --compare before-after.png
      mdeblurgan restore blurred.tif sharp.tif --output-scale 1
      mdeblurgan restore blurred.tif sharp.tif --trust --report sharp.html
      mdeblurgan restore scan.ome.zarr part.tif --region 4000:5000,12000:13000
      mdeblurgan restore scan.ome.zarr sharp.ome.zarr --trust --report sharp.html
    """
    with one_line_errors(context):
        wishes = Wishes(maps=trust, report=report, ensemble=ensemble)
        settings = Settings(
            model=model,
            image=image,
            device=device,
            tile=tile,
            precision=precision.value,
            softness=common.softness_option(softness),
            binning=binning,
            region=region,
            output_scale=output_scale,
            objective=common.objective_options(numerical_aperture, wavelength),
        )
        restore_file(source, output, settings, compare, wishes, overwrite=overwrite)


def restore_file(
    source: Path, output: Path, settings: Settings, compare: Path | None, wishes: Wishes, *, overwrite: bool
) -> None:
    """Restore an image, and write it and what else is asked for.

    Raises
    ------
    WrongUse
        Before any work, where it cannot be meant so.
    MdeblurganError
        If the image cannot be restored.
    """
    from napari_mdeblurgan.commands.restore_on_disk import check_room, is_made_on_disk, restore_on_disk
    from napari_mdeblurgan.restoration.binning import binned_micrograph
    from napari_mdeblurgan.storage import choose_image, open_image, read_image, write_image

    _check_files(source, output, compare, overwrite, wishes)
    if settings.model is not None:
        check_model(settings.model)
    check_device(settings.device, settings.precision)
    image, sentence = choose_image(source, settings.image, "--image ")
    if sentence:
        print(f"mdeblurgan: {sentence}", file=sys.stderr)
    found = open_image(source, image)
    opened, options = binned_micrograph(found, settings.binning), settings.options(found)
    factor = _factor(opened, settings)
    if is_made_on_disk(output):
        named = partial(_model_name, settings=settings)
        for line in restore_on_disk(
            source, image, output, named, wishes, compare, _shown, binning=settings.binning, **options
        ):
            print(line, flush=True)
        return
    check_room(opened, output, factor, wishes, options.get("region"))
    before = binned_micrograph(read_image(source, image), settings.binning)
    check_output(output, before.axes, before.data.dtype)
    work = Work(wishes, _shown, settings.binning)
    after = restored(before, settings, options, work if wishes.any else None)
    write_image(output, after)
    print(f"{output}: {' × '.join(map(str, after.data.shape))} ({after.axes})")
    if compare is not None:
        from napari_mdeblurgan.comparison import write_comparison

        write_comparison(compare, before, after, region=options.get("region"))
        print(compare)
    for line in work.write(output, before, after):
        print(line)


def _check_files(source: Path, output: Path, compare: Path | None, overwrite: bool, trust: Wishes) -> None:
    """Find out, before any work is done, whether the files can be meant so."""
    check_source(source)
    if compare is not None and compare.suffix.lower() != ".png":
        raise WrongUse(f"the before/after picture is a PNG; let {compare} end in .png.")
    trust.check()
    written = [output, *trust.files(output)] if compare is None else [output, compare, *trust.files(output)]
    for path in written:
        if path.resolve() == source.resolve() or (path.exists() and path.samefile(source)):
            raise WrongUse(f"{path} is the input itself; choose another name.")
        if path == output and trust.assesses and _was_made_on_disk(path):
            continue  # if it is the same that is asked for, its assessment goes on
        if path.exists() and not overwrite:
            mend = "remove it, or choose another name" if path.is_dir() else "choose another name or add --overwrite"
            raise WrongUse(f"{path} is there already; {mend}.")
        if path != trust.report:
            check_output(path, "YX", "uint8")
    if compare is not None and compare.resolve() == output.resolve():
        raise WrongUse(f"{output} cannot be both the result and the before/after picture; choose two names.")


def _was_made_on_disk(path: Path) -> bool:
    from napari_mdeblurgan.storage.ome_zarr_writing import finished_job

    return path.suffix.lower() == ".zarr" and finished_job(path) is not None


def _model_name(image: Micrograph, settings: Settings) -> str:
    return settings.model or (common.COLOUR_MODEL if image.rgb else common.GREY_MODEL)


def _factor(image: Micrograph, settings: Settings) -> int:
    """Pixels of the result for one of the image, along y and x.

    Raises
    ------
    WrongUse
        If the model cannot give what is asked for.
    """
    from napari_mdeblurgan.errors import ImageError
    from napari_mdeblurgan.model import find_model, read_card
    from napari_mdeblurgan.restoration.output_scale import output_factor

    card = read_card(find_model(_model_name(image, settings)))
    try:
        return output_factor(settings.output_scale, card)
    except ImageError as error:
        raise WrongUse(str(error)) from error


def restored(image: Micrograph, settings: Settings, options: Mapping[str, Any], work: Work | None = None) -> Micrograph:
    """Restore an image and show the progress."""
    from napari_mdeblurgan.model import load_model
    from napari_mdeblurgan.restoration.engine import restore_steps
    from napari_mdeblurgan.restoration.made import provenance_of
    from napari_mdeblurgan.restoration.micrographs import plan_micrograph, restored_micrograph
    from napari_mdeblurgan.storage.provenance import record_of

    model = load_model(_model_name(image, settings))
    plan = plan_micrograph(image, model.card, **options)
    for warning in plan.warnings:
        print(f"mdeblurgan: {warning}", file=sys.stderr)
    print(plan.described, flush=True)
    data = work(image.data, plan, model) if work else _shown(restore_steps(image.data, plan, model))
    if work is None:
        entry = {"made": provenance_of(plan, model.card, image.name, binning=settings.binning)}
    else:
        entry = work.entry(image, plan, model.card)
    return replace(restored_micrograph(image, data, plan), provenance=record_of([entry]))


def _shown(steps: Generator[Progress, None, np.ndarray]) -> np.ndarray:
    return shown(steps, unit="px", every=LINE_EVERY)
