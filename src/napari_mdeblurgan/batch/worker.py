"""What a worker of the cluster does: whole images where they are small, blocks of them where they
are large.

Nothing of this is called but by the batch that runs on the cluster. Pixels of files never travel: a
worker reads from the file itself and writes into the output folder, both of which must have the
same path there.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask

from napari_mdeblurgan import __version__
from napari_mdeblurgan.batch.batch_recipe import ModelFile, Recipe
from napari_mdeblurgan.batch.inputs import Source
from napari_mdeblurgan.batch.item import Assessed, Product, Refusal, refusal
from napari_mdeblurgan.batch.making import make_result, write_from_zarr
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.exclusive import Busy, Lock, locked
from napari_mdeblurgan.own_folder import make_own
from napari_mdeblurgan.pipeline import carry_out
from napari_mdeblurgan.restoration.arrays import Cutout
from napari_mdeblurgan.restoration.binning import binned_micrograph
from napari_mdeblurgan.restoration.tiling import TileLimit
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import FileImage, Micrograph, open_image
from napari_mdeblurgan.storage.lazy_arrays import stamp_of
from napari_mdeblurgan.trust.verdict import verdict_on

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.scan import ScanBlock
    from napari_mdeblurgan.storage.ome_zarr.ome_zarr_chunks import ChunkStore

PRIVATE = 0o700

_HELD: list[Lock] = []


def dask_setup(_: object) -> None:
    """Called by dask when a worker of a local cluster starts: Ctrl-C on the terminal is for the
    command, which ends it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class OtherVersionError(Exception):
    """A worker has another version of the package than the batch; the first argument is its
    version.
    """


def done_alike(version: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, if this worker's version of the package is the batch's."""
    if version != __version__:
        raise OtherVersionError(__version__, socket.gethostname())
    return function(*arguments)


def make_image(source: Source, recipe: Recipe, place: Path, job: str) -> Product | Refusal:
    """Make the result of a small image."""
    try:
        with _at_work(source.path, place.parent):
            place.parent.mkdir(exist_ok=True)
            recipe = replace(recipe, device=own_device(recipe.device))
            made = finished(make_result(recipe.opened(source), recipe, place, job))
            return replace(made, place=f"{place.parent.name}/{place.name}")
    except Exception as error:
        return refusal(error, source.name)


def make_block(
    source: FileImage | Cutout,
    name: str,
    block: ScanBlock,
    plan: RestorationPlan,
    wish: str,
    model: ModelFile,
    store: ChunkStore,
    binning: int,
) -> Refusal | None:
    """Restore a block of a large image and write it where it belongs."""
    from napari_mdeblurgan.restoration.scan import restore_block

    try:
        with _at_work(source.path if isinstance(source, FileImage) else None, store.path):
            image = source if isinstance(source, Cutout) else _opened(source, binning).data
            pixels = restore_block(
                block, image, plan.on(own_device(wish)), model.load(), _limit_of(store.path)
            )
            store.write_block(block.index, block.y, block.x, pixels)
    except Exception as error:
        return refusal(error, name)
    return None


@functools.lru_cache(maxsize=8)
def _limit_of(_: Path) -> TileLimit:
    """What this process has learned about its memory from the blocks of a result."""
    return TileLimit()


def write_large(path: Path, place: Path, name: str) -> Refusal | None:
    """Write the result of a large image from the OME-Zarr that it grew in."""
    try:
        with _at_work(None, path):
            write_from_zarr(path, place, name)
    except Exception as error:
        return refusal(error, name)
    return None


def assess_large(
    source: Source, recipe: Recipe, path: Path, place: Path, job: str
) -> Assessed | Refusal:
    """Assess the result of a large image, in the OME-Zarr that it grew in."""
    try:
        with _at_work(source.path, path):
            recipe = replace(recipe, device=own_device(recipe.device))
            image = recipe.opened(source)
            steps = carry_out(
                image, recipe.model_for(image).load(), recipe.request(path, place, job)
            )
            _, found = finished(steps)
            assert found is not None
            return Assessed(verdict_on(found).document())
    except Exception as error:
        return refusal(error, source.name)


def own_device(wish: str) -> str:
    """The device of this process, by torch's name for it: what is wished for, or of several GPUs
    one that no other worker of the machine has.

    Where CUDA_VISIBLE_DEVICES lists one GPU, or another one first for every worker (as dask-cuda
    does), that is it.

    Raises
    ------
    ImageError
        If that device is not there.
    """
    from napari_mdeblurgan.restoration.device import available_devices, pick_device

    devices = [device for device in available_devices() if device.startswith("cuda")]
    if wish in ("auto", "cuda") and len(devices) > 1:
        wish = _claimed(tuple((device, _identity(device)) for device in devices))
    return pick_device(wish)


@functools.cache
def _claimed(devices: Sequence[tuple[str, str]]) -> str:
    """The first device that no other worker has claimed, and hold of it for the length of this
    process.

    Where all are claimed, workers share.
    """
    with contextlib.suppress(FileError):  # what is there is not ours: workers share
        folder = _gpu_folder()
        make_own(folder, PRIVATE)
        for device, identity in devices:
            with contextlib.suppress(Busy):
                _HELD.append(locked(folder, folder / identity, "worker"))
                return device
    return devices[os.getpid() % len(devices)][0]


def _gpu_folder() -> Path:
    """Where the workers of a user on a machine tell each other which GPUs they have."""
    user = os.geteuid() if hasattr(os, "geteuid") else getpass.getuser()
    return Path(tempfile.gettempdir()) / f"mdeblurgan-gpus-{user}"


def _identity(device: str) -> str:
    import torch

    return str(getattr(torch.cuda.get_device_properties(device), "uuid", device.replace(":", "-")))


@contextmanager
def _at_work(source: Path | None, folder: Path) -> Iterator[None]:
    """Use all threads that the worker was given, and no cluster for the arrays of a single task."""
    for path in (source, folder.parent):
        if path is not None and not path.exists():
            raise FileError(
                f"The worker on {socket.gethostname()} does not see {path}; inputs and results "
                "must be in folders that have the same path on all machines."
            )
    _use_threads()
    with dask.config.set(scheduler="threads"):
        yield


@functools.cache
def _use_threads() -> None:
    """As many as the worker has: dask tells libraries to use one each, as its tasks run side by
    side, but ours take turns.
    """
    import torch
    from distributed import get_worker

    torch.set_num_threads(max(torch.get_num_threads(), get_worker().state.nthreads))


def _opened(source: FileImage, binning: int) -> Micrograph:
    path = source.path
    stamp = stamp_of(path / "zarr.json" if (path / "zarr.json").is_file() else path)
    return _kept_open(source, binning, stamp)


@functools.lru_cache(maxsize=8)
def _kept_open(source: FileImage, binning: int, _stamp: tuple[int, int]) -> Micrograph:
    return binned_micrograph(open_image(source.path, source.image), binning)
