"""The `mdeblurgan` command: restoration without a window.

Exit codes: 0 when all that was asked is done, 2 for wrong use, 1 for work that failed, 130 when interrupted. Whatever goes
wrong is said in one line on stderr.
"""

from __future__ import annotations

import contextlib
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_mdeblurgan import __version__
from napari_mdeblurgan.commands import common
from napari_mdeblurgan.commands.common import (
    COLOUR_MODEL,
    GREY_MODEL,
    check_device,
    check_model,
    device_option,
    fail,
    one_line_errors,
)
from napari_mdeblurgan.commands.fine_tune import fine_tune
from napari_mdeblurgan.commands.focus_stack import focus_stack
from napari_mdeblurgan.commands.pairs import pairs
from napari_mdeblurgan.plain_text import Escaping
from napari_mdeblurgan.restoration.tiling import SMALLEST_TILE

app = typer.Typer(
    name="mdeblurgan",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Protocol(StrEnum):
    """How pairs are made of sharp images."""

    gaussian = "gaussian"
    physical = "physical"
    mixture = "mixture"


class Protocols(StrEnum):
    """What models are judged under."""

    gaussian = "gaussian"
    physical = "physical"
    both = "both"
    strong = "strong"
    all = "all"


class Kind(StrEnum):
    """What images a model takes."""

    rgb = "rgb"
    grey = "grey"


class Perceptual(StrEnum):
    """Whose features the perceptual loss compares."""

    vgg19 = "vgg19"
    matching = "feature-matching"
    none = "none"


class Format(StrEnum):
    """Of a batch's results."""

    ome_tiff = "ome-tiff"
    ome_zarr = "ome-zarr"
    tiff = "tiff"
    png = "png"


class Precision(StrEnum):
    """How exactly the network computes."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


KERNELS = "256"  # machine code that oneDNN keeps; by itself it keeps up to 1,024 pieces, some 100 MB


def main() -> None:
    """Run the command line; ends in SystemExit."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", KERNELS)  # this process is ours alone
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stream that was put in place of the terminal's
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    with contextlib.redirect_stdout(Escaping(sys.stdout)), contextlib.redirect_stderr(Escaping(sys.stderr)):
        app(prog_name="mdeblurgan")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mdeblurgan {__version__}")
        raise typer.Exit


def _debug(context: typer.Context, wanted: bool) -> None:
    context.obj = wanted  # what every command's context inherits


Device = Annotated[str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.", callback=device_option)]
Tile = Annotated[
    int | None, typer.Option(min=SMALLEST_TILE, help="Largest edge of a tile in pixels; smaller ones take less memory.")
]
Softness = Annotated[
    str,
    typer.Option(
        metavar="PIXELS",
        help="σ of the result's point-spread function, in its pixels; 0: as the network gives it; auto: as its objective has it.",
    ),
]
Binning = Annotated[
    int,
    typer.Option(
        "--bin",
        metavar="N",
        min=1,
        max=16,
        help="Bin images N × N first; 2 where the blur is much larger than a pixel.",
    ),
]
Aperture = Annotated[
    float | None,
    typer.Option(metavar="NA", help="Numerical aperture of the objective, where the file does not tell it."),
]
Wavelength = Annotated[float | None, typer.Option(metavar="NM", help="Wavelength of the light in nm, likewise.")]
PrecisionOption = Annotated[Precision, typer.Option(help="float32 is exact; the others are faster on some devices.")]


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", callback=_debug, help="Show where in the program an error came from.")
    ] = False,
) -> None:
    """Deblur micrographs and double their pixel density.

    \b
    Example:
      mdeblurgan restore blurred.tif sharp.tif
    """


