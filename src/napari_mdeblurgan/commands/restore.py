"""`mdeblurgan restore`: single images, in memory or block by block into an OME-Zarr."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_mdeblurgan.commands import common
from napari_mdeblurgan.commands.common import (
    WrongUse,
    as_wrong_use,
    check_device,
    check_local,
    check_model,
    check_output_file,
    check_source_path,
    one_line_errors,
    resumed_by,
)
from napari_mdeblurgan.commands.options import (
    ApertureOption,
    BinningOption,
    DeviceOption,
    ModelOption,
    OutputScaleOption,
    PrecisionName,
    PrecisionOption,
    RegionOption,
    SoftnessOption,
    TileOption,
    WavelengthOption,
)
from napari_mdeblurgan.commands.progress_bar import with_progress
from napari_mdeblurgan.errors import FileError, ImageError, NoSuchImage
from napari_mdeblurgan.exclusive import claimed
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.pipeline import Event, PipelineSteps, Planned, Written, carry_out
from napari_mdeblurgan.request import Request
from napari_mdeblurgan.restoration.progress import Progress
from napari_mdeblurgan.steps import Returning, percent

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.storage.objective import Objective

_LINE_EVERY = 0.1  # of the work, where progress goes into a pipe


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """How images are restored.

    Attributes
    ----------
    model : str or None
        None where it follows from the image.
    image : str or None
        Which image of a file of several; None takes the one that `read_image` takes.
    device, tile, precision, softness, objective
        As in `make_plan`.
    binning : int or "auto"
        As in `BatchSettings`.
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
    binning: int | str = 1
    region: str | None = None
    output_scale: int | None = None
    objective: Objective | None = None

    def options(self, image: Micrograph, binning: int = 1) -> dict[str, Any]:
        """For `make_plan`, of an image as it is in its file, which is binned afterwards; what
        is left to the image is not named.
        """
        chosen: dict[str, Any] = {
            "tile": self.tile,
            "device": self.device,
            "precision": self.precision,
        }
        if self.region is not None:
            chosen["region"] = common.region_option(self.region, image, binning)
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
        typer.Argument(
            metavar="INPUT",
            help="TIFF, OME-Zarr, PNG, JPEG, BMP, or a microscope's CZI, ND2, LIF, …",
        ),
    ],
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="Ends in .tif, .ome.tif, .png or .ome.zarr.")
    ],
    model: ModelOption = None,
    image: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of a file of several images: a name, or a number from 0."
        ),
    ] = None,
    device: DeviceOption = "auto",
    tile: TileOption = None,
    precision: PrecisionOption = PrecisionName.auto,
    softness: SoftnessOption = "auto",
    binning: BinningOption = "1",
    region: RegionOption = None,
    output_scale: OutputScaleOption = None,
    numerical_aperture: ApertureOption = None,
    wavelength: WavelengthOption = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="PICTURE", help="Also draw before and after: a .png.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Also write maps of how far to trust it beside OUTPUT.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Also write a report on that: an .html.")
    ] = None,
    ensemble: Annotated[
        bool,
        typer.Option(
            "--ensemble", help="Average of 8, flipped and turned: a little better, 8 × as long."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there already.")
    ] = False,
) -> None:
    """Restore one image: sharper, and with more pixels if wished.

    Stacks are restored plane by plane, channels each in their own range of intensities. Type, axes,
    channel names and pixel size (divided by the factor, which --output-scale 1 makes 1) go into
    OUTPUT. An .ome.zarr is made block by block, of images of any size; the same command goes on
    where it was interrupted, and the maps of trust lie within it. A part of an image (--region) is
    what it would be in the whole, and keeps its place. Of a file of several images (series, pages
    of other sizes, wells and fields of a plate) one is restored, and it is said which; `mdeblurgan
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
        request = Request(
            output=output,
            examines=True,
            ensemble=ensemble,
            maps=trust,
            report=report,
            picture=compare,
        )
        settings = RestoreOptions(
            model=model,
            image=image,
            device=device,
            tile=tile,
            precision=precision.value,
            softness=common.softness_option(softness),
            binning=common.binning_option(binning),
            region=region,
            output_scale=output_scale,
            objective=common.objective_options(numerical_aperture, wavelength),
        )
        restore_file(source, settings, request, overwrite=overwrite)


def restore_file(
    source: Path, settings: RestoreOptions, request: Request, *, overwrite: bool
) -> None:
    """Restore an image, and write it and what else is asked for.

    Raises
    ------
    WrongUse
        Before any work, where it cannot be meant so.
    MdeblurganError
        If the image cannot be restored.
    """
    from napari_mdeblurgan.storage import choose_image, open_image
    from napari_mdeblurgan.trust.auto_binning import binned_as_wished

    _check_files(source, request, overwrite)
    if settings.model is not None:
        check_model(settings.model)
    check_device(settings.device, settings.precision)
    with as_wrong_use(NoSuchImage):
        image, sentence = choose_image(source, settings.image, "--image ")
    if sentence:
        print(f"mdeblurgan: {sentence}", file=sys.stderr)
    found = open_image(source, image)
    settings = replace(settings, model=_model_name(found, settings))
    card = _fit_card(found, settings)
    opened = binned_as_wished(found, settings.binning, lambda: card)
    options = settings.options(found, opened.binning)
    if not request.on_disk:  # one that is there may be gone on with
        check_output_file(request.output, opened.axes, opened.data.dtype)
    request = replace(request, options=options)
    with _claimed(request):
        _check_files(source, request, overwrite)  # another command may have made it meanwhile
        if request.on_disk and not overwrite:
            _check_begun(opened, card, request)
        make(opened, settings, request)


def make(image: Micrograph, settings: RestoreOptions, request: Request) -> None:
    """Carry out a request, and show how far it is and what is there."""
    from napari_mdeblurgan.model import load_model

    model = load_model(_model_name(image, settings))
    with closing(carry_out(image, model, request)) as steps:
        while True:
            event, done = with_progress(_until_told(steps), unit="px", every=_LINE_EVERY)
            if event is not None:
                _say(event)
            elif done is not None:
                break
    if done[1] is not None:
        print(done[1].sentence)


def _until_told(steps: PipelineSteps) -> Generator[Progress, None, tuple[Event | None, Any]]:
    """Progress until something else is told, or all is done: that, or what came of it."""
    returning = Returning(steps)
    for step in returning:
        if not isinstance(step, Progress):
            return step, None
        yield step
    return None, returning.result


def _say(event: Event) -> None:
    match event:
        case Planned(plan, examinations):
            for warning in plan.warnings:
                print(f"mdeblurgan: {warning}", file=sys.stderr)
            lines = [plan.described]
            for number, each in enumerate(examinations):
                lines.append(
                    (f"channel {number}: " if len(examinations) > 1 else "") + each.sentence
                )
        case Written(path, what):
            lines = [f"{path}: {what}" if what else str(path)]
        case _:
            lines = ["assessing the result"]
    print("\n".join(lines), flush=True)


@contextmanager
def _claimed(request: Request) -> Iterator[None]:
    """Keep others from making the same result in the meantime, which one of the two would replace,
    and say how an OME-Zarr that was interrupted is resumed.
    """
    output = request.output
    kept = (
        f"interrupted; what is done of {output} is kept, and the same command goes on from there."
    )
    resumed = resumed_by(kept) if request.on_disk else nullcontext()
    with claimed(output) as lock, resumed:
        if lock.note:
            print(lock.note, flush=True)
        yield


def _check_files(source: Path, request: Request, overwrite: bool) -> None:
    """Find out, before any work is done, whether the files can be meant so."""
    output, picture, report = request.output, request.picture, request.report
    check_source_path(source)
    for path in (output, picture, report):
        if path is not None:
            check_local(path)
    if picture is not None and picture.suffix.lower() != ".png":
        raise WrongUse(f"the before/after picture is a PNG; let {picture} end in .png.")
    _check_report(report)
    for path in (output, *([] if picture is None else [picture]), *_files_beside(request)):
        if real_path(path) == real_path(source) or (path.exists() and path.samefile(source)):
            raise WrongUse(f"{path} is the input itself; choose another name.")
        if path == output and request.assesses and _was_made_on_disk(path):
            continue  # if it is the same that is asked for, its assessment goes on
        if path.exists() and not overwrite:
            mend = "choose another name or add --overwrite"
            if path.is_dir():  # of a folder, only an OME-Zarr can be what is meant
                mend = (
                    "remove it, or choose another name"
                    if path.suffix.lower() == ".zarr"
                    else "name a file in it"
                )
            raise WrongUse(f"{path} is there already; {mend}.")
        if path != report:
            check_output_file(path, "YX", "uint8")
    if picture is not None and real_path(picture) == real_path(output):
        raise WrongUse(
            f"{output} cannot be both the result and the before/after picture; choose two names."
        )


def _check_report(report: Path | None) -> None:
    from napari_mdeblurgan.storage.writing import check_place

    if report is None:
        return
    if report.suffix.lower() not in (".html", ".htm"):
        raise WrongUse(f"a report is a web page; let {report} end in .html.")
    with as_wrong_use(FileError):
        check_place(report)


def _files_beside(request: Request) -> list[Path]:
    """Maps and report that will be written beside the output; the maps of an OME-Zarr lie within
    it.
    """
    from napari_mdeblurgan.storage.map_places import map_path

    names = [
        "error",
        "consistency",
        "defocus",
        "choice",
        *(["disagreement"] if request.ensemble else []),
    ]
    maps = (
        [map_path(request.output, name) for name in names]
        if request.maps and not request.on_disk
        else []
    )
    return maps if request.report is None else [*maps, request.report]


def _was_made_on_disk(path: Path) -> bool:
    from napari_mdeblurgan.storage.ome_zarr.ome_zarr_begun import finished_job

    return path.suffix.lower() == ".zarr" and finished_job(path) is not None


def _model_name(image: Micrograph, settings: RestoreOptions) -> str:
    from napari_mdeblurgan.restoration.colourless import FOR_GREY, fitting_channels

    if settings.model:
        return settings.model
    return common.GREY_MODEL if fitting_channels(image) == FOR_GREY else common.COLOUR_MODEL


def _check_begun(image: Micrograph, card: ModelCard, request: Request) -> None:
    """Make sure that what an interrupted command has done is not thrown away by a different one."""
    from napari_mdeblurgan.restoration.scan_job import begun_otherwise
    from napari_mdeblurgan.storage.ome_zarr.ome_zarr_begun import begun_fraction
    from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import PARTIAL

    output = request.output
    done = begun_fraction(output.with_name(output.name + PARTIAL))
    if done and begun_otherwise(image, card, output, request.options, request.ensemble):
        raise FileError(
            f"{output} was begun of another image or model, or with other settings, and "
            f"{percent(done)} of it is done; ask for the same to go on, add --overwrite to begin "
            "anew, or choose another name."
        )


def _fit_card(image: Micrograph, settings: RestoreOptions) -> ModelCard:
    """The card of the model, which is one for such images, as far as a few places of it show, and
    can give as many pixels as are asked for.
    """
    from napari_mdeblurgan.model import find_model, read_card
    from napari_mdeblurgan.restoration.checking import has_colours
    from napari_mdeblurgan.restoration.colourless import (
        FOR_GREY,
        check_colourless,
        seems_colourless,
    )
    from napari_mdeblurgan.restoration.output_scale import output_factor

    card: ModelCard = read_card(find_model(_model_name(image, settings)))
    with as_wrong_use(ImageError):
        output_factor(settings.output_scale, card)
        if has_colours(image.data.shape, card, image.rgb) and card.channels == FOR_GREY:
            check_colourless(seems_colourless(image.data), card.name)
    return card
