"""A fine-tuning: a generator of steps within a budget of time that saves itself, keeps the best,
and goes on where it was.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, fields, replace
from typing import Any

import torch
from torch import Tensor

from napari_mdeblurgan.errors import TrainingError
from napari_mdeblurgan.fine_tuning.between import between
from napari_mdeblurgan.fine_tuning.clock import UNLIMITED, TimedSchedule
from napari_mdeblurgan.fine_tuning.folder import FineTuneFolder, read_pairs, read_tuning_settings
from napari_mdeblurgan.fine_tuning.held_out import split
from napari_mdeblurgan.fine_tuning.judged import KEPT, HeldOutParts, JudgedNetwork, kept, taken_up
from napari_mdeblurgan.fine_tuning.pace import Pace
from napari_mdeblurgan.fine_tuning.pairs import output_scale
from napari_mdeblurgan.fine_tuning.parts import learn_only
from napari_mdeblurgan.fine_tuning.patches import PairSampler
from napari_mdeblurgan.fine_tuning.preview import write_pieces
from napari_mdeblurgan.fine_tuning.scores import Scores, plain_name
from napari_mdeblurgan.fine_tuning.tuning_progress import BaseAndBest, TuningStep, history
from napari_mdeblurgan.model import Model, load_model
from napari_mdeblurgan.network import Network
from napari_mdeblurgan.network.blocks import BicubicUpsampling
from napari_mdeblurgan.restoration.device import pick_device, pick_precision
from napari_mdeblurgan.restoration.out_of_memory import is_out_of_memory
from napari_mdeblurgan.stopping import Stopped, stoppable
from napari_mdeblurgan.training.checkpoint import latest, load_checkpoint
from napari_mdeblurgan.training.curves import write_curves
from napari_mdeblurgan.training.losses.terms import LossConfig
from napari_mdeblurgan.training.metrics_table import Metrics, read_metrics
from napari_mdeblurgan.training.optimisers.schedule import Schedule
from napari_mdeblurgan.training.sitting import Sitting, WorkingClock
from napari_mdeblurgan.training.trainer import Diverged, Record, StepMethod, Training
from napari_mdeblurgan.training.validation import Validation

LOSS = LossConfig(ssim_share=0.0)
VALIDATIONS, FEWEST_VALIDATIONS = 30, 6  # in the whole budget
VALIDATION_COST = 20  # a validation at most every so many times what one takes
STEPS_FOR_ROW = 10
# from the base model to the tuned one, that are judged where planes of a stack are learned from
WAYS = (0.25, 0.5, 1.0)
PATIENCE_S = 1.0  # after a stop, for judging what was learned last


class FineTuning(Sitting):
    """A fine-tuning in its folder; made by `open_fine_tuning`. Iterate `steps`. See `Sitting` for
    what it has beside this.

    Attributes
    ----------
    settings : FineTuneSettings
        What was asked for.
    base : Model
        What was started from.
    pairs : list of TuningPair
        What is learned from and judged by.
    split : Split
        Which part is which.
    best : dict of str to Tensor
        The weights that did best on the held-out squares: at first the base model's.
    best_step : int
        After how many steps they were.
    best_way : float
        How far they lie on the way from the base model's to the tuned ones: 1, but for focus stacks
        perhaps less.
    best_psnr_db, base_psnr_db : float
        How they did, and how the base model did.
    parts : HeldOutParts
        What is held out, to be judged by and drawn.
    bicubic_judged : JudgedNetwork
        How bicubic enlargement does there; the blurred image itself where nothing is enlarged.
    output_scale : int or None
        Pixels of a result for one of the image that are learned, where these are not the base
        model's: 1.
    """

    folder: FineTuneFolder

    def __init__(self, folder: FineTuneFolder) -> None:
        super().__init__()
        self.folder, self.settings = folder, read_tuning_settings(folder)
        asked = self.settings
        if asked.threads:
            torch.set_num_threads(asked.threads)
        torch.manual_seed(asked.seed)
        self.base: Model = load_model(folder.base)
        self.pairs = read_pairs(folder)
        self.split = split(self.pairs, self.base.card.halo)
        self.device = pick_device(asked.device)
        self.precision = pick_precision(asked.precision, self.device)
        self._pace = Pace(asked.batch, asked.patch)
        self.training = self._new_training()
        self.output_scale = output_scale(self.pairs, self.base.card)
        self.sampler = self._new_sampler()
        epoch = sum((box.y1 - box.y0) * (box.x1 - box.x0) for box in self.split.training)
        self.metrics = Metrics(
            folder.metrics, max(1, epoch // (asked.batch * self.sampler.patch**2))
        )
        self.best = {name: value.clone() for name, value in self.base.network.state_dict().items()}
        self.best_step, self.best_way, self.best_psnr_db, self.base_psnr_db = 0, 1.0, 0.0, 0.0
        self._ways = WAYS if any(pair.stack for pair in self.pairs) else WAYS[-1:]
        self.parts = HeldOutParts(self.pairs, self.split)
        self.bicubic_judged = self.parts.judged(BicubicUpsampling(self.pairs[0].scale))
        self._base_judged: JudgedNetwork | None = None
        self._best_judged: JudgedNetwork | None = None
        self._validate_at, self._validated_at, self._give_up_at = 0.0, -1, math.inf
        self._resume()
        self.notes += self.split.notes(self.base.card.halo)

    # ---- how it is set up

    @property
    def schedule(self) -> TimedSchedule:
        """The rates."""
        asked = self.settings
        return TimedSchedule(
            asked.steps or UNLIMITED,
            asked.learning_rate * self._pace.slower,
            budget_s=60 * asked.minutes,
            clock=self.clock,
        )

    def _new_training(self) -> Training:
        asked = self.settings
        network = copy.deepcopy(self.base.network).train().requires_grad_(True)
        learn_only(network, asked.part)
        method = StepMethod(
            optimizer=asked.optimizer, averaging=asked.averaging, precision=self.precision
        )
        return Training(network.to(self.device), self.schedule, method, LOSS)

    def _new_sampler(self) -> PairSampler:
        sampler = PairSampler(
            self.pairs,
            self.split.training,
            batch=self._pace.batch,
            patch=self._pace.patch,
            turns=self.settings.turns,
            seed=self.settings.seed,
        )
        if sampler.patch < self._pace.patch:
            self.notes.append(
                f"the pairs have no room for patches of {self._pace.patch} pixels; patches of "
                f"{sampler.patch} are used"
            )
            self._pace = replace(self._pace, patch=sampler.patch)
        return sampler

    def _take_up(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        self.best = {
            name.partition("/")[2]: tensors.pop(name)
            for name in list(tensors)
            if name.startswith("best/")
        }
        judged = {name: tensors.pop(name) for name in list(tensors) if name.startswith(KEPT)}
        self._base_judged, self._best_judged = (
            taken_up(each, judged, self.bicubic_judged) for each in ("base", "best")
        )
        self._pace = Pace(**{each.name: values[each.name] for each in fields(Pace)})
        self.clock = WorkingClock(values["seconds"])
        self.training.schedule = self.schedule
        super()._take_up(tensors, values)
        self.best_step, self.best_psnr_db = values["best_step"], values["best_psnr_db"]
        self.best_way, self.base_psnr_db = values.get("best_way", 1.0), values["base_psnr_db"]
        self.sampler = self._new_sampler()
        self._validate_at = self.clock.seconds + self._interval(0.0)

    # ---- how it goes

    @property
    def finished(self) -> bool:
        """Whether the time, or the steps, have come to their end."""
        return self.way >= 1

    @property
    def way(self) -> float:
        """How much of the time, or of the steps, is behind: 0 to 1."""
        return self.schedule.way(self.training.step)

    def steps(self) -> Generator[TuningStep, None, None]:
        """Take steps until the time is up or `stop` is called; closing the generator saves, too.

        A stop gives up the step that is being taken, or, before the first step, everything. What
        was learned since the last validation is judged only if that takes no longer than a moment;
        it is in the checkpoint in any case.

        Yields
        ------
        TuningStep
            After every step.

        Raises
        ------
        OutOfMemory
            If not even one patch of the smallest size fits.
        FileError
            If the folder cannot be written.
        """
        self._stopped, self._give_up_at = False, math.inf
        try:
            with stoppable(self._gives_up):
                self.judged()
        except Stopped:
            return
        if self._saved < 0:
            self._begin()
        with self.clock.running():
            self._wrote = time.monotonic()
            while not (self.finished or self._stopped):
                yield from self._sitting()
            if self._validated_at != self.training.step:
                self._validate(self.training.step)
            self.save()
        if not self._stopped:
            self._draw_curves()

    def stop(self) -> None:
        """Let `steps` end at once, with a checkpoint; may be called from another thread."""
        if not self._stopped:
            self._give_up_at = time.monotonic() + PATIENCE_S
        super().stop()

    def _gives_up(self) -> bool:
        return self._stopped

    def _waits_no_longer(self) -> bool:
        """Whether it was stopped so long ago that judging is given up, too."""
        return self._stopped and time.monotonic() > self._give_up_at

    def _sitting(self) -> Generator[TuningStep, None, None]:
        """Steps until the end, or until one fails in a way that can be mended."""
        try:
            with closing(self._records(self.sampler.batches(self.training.step))) as records:
                for record in records:
                    yield self._after(record)
        except Diverged as error:
            self._step_back(error)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._make_smaller()

    def _after(self, record: Record) -> TuningStep:
        """What is due after a step."""
        validation, best = None, False
        if self.clock.seconds >= self._validate_at:
            validation, best = self._validate(record.step)
        elif record.step % STEPS_FOR_ROW == 0:
            self._write_row(record.step, None)
        if self._unsaved_s() >= self.settings.checkpoint_seconds:
            self.save()
        return TuningStep(record, self.clock.seconds, 60 * self.settings.minutes, validation, best)

    def trial(self) -> Generator[Record, None, None]:
        """Steps of a copy, which change nothing; where memory is too small, that is mended here
        already.
        """
        while True:
            state = torch.get_rng_state()
            try:
                copied = self._new_training()
                copied.schedule = Schedule(UNLIMITED)
                yield from copied.run(self.sampler.batches(0))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._make_smaller()
            finally:
                torch.set_rng_state(state)

    # ---- how good it is

    def judged(self) -> BaseAndBest:
        """How the base model and the best weights so far do; found out where no validation or
        checkpoint tells.

        Raises
        ------
        Stopped
            If the work was asked to stop.
        """
        if self._base_judged is None:
            self._base_judged = self.parts.judged(self.base.network)
        if self._best_judged is None:
            self._best_judged = (
                self.parts.judged(self.best_network().eval())
                if self.best_step
                else self._base_judged
            )
        return BaseAndBest(self._base_judged, self._best_judged)

    def _begin(self) -> None:
        """What is written before the first step."""
        base = self.judged().base
        self.best_psnr_db = self.base_psnr_db = base.choosing.mean_psnr_db
        self.last_validation = self._validation(base.choosing)
        self._write_row(0, self.last_validation)
        self._validated_at = 0
        self._validate_at = self.clock.seconds + self._interval(0.0)
        write_pieces(self.folder.preview, self.parts.shown, base.shown)
        self.save()

    def _validation(self, scores: Scores) -> Validation:
        plain = self.bicubic_judged.choosing
        return Validation(
            scores.mean_psnr_db, scores.mean_ssim, plain.mean_psnr_db, plain.mean_ssim
        )

    def _validate(self, step: int) -> tuple[Validation | None, bool]:
        """Judge the averaged network on the held-out squares; keep it if it is the best so far.
        None where that was given up.

        A stack shows one field only, which is soon known by heart: weights between the base model's
        and the tuned ones are judged, too.
        """
        began = time.monotonic()
        networks = {
            way: between(self.base.network, self.training.averaged, way) for way in self._ways
        }
        try:
            with stoppable(self._waits_no_longer):
                judged = {way: self.parts.judged(network) for way, network in networks.items()}
        except Stopped:
            self._note_unjudged(step)
            return None, False
        way = max(judged, key=lambda way: judged[way].choosing.mean_psnr_db)
        found, network = judged[way], networks[way]
        validation = self.last_validation = self._validation(found.choosing)
        best = validation.psnr_db > self.best_psnr_db
        if best:
            self.best = {
                name: value.detach().cpu().clone() for name, value in network.state_dict().items()
            }
            self.best_step, self.best_way, self.best_psnr_db = step, way, validation.psnr_db
            self._best_judged = found
        self._write_row(step, validation)
        write_pieces(self.folder.preview, self.parts.shown, found.shown)
        self._validated_at = step
        if not (self._stopped or self.finished):
            self._draw_curves()
        self._validate_at = self.clock.seconds + self._interval(time.monotonic() - began)
        return validation, best

    def _note_unjudged(self, step: int) -> None:
        self._validated_at = step
        self._write_row(step, None)
        self.notes.append(
            f"stopped before what was learned after step {self.best_step} could be judged: the "
            f"model is without it, but it is kept and can be resumed from step {step}"
        )

    def _draw_curves(self) -> None:
        write_curves(self.folder.curves, read_metrics(self.folder.metrics), plain_name(self.pairs))

    def _interval(self, cost_s: float) -> float:
        """Seconds from one validation to the next."""
        budget_s = 60 * self.settings.minutes
        return min(
            max(budget_s / VALIDATIONS, VALIDATION_COST * cost_s), budget_s / FEWEST_VALIDATIONS
        )

    def best_network(self) -> Network:
        """The best so far, on the processor."""
        network = copy.deepcopy(self.base.network)
        network.load_state_dict(self.best)
        return network

    # ---- what may go wrong

    def _step_back(self, error: Diverged) -> None:
        """Go on from the last checkpoint, more slowly."""
        if self._pace.is_exhausted:
            self.notes.append(f"{str(error).rstrip('.')}; it stopped with the best so far")
            self._stopped = True
            return
        path = latest(self.folder.checkpoint)
        if path is None:
            raise TrainingError(str(error)) from error
        tensors, values = load_checkpoint(path)
        self._pace = self._pace.slowed()
        self.training = self._new_training()
        self.training.restore(
            {n: t for n, t in tensors.items() if not n.startswith(("best/", KEPT))},
            values["training"],
        )
        self.metrics.restore(values["metrics"], self.training.step)
        self._saved = self.training.step
        self.notes.append(
            f"{str(error).rstrip('.')}; going on from step {self.training.step} with a learning "
            f"rate of {self.training.schedule.learning_rate:.1g}, {self.clock.seconds / 60:.0f} "
            "min into the work"
        )

    def _make_smaller(self) -> None:
        """Fewer patches in a step; then smaller ones."""
        self._pace = self._pace.smaller()
        self.sampler = self._new_sampler()
        self.training.optimizer.zero_grad(set_to_none=True)
        self.notes.append(
            f"the memory was too small: going on with {self._pace.batch} patches of "
            f"{self._pace.patch} pixels in a step"
        )

    # ---- what is written

    def _write_row(self, step: int, validation: Validation | None) -> None:
        self.metrics.write(step, validation, minutes=self.clock.seconds / 60)

    def history(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """What earlier sittings have written, see `progress.history`."""
        return history(self.folder.metrics) if self.resumed else ([], [])

    def _more(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        best: dict[str, Tensor] = {f"best/{name}": value for name, value in self.best.items()}
        best |= kept("base", self._base_judged) | kept(
            "best", self._best_judged if self.best_step else None
        )
        return best, {
            "seconds": self.clock.seconds,
            **asdict(self._pace),
            "best_step": self.best_step,
            "best_way": self.best_way,
            "best_psnr_db": self.best_psnr_db,
            "base_psnr_db": self.base_psnr_db,
        }


def open_fine_tuning(folder: FineTuneFolder) -> FineTuning:
    """Make ready to begin, or to go on with, what `begin` has put into a folder.

    The number of torch's threads and its seed are set for the whole process.

    Raises
    ------
    MdeblurganError
        If something in the folder cannot be read, or the device is not there.
    """
    return FineTuning(folder)