@app.command()
def restore(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="TIFF, OME-TIFF, OME-Zarr, PNG or JPEG.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Ends in .tif, .ome.tif, .png or .ome.zarr.")],
    model: Annotated[
        str | None,
        typer.Option(help=f"Name or .safetensors file; {COLOUR_MODEL} for RGB and {GREY_MODEL} for grey images."),
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a file of several images: a name, or a number from 0.")
    ] = None,
    device: Device = "auto",
    tile: Tile = None,
    precision: PrecisionOption = Precision.auto,
    softness: Softness = "auto",
    binning: Binning = 1,
    numerical_aperture: Aperture = None,
    wavelength: Wavelength = None,
    compare: Annotated[Path | None, typer.Option(metavar="PICTURE", help="Also draw before and after: a .png.")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Also write maps of how far to trust it beside OUTPUT.")
    ] = False,
    report: Annotated[Path | None, typer.Option(metavar="PAGE", help="Also write a report on that: an .html.")] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Mean of eight orientations: better, 8 × as long.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")] = False,
) -> None:
    """Restore one image: sharper, and of higher pixel density.

    Stacks are restored plane by plane, channels each in their own range of intensities. Type, axes, channel names and pixel
    size (divided by the model's factor) go into OUTPUT. An .ome.zarr is made block by block, of images of any size; the same
    command goes on where it was interrupted, and the maps of trust lie within it. Of a file of several images (series, pages of
    other sizes, wells and fields of a plate) one is restored, and it is said which; `mdeblurgan batch` takes all of them.

    \b
    Example:
      mdeblurgan restore blurred.tif sharp.tif --compare before-after.png
      mdeblurgan restore blurred.tif sharp.tif --trust --report sharp.html
      mdeblurgan restore scan.ome.zarr sharp.ome.zarr --trust --report sharp.html
    """
    with one_line_errors(context):
        from napari_mdeblurgan.commands import restore as command
        from napari_mdeblurgan.commands.trust import Wishes

        wishes = Wishes(maps=trust, report=report, ensemble=ensemble)
        settings = command.Settings(
            model=model,
            image=image,
            device=device,
            tile=tile,
            precision=precision.value,
            softness=common.softness_option(softness),
            binning=binning,
            objective=common.objective_options(numerical_aperture, wavelength),
        )
        command.restore(source, output, settings, compare, wishes, overwrite=overwrite)


@app.command()
def batch(
    context: typer.Context,
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Images, folders, patterns, OME-Zarr.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results and their manifest.")],
    model: Annotated[
        str | None,
        typer.Option(help=f"Name or .safetensors file; {COLOUR_MODEL} for RGB and {GREY_MODEL} for grey images."),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of files of several images only this one. [all]", show_default=False),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="Of the results.")] = Format.ome_tiff,
    device: Device = "auto",
    tile: Tile = None,
    precision: PrecisionOption = Precision.auto,
    softness: Softness = "auto",
    binning: Binning = 1,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Only what failed in an earlier run.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files from elsewhere and results of other settings.")
    ] = False,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Run on N processes of this machine.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on a dask.distributed cluster: tcp://HOST:8786.")
    ] = None,
) -> None:
    """Restore many images: whole folders, whole slides, any size.

    The same command again does only what is missing, however the one before ended. What fails is named with its reason and the
    rest goes on. Large images go block by block through little memory. Of files that hold several images (series, pages of other
    sizes, wells and fields of a plate) all are restored, each under a name of its own.

    \b
    Examples:
      mdeblurgan batch scans --output sharp
      mdeblurgan batch "day*/*.tif" slide.ome.zarr --output sharp --format ome-zarr --workers 4
    """
    interrupted = ""
    with one_line_errors(context):
        from napari_mdeblurgan.batch import BatchSettings
        from napari_mdeblurgan.commands import batch as command

        settings = BatchSettings(
            rgb_model=model or common.COLOUR_MODEL,
            grey_model=model or common.GREY_MODEL,
            format=format_.value,
            image=image,
            device=device,
            tile=tile,
            precision=precision.value,
            softness=common.softness_option(softness),
            binning=binning,
            retry_failed=retry_failed,
            overwrite=overwrite,
            scheduler=scheduler,
            workers=workers,
        )
        interrupted = command.batch(inputs, output, settings)
    if interrupted:
        fail(interrupted, 130)


@app.command()
def models(context: typer.Context) -> None:
    """List the models that can be named.

    Each line: name, factor, kind of image, description.

    \b
    Example:
      mdeblurgan models
    """
    with one_line_errors(context):
        from napari_mdeblurgan.model import list_models, user_model_folder

        cards = list_models()
        width = max((len(card.name) for card in cards), default=0)
        for card in cards:
            kind = {1: "grey", 3: "RGB"}.get(card.channels, f"{card.channels} channels")
            print(f"{card.name:{width}}  ×{card.scale}  {kind:4}  {card.description}")
        if not cards:
            print(f"There are no models; put .safetensors files into {user_model_folder()}.")


