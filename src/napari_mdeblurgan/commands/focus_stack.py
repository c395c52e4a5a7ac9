"""`mdeblurgan focus-stack`: one image that is sharp everywhere, out of the planes of a focus stack."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_mdeblurgan.commands.common import WrongUse, check_output, check_source, one_line_errors
from napari_mdeblurgan.errors import ImageError

if TYPE_CHECKING:
    import numpy as np

    from napari_mdeblurgan.focus import AllInFocus
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
    registered: Annotated[
        bool, typer.Option("--registered", help="The planes lie on each other: do not move them.")
    ] = False,
    unordered: Annotated[
        bool, typer.Option("--unordered", help="The planes are not in order of depth: find it.")
    ] = False,
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

    from napari_mdeblurgan.focus import all_in_focus, followed, most_detailed
    from napari_mdeblurgan.storage.geometry import MICROMETRES

    axes = stack.axes[1:]
    leading = [axis for axis in axes if axis not in "CYXS"]
    if "C" in axes and leading and axes.index("C") < axes.index(leading[-1]):
        raise ImageError(f"The axes {stack.axes} cannot be used; save the stack with its channels after {leading[-1]}.")
    shape = [stack.data.shape[1 + axes.index(axis)] for axis in leading] if leading else []
    images, heights, sure, notes = [], [], [], []
    for index in np.ndindex(*shape):
        planes = [plane[index] for plane in stack.data]
        if "C" in axes:
            by_channel = [[plane[number] for plane in planes] for number in range(stack.channels)]
            decides = _number(channel, stack) if channel is not None else most_detailed(by_channel)
            found: AllInFocus = all_in_focus(by_channel[decides], **options)
            if not index or not any(index):
                name = stack.channel_names[decides] if stack.channel_names else str(decides)
                notes.append(f"channel {name} decides what is sharp.")
            images.append(
                np.stack(
                    [found.image if n == decides else followed(found, other) for n, other in enumerate(by_channel)]
                )
            )
        else:
            found = all_in_focus(planes, **options)
            images.append(found.image)
        heights.append(found.height)
        sure.append(found.confidence)
        notes += _notes(found)
    sizes, unit = stack.physical()
    step = sizes["Z"] * MICROMETRES[unit] if unit and "Z" in sizes else 1.0

    def whole(parts: list[np.ndarray], own: str) -> tuple[np.ndarray, str]:
        data = np.stack(parts).reshape(*shape, *parts[0].shape)
        return data, "".join(leading) + own

    data, names = whole(images, axes.replace("".join(leading), "", 1) if leading else axes)
    sharp = replace(stack, data=data, axes=names)
    flat = replace(sharp, display=(), channel_names=(), grey_calibration=None)
    maps = []
    for parts, name in ((heights, "height"), (sure, "confidence")):
        data, names = whole(parts, "YX")
        maps.append(replace(flat, data=data * np.float32(step) if name == "height" else data, axes=names, name=name))
    return sharp, maps[0], maps[1], list(dict.fromkeys(notes))


def _notes(found: AllInFocus) -> list[str]:
    lost = [str(index) for index, transform in enumerate(found.transforms) if transform is None]
    notes = []
    if lost:
        notes.append(f"plane {', '.join(lost)} shows no place of the others and was left out.")
    share = float((found.confidence > 0.5).mean())
    if share < 0.05:
        notes.append(f"only {100 * share:.0f} % of the field shows detail in any plane; heights elsewhere are guesses.")
    return notes


def _number(channel: str, stack: Micrograph) -> int:
    if channel in stack.channel_names:
        return stack.channel_names.index(channel)
    if channel.isdecimal() and int(channel) < stack.channels:
        return int(channel)
    names = ", ".join(stack.channel_names) or f"0 to {stack.channels - 1}"
    raise WrongUse(f"there is no channel {channel}; there are {names}.")
