"""What all commands share: how what goes wrong is said, and what is checked before any work."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from napari_mdeblurgan.atomic import as_said, in_words, no_temporary_folder
from napari_mdeblurgan.errors import (
    FileError,
    ImageError,
    MdeblurganError,
    ModelError,
    lacks_memory,
)
from napari_mdeblurgan.interruption import ENDING, INTERRUPTED, heard, heed, told
from napari_mdeblurgan.plain_text import NotPrinted, for_terminal

if TYPE_CHECKING:
    import numpy as np

    from napari_mdeblurgan.restoration.tiling import Region
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.storage.objective import Objective

COLOUR_MODEL, GREY_MODEL = "rgb-x2", "gray-x2"
_NO_ROOM = "there is not enough memory; close other programs or crop the image."
REGION = re.compile(r"(\d*):(\d*),(\d*):(\d*)")


class WrongUse(MdeblurganError):
    """A command that cannot be meant as it was given."""


@contextmanager
def as_wrong_use(*kinds: type[MdeblurganError]) -> Iterator[None]:
    """Take errors of these kinds for a command that cannot be meant as it was given."""
    try:
        yield
    except kinds as error:
        raise WrongUse(str(error)) from error


@contextmanager
def one_line_errors(context: typer.Context) -> Iterator[None]:
    """Turn what goes wrong into one line and an exit code; with --debug, the traceback comes before
    it.

    Being terminated is taken for Ctrl-C, so that nothing is left half-written.
    """
    try:
        with (
            heard(*ENDING),
            _shown_traceback() if context.obj else contextlib.nullcontext(),
        ):
            heed()
            _check_current_folder()
            yield
            told()
    except WrongUse as error:
        fail(str(error), 2)
    except MdeblurganError as error:
        fail(str(error), 1)
    except MemoryError:
        fail(_NO_ROOM, 1)
    except BrokenPipeError:
        print_no_more()
        fail("the output was closed before the work was done.", 1)
    except NotPrinted as error:
        print_no_more()
        fail(not_printed(error), 1)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        fail(f"{name}{in_words(error)}.", 1)
    except KeyboardInterrupt as error:
        fail(str(error) or INTERRUPTED, 130)
    except Exception as error:
        if lacking := no_temporary_folder():
            fail(f"{lacking}.", 1)
        if lacks_memory(error):
            fail(_NO_ROOM, 1)
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        hint = f"run `mdeblurgan --debug {context.info_name} …` for details"
        fail(f"{context.info_name} failed unexpectedly ({what}); {hint}.", 1)


@contextmanager
def resumed_by(sentence: str) -> Iterator[None]:
    """Where the work is interrupted, say how it is gone on with."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(sentence) from None


def print_no_more() -> None:
    """Let what is printed lead nowhere: where that has failed, even the last flush would."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def not_printed(error: NotPrinted) -> str:
    """Why the command could not go on printing, in a sentence."""
    return f"what is printed cannot be written ({as_said(error)}); mend that, or send it elsewhere."


def _check_current_folder() -> None:
    """Libraries that compute do not load where there is none."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise WrongUse(
            "the current folder has been removed; change to one that is there."
        ) from None


def quoted(path: object) -> str:
    """A path as it can be typed into a command."""
    return subprocess.list2cmdline([str(path)]) if os.name == "nt" else shlex.quote(str(path))


@contextmanager
def _shown_traceback() -> Iterator[None]:
    try:
        yield
    except Exception:
        traceback.print_exc()
        raise


def fail(sentence: str, code: int) -> NoReturn:
    """Say what is wrong on stderr, and end the command."""
    with contextlib.suppress(OSError):  # the terminal has been closed
        print(f"mdeblurgan: {for_terminal(' '.join(sentence.split()))}", file=sys.stderr)
    told()
    raise typer.Exit(code)


