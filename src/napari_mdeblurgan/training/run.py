"""A training from a folder of images to a model file: a generator of steps that saves itself and
goes on where it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from napari_mdeblurgan.errors import OutOfMemory, TrainingError
from napari_mdeblurgan.exclusive import Lock, locked
from napari_mdeblurgan.model import ModelCard, save_model
from napari_mdeblurgan.outputs import local_path
from napari_mdeblurgan.restoration.out_of_memory import is_out_of_memory
from napari_mdeblurgan.training import board as boards
from napari_mdeblurgan.training import preparation as prepare
from napari_mdeblurgan.training.card import card_for_run
from napari_mdeblurgan.training.checkpoint import latest
from napari_mdeblurgan.training.config import ConfigError, TrainingConfig, read_config
from napari_mdeblurgan.training.curves import write_curves
from napari_mdeblurgan.training.distributed import (
    ALONE,
    ProcessRank,
    any_says,
    device_of,
    wait_for_all,
)
from napari_mdeblurgan.training.metrics_table import Metrics, read_metrics
from napari_mdeblurgan.training.run_folder import (
    RunFolder,
    check_apart,
    check_folder,
    check_same,
    clear,
    sweep,
    write_beginning,
)
from napari_mdeblurgan.training.sitting import Sitting, WorkingClock
from napari_mdeblurgan.training.trainer import Diverged, Record, Training
from napari_mdeblurgan.training.validation import (
    Validation,
    validate,
    validation_crops,
    write_samples,
)


@dataclass(frozen=True, slots=True)
class TrainingStep:
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


class Run(Sitting):
    """A training in its folder; made by `open_run`. Iterate `steps`. See `Sitting` for what it has
    beside this.

    Attributes
    ----------
    config : TrainingConfig
        As it was resolved.
    data : Data
        The images; ``data.folder.skipped`` names those that could not be used.
    """

    folder: RunFolder

    def __init__(
        self,
        images: Path,
        folder: RunFolder,
        config: TrainingConfig,
        data: prepare.Data,
        training: Training,
        place: ProcessRank,
        lock: Lock | None = None,
    ) -> None:
        super().__init__([lock.note] if lock is not None and lock.note else (), writes=place.first)
        self._lock, self._budget_s = lock, math.inf
        self.images, self.folder, self.config, self.data = images, folder, config, data
        self.training, self.place = training, place
        self.metrics = Metrics(folder.metrics, config.schedule.steps_per_epoch)
        self.crops = validation_crops(
            data.judged, config.degradation, config.network.scale, config.run.seed
        )
        if not self.crops:
            self.notes.append(
                "there is no image to validate on, so the model gets no scores; add images, or "
                "name a folder of them"
            )
        self._resume()
        self._board = boards.open_board(folder.tensorboard, self.resumed) if place.first else None
        if place.first and self._board is None:
            self.notes.append(boards.MISSING)

    @property
    def finished(self) -> bool:
        """Whether the schedule has come to its end."""
        return self.training.step >= self.config.schedule.steps

    def steps(self, minutes: float | None = None) -> Generator[TrainingStep, None, None]:
        """Take steps until the schedule ends, the time is up or `stop` is called; closing the
        generator saves, too.

        Parameters
        ----------
        minutes : float, optional
            After so long it ends, and writes the model as far as it has come.

        Yields
        ------
        TrainingStep
            After every step.

        Raises
        ------
        TrainingError
            If the loss or the gradient is not finite; names the last good checkpoint.
        OutOfMemory
            If a batch does not fit.
        """
        self.clock, self._budget_s = WorkingClock(), math.inf if minutes is None else 60 * minutes
        if self._saved < 0:
            self.save()
        self._wrote = time.monotonic()
        sampler = prepare.sampler_for(self.config, self.data, self.place)
        steps = self._records(sampler.batches(self.training.step), self.config.data.workers)
        try:
            with self.clock.running(), closing(steps):
                for record in steps:
                    yield TrainingStep(record, self.config.schedule.steps, self._after(record))
        except Diverged as error:
            where = (
                f"the last good checkpoint, after step {self._saved}, is {self.folder.checkpoint}"
            )
            raise TrainingError(f"{str(error).rstrip('.')}; {where}.") from error
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(
                f"Memory on {self.training.device} ran out after step {self.training.step}; close "
                "other programs and go on, or begin anew with a smaller data.batch or data.patch."
            ) from error
        finally:
            if self._board is not None:
                self._board.flush()
        if self.finished or self._is_late:
            self.write_model()
        wait_for_all(self.place)

    @property
    def _is_late(self) -> bool:
        return self.clock.seconds >= self._budget_s

    def _ends(self) -> bool:
        return any_says(self._stopped or self._is_late, self.place, self.training.device)

    def _after(self, record: Record) -> Validation | None:
        """What is due after a step; only the first process writes."""
        run, step = self.config.run, record.step
        if not self.place.first:
            return None
        validation = self.validate() if step % run.validate_every == 0 or self.finished else None
        if validation is not None or step % run.metrics_every == 0 or self.finished:
            row = self.metrics.write(step, validation)
            if self._board is not None:
                self._board.show(row)
        if validation is not None or self.finished:
            write_curves(self.folder.curves, read_metrics(self.folder.metrics))
        due = run.checkpoint_steps and step % run.checkpoint_steps == 0
        if due or self.finished or self._unsaved_s() >= run.checkpoint_seconds:
            self.save()
        return validation

    def validate(self) -> Validation | None:
        """Judge the averaged network on the held-out pieces, and draw some of them."""
        if not self.crops:
            return None
        self.last_validation, restored = validate(self.training.averaged, self.crops)
        write_samples(
            self.folder.samples / f"step-{self.training.step:07}.png", self.crops, restored
        )
        return self.last_validation

    def write_model(self) -> ModelCard | None:
        """Write the averaged network as it is now, with its card; gives the card, or None in all
        but the first process.
        """
        if not self.place.first:
            return None
        if self.last_validation is None or not self.finished:
            self.validate()
        card = card_for_run(
            self.config, self.images, self.data, self.training, self.last_validation
        )
        return save_model(self.training.averaged, card, self.model_path)

    @property
    def model_path(self) -> Path:
        """Where the model is, or will be."""
        return self.folder.model(self.config.model.name)

    def close(self) -> None:
        """Let go of the files and of the folder."""
        try:
            if self._board is not None:
                self._board.close()
        finally:
            if self._lock is not None:
                self._lock.release()


def open_run(
    images: str | Path,
    output: str | Path,
    config: TrainingConfig | None = None,
    *,
    overwrite: bool = False,
    place: ProcessRank = ALONE,
) -> Run:
    """Begin a training in a folder, or go on with the one that was begun there.

    The number of torch's threads and its seed are set for the whole process.

    Parameters
    ----------
    images : str or Path
        Folder of sharp images.
    output : str or Path
        Folder of the run: new, empty, or one that a run was begun in.
    config : TrainingConfig, optional
        What to do; by default what the run was begun with, or else the defaults.
    overwrite : bool
        Begin anew, and remove what a run has left in `output`.
    place : ProcessRank
        Which of the processes this one is; inside `joined` where there are several.

    Raises
    ------
    MdeblurganError
        If the images, the configuration or the folder cannot be used, the run was begun with
        others, or another process is at work on it.
    """
    if not isinstance(config, TrainingConfig | None):
        raise ConfigError(
            f"This {type(config).__name__} is no configuration; pass what `parse_config` or "
            "`read_config` returns."
        )
    images, output = local_path(images), local_path(output)
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
    sampler = prepare.sampler_for(
        asked, data, place
    )  # before anything is written: the batch must suit the processes
    device = device_of(place, asked.run.device)
    network = prepare.network_for(asked, begun and latest(folder.checkpoint) is not None).to(device)
    discriminator = prepare.discriminator_for(asked)
    training = Training(
        network,
        prepare.schedule_for(asked),
        prepare.method_for(asked),
        asked.loss,
        discriminator=discriminator.to(device) if discriminator else None,
        place=place,
    )
    del sampler
    lock = locked(output, folder.lock, "training") if place.first else None
    try:
        if place.first and folder.begun and not (begun or overwrite):
            raise TrainingError(
                f"Another training was begun in {output} meanwhile; give the command again to go "
                "on with that one, or choose another folder."
            )
        if place.first:
            sweep(folder)
        if place.first and overwrite:
            clear(folder)  # not before it is sure that another run can begin
        if place.first and not (begun and folder.images.exists()):
            write_beginning(folder, asked, data.listing)
        wait_for_all(place)
        return Run(images, folder, asked, data, training, place, lock)
    except BaseException:
        if lock is not None:
            lock.release()
        raise