@app.command()
def demo(
    context: typer.Context,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")] = Path("demo-output"),
    rgb_model: Annotated[str, typer.Option(help="Model for the colour sample.")] = COLOUR_MODEL,
    gray_model: Annotated[str, typer.Option(help="Model for the grey sample.")] = GREY_MODEL,
    device: Device = "auto",
) -> None:
    """Restore the bundled sample micrographs.

    For each, the restored image and a picture of it before and after are written.

    \b
    Example:
      mdeblurgan demo --output demo-output
    """
    with one_line_errors(context):
        from napari_mdeblurgan.commands import restore as command

        command.demo(output, rgb_model, gray_model, device)


@app.command()
def simulate(
    context: typer.Context,
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Sharp images, or folders of them.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for low/, high/ and pictures of the pairs.")],
    protocol: Annotated[
        Protocol, typer.Option(help="The paper's blur, optics, or drawn as in training.")
    ] = Protocol.gaussian,
    sigma: Annotated[float | None, typer.Option(help="Gaussian: blur in low-resolution pixels [1.2].")] = None,
    na: Annotated[float | None, typer.Option(help="Physical: numerical aperture [0.15].")] = None,
    wavelength: Annotated[float | None, typer.Option(help="Physical: in µm [0.53].")] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Physical: of INPUT, in µm [the file's, or 0.65].")] = None,
    refractive_index: Annotated[float | None, typer.Option(help="Physical: of the medium [1].")] = None,
    defocus: Annotated[float | None, typer.Option(help="Physical: in µm [15].")] = None,
    photons: Annotated[float | None, typer.Option(help="Physical: per pixel at full scale [1000].")] = None,
    read_noise: Annotated[float | None, typer.Option(help="Physical: in electrons [3].")] = None,
    offset: Annotated[float | None, typer.Option(help="Physical: share of full scale [0.02].")] = None,
    bits: Annotated[int | None, typer.Option(help="Physical: of the camera, up to 16 [8].")] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Mixture: a training configuration [what bundled models learn from]."),
    ] = None,
    scale: Annotated[int, typer.Option(min=1, max=8, help="Reduction along y and x.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")] = False,
) -> None:
    """Make pairs of a blurred and a sharp image from sharp images.

    low/NAME.tif is what a microscope out of focus would give, high/NAME.tif the truth in the same units, NAME.png both side
    by side. How the protocols work is described in the documentation under Degradations.

    \b
    Example:
      mdeblurgan simulate sharp.tif --output pairs --protocol physical --defocus 20
    """
    with one_line_errors(context):
        from napari_mdeblurgan.commands import simulate as command

        physical = {"na": na, "wavelength": wavelength, "pixel-size": pixel_size, "refractive-index": refractive_index}
        physical |= {"defocus": defocus, "photons": photons, "read-noise": read_noise, "offset": offset, "bits": bits}
        wishes = command.Wishes(protocol.value, sigma, physical, config)
        for line in command.simulate(inputs, output, wishes, scale, seed, overwrite):
            print(line, flush=True)


