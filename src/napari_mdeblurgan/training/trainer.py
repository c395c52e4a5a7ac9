"""A network while it learns: batches in, one record per step out. Nothing is
read or written here.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from napari_mdeblurgan.errors import TrainingError
from napari_mdeblurgan.network import Network
from napari_mdeblurgan.network.block_threads import (
    Blocks,
    OneByOne,
    block_threads,
    on_one_processor,
)
from napari_mdeblurgan.network.discriminator import Discriminator
from napari_mdeblurgan.network.exact import exact_float32
from napari_mdeblurgan.network.layout import layout_on
from napari_mdeblurgan.stopping import Stopped
from napari_mdeblurgan.training.batch_threads import mixes_images
from napari_mdeblurgan.training.data.dataset import Patches
from napari_mdeblurgan.training.distributed import (
    ALONE,
    ProcessRank,
    mean_of_processes,
    synchronised,
)
from napari_mdeblurgan.training.heeding import heed_backwards
from napari_mdeblurgan.training.losses.objectives import DiscriminatorObjective, GeneratorObjective
from napari_mdeblurgan.training.losses.perceptual import Trunk
from napari_mdeblurgan.training.losses.terms import GeneratorLoss, LossConfig
from napari_mdeblurgan.training.optimisers.adam import Adam
from napari_mdeblurgan.training.optimisers.muon import Muon
from napari_mdeblurgan.training.optimisers.schedule import Schedule
from napari_mdeblurgan.training.optimisers.state import optimizer_state, restore_optimizer
from napari_mdeblurgan.training.step_record import Diverged, Record, StepMethod

__all__ = ["Diverged", "Record", "StepMethod", "Training"]

SMALLEST_LOSS_SCALE = 2.0**-10


class Training:
    """A network while it learns. Iterate `run` for one record per step.

    Parameters
    ----------
    network : Network
        Trained in place, on the device that it is on.
    schedule : Schedule
        Length and rates.
    method : StepMethod
        How steps are taken.
    loss : LossConfig
        What is minimised.
    discriminator : Discriminator, optional
        Trained along, on the same device; needed where the loss needs one.
    trunk : Trunk, optional
        Network of the perceptual term; by default VGG19 where `loss` asks for it.
    place : ProcessRank
        Which of the processes this one is, where several train together.

    Attributes
    ----------
    averaged : Network
        Moving average of the weights: the network to keep.
    step : int
        Steps taken.

    Raises
    ------
    TrainingError
        If the loss needs a discriminator and there is none.
    """

    def __init__(
        self,
        network: Network,
        schedule: Schedule,
        method: StepMethod | None = None,
        loss: LossConfig | None = None,
        *,
        discriminator: Discriminator | None = None,
        trunk: Trunk | None = None,
        place: ProcessRank = ALONE,
    ) -> None:
        self.schedule, self.method, self.place = schedule, method or StepMethod(), place
        loss = loss or LossConfig()
        if loss.distances and not network.explains:
            loss = replace(loss, distances=0.0)
        if loss.needs_discriminator and discriminator is None:
            raise TrainingError(
                "The loss has an adversarial term or matches features; give it a discriminator."
            )
        self.network, self.discriminator = (
            network,
            discriminator if loss.needs_discriminator else None,
        )
        self.device = next(network.parameters()).device
        layout = layout_on(self.device.type)
        nn.utils.convert_conv2d_weight_memory_format(network, layout)
        self.averaged = copy.deepcopy(network).eval().requires_grad_(False)
        self.optimizer = (
            self._muon(network) if self.method.optimizer == "muon" else self._adam(network)
        )
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=self.method.precision == "float16"
        )
        self.loss = GeneratorLoss(loss, trunk)
        self.first_loss = self.loss
        if self.discriminator is not None:
            self.first_loss = GeneratorLoss(_without_discriminator(loss), self.loss.trunk)
        device = str(self.device)
        heed_backwards(network)
        self._objective = synchronised(
            GeneratorObjective(network, self.discriminator), place, device
        )
        if self.discriminator is not None:
            nn.utils.convert_conv2d_weight_memory_format(self.discriminator, layout)
            self.discriminator_optimizer = self._adam(self.discriminator)
            judging = DiscriminatorObjective(self.discriminator, loss.label_smoothing)
            self._discriminator_objective = synchronised(judging, place, device)
        self.step = 0

    def _adam(self, network: nn.Module) -> torch.optim.Optimizer:
        return Adam(network.parameters(), self.schedule.learning_rate, self.method.betas)

    def _muon(self, network: nn.Module) -> torch.optim.Optimizer:
        return Muon(
            network.parameters(),
            self.schedule.learning_rate,
            self.method.momentum,
            self.method.betas,
        )

    @property
    def adversarial(self) -> bool:
        """Whether the discriminator takes part in the next step."""
        return (
            self.discriminator is not None
            and self.step >= self.method.discriminator_after * self.schedule.steps
        )

    def run(self, batches: Iterable[Patches]) -> Generator[Record, None, None]:
        """Train until the schedule ends.

        Parameters
        ----------
        batches : iterable of Patches
            From batch number `step` on; this process's share of each.

        Yields
        ------
        Record
            After every step. `step` and the weights are those after it.

        Raises
        ------
        Diverged
            Before the weights are touched, if a term of the loss or the gradient is not finite.
        Stopped
            Before the weights are touched, if the work was asked to stop in the middle of a step.
        """
        self.network.train()
        waiting = iter(batches)
        with self._blocks() as blocks:
            while self.step < self.schedule.steps:
                start = time.perf_counter()
                try:
                    patches = next(waiting)
                except StopIteration:
                    return
                waited = time.perf_counter() - start
                apart = min(blocks.count, len(patches.blurred)) > 1
                between = on_one_processor() if apart else nullcontext()
                with self._undone_if_stopped(), between:
                    terms, shares, norm, rate = self._take(patches.to(self.device), blocks)
                self.step += 1
                took = time.perf_counter() - start
                yield Record(self.step, terms, shares, rate, norm, took, waited)

    def _blocks(self) -> AbstractContextManager[Blocks]:
        """Threads for parts of a batch, where it has parts, and this process processors to share
        out among them; several that train together have one another.
        """
        alone = self.device.type == "cpu" and self.place.world == 1
        apart = alone and not mixes_images(self.network)
        return block_threads() if apart else nullcontext(OneByOne())

    @contextmanager
    def _undone_if_stopped(self) -> Iterator[None]:
        """A step that is stopped, which can only be before it touches the weights, leaves nothing
        else behind.
        """
        random, weighting = torch.get_rng_state(), self.loss.weighting.state_dict()
        first_weighting = self.first_loss.weighting.state_dict()
        on_cuda = torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        try:
            yield
        except Stopped:
            torch.set_rng_state(random)
            if on_cuda is not None:
                torch.cuda.set_rng_state(on_cuda, self.device)
            self.loss.weighting.load_state_dict(weighting)
            self.first_loss.weighting.load_state_dict(first_weighting)
            raise

    @torch.enable_grad()  # which a program around this one may have turned off
    @exact_float32()
    def _take(
        self, patches: Patches, blocks: Blocks
    ) -> tuple[dict[str, float], dict[str, float], float, float]:
        """One step of the generator and, where it takes part, one of the discriminator."""
        rate, adversarial = self.schedule.rate(self.step), self.adversarial
        loss = self.loss if adversarial else self.first_loss
        terms, output = self._objective(
            patches, loss, self.schedule.floor(self.step), adversarial, self._autocast, blocks
        )
        values = self._finite({name: term.detach() for name, term in terms.items()})
        norm = self._descend(
            self.network, self.optimizer, torch.stack(list(terms.values())).sum(), rate, "gradient"
        )
        if adversarial and self.discriminator is not None:
            wrong = self._discriminator_objective(patches.sharp, output, self._autocast, blocks)
            values |= self._finite({"discriminator": wrong.detach()})
            what = "discriminator's gradient"
            own_rate = rate * self.method.discriminator_rate
            self._descend(self.discriminator, self.discriminator_optimizer, wrong, own_rate, what)
        self.scaler.update()
        if self.scaler.is_enabled() and self.scaler.get_scale() < SMALLEST_LOSS_SCALE:
            raise self._diverged("gradient, in float16,")
        if math.isfinite(norm):
            decay = min(self.method.averaging, (2 + self.step) / (11 + self.step))
            get_ema_multi_avg_fn(decay)(
                list(self.averaged.parameters()), list(self.network.parameters()), self.step
            )
        return values, dict(loss.shares), norm, rate

    def _autocast(self) -> Any:
        kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(self.method.precision)
        return torch.autocast(self.device.type, kind, enabled=kind is not None)

    def _descend(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: Tensor,
        rate: float,
        what: str,
    ) -> float:
        """One step against the gradient; gives its norm."""
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimizer)
        norm = float(nn.utils.clip_grad_norm_(network.parameters(), self.method.clip))
        if not math.isfinite(norm) and not self.scaler.is_enabled():
            raise self._diverged(what)
        self.scaler.step(optimizer)
        return norm if math.isfinite(norm) else math.inf

    def _finite(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """Terms as numbers, the mean over all processes."""
        means = mean_of_processes(
            torch.stack([term.float() for term in terms.values()]), self.place
        ).tolist()
        for name, value in zip(terms, means, strict=True):
            if not math.isfinite(value):
                raise self._diverged(f"loss term {name!r}")
        return dict(zip(terms, means, strict=True))

    def _diverged(self, what: str) -> Diverged:
        return Diverged(self.step + 1, what)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the steps to come depend on, besides the batches: tensors, and what JSON can
        hold.
        """
        tensors = {"random": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        parts = {
            "network": self.network,
            "averaged": self.averaged,
            "discriminator": self.discriminator,
        }
        for part, network in parts.items():
            if network is not None:
                tensors |= {f"{part}/{name}": value for name, value in network.state_dict().items()}
        tensors |= optimizer_state("optimizer", self.optimizer)
        if self.discriminator is not None:
            tensors |= optimizer_state("discriminator_optimizer", self.discriminator_optimizer)
        values = {
            "step": self.step,
            "weighting": self.loss.weighting.state_dict(),
            "first_weighting": self.first_loss.weighting.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        return tensors, values

    def sound_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The same, to be kept.

        Raises
        ------
        Diverged
            If something in it is not finite.
        """
        tensors, values = self.state()
        broken = next(
            (name for name, value in tensors.items() if not torch.isfinite(value).all()), None
        )
        if broken is not None:
            raise Diverged(self.step, f"weights ({broken})")
        return tensors, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from what `state` gave, for networks, losses and a method of the same kind.

        Raises
        ------
        TrainingError
            If it belongs to another network or loss.
        """
        parts = {
            "network": self.network,
            "averaged": self.averaged,
            "discriminator": self.discriminator,
        }
        try:
            for part, network in parts.items():
                if network is not None:
                    found = {
                        n.partition("/")[2]: value
                        for n, value in tensors.items()
                        if n.startswith(f"{part}/")
                    }
                    network.load_state_dict(found)
            restore_optimizer("optimizer", self.optimizer, tensors)
            if self.discriminator is not None:
                restore_optimizer("discriminator_optimizer", self.discriminator_optimizer, tensors)
            self.loss.weighting.load_state_dict(values["weighting"])
            self.first_loss.weighting.load_state_dict(values["first_weighting"])
            if self.scaler.is_enabled() and values["scaler"]:
                self.scaler.load_state_dict(values["scaler"])
            self.step = int(values["step"])
            torch.set_rng_state(tensors["random"])
        except (KeyError, RuntimeError, ValueError) as error:
            detail = " ".join(str(error).split())[:160]
            raise TrainingError(
                f"The checkpoint belongs to another training ({detail}); resume with the "
                "configuration that it was started with."
            ) from None
        if self.device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)


def _without_discriminator(loss: LossConfig) -> LossConfig:
    """The loss of the first steps, before there is a discriminator worth listening to."""
    matching = loss.perceptual == "feature-matching"
    return replace(loss, adversarial_share=0.0, perceptual="none" if matching else loss.perceptual)
