"""A training from a folder of images to a model file: a generator of steps that saves itself and goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from napari_mdeblurgan.errors import TrainingError
from napari_mdeblurgan.exclusive import Lock, locked
from napari_mdeblurgan.model import ModelCard, save_model
from napari_mdeblurgan.training import board as boards
from napari_mdeblurgan.training import preparation as prepare
from napari_mdeblurgan.training.card import card_for_run
from napari_mdeblurgan.training.checkpoint import latest, load_checkpoint, save_checkpoint, went_back_to
from napari_mdeblurgan.training.config import TrainingConfig, read_config
from napari_mdeblurgan.training.curves import write_curves
from napari_mdeblurgan.training.dataset import Patches
from napari_mdeblurgan.training.distributed import ALONE, Place, any_says, device_of, wait_for_all
from napari_mdeblurgan.training.loader import prefetched
from napari_mdeblurgan.training.metrics import Metrics, read_metrics
from napari_mdeblurgan.training.perceptual import Trunk
from napari_mdeblurgan.training.run_folder import (
    RunFolder,
    check_apart,
    check_folder,
    check_same,
    clear,
    sweep,
    write_beginning,
)
from napari_mdeblurgan.training.trainer import Diverged, Record, Training
from napari_mdeblurgan.training.validation import Validation, validate, validation_crops, write_samples


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a run.

    Attributes
    ----------
    record : Record
        The step itself.
    steps : int
        Of the whole schedule.
    validation : Validation or None
        Where one was made after this step.
    """

    record: Record
    steps: int
    validation: Validation | None

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return self.record.step


class Run:
    """A training in its folder; made by `open_run`. Iterate `steps`.

    Attributes
    ----------
    config : TrainingConfig
        As it was resolved.
    data : Data
        The images; ``data.folder.skipped`` names those that could not be used.
    notes : list of str
        What the user should know, one sentence each.
    resumed : int
        Steps that earlier sittings had taken.
    """

    def __init__(
        self,
        images: Path,
        folder: RunFolder,
        config: TrainingConfig,
        data: prepare.Data,
        training: Training,
        place: Place,
        lock: Lock | None = None,
    ) -> None:
        self._lock = lock
        self.images, self.folder, self.config, self.data = images, folder, config, data
        self.training, self.place = training, place
        self.notes: list[str] = [lock.note] if lock is not None and lock.note else []
        self.last_validation: Validation | None = None
        self.metrics = Metrics(folder.metrics, config.schedule.steps_per_epoch)
        self.crops = validation_crops(data.judged, config.degradation, config.network.scale, config.run.seed)
        if not self.crops:
            self.notes.append(
                "there is no image to validate on, so the model gets no scores; add images, or name a folder of them"
            )
        self._stopped, self._saved, self._wrote = False, -1, 0.0
        path = latest(folder.checkpoint)
        if path is not None:
            self._go_on_from(path)
        self.resumed = training.step
        self._board = boards.open_board(folder.tensorboard, self.resumed) if place.first else None
        if place.first and self._board is None:
            self.notes.append(boards.MISSING)

    def _go_on_from(self, path: Path) -> None:
        tensors, values = load_checkpoint(path)
        self.training.restore(tensors, values["training"])
        if self.place.first:
            self.metrics.restore(values["metrics"], self.training.step)
        if values["validation"]:
            self.last_validation = Validation(**values["validation"])
        if path == self.folder.checkpoint:
            self._saved = self.training.step
        else:
            self.notes.append(went_back_to(path))

    @property
    def finished(self) -> bool:
        """Whether the schedule has come to its end."""
        return self.training.step >= self.config.schedule.steps

    def stop(self) -> None:
        """Let `steps` end after the step that is being taken, with a checkpoint; may be called from another thread."""
        self._stopped = True

    def steps(self, minutes: float | None = None) -> Generator[Progress, None, None]:
        """Take steps until the schedule ends, the time is up or `stop` is called; closing the generator saves, too.

        Parameters
        ----------
        minutes : float, optional
            After so long it ends, and writes the model as far as it has come.

        Yields
        ------
        Progress
            After every step.

        Raises
        ------
        TrainingError
            If the loss or the gradient is not finite; names the last good checkpoint.
        """
        end = float("inf") if minutes is None else time.monotonic() + 60 * minutes
        whole = True  # whether the state is that between two steps
        if self._saved < 0:
            self.save()
        self._wrote = time.monotonic()
        sampler = prepare.sampler_for(self.config, self.data, self.place)
        ahead = prefetched(sampler.batches(self.training.step), workers=self.config.data.workers)
        batches = cast("Generator[Patches, None, None]", ahead)  # closed at the end, so that its threads end
        records = self.training.run(batches)
        try:
            while not self.finished:
                whole = False
                record = next(records)
                whole = True
                yield Progress(record, self.config.schedule.steps, self._after(record))
                late = time.monotonic() >= end
                if any_says(self._stopped or late, self.place, self.training.device):
                    break
        except Diverged as error:
            where = f"the last good checkpoint, after step {self._saved}, is {self.folder.checkpoint}"
            raise TrainingError(f"{str(error).rstrip('.')}; {where}.") from error
        finally:
            records.close()
            batches.close()
            if whole and self._saved != self.training.step:
                self.save()
            if self._board is not None:
                self._board.flush()
        if self.finished or time.monotonic() >= end:
            self.write_model()
        wait_for_all(self.place)

    def _after(self, record: Record) -> Validation | None:
        """What is due after a step; only the first process writes."""
        run, step = self.config.run, record.step
        if not self.place.first:
            return None
        self.metrics.take(record)
        validation = self.validate() if step % run.validate_every == 0 or self.finished else None
        if validation is not None or step % run.metrics_every == 0 or self.finished:
            row = self.metrics.write(step, validation)
            if self._board is not None:
                boards.show(self._board, row)
        if validation is not None or self.finished:
            write_curves(self.folder.curves, read_metrics(self.folder.metrics))
        due = run.checkpoint_steps and step % run.checkpoint_steps == 0
        if due or self.finished or time.monotonic() - self._wrote >= run.checkpoint_seconds:
            self.save()
        return validation

    def validate(self) -> Validation | None:
        """Judge the averaged network on the held-out pieces, and draw some of them."""
        if not self.crops:
            return None
        self.last_validation, restored = validate(self.training.averaged, self.crops)
        write_samples(self.folder.samples / f"step-{self.training.step:07}.png", self.crops, restored)
        return self.last_validation

    def save(self) -> None:
        """Write a checkpoint.

        Raises
        ------
        FileError
            If it cannot be written.
        TrainingError
            If the weights are not finite: then the checkpoint before stays.
        """
        if self.place.first:
            tensors, values = self.training.sound_state()
            scores = self.last_validation
            everything = {
                "training": values,
                "metrics": self.metrics.state(),
                "validation": {name: getattr(scores, name) for name in scores.__slots__} if scores else None,
            }
            save_checkpoint(self.folder.checkpoint, tensors, everything)
        self._saved, self._wrote = self.training.step, time.monotonic()

    def write_model(self) -> ModelCard | None:
        """Write the averaged network as it is now, with its card; gives the card, or None in all but the first process."""
        if not self.place.first:
            return None
        if self.last_validation is None or not self.finished:
            self.validate()
        card = card_for_run(self.config, self.images, self.data, self.training, self.last_validation)
        return save_model(self.training.averaged, card, self.model_path)

    @property
    def model_path(self) -> Path:
        """Where the model is, or will be."""
        return self.folder.model(self.config.model.name)

    def close(self) -> None:
        """Let go of the files and of the folder."""
        if self._board is not None:
            self._board.close()
        if self._lock is not None:
            self._lock.release()


