"""The `mdeblurgan` command: restoration without a window.

Exit codes: 0 when all that was asked is done, 2 for wrong use, 1 for work that failed, 130 when interrupted. Whatever goes
wrong is said in one line on stderr.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_mdeblurgan import __version__
from napari_mdeblurgan.commands.fine_tune import fine_tune
from napari_mdeblurgan.commands.pairs import pairs
from napari_mdeblurgan.errors import FileError, ImageError, MdeblurganError, ModelError
from napari_mdeblurgan.restoration.tiling import SMALLEST_TILE

if TYPE_CHECKING:
    import numpy as np

    from napari_mdeblurgan.commands.trust import Wishes, Work
    from napari_mdeblurgan.restoration.engine import Progress
    from napari_mdeblurgan.storage import Micrograph

COLOUR_MODEL, GREY_MODEL = "rgb-x2", "gray-x2"
LINE_EVERY = 0.1  # of the work, where progress goes into a pipe

app = typer.Typer(
    name="mdeblurgan",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class WrongUse(MdeblurganError):
    """A command that cannot be meant as it was given."""


class Protocol(StrEnum):
    """How pairs are made of sharp images."""

    gaussian = "gaussian"
    physical = "physical"


class Protocols(StrEnum):
    """What models are judged under."""

    gaussian = "gaussian"
    physical = "physical"
    both = "both"


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


def main() -> None:
    """Run the command line; ends in SystemExit."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stream that was put in place of the terminal's
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    app(prog_name="mdeblurgan")


