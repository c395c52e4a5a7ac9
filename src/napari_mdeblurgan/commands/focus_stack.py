"""`mdeblurgan focus-stack`: one image that is sharp everywhere, out of the
planes of a focus stack.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_mdeblurgan.commands.common import (
    WrongUse,
    check_output_file,
    check_source_path,
    one_line_errors,
)
from napari_mdeblurgan.commands.options import RegisteredOption, UnorderedOption
from napari_mdeblurgan.commands.progress_bar import with_progress
from napari_mdeblurgan.exclusive import claimed
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.plain_text import on_one_line

if TYPE_CHECKING:
    from napari_mdeblurgan.focus import ManyInFocus
    from napari_mdeblurgan.focus.focus_progress import FocusProgress
    from napari_mdeblurgan.focus.on_disk import Target
    from napari_mdeblurgan.storage import Micrograph

_LINE_EVERY = 0.25  # of the work, where progress goes into a pipe


def focus_stack(
    context: typer.Context,
    planes: Annotated[
        list[Path],
        typer.Argument(
            metavar="PLANES...", help="One stack, its planes from end to end, or a folder of them."
        ),
    ],
    output: Annotated[
        Path, typer.Option(metavar="FILE", help=".ome.tif, .tif, .ome.zarr or .png.")
    ],
    height: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Height map; in µm if the step is known.")
    ] = None,
    confidence: Annotated[
        Path | None, typer.Option(metavar="FILE", help="How sure heights are, 0 to 1.")
    ] = None,
    z_step: Annotated[
        float | None, typer.Option(min=0, help="Between planes, in µm [the file's].")
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|NUMBER", help="That decides, from 0; the others follow [most detail]."
        ),
    ] = None,
    registered: RegisteredOption = False,
    unordered: UnorderedOption = False,
    reference: Annotated[
        int | None,
        typer.Option(min=0, help="Plane that the others are laid on, from 0 [the sharpest]."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there already.")
    ] = False,
) -> None:
    """Make one image that is sharp everywhere out of a focus stack.

    Planes are laid on each other: moved, turned and enlarged evenly, for drift and for a
    magnification that changes with focus. Where no plane shows detail, what is near decides, and
    the confidence is low. An .ome.zarr, and what is large, is made tile by tile on disk, of stacks
    of any size; what is interrupted leaves nothing.

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
        if reference is not None and reference >= len(stack.data):
            raise WrongUse(
                f"there is no plane {reference}; the planes are 0 to {len(stack.data) - 1}."
            )
        check_output_file(output, stack.axes.replace("Z", ""), stack.data[0].dtype)
        for path in outputs[1:]:
            check_output_file(path, "YX", "float32")
        made = _Files(output, height, confidence)
        with ExitStack() as held:
            for path in outputs:  # another command would replace what this one makes
                lock = held.enter_context(claimed(path))
                if lock.note and path == output:
                    print(lock.note, flush=True)
            _check_files(planes, outputs, overwrite=overwrite)  # it may have come meanwhile
            for line in made.steps(
                stack, channel, registered=registered, ordered=not unordered, reference=reference
            ):
                print(on_one_line(line), flush=True)


def _check_files(planes: Sequence[Path], outputs: Sequence[Path], *, overwrite: bool) -> None:
    from napari_mdeblurgan.focus.opening import plane_files

    for path in planes:
        check_source_path(path)
    inputs = plane_files(planes)
    for path in outputs:
        if any(path.exists() and path.samefile(plane) for plane in inputs):
            raise WrongUse(f"{path} is an input itself; choose another name.")
        if path.exists() and (path.is_dir() or not overwrite):
            mend = (
                "remove it, or choose another name"
                if path.is_dir()
                else "choose another name or add --overwrite"
            )
            raise WrongUse(f"{path} is there already; {mend}.")
    if len({real_path(path) for path in outputs}) < len(outputs):
        raise WrongUse("two results would be written to one file; choose different names.")


