"""What a bug report should tell: versions, the machine, models and folders. Nothing is asked of the
network.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from napari_mdeblurgan import __version__
from napari_mdeblurgan.errors import ImageError, ModelError
from napari_mdeblurgan.folders import cache_folder, folder_there
from napari_mdeblurgan.model import BUNDLED_FOLDER, model_files, read_card, user_model_folder

LIBRARIES = """torch numpy scipy scikit-image dask zarr yaozarrs tifffile imagecodecs pydantic
safetensors
napari npe2 magicgui superqt QtPy PyQt6 PySide6 PyQt5
bioimageio.core bioimageio.spec onnx onnxruntime tensorboardX distributed""".split()
VARIABLES = "MDEBLURGAN_ NAPARI_ QT_ CUDA_VISIBLE_DEVICES OMP_NUM_THREADS PYTORCH_".split()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it, as (what, how)."""

    title: str
    lines: tuple[tuple[str, str], ...]


def diagnose() -> Iterator[Section]:
    """Section by section; the devices come last, because looking for them imports torch."""
    yield Section("Versions", (("napari-mdeblurgan", __version__), *_versions()))
    yield Section("Machine", _machine())
    yield Section("Models", tuple(_models()))
    yield Section("Folders", tuple(_folders()))
    if settings := tuple(
        (name, os.environ[name]) for name in sorted(os.environ) if name.startswith(tuple(VARIABLES))
    ):
        yield Section("Environment", settings)
    yield Section("Devices", tuple(_devices()))


def _versions() -> Iterator[tuple[str, str]]:
    yield "Python", f"{platform.python_version()} ({sys.executable})"
    for name in LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _machine() -> tuple[tuple[str, str], ...]:
    memory = psutil.virtual_memory()
    return (
        ("system", platform.platform()),
        ("CPU", f"{platform.processor() or platform.machine()}, {os.cpu_count()} threads"),
        ("memory", f"{memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} GiB free"),
    )


def _models() -> Iterator[tuple[str, str]]:
    """Every model file, those too that cannot be used, with the reason."""
    for name, path in model_files().items():
        origin = "bundled" if path.parent == BUNDLED_FOLDER else "own"
        try:
            card = read_card(path)
        except ModelError as error:
            yield name, f"{origin}, cannot be used: {error}"
        else:
            kind = {1: "grey", 3: "RGB"}.get(card.channels, f"{card.channels} channels")
            factor = card.output_scale or card.scale
            yield (
                name,
                f"{origin}, ×{factor}, {kind}, written by {card.version}, "
                f"{card.weights_sha256[:12]}",
            )


def _folders() -> Iterator[tuple[str, str]]:
    yield "package", str(Path(__file__).parent)
    for name, folder in (("models", user_model_folder()), ("cache", cache_folder())):
        yield name, f"{folder}{'' if folder_there(folder) else ' (not there yet)'}"


def _devices() -> Iterator[tuple[str, str]]:
    """The devices, and what "auto" comes to on each; or why there are none."""
    try:
        from napari_mdeblurgan.restoration.device import (
            available_devices,
            device_label,
            pick_device,
            pick_precision,
            unsupported_gpus,
        )

        found = available_devices()
        for device in found:
            auto = ", chosen by auto" if device == found[0] else ""
            try:
                label = device_label(pick_device(device))
                yield device, f"{label}, {pick_precision('auto', device)}{auto}"
            except ImageError as error:
                yield device, str(error)
        yield from unsupported_gpus().items()
    except (
        Exception
    ) as error:  # a broken installation of torch is just what a report should tell of
        yield (
            "none",
            f"torch cannot be used: {type(error).__name__}: {' '.join(str(error).split())}",
        )