def _device(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise typer.BadParameter("choose auto, cpu, mps, cuda or cuda:N.")
    return text


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mdeblurgan {__version__}")
        raise typer.Exit


def _debug(context: typer.Context, wanted: bool) -> None:
    context.obj = wanted  # what every command's context inherits


Device = Annotated[str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.", callback=_device)]
Tile = Annotated[
    int | None, typer.Option(min=SMALLEST_TILE, help="Largest edge of a tile in pixels; smaller ones take less memory.")
]
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
    device: Device = "auto",
    tile: Tile = None,
    precision: PrecisionOption = Precision.auto,
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
    command goes on where it was interrupted, and the maps of trust lie within it.

    \b
    Example:
      mdeblurgan restore blurred.tif sharp.tif --compare before-after.png
      mdeblurgan restore blurred.tif sharp.tif --trust --report sharp.html
      mdeblurgan restore scan.ome.zarr sharp.ome.zarr --trust --report sharp.html
    """
    with _one_line_errors(context):
        from napari_mdeblurgan.commands.restore_on_disk import check_room, is_made_on_disk, restore_on_disk
        from napari_mdeblurgan.commands.trust import Wishes, Work
        from napari_mdeblurgan.storage import open_image, read_image, write_image

        wishes = Wishes(maps=trust, report=report, ensemble=ensemble)
        _check_files(source, output, compare, overwrite, wishes)
        if model is not None:
            _check_model(model)
        _check_device(device, precision)
        if is_made_on_disk(output):
            settings = {"tile": tile, "device": device, "precision": str(precision)}
            named = lambda image: model or _default_model(image)  # noqa: E731
            for line in restore_on_disk(source, output, named, wishes, compare, _shown, **settings):
                print(line, flush=True)
            return
        check_room(open_image(source), output, 2, wishes)
        before = read_image(source)
        _check_output(output, before.axes, before.data.dtype)
        work = Work(wishes, _shown)
        after = _restored(
            before, model or _default_model(before), device, tile, precision, work if wishes.any else None
        )
        write_image(output, after)
        print(f"{output}: {' × '.join(map(str, after.data.shape))} ({after.axes})")
        if compare is not None:
            from napari_mdeblurgan.comparison import write_comparison

            write_comparison(compare, before, after)
            print(compare)
        for line in work.write(output, before, after):
            print(line)


@app.command()
def batch(
    context: typer.Context,
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Images, folders, patterns, OME-Zarr.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results and their manifest.")],
    model: Annotated[
        str | None,
        typer.Option(help=f"Name or .safetensors file; {COLOUR_MODEL} for RGB and {GREY_MODEL} for grey images."),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="Of the results.")] = Format.ome_tiff,
    device: Device = "auto",
    tile: Tile = None,
    precision: PrecisionOption = Precision.auto,
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
    rest goes on. Large images go block by block through little memory.

    \b
    Examples:
      mdeblurgan batch scans --output sharp
      mdeblurgan batch "day*/*.tif" slide.ome.zarr --output sharp --format ome-zarr --workers 4
    """
    interrupted = ""
    with _one_line_errors(context):
        from napari_mdeblurgan.batch import BatchSettings
        from napari_mdeblurgan.commands import batch as command

        if workers is not None and scheduler is not None:
            raise WrongUse("--workers starts a cluster and --scheduler names one; choose one of them.")
        if scheduler is None:
            _check_device(device, precision)
        settings = BatchSettings(
            rgb_model=model or COLOUR_MODEL,
            grey_model=model or GREY_MODEL,
            format=format_.value,
            device=device,
            tile=tile,
            precision=precision.value,
            retry_failed=retry_failed,
            overwrite=overwrite,
            scheduler=scheduler,
            workers=workers,
        )
        interrupted = command.batch(inputs, output, settings)
    if interrupted:
        _fail(interrupted, 130)


@app.command()
def models(context: typer.Context) -> None:
    """List the models that can be named.

    Each line: name, factor, kind of image, description.

    \b
    Example:
      mdeblurgan models
    """
    with _one_line_errors(context):
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
    with _one_line_errors(context):
        from napari_mdeblurgan.comparison import write_comparison
        from napari_mdeblurgan.samples import SAMPLES, sample_path
        from napari_mdeblurgan.storage import read_image, write_image

        for name in (rgb_model, gray_model):
            _check_model(name)
        _check_device(device)
        output.mkdir(parents=True, exist_ok=True)
        for sample in SAMPLES.values():
            print(f"{sample.name}: {sample.description}")
            before = read_image(sample_path(sample.name))
            after = _restored(before, rgb_model if sample.rgb else gray_model, device)
            restored, picture = output / f"{sample.name}-restored.tif", output / f"{sample.name}-before-after.png"
            write_image(restored, after)
            write_comparison(picture, before, after)
            print(f"  restored:     {restored.resolve()}\n  before/after: {picture.resolve()}")


@app.command()
def simulate(
    context: typer.Context,
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Sharp images, or folders of them.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for low/, high/ and pictures of the pairs.")],
    protocol: Annotated[Protocol, typer.Option(help="The paper's blur, or objective and camera.")] = Protocol.gaussian,
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
    with _one_line_errors(context):
        from napari_mdeblurgan.commands import simulate as command

        physical = {"na": na, "wavelength": wavelength, "pixel-size": pixel_size, "refractive-index": refractive_index}
        physical |= {"defocus": defocus, "photons": photons, "read-noise": read_noise, "offset": offset, "bits": bits}
        for line in command.simulate(inputs, output, protocol.value, sigma, physical, scale, seed, overwrite):
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
    device: Annotated[str | None, typer.Option(help="auto, cpu, mps, cuda or cuda:N.", callback=_device)] = None,
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
    with _one_line_errors(context):
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
        _fail(interrupted, 130)


@app.command()
def evaluate(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(metavar="FOLDER", help="Sharp images.", show_default=False)] = None,
    output: Annotated[Path, typer.Option(metavar="REPORT", help="Folder of the report.")] = Path("evaluation"),
    models: Annotated[
        list[str] | None,
        typer.Option("--models", "--model", metavar="NAME_OR_PATH", help="To judge; again for more. [those bundled]"),
    ] = None,
    protocol: Annotated[
        Protocols, typer.Option(help="The paper's blur, objective and camera, or both.")
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
    device: Device = "auto",
) -> None:
    """Judge models beside bicubic enlargement, Richardson-Lucy deconvolution and each other.

    REPORT gets report.md with tables and pictures, and all figures as CSV. The same command again measures only what is not there
    yet, so that an interrupted evaluation goes on.

    \b
    Examples:
      mdeblurgan evaluate sharp-images --output report
      mdeblurgan evaluate --fundus --models rgb-x2 --models run/unet.safetensors
    """
    with _one_line_errors(context):
        from napari_mdeblurgan.commands import evaluate as command

        for name in models or ():
            _check_model(name)
        _check_device(device)
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
app.command()(fine_tune)


@contextmanager
def _one_line_errors(context: typer.Context) -> Iterator[None]:
    """Turn what goes wrong into one line and an exit code; with --debug, the traceback comes before it."""
    try:
        with _shown_traceback() if context.obj else contextlib.nullcontext():
            yield
    except WrongUse as error:
        _fail(str(error), 2)
    except MdeblurganError as error:
        _fail(str(error), 1)
    except MemoryError:
        _fail("there is not enough memory; close other programs or crop the image.", 1)
    except BrokenPipeError:  # whoever read our output has gone, so even the last flush would fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _fail("the output was closed before the work was done.", 1)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        _fail(f"{name}{(error.strerror or str(error)).lower()}.", 1)
    except KeyboardInterrupt:
        _fail("interrupted; nothing was left half-written.", 130)
    except Exception as error:
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        hint = f"run `mdeblurgan --debug {context.info_name} …` for details"
        _fail(f"{context.info_name} failed unexpectedly ({what}); {hint}.", 1)


@contextmanager
def _shown_traceback() -> Iterator[None]:
    try:
        yield
    except Exception:
        traceback.print_exc()
        raise


def _fail(sentence: str, code: int) -> None:
    print(f"mdeblurgan: {' '.join(sentence.split())}", file=sys.stderr)
    raise typer.Exit(code)


def _check_files(source: Path, output: Path, compare: Path | None, overwrite: bool, trust: Wishes) -> None:
    """Find out, before any work is done, whether the files can be meant so."""
    if not source.exists():
        raise WrongUse(f"{source} does not exist; check its name.")
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
            _check_output(path, "YX", "uint8")
    if compare is not None and compare.resolve() == output.resolve():
        raise WrongUse(f"{output} cannot be both the result and the before/after picture; choose two names.")


def _was_made_on_disk(path: Path) -> bool:
    from napari_mdeblurgan.storage.ome_zarr_writing import finished_job

    return path.suffix.lower() == ".zarr" and finished_job(path) is not None


def _check_output(path: Path, axes: str, dtype: np.dtype | str) -> None:
    from napari_mdeblurgan.storage import check_writable

    try:
        check_writable(path, axes, dtype)
    except FileError as error:
        raise WrongUse(str(error)) from error


def _check_model(name: str) -> None:
    """Make sure that there is such a model or file; whether it is fit for use is seen when it is loaded."""
    from napari_mdeblurgan.model import model_path

    with contextlib.suppress(RuntimeError):  # "~somebody" who has no home here
        if Path(name).expanduser().is_file():
            return
    try:
        model_path(name)
    except ModelError as error:
        raise WrongUse(str(error)) from error


def _check_device(device: str, precision: str = "auto") -> None:
    """Make sure that the device is there and computes so; torch is imported only where that is in doubt."""
    if device in ("auto", "cpu") and precision in ("auto", "float32"):
        return
    from napari_mdeblurgan.restoration.device import pick_device, pick_precision

    try:
        pick_precision(str(precision), pick_device(device))
    except ImageError as error:
        raise WrongUse(str(error)) from error


def _default_model(image: Micrograph) -> str:
    return COLOUR_MODEL if image.rgb else GREY_MODEL


def _restored(
    image: Micrograph,
    model_name: str,
    device: str,
    tile: int | None = None,
    precision: str = "auto",
    work: Work | None = None,
) -> Micrograph:
    """Restore an image and show the progress."""
    from napari_mdeblurgan.model import load_model
    from napari_mdeblurgan.restoration.device import device_label
    from napari_mdeblurgan.restoration.engine import restore_steps
    from napari_mdeblurgan.restoration.micrographs import plan_micrograph, restored_micrograph

    model = load_model(model_name)
    plan = plan_micrograph(image, model.card, tile=tile, device=device, precision=str(precision))
    for warning in plan.warnings:
        print(f"mdeblurgan: {warning}", file=sys.stderr)
    print(f"model {model.card.name}, {device_label(plan.device)}, {plan.precision}", flush=True)
    data = work(image.data, plan, model) if work else _shown(restore_steps(image.data, plan, model))
    return restored_micrograph(image, data, plan.factor)


def _shown(steps: Generator[Progress, None, np.ndarray]) -> np.ndarray:
    """Run to the end: with a bar on a terminal, with a line for every tenth where the output goes into a pipe."""
    if sys.stderr.isatty():
        return _with_bar(steps)
    start, shown = time.perf_counter(), 0.0
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        if step.fraction >= shown + LINE_EVERY or step.fraction == 1:
            shown = step.fraction
            print(f"{shown:4.0%}, {time.perf_counter() - start:.0f} s", flush=True)


def _with_bar(steps: Generator[Progress, None, np.ndarray]) -> np.ndarray:
    from tqdm import tqdm

    with tqdm(unit="px", unit_scale=True, leave=False, dynamic_ncols=True) as bar:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            bar.total = step.total
            bar.update(step.done - bar.n)


import napari_mdeblurgan.commands.export  # noqa: E402 - these register their own commands
import napari_mdeblurgan.commands.info  # noqa: E402, F401

if __name__ == "__main__":
    main()