@app.command()
def train(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(metavar="FOLDER", help="Sharp images.", show_default=False)] = None,
    output: Annotated[Path | None, typer.Option(metavar="RUN", help="Folder for all that the run writes.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Configuration, a .toml.")] = None,
    model_name: Annotated[str | None, typer.Option(help="What the model is called.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Of the model; by default what all images of FOLDER are.")] = None,
    scale: Annotated[int | None, typer.Option(help="2 or 4.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="In all, instead of the schedule's epochs.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="End after so long, with the model so far.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, mps, cuda or cuda:N.", callback=device_option)] = None,
    perceptual: Annotated[Perceptual | None, typer.Option(help="The paper's full loss; none: for measuring.")] = None,
    vgg19: Annotated[str, typer.Option(metavar="PATH|ADDRESS", help="VGG19's weights; an address: download.")] = "",
    start: Annotated[str | None, typer.Option(metavar="MODEL", help="Start from a model, not from nothing.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew in a RUN that is there.")] = False,
    print_config: Annotated[bool, typer.Option("--print-config", help="Print a configuration and exit.")] = False,
) -> None:
    """Train a model on a folder of sharp images.

    RUN gets the model, its scores on images that were held out, curves, samples and checkpoints. The same command goes on where
    it was interrupted. With torchrun it runs on several GPUs or hosts.

    \b
    Example:
      mdeblurgan train sharp-images --output run --minutes 60
    """
    interrupted = ""
    with one_line_errors(context):
        from napari_mdeblurgan.commands import train as command

        wishes = command.Wishes(
            config=config,
            model_name=model_name,
            kind=kind,
            scale=scale,
            steps=steps,
            minutes=minutes,
            device=device,
            perceptual=perceptual,
            vgg19=vgg19,
            start=start,
            overwrite=overwrite,
        )
        if print_config:
            command.print_config(wishes)
        else:
            interrupted = command.train(folder, output, wishes)
    if interrupted:
        fail(interrupted, 130)


@app.command()
def evaluate(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Sharp images; with --real, focus series and pairs.", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option(metavar="REPORT", help="Folder of the report.")] = Path("evaluation"),
    models: Annotated[
        list[str] | None,
        typer.Option("--models", "--model", metavar="NAME_OR_PATH", help="To judge; again for more. [those bundled]"),
    ] = None,
    protocol: Annotated[
        Protocols, typer.Option(help="The paper's blur, objective and camera, or both; blur stronger than those; all.")
    ] = Protocols.both,
    limit: Annotated[int | None, typer.Option(min=1, help="Images of each kind at most, spread evenly.")] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--runs", "--run", metavar="RUN", help="A training run, to draw its PSNR per epoch; again for more."
        ),
    ] = None,
    no_richardson_lucy: Annotated[bool, typer.Option("--no-richardson-lucy", help="Leave it out.")] = False,
    fundus: Annotated[
        bool, typer.Option("--fundus", help="512² squares of fundus images; without FOLDER, scikit-image's retina.")
    ] = False,
    real: Annotated[
        bool,
        typer.Option("--real", help="FOLDER holds real blur: planes of a focus series, or what its real.toml says."),
    ] = False,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--sets", "--set", metavar="NAME", help="With --real, part of a set's name; again for more. [all]"
        ),
    ] = None,
    advised: Annotated[
        bool,
        typer.Option("--advised", help="With --real, also models as the program advises: halved where it says so."),
    ] = False,
    halve: Annotated[
        bool | None,
        typer.Option(
            "--halve/--no-halve", help="With --real, also (or never) models on images halved first. [as the sets say]"
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Judge models beside bicubic enlargement, Richardson-Lucy deconvolution and each other.

    REPORT gets report.md with tables and pictures, and all figures as CSV. The same command again measures only what is not there
    yet, so that an interrupted evaluation goes on.

    \b
    Examples:
      mdeblurgan evaluate sharp-images --output report
      mdeblurgan evaluate --fundus --models rgb-x2 --models run/unet.safetensors
      mdeblurgan evaluate focus-series --real --output report
    """
    with one_line_errors(context):
        from napari_mdeblurgan.commands import evaluate as command

        for name in models or ():
            check_model(name)
        check_device(device)
        if real:
            if fundus or runs or limit is not None:
                raise common.WrongUse("--real does not go together with --fundus, --runs or --limit; leave them out.")
            command.evaluate_real(
                folder,
                output,
                models or (),
                sets=sets or (),
                halve=halve,
                advised=advised,
                sharpened=not no_richardson_lucy,
                device=device,
            )
            return
        if sets or halve is not None or advised:
            raise common.WrongUse("--sets, --halve and --advised are for real blur; add --real.")
        command.evaluate(
            folder,
            output,
            models or (),
            protocol.value,
            limit=limit,
            runs=runs or (),
            richardson_lucy=not no_richardson_lucy,
            device=device,
            fundus=fundus,
        )


app.command()(pairs)
app.command()(focus_stack)
app.command()(fine_tune)


import napari_mdeblurgan.commands.export  # noqa: E402 - these register their own commands
import napari_mdeblurgan.commands.info  # noqa: E402, F401

if __name__ == "__main__":
    main()
