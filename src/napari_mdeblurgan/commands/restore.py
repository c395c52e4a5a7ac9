"""`mdeblurgan restore` and `mdeblurgan demo`: single images, read and restored in memory."""

from __future__ import annotations

import sys
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.commands import common
from napari_mdeblurgan.commands.common import WrongUse, check_device, check_model, check_output, check_source
from napari_mdeblurgan.commands.progress import shown
from napari_mdeblurgan.commands.trust import Wishes, Work

if TYPE_CHECKING:
    import numpy as np

    from napari_mdeblurgan.restoration.engine import Progress
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
    """

    model: str | None = None
    image: str | None = None
    device: str = "auto"
    tile: int | None = None
    precision: str = "auto"
    softness: float | str = "auto"
    binning: int = 1
    objective: Objective | None = None

    def options(self) -> dict[str, Any]:
        """For `make_plan`; what is left to the image is not named."""
        chosen: dict[str, Any] = {"tile": self.tile, "device": self.device, "precision": self.precision}
        if self.softness != "auto":
            chosen["softness"] = self.softness
        if self.objective is not None:
            chosen["objective"] = self.objective
        return chosen


def restore(
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
    if is_made_on_disk(output):
        named = partial(_model_name, settings=settings)
        for line in restore_on_disk(
            source, image, output, named, wishes, compare, _shown, binning=settings.binning, **settings.options()
        ):
            print(line, flush=True)
        return
    check_room(binned_micrograph(open_image(source, image), settings.binning), output, 2, wishes)
    before = binned_micrograph(read_image(source, image), settings.binning)
    check_output(output, before.axes, before.data.dtype)
    work = Work(wishes, _shown, settings.binning)
    after = _restored(before, settings, work if wishes.any else None)
    write_image(output, after)
    print(f"{output}: {' × '.join(map(str, after.data.shape))} ({after.axes})")
    if compare is not None:
        from napari_mdeblurgan.comparison import write_comparison

        write_comparison(compare, before, after)
        print(compare)
    for line in work.write(output, before, after):
        print(line)


def demo(output: Path, rgb_model: str, gray_model: str, device: str) -> None:
    """Restore the bundled samples, and draw each before and after."""
    from napari_mdeblurgan.comparison import write_comparison
    from napari_mdeblurgan.samples import SAMPLES, sample_path
    from napari_mdeblurgan.storage import read_image, write_image

    for name in (rgb_model, gray_model):
        check_model(name)
    check_device(device)
    output.mkdir(parents=True, exist_ok=True)
    for sample in SAMPLES.values():
        print(f"{sample.name}: {sample.description}")
        before = read_image(sample_path(sample.name))
        after = _restored(before, Settings(model=rgb_model if sample.rgb else gray_model, device=device))
        restored, picture = output / f"{sample.name}-restored.tif", output / f"{sample.name}-before-after.png"
        write_image(restored, after)
        write_comparison(picture, before, after)
        print(f"  restored:     {restored.resolve()}\n  before/after: {picture.resolve()}")


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


def _restored(image: Micrograph, settings: Settings, work: Work | None = None) -> Micrograph:
    """Restore an image and show the progress."""
    from napari_mdeblurgan.model import load_model
    from napari_mdeblurgan.restoration.engine import restore_steps
    from napari_mdeblurgan.restoration.micrographs import plan_micrograph, restored_micrograph

    model = load_model(_model_name(image, settings))
    plan = plan_micrograph(image, model.card, **settings.options())
    for warning in plan.warnings:
        print(f"mdeblurgan: {warning}", file=sys.stderr)
    print(plan.described, flush=True)
    data = work(image.data, plan, model) if work else _shown(restore_steps(image.data, plan, model))
    return restored_micrograph(image, data, plan)


def _shown(steps: Generator[Progress, None, np.ndarray]) -> np.ndarray:
    return shown(steps, unit="px", every=LINE_EVERY)
