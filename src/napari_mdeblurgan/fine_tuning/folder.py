"""The folder of a fine-tuning: all that it needs to go on, wherever the images and the base model
have gone since.

settings.json                  what was asked for pairs.safetensors              the pairs, laid on
each other base.safetensors               the model that was started from checkpoint.safetensors
what the training goes on from; checkpoint-previous.safetensors is the one before metrics.csv,
curves.png        the loss and the validation preview.png                    pieces of held-out
parts: blurred, bicubic, restored, truth result.json, comparison.png    how the new model does
beside the base model
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors
import safetensors.numpy

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError, MdeblurganError, TrainingError
from napari_mdeblurgan.exclusive import Busy, Lock, is_held, locked
from napari_mdeblurgan.fine_tuning.settings import (
    FineTuneSettings,
    SettingsError,
    changed_fields,
    settings_from_json,
    settings_json,
)
from napari_mdeblurgan.folders import anything_there, folder_there
from napari_mdeblurgan.model import (
    BUNDLED_FOLDER,
    check_own_models,
    model_path,
    read_card,
    user_model_folder,
)
from napari_mdeblurgan.model_file import SUFFIX
from napari_mdeblurgan.training.work_folder import WorkFolder, remove_files

if TYPE_CHECKING:
    from napari_mdeblurgan.fine_tuning.pairs import TuningPair

_RUNS = "fine-tuning"
_KEY, _STACKS, _TRUTHS = "pairs", "stacks", "truths"
_PATIENCE_S = 1  # for those who only look whether anybody works there

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FineTuneFolder(WorkFolder):
    """Names of the files of a fine-tuning."""

    @property
    def settings(self) -> Path:
        return self.path / "settings.json"

    @property
    def pairs(self) -> Path:
        return self.path / "pairs.safetensors"

    @property
    def base(self) -> Path:
        return self.path / "base.safetensors"

    @property
    def preview(self) -> Path:
        return self.path / "preview.png"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def comparison(self) -> Path:
        return self.path / "comparison.png"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def files(self) -> tuple[Path, ...]:
        """All that a fine-tuning writes."""
        images = self.preview, self.comparison, self.curves
        return (
            self.settings,
            self.pairs,
            self.base,
            self.result,
            *images,
            *self.resumed_from,
            self.metrics,
        )

    @property
    def begun(self) -> bool:
        """Whether a fine-tuning was begun here; the settings are what is written last."""
        return anything_there(self.settings)


def folder_for(settings: FineTuneSettings) -> FineTuneFolder:
    """Where the fine-tuning of a model is: among the user's models by its name, or beside the file
    that was asked for.
    """
    if settings.output:
        output = Path(settings.output)
        return FineTuneFolder(output.with_name(f"{output.stem}-{_RUNS}"))
    return FineTuneFolder(user_model_folder() / _RUNS / settings.name)


def output_of(settings: FineTuneSettings) -> Path:
    """The file of the new model."""
    return (
        Path(settings.output)
        if settings.output
        else user_model_folder() / f"{settings.name}{SUFFIX}"
    )


def begin(
    settings: FineTuneSettings, pairs: Sequence[TuningPair], *, overwrite: bool = False
) -> FineTuneFolder:
    """Write all that a fine-tuning needs into its folder; or find that one with the same settings
    was begun there.

    Parameters
    ----------
    settings : FineTuneSettings
        What to do.
    pairs : sequence of TuningPair
        What to learn from; what registration has left of shifts is taken out. Where one was begun
        before, the pairs that it was begun with stay.
    overwrite : bool
        Begin anew, whatever there is.

    Raises
    ------
    SettingsError
        If there is a model of that name, or a fine-tuning of it that was begun with other settings.
    TrainingError
        If another process works on it.
    FileError
        If the folder cannot be written.
    """
    folder = folder_for(settings)
    if folder.begun and not overwrite:
        old = read_tuning_settings(folder)
        for field in changed_fields(old, settings):
            raise SettingsError(
                f"{settings.name} was begun with {field.replace('_', ' ')} "
                f"{getattr(old, field)!r}, not {getattr(settings, field)!r}; ask for the same, "
                "choose another name, or begin anew."
            )
        with owned(folder):
            keep_settings(folder, settings)
        return folder
    check_name(settings, overwrite=overwrite)
    from napari_mdeblurgan.fine_tuning.residual import without_residual_shifts

    pairs = without_residual_shifts(pairs)
    with owned(folder):
        _write_beginning(folder, settings, pairs, overwrite)
    return folder


def _write_beginning(
    folder: FineTuneFolder,
    settings: FineTuneSettings,
    pairs: Sequence[TuningPair],
    overwrite: bool,
) -> None:
    discard(folder)
    tensors: dict[str, np.ndarray] = {}
    for number, pair in enumerate(pairs):
        tensors |= {
            f"{number:04}/low": pair.low,
            f"{number:04}/high": pair.high,
            f"{number:04}/valid": pair.valid,
        }
    names = {
        _KEY: json.dumps([pair.name for pair in pairs]),
        _STACKS: json.dumps([pair.stack for pair in pairs]),
        _TRUTHS: json.dumps([pair.same_truth for pair in pairs]),
    }
    content = safetensors.numpy.save(
        {name: np.ascontiguousarray(each) for name, each in tensors.items()}, names
    )
    with replacing(folder.pairs, make_folders=True) as file:
        file.write(content)
    base = Path(settings.base)
    with replacing(folder.base) as file:
        file.write((base if base.suffix == SUFFIX else model_path(settings.base)).read_bytes())
    if overwrite and (output := output_of(settings)).exists():
        with replacing(
            folder.result
        ) as file:  # so that what stands there is known for what may be replaced
            file.write(json.dumps({"sha256": read_card(output).weights_sha256}).encode())
    keep_settings(folder, settings)


def check_name(settings: FineTuneSettings, *, overwrite: bool = False) -> None:
    """Make sure that the new model takes no other one's place, and can be written.

    Raises
    ------
    SettingsError
        If it would.
    FileError
        If it is to be among the user's models, and their folder may not be written to.
    """
    if not settings.output:
        check_own_models()
    output = output_of(settings)
    taken = output.exists()
    if not settings.output and (BUNDLED_FOLDER / output.name).exists():
        raise SettingsError(f"{settings.name} is the name of a bundled model; choose another.")
    if taken and not overwrite:
        raise SettingsError(
            f"There is a model at {output} already; choose another name, or say that it may be "
            "replaced."
        )


def free_name(wish: str) -> str:
    """`wish`, or `wish` with the first number behind it that no model and no fine-tuning has."""

    def taken(name: str) -> bool:
        files = (folder / f"{name}{SUFFIX}" for folder in (BUNDLED_FOLDER, user_model_folder()))
        return any(anything_there(each) for each in (user_model_folder() / _RUNS / name, *files))

    number, name = 1, wish
    while taken(name):
        number += 1
        name = f"{wish}-{number}"
    return name


def discard(folder: FineTuneFolder) -> None:
    """Remove a fine-tuning; the model that it has made stays, and so do files that are none of its
    own.
    """
    if folder.begun or folder.pairs.exists():
        remove_files(folder.path, folder.files)
        with suppress(OSError):  # there is something else in it
            folder.path.rmdir()


def keep_settings(folder: FineTuneFolder, settings: FineTuneSettings) -> None:
    """Write the settings."""
    with replacing(folder.settings) as file:
        file.write(settings_json(settings).encode())


def read_tuning_settings(folder: FineTuneFolder) -> FineTuneSettings:
    """What was asked for.

    Raises
    ------
    FileError
        If nothing was begun in the folder.
    SettingsError
        If the file is damaged.
    """
    try:
        return settings_from_json(folder.settings.read_bytes())
    except OSError as error:
        raise FileError(
            f"No fine-tuning was begun in {folder.path} ({error.strerror}); begin one."
        ) from None


def read_pairs(folder: FineTuneFolder) -> list[TuningPair]:
    """The pairs that it was begun with.

    Raises
    ------
    FileError
        If they cannot be read.
    """
    from napari_mdeblurgan.fine_tuning.pairs import TuningPair

    try:
        with safetensors.safe_open(folder.pairs, "np") as file:
            metadata = file.metadata() or {}
            names = json.loads(metadata[_KEY])
            stacks, truths = (
                json.loads(metadata.get(key, "null")) or [""] * len(names)
                for key in (_STACKS, _TRUTHS)  # which older versions know none of
            )
            found = []
            for number, (name, *more) in enumerate(zip(names, stacks, truths, strict=True)):
                low, high, valid = (
                    file.get_tensor(f"{number:04}/{part}") for part in ("low", "high", "valid")
                )
                found.append(TuningPair(name, low, high, valid, *more))
            return found
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FileError(
            f"{folder.pairs} cannot be read ({error}); begin the fine-tuning anew."
        ) from None


@dataclass(frozen=True, slots=True)
class BegunTuning:
    """A fine-tuning that can go on.

    Attributes
    ----------
    folder : FineTuneFolder
        Where it is.
    settings : FineTuneSettings
        What was asked for.
    seconds : float
        Worked so far.
    step : int
        Steps taken.
    """

    folder: FineTuneFolder
    settings: FineTuneSettings
    seconds: float
    step: int

    @property
    def finished(self) -> bool:
        """Whether its time, or its steps, are over."""
        asked = self.settings
        return self.seconds >= 60 * asked.minutes or bool(asked.steps and self.step >= asked.steps)


def all_begun() -> list[BegunTuning]:
    """Fine-tunings among the user's models that nothing works on now, the latest first; damaged
    ones are left out.
    """
    root = user_model_folder() / _RUNS
    folders = (
        [FineTuneFolder(path) for path in root.iterdir() if path.is_dir()]
        if folder_there(root)
        else []
    )
    found = []
    for folder in folders:
        whole = folder.begun and folder.pairs.exists() and folder.base.exists()
        if not whole or is_held(folder.lock):
            continue
        try:
            seconds, step = _worked(folder)
            found.append(BegunTuning(folder, read_tuning_settings(folder), seconds, step))
        except (
            MdeblurganError,
            OSError,
            safetensors.SafetensorError,
            ValueError,
            KeyError,
            TypeError,
        ) as error:
            log.warning("the fine-tuning in %s is left out: %s", folder.path, error)
    return sorted(found, key=lambda each: -each.folder.settings.stat().st_mtime)


def _worked(folder: FineTuneFolder) -> tuple[float, int]:
    """Seconds and steps, as its checkpoint says; the tensors are not read."""
    from napari_mdeblurgan.training.checkpoint import CHECKPOINT_KEY, latest

    path = latest(folder.checkpoint)
    if path is None:
        return 0.0, 0
    with safetensors.safe_open(path, "np") as file:
        values = json.loads((file.metadata() or {})[CHECKPOINT_KEY])
    return float(values["seconds"]), int(values["training"]["step"])


@contextmanager
def owned(folder: FineTuneFolder) -> Iterator[Lock]:
    """Work in a folder that no other process works in, without what one that was killed has left
    half-written; gives the lock, whose note the user should know.

    Raises
    ------
    TrainingError
        If one does.
    FileError
        If the folder cannot be written to.
    """
    try:
        lock = locked(folder.path, folder.lock, "fine-tuning", wait_s=_PATIENCE_S, temporary=True)
    except Busy:
        raise TrainingError(
            f"{folder.path.name} is being trained by another process; wait for it, or stop it "
            "there."
        ) from None
    with lock:
        remove_files(folder.path, ())
        yield lock