def region_option(text: str | None, image: Micrograph, binning: int = 1) -> Region | None:
    """The option --region as `make_plan` takes it.

    Parameters
    ----------
    text : str or None
        ``"100:612,200:712"``: start and stop along y and x, in pixels of the image; what is left
        out is its edge.
    image : Micrograph
        As it is in the file.
    binning : int
        By how many pixels it is binned afterwards: the part is then that of all binned pixels that
        lie in it, at least in part.

    Raises
    ------
    WrongUse
        If it is no part of the image.
    """
    if text is None:
        return None
    found = REGION.fullmatch(text.replace(" ", ""))
    if not found:
        raise WrongUse(f"--region {text!r} is not of the form Y:Y,X:X, such as 100:612,200:712.")
    rows, columns = (image.data.shape[image.axes.index(axis)] for axis in "YX")
    spans = []
    for axis, first, last, length in zip(
        "yx", found.groups()[::2], found.groups()[1::2], (rows, columns), strict=True
    ):
        start, stop = int(first or 0), int(last or length)
        if stop <= start < length:
            raise WrongUse(
                f"--region {text!r} ends along {axis} where it begins or before; give the start, "
                "then the stop, which is the first pixel after it."
            )
        if stop > length or start >= length:
            raise WrongUse(
                f"--region {text!r} does not lie within the image, which has {length} pixels "
                f"along {axis}."
            )
        whole = length // binning
        spans.append((min(start // binning, whole - 1), min(-(-stop // binning), whole)))
    return spans[0], spans[1]


def softness_option(text: str) -> float | str:
    """The option --softness as `make_plan` takes it: "auto" or a number of pixels.

    Raises
    ------
    WrongUse
        If it is neither.
    """
    from napari_mdeblurgan.restoration.softness import AUTO, chosen_softness

    try:
        wanted: float | str = AUTO if text.strip().lower() == AUTO else float(text)
        chosen_softness(wanted)
    except (ValueError, ImageError) as error:
        raise WrongUse(
            str(error)
            if isinstance(error, ImageError)
            else f"--softness {text!r} is neither auto nor a number of pixels."
        ) from None
    return wanted


def binning_option(text: str) -> int | str:
    """The option --bin as `chosen_binning` gives it: "auto" or a number of pixels.

    Raises
    ------
    WrongUse
        If it is neither.
    """
    from napari_mdeblurgan.restoration.binning import AUTO_BINNING, chosen_binning

    given = text.strip().lower()
    try:
        return chosen_binning(given if given == AUTO_BINNING else int(given))
    except ImageError as error:
        raise WrongUse(str(error)) from None
    except ValueError:
        raise WrongUse(f"--bin {text!r} is neither auto nor a whole number.") from None


def objective_options(
    numerical_aperture: float | None, wavelength_nm: float | None
) -> Objective | None:
    """What the options say of the objective; None where they say nothing.

    Raises
    ------
    WrongUse
        If it is impossible, or there is a wavelength without an aperture.
    """
    from napari_mdeblurgan.storage.objective import Objective

    if numerical_aperture is None:
        if wavelength_nm is not None:
            raise WrongUse("--wavelength needs --numerical-aperture; give both.")
        return None
    with as_wrong_use(ImageError):
        return Objective(
            numerical_aperture, None if wavelength_nm is None else wavelength_nm / 1000
        )


def check_source_path(path: Path) -> None:
    """Raise `WrongUse` if a file or folder that is to be read is not there, or is an address."""
    if not check_local(path).exists():
        raise WrongUse(f"{path} does not exist; check its name.")


def check_source_folder(path: Path, holding: str) -> None:
    """Raise `WrongUse` if what is to be read is no folder; the message names one `holding` it."""
    if not check_local(path).is_dir():
        raise WrongUse(f"{path} is no folder; name one {holding}.")


def check_local(path: str | Path) -> Path:
    """The path as it is meant; raise `WrongUse` if it is an address and none of this machine."""
    from napari_mdeblurgan.outputs import local_path

    with as_wrong_use(FileError):
        return local_path(path)


def device_option(text: str | None) -> str | None:
    """The value of --device, if it can be one."""
    if text is not None and not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise typer.BadParameter("choose auto, cpu, mps, cuda or cuda:N.")
    return text


def check_output_file(path: Path, axes: str, dtype: np.dtype | str) -> None:
    """Make sure that an image of these axes and this type can be written there."""
    from napari_mdeblurgan.storage import check_writable

    with as_wrong_use(FileError):
        check_writable(path, axes, dtype)


def check_model(name: str) -> None:
    """Make sure that there is such a model or file; whether it is fit for use is seen when it is
    loaded.
    """
    from napari_mdeblurgan.model import model_path

    if check_local(name).is_file():
        return
    with as_wrong_use(ModelError):
        model_path(name)


def check_device(device: str, precision: str = "auto") -> None:
    """Make sure that the device is there and computes so; torch is imported only where that is in
    doubt.
    """
    if device in ("auto", "cpu") and precision in ("auto", "float32"):
        return
    from napari_mdeblurgan.restoration.device import pick_device, pick_precision

    with as_wrong_use(ImageError):
        pick_precision(str(precision), pick_device(device))
