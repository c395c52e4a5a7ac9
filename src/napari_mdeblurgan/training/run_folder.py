"""The folder of a run: what lies where, and whether a training may go on in it.

config.toml                      all that was asked for, as it was resolved images.json
which images are trained on, validated on, and skipped checkpoint.safetensors           what the
training goes on from; checkpoint-previous.safetensors is the one before metrics.csv, tensorboard/
the loss, its terms and their shares, the validation curves.png, samples/             the same as a
picture; pieces of held-out images, restored <name>.safetensors               the model
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError, in_short
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.outputs import check_output_folder
from napari_mdeblurgan.own_folder import is_link, refuse_links
from napari_mdeblurgan.plain_text import for_utf8
from napari_mdeblurgan.training.config import (
    ConfigError,
    TrainingConfig,
    config_toml,
    differences,
    read_config,
)
from napari_mdeblurgan.training.work_folder import WorkFolder, remove_files

SAMPLE = re.compile(r"step-\d{7,}\.png")
EVENTS = re.compile(r"events\.out\.tfevents\..*")


@dataclass(frozen=True, slots=True)
class RunFolder(WorkFolder):
    """Names of the files of a run."""

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def images(self) -> Path:
        return self.path / "images.json"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    def model(self, name: str) -> Path:
        return self.path / f"{name}.safetensors"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def files(self) -> tuple[Path, ...]:
        """All that a run writes beside its model, its samples and what is for TensorBoard."""
        return *self.resumed_from, self.metrics, self.curves, self.images, self.config

    @property
    def begun(self) -> bool:
        """Whether a training was begun here."""
        return self.config.exists()


def check_folder(folder: RunFolder) -> None:
    """Make sure that the folder is a run's, is empty, or can be made.

    Raises
    ------
    FileError
        If it is something else.
    """
    check_output_folder(folder.path, "the run", ours=folder.begun)


def check_apart(folder: RunFolder, images: Path) -> None:
    """Make sure that what a run writes is not taken for images to train on.

    Raises
    ------
    ConfigError
        If the run's folder is that of the images, or lies in it.
    """
    if real_path(folder.path).is_relative_to(real_path(images)):
        raise ConfigError(
            f"{folder.path} lies among the images, and the pictures of the run would be taken for "
            f"some; choose an --output outside {images}."
        )


def clear(folder: RunFolder) -> None:
    """Remove what a run has written; files that are none of its own stay."""
    if folder.begun:
        with contextlib.suppress(
            ConfigError
        ):  # a damaged one does not say what the model is called
            folder.model(read_config(folder.config).model.name).unlink(missing_ok=True)
    for inner, names in ((folder.samples, SAMPLE), (folder.tensorboard, EVENTS)):
        if not is_link(inner) and inner.is_dir():
            remove_files(inner, [path for path in inner.iterdir() if names.fullmatch(path.name)])
            with contextlib.suppress(OSError):  # there is something else in it
                inner.rmdir()
    remove_files(folder.path, folder.files)


def sweep(folder: RunFolder) -> None:
    """Remove half-written files that a killed process has left; and make sure that nothing is
    written through a link.

    Raises
    ------
    FileError
        If there is one where the run writes.
    """
    remove_files(folder.path, ())
    refuse_links([*folder.files, folder.samples, folder.tensorboard])


def check_same(folder: RunFolder, config: TrainingConfig, images: dict[str, Any]) -> None:
    """Make sure that a training that was begun in this folder can go on with this configuration and
    these images.

    Raises
    ------
    ConfigError
        Naming the first field, or image, that differs.
    """
    mend = "ask for the same, choose another --output, or add --overwrite to begin anew"
    for name, old, new in differences(read_config(folder.config), config):
        raise ConfigError(f"{folder.path} was begun with {name} = {old!r}, not {new!r}; {mend}.")
    if folder.images.exists():
        before = _listed(folder)
        for part in ("training", "validation"):
            for name in sorted(before[part] ^ set(images[part])):
                what = "is gone from" if name in before[part] else "is new in"
                raise ConfigError(
                    f"{name} {what} the {part} images that {folder.path} was begun with; put them "
                    "back, choose another --output, or add --overwrite to begin anew."
                )


def _listed(folder: RunFolder) -> dict[str, set[str]]:
    """Names of the images that a run was begun with."""
    try:
        listing = json.loads(folder.images.read_text(encoding="utf-8"))
        return {part: {str(name) for name in listing[part]} for part in ("training", "validation")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileError(
            f"{folder.images} cannot be read ({in_short(error)}); put it back, choose another "
            "--output, or add --overwrite to begin anew."
        ) from None


def write_beginning(folder: RunFolder, config: TrainingConfig, images: dict[str, Any]) -> None:
    """Make the folder and write what the run was asked for.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    with replacing(folder.config, make_folders=True) as file:  # first: the folder is known by it
        file.write(config_toml(config).encode())
    with replacing(folder.images) as file:
        file.write(for_utf8(json.dumps(images, indent=1, ensure_ascii=False)).encode())
