"""`mdeblurgan focus-stack`: one image that is sharp everywhere, out of the planes of a focus stack."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_mdeblurgan.commands.common import WrongUse, check_output, check_source, one_line_errors
from napari_mdeblurgan.commands.options import Registered, Unordered

if TYPE_CHECKING:
    from napari_mdeblurgan.storage import Micrograph


def focus_stack(
    context: typer.Context,
    planes: Annotated[
        list[Path],
        typer.Argument(metavar="PLANES...", help="One stack, its planes from end to end, or a folder of them."),
    ],
    output: Annotated[Path, typer.Option(metavar="FILE", help=".ome.tif, .tif, .ome.zarr or .png.")],
    height: Annotated[Path | None, typer.Option(metavar="FILE", help="Height map; in µm if the step is known.")] = None,
    confidence: Annotated[Path | None, typer.Option(metavar="FILE", help="How sure heights are, 0 to 1.")] = None,
    z_step: Annotated[float | None, typer.Option(min=0, help="Between planes, in µm [the file's].")] = None,
    channel: Annotated[
        str | None, typer.Option(metavar="NAME|NUMBER", help="That decides, from 0; the others follow [most detail].")
    ] = None,
    registered: Registered = False,
    unordered: Unordered = False,
    reference: Annotated[
        int | None, typer.Option(min=0, help="Plane that the others are laid on, from 0 [the sharpest].")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")] = False,
) -> None:
    """Make one image that is sharp everywhere out of a focus stack.

    Planes are laid on each other: moved, turned and enlarged evenly, for drift and for a magnification that changes with
    focus. Where no plane shows detail, what is near decides, and the confidence is low.

    \b
    Examples:
      mdeblurgan focus-stack stack.ome.tif --output sharp.ome.tif --height height.tif
      mdeblurgan focus-stack plane_*.png --output sharp.png --registered
    """
    with one_line_errors(context):
        outputs = [path for path in (output, height, confidence) if path is not None]
        _check_files(planes, outputs, overwrite=overwrite)
        from napari_mdeblurgan.focus.opening import open_stack

        stack = open_stack(planes, z_step)
        check_output(output, stack.axes.replace("Z", ""), stack.data[0].dtype)
        for path in outputs[1:]:
            check_output(path, "YX", "float32")
        options = {"registered": registered, "ordered": not unordered, "reference": reference}
        sharp, heights, sure, notes = _made(stack, channel, **options)

        from napari_mdeblurgan.storage import write_image

        for note in notes:
            print(f"mdeblurgan: {note}", file=sys.stderr)
        for target, image in ((output, sharp), (height, heights), (confidence, sure)):
            if target is not None:
                write_image(target, image)
                print(f"{target}: {' × '.join(map(str, image.data.shape))} ({image.axes})")


def _check_files(planes: Sequence[Path], outputs: Sequence[Path], *, overwrite: bool) -> None:
    for path in planes:
        check_source(path)
    for path in outputs:
        if any(path.exists() and path.samefile(plane) for plane in planes):
            raise WrongUse(f"{path} is an input itself; choose another name.")
        if path.exists() and not overwrite:
            raise WrongUse(f"{path} is there already; choose another name or add --overwrite.")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise WrongUse("two results would be written to one file; choose different names.")


def _made(
    stack: Micrograph, channel: str | None, **options: Any
) -> tuple[Micrograph, Micrograph, Micrograph, list[str]]:
    """The sharp image, heights, confidences, and what is to be said of them."""
    import numpy as np

    from napari_mdeblurgan.focus import many_in_focus_steps
    from napari_mdeblurgan.restoration.measuring import finished
    from napari_mdeblurgan.storage.geometry import MICROMETRES

    axes = stack.axes[1:]
    further = axes.removesuffix("S").removesuffix("YX")
    at = further.find("C")
    channel_axis = at if at >= 0 else None
    decides = _number(channel, stack) if channel is not None and channel_axis is not None else None
    lengths = stack.data[0].shape[: len(further)]
    steps = many_in_focus_steps(stack.data, lengths, channel_axis=channel_axis, channel=decides, **options)
    found = finished(steps)
    notes = list(found.notes)
    if found.channel is not None:
        name = stack.channel_names[found.channel] if stack.channel_names else str(found.channel)
        notes.insert(0, f"channel {name} decides what is sharp.")
    sizes, unit = stack.physical()
    step = sizes["Z"] * MICROMETRES[unit] if unit and "Z" in sizes else 1.0
    sharp = replace(stack, data=found.image, axes=axes)
    bare: dict[str, Any] = {
        "axes": further.replace("C", "") + "YX",
        "display": (),
        "channel_names": (),
        "grey_calibration": None,
    }
    height = replace(sharp, data=found.height * np.float32(step), name="height", **bare)
    return sharp, height, replace(sharp, data=found.confidence, name="confidence", **bare), notes


def _number(channel: str, stack: Micrograph) -> int:
    if channel in stack.channel_names:
        return stack.channel_names.index(channel)
    if channel.isdecimal() and int(channel) < stack.channels:
        return int(channel)
    names = ", ".join(stack.channel_names) or f"0 to {stack.channels - 1}"
    raise WrongUse(f"there is no channel {channel}; there are {names}.")