@dataclass(frozen=True, slots=True)
class _Files:
    """What is to be written."""

    image: Path
    height: Path | None
    confidence: Path | None

    def steps(self, stack: Micrograph, channel: str | None, **options: Any) -> Iterator[str]:
        """Put the stack together, write the files, and give the lines to print; what is to be known
        goes to stderr.
        """
        from napari_mdeblurgan.focus import many_in_focus_steps
        from napari_mdeblurgan.focus.on_disk import in_focus_on_disk_steps, is_made_on_disk
        from napari_mdeblurgan.storage import write_image

        plane, axes = stack.data[0], stack.axes[1:]
        further = axes.removesuffix("S").removesuffix("YX")
        channel_axis = further.index("C") if "C" in further else None
        options["channel_axis"] = channel_axis
        options["channel"] = _number(channel, stack) if channel is not None else None
        lengths, targets = plane.shape[: len(further)], self._targets(stack, axes, further)
        if is_made_on_disk(self.image, math.prod(plane.shape), plane.dtype):
            found = _shown(in_focus_on_disk_steps(stack.data, lengths, targets, **options))
        else:
            found = _shown(many_in_focus_steps(stack.data, lengths, **options))
            for name, target in targets.items():
                if target.path is not None:
                    data = getattr(found, name)
                    scaled = data if target.times == 1 else data * data.dtype.type(target.times)
                    write_image(target.path, replace(target.like, data=scaled))
        for note in _notes(found, stack):
            print(f"mdeblurgan: {note}", file=sys.stderr)
        for name, target in targets.items():
            if target.path is not None:
                shape = getattr(found, name).shape
                yield f"{target.path}: {' × '.join(map(str, shape))} ({target.like.axes})"

    def _targets(self, stack: Micrograph, axes: str, further: str) -> dict[str, Target]:
        import numpy as np

        from napari_mdeblurgan.focus.on_disk import Target
        from napari_mdeblurgan.storage.geometry import MICROMETRES

        sizes, unit = stack.physical()
        step = sizes["Z"] * MICROMETRES[unit] if unit and "Z" in sizes else 1.0
        sharp = replace(stack, data=stack.data[0], axes=axes)
        bare: dict[str, Any] = {
            "axes": further.replace("C", "") + "YX",
            "display": (),
            "channel_names": (),
            "grey_calibration": None,
        }
        lengths = dict(zip(axes, stack.data[0].shape, strict=True))
        bare["data"] = np.broadcast_to(np.float32(0), [lengths[axis] for axis in bare["axes"]])
        maps = {name: replace(sharp, name=name, **bare) for name in ("height", "confidence")}
        return {
            "image": Target(path=self.image, like=sharp),
            "height": Target(path=self.height, like=maps["height"], times=step),
            "confidence": Target(path=self.confidence, like=maps["confidence"]),
        }


def _shown(steps: Generator[FocusProgress, None, ManyInFocus]) -> ManyInFocus:
    with closing(steps):
        return with_progress(steps, unit="%", every=_LINE_EVERY, at=lambda step: step.words)


def _notes(found: ManyInFocus, stack: Micrograph) -> list[str]:
    """What is to be known of a result."""
    if found.channel is None:
        return [*stack.remarks, *found.notes]
    name = stack.channel_names[found.channel] if stack.channel_names else str(found.channel)
    return [*stack.remarks, f"channel {name} decides what is sharp.", *found.notes]


def _number(channel: str, stack: Micrograph) -> int:
    if "C" not in stack.axes:
        raise WrongUse("this stack has no channels; leave out --channel.")
    if channel in stack.channel_names:
        return stack.channel_names.index(channel)
    if channel.isdecimal() and int(channel) < stack.channels:
        return int(channel)
    names = ", ".join(stack.channel_names) or f"0 to {stack.channels - 1}"
    raise WrongUse(f"there is no channel {channel}; there are {names}.")
