"""`mdeblurgan demo`: the sample micrographs that come with the package, restored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_mdeblurgan.commands.common import (
    COLOUR_MODEL,
    GREY_MODEL,
    as_wrong_use,
    check_device,
    check_model,
    one_line_errors,
)
from napari_mdeblurgan.commands.options import DeviceOption
from napari_mdeblurgan.commands.restore import RestoreOptions, make
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.interruption import heeded
from napari_mdeblurgan.outputs import make_folder
from napari_mdeblurgan.request import Request

if TYPE_CHECKING:
    from napari_mdeblurgan.storage import Micrograph


def demo(
    context: typer.Context,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")] = Path(
        "demo-output"
    ),
    rgb_model: Annotated[str, typer.Option(help="Model for the colour sample.")] = COLOUR_MODEL,
    gray_model: Annotated[str, typer.Option(help="Model for the grey sample.")] = GREY_MODEL,
    device: DeviceOption = "auto",
) -> None:
    """Restore the bundled sample micrographs.

    For each, the restored image and a picture of it before and after are written. Of the focus
    stack one sharp image is made.

    \b
    Example:
      mdeblurgan demo --output demo-output
    """
    with one_line_errors(context):
        restore_samples(output, rgb_model, gray_model, device)


def restore_samples(output: Path, rgb_model: str, gray_model: str, device: str) -> None:
    """Restore the bundled samples, and draw each before and after."""
    from napari_mdeblurgan.samples import SAMPLES, sample_path
    from napari_mdeblurgan.storage import read_image

    for name in (rgb_model, gray_model):
        check_model(name)
    check_device(device)
    with as_wrong_use(FileError):
        make_folder(output)
    for sample in heeded(SAMPLES.values()):
        print(f"{sample.name}: {sample.description}")
        before = read_image(sample_path(sample.name))
        if sample.stack:
            _in_focus(before, output / sample.name)
            continue
        settings = RestoreOptions(model=rgb_model if sample.rgb else gray_model, device=device)
        sharp, picture = (
            real_path(output) / f"{sample.name}-{name}"
            for name in ("restored.tif", "before-after.png")
        )
        make(
            before,
            settings,
            Request(output=sharp, options=settings.options(before), picture=picture),
        )


def _in_focus(stack: Micrograph, stem: Path) -> None:
    """Make one sharp image of a focus stack, and draw it beside a plane out of focus."""
    from napari_mdeblurgan.before_after import write_comparison
    from napari_mdeblurgan.focus import all_in_focus
    from napari_mdeblurgan.storage import write_image

    found = all_in_focus(stack.data, registered=True)
    blurred = (
        found.reference + len(stack.data)
    ) // 2  # as far from focus as from the end of the stack
    plane, sharp = (
        replace(stack, data=data, axes="YX") for data in (stack.data[blurred], found.image)
    )
    result, picture = Path(f"{stem}-in-focus.tif"), Path(f"{stem}-before-after.png")
    write_image(result, sharp)
    write_comparison(
        picture, plane, sharp, (f"plane {blurred} of {len(stack.data)}", "all in focus")
    )
    print(f"  in focus:     {real_path(result)}\n  before/after: {real_path(picture)}")