def open_run(
    images: Path,
    output: Path,
    config: TrainingConfig | None = None,
    *,
    overwrite: bool = False,
    place: Place = ALONE,
    trunk: Trunk | None = None,
) -> Run:
    """Begin a training in a folder, or go on with the one that was begun there.

    The number of torch's threads and its seed are set for the whole process.

    Parameters
    ----------
    images : Path
        Folder of sharp images.
    output : Path
        Folder of the run: new, empty, or one that a run was begun in.
    config : TrainingConfig, optional
        What to do; by default what the run was begun with, or else the defaults.
    overwrite : bool
        Begin anew, and remove what a run has left in `output`.
    place : Place
        Which of the processes this one is; inside `joined` where there are several.
    trunk : Trunk, optional
        Network of the perceptual term; by default VGG19 where the loss asks for it.

    Raises
    ------
    MdeblurganError
        If the images, the configuration or the folder cannot be used, the run was begun with others, or another process is at
        work on it.
    """
    folder = RunFolder(output)
    check_folder(folder)
    check_apart(folder, images)
    wait_for_all(place)
    begun = folder.begun and not overwrite
    earlier = read_config(folder.config) if begun else None
    wait_for_all(place)
    asked = prepare.resolved(config or earlier or TrainingConfig(), images, place, earlier)
    prepare.prepare_torch(asked)
    data = prepare.open_data(images, asked)
    prepare.check_images(data, images)
    asked = prepare.with_lengths(asked, data)
    if begun:
        check_same(folder, asked, data.listing)
    sampler = prepare.sampler_for(asked, data, place)  # before anything is written: the batch must suit the processes
    device = device_of(place, asked.run.device)
    network = prepare.network_for(asked, begun and latest(folder.checkpoint) is not None).to(device)
    discriminator = prepare.discriminator_for(asked)
    training = Training(
        network,
        prepare.schedule_for(asked),
        prepare.method_for(asked),
        asked.loss,
        discriminator=discriminator.to(device) if discriminator else None,
        trunk=trunk,
        place=place,
    )
    del sampler
    lock = locked(output, folder.lock, "training") if place.first else None
    try:
        if place.first:
            sweep(folder)
        if place.first and not begun:
            if overwrite:
                clear(folder)  # not before it is sure that another run can begin
            write_beginning(folder, asked, data.listing)
        wait_for_all(place)
        return Run(images, folder, asked, data, training, place, lock)
    except BaseException:
        if lock is not None:
            lock.release()
        raise
