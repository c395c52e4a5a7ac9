"""From what was asked for and what a folder holds to all that a training needs;
nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from napari_mdeblurgan.errors import ImageError, ModelError
from napari_mdeblurgan.folders import at_home, real_path
from napari_mdeblurgan.model import load_model
from napari_mdeblurgan.network import Network, build_generator
from napari_mdeblurgan.network.discriminator import Discriminator
from napari_mdeblurgan.network.registry import parameters_of
from napari_mdeblurgan.restoration.device import pick_precision
from napari_mdeblurgan.training.config import (
    ConfigError,
    Kind,
    NetworkConfig,
    TrainingConfig,
)
from napari_mdeblurgan.training.data.copies import first_copies
from napari_mdeblurgan.training.data.dataset import (
    PatchSampler,
    SharpFolder,
    SharpImage,
    WeightedImages,
    open_folder,
)
from napari_mdeblurgan.training.distributed import ProcessRank, device_of
from napari_mdeblurgan.training.field_types import Precision
from napari_mdeblurgan.training.optimisers.schedule import Schedule
from napari_mdeblurgan.training.recipe import colour_network_from_grey
from napari_mdeblurgan.training.trainer import StepMethod
from napari_mdeblurgan.training.validation import smallest_image

_CHANNELS = {"grey": 1, "rgb": 3}


@dataclass(frozen=True, slots=True)
class Data:
    """Images to learn from and images to judge by.

    Attributes
    ----------
    folder : SharpFolder
        As it was opened.
    judged : tuple of SharpImage
        Held-out images that are large enough.
    """

    folder: SharpFolder
    judged: tuple[SharpImage, ...]

    @property
    def training(self) -> list[SharpImage]:
        """Every image that patches are drawn from."""
        return images_of(self.folder.training)

    @property
    def listing(self) -> dict[str, Any]:
        """Names, as they stand in a run's images.json."""
        return {
            "training": sorted(image.name for image in self.training),
            "validation": sorted(image.name for image in self.judged),
            "skipped": {path.name: reason for path, reason in self.folder.skipped},
        }


def images_of(sources: Iterable[WeightedImages]) -> list[SharpImage]:
    """The images of all sources that come from files."""
    return [image for source in sources for image in source.images if isinstance(image, SharpImage)]


def kind_of_folder(folder: Path) -> Kind:
    """ "rgb" or "grey", whichever all images of the folder are.

    Raises
    ------
    ConfigError
        If it holds both.
    """
    colours = {image.colour is not None for image in images_of(open_folder(folder, 1, 0).training)}
    if len(colours) == 2:
        raise ConfigError(
            f"{folder} holds both colour and grey images; say which kind of model is wanted with "
            "--kind rgb or --kind grey."
        )
    return "rgb" if colours == {True} else "grey"


def open_data(folder: Path, config: TrainingConfig) -> Data:
    """Find the images; the kind of model must be resolved.

    Raises
    ------
    MdeblurganError
        If there is nothing to train on.
    """
    channels, data = _CHANNELS[config.network.kind], config.data
    found = open_folder(
        folder,
        channels,
        0 if data.validation_folder else data.validation,
        config.run.seed,
        weights=data.weights,
    )
    judged: tuple[SharpImage, ...] = found.validation
    if data.validation_folder:
        judged = tuple(images_of(open_folder(Path(data.validation_folder), channels, 0).training))
        learned = {real_path(image.path) for image in images_of(found.training)}
        first = first_copies([*learned, *(real_path(image.path) for image in judged)])
        for image in judged:
            if first[real_path(image.path)] in learned:
                raise ConfigError(
                    f"{image.path} or a copy of it is among the images to train on and in "
                    "data.validation_folder; name a folder of others."
                )
    if found.training and not any(source.weight for source in found.training):
        raise ConfigError(f"data.weights are 0 for all sources in {folder}; give one of them more.")
    names = {source.name for source in found.training}
    for name in data.weights:
        if name not in names:
            raise ConfigError(
                f"data.weights names {name!r}, but the sources in {folder} are "
                f"{', '.join(sorted(names))}."
            )
    smallest = smallest_image(config.network.scale, config.degradation.margin)
    return Data(found, tuple(image for image in judged if min(image.shape[1:]) >= smallest))


def resolved(
    config: TrainingConfig, folder: Path, place: ProcessRank, earlier: TrainingConfig | None = None
) -> TrainingConfig:
    """The same with nothing left open but what may change from sitting to sitting.

    Parameters
    ----------
    config : TrainingConfig
        As it was asked for.
    folder : Path
        The images.
    place : ProcessRank
        Which of the processes this one is.
    earlier : TrainingConfig, optional
        What the run was begun with, where it is one to go on with: it settles what the device
        would.

    Raises
    ------
    MdeblurganError
        If the kind is not clear, or the device or precision is not there.
    """
    network = config.network
    if network.start and earlier is None:
        network = _shape_of(network.start, config)
    elif network.start and earlier is not None and earlier.network.start == network.start:
        network = earlier.network
    if network.kind == "auto":
        begun = earlier.network.kind if earlier is not None else "auto"
        network = replace(network, kind=kind_of_folder(folder) if begun == "auto" else begun)
    run, data = config.run, config.data
    if data.validation_folder:
        data = replace(data, validation_folder=str(at_home(data.validation_folder).absolute()))
    if run.precision == "auto":
        settled = earlier.run.precision if earlier else _precision(device_of(place, run.device))
        run = replace(run, precision=settled)
    else:
        pick_precision(run.precision, device_of(place, run.device))
    return replace(config, network=network, data=data, run=run)


def _precision(device: str) -> Precision:
    return cast(Precision, pick_precision("auto", device))


def _shape_of(start: str, config: TrainingConfig) -> Any:
    """The network section with the shape of the model that training starts from."""
    network = load_model(start).network
    if config.network.scale not in (NetworkConfig().scale, network.scale):
        raise ConfigError(
            f"{start} is a ×{network.scale} model and cannot be the start of a "
            f"×{config.network.scale} one; leave network.scale (--scale) out, or start from a "
            f"×{config.network.scale} model."
        )
    known = asdict(config.network).keys()
    fields = {name: value for name, value in network.architecture.items() if name in known}
    wanted = config.network.kind
    if wanted == "grey" and network.channels == 3:
        raise ModelError(f"{start} is a colour model; start a grey one from a grey model.")
    kind = wanted if wanted != "auto" else "rgb" if network.channels == 3 else "grey"
    return replace(config.network, **fields, kind=kind)


def with_lengths(config: TrainingConfig, data: Data) -> TrainingConfig:
    """The same with the length of an epoch, the steps in all and the interval of validation as
    numbers.
    """
    schedule, run = config.schedule, config.run
    epoch = schedule.steps_per_epoch
    if not epoch:
        edge = config.data.patch * config.network.scale
        patches = sum(
            max(1, image.shape[1] // edge) * max(1, image.shape[2] // edge)
            for image in data.training
        )
        epoch = min(schedule.most_steps_per_epoch, max(1, math.ceil(patches / config.data.batch)))
    epochs = schedule.constant_epochs + schedule.falling_epochs
    steps = schedule.steps or epochs * epoch
    if not steps:
        raise ConfigError(
            "schedule.constant_epochs and falling_epochs are both 0; give one of them, or steps."
        )
    schedule = replace(schedule, steps_per_epoch=epoch, steps=steps)
    return replace(
        config, schedule=schedule, run=replace(run, validate_every=run.validate_every or epoch)
    )


def schedule_for(config: TrainingConfig) -> Schedule:
    """The rates that the section [schedule] asks for; its steps must be resolved."""
    asked = config.schedule
    epochs = asked.constant_epochs + asked.falling_epochs
    constant = asked.constant_epochs / epochs if epochs else 1.0
    return Schedule(
        asked.steps, asked.learning_rate, asked.name, constant, asked.last_rate, asked.warm_up
    )


def method_for(config: TrainingConfig) -> StepMethod:
    """How steps are taken, by the sections [optimizer], [run] and [schedule]."""
    asked = config.optimizer
    return StepMethod(
        optimizer=asked.name,
        momentum=asked.momentum,
        betas=asked.betas,
        clip=asked.clip,
        averaging=asked.averaging,
        precision=config.run.precision,
        discriminator_rate=asked.discriminator_rate,
        discriminator_after=config.schedule.discriminator_after,
    )


def network_for(config: TrainingConfig, begun: bool) -> Network:
    """The network to train: untrained, or the model to start from unless the
    run was begun before.
    """
    asked = config.network
    channels = _CHANNELS[asked.kind]
    if asked.start and not begun:
        network = load_model(asked.start).network.train().requires_grad_(True)
        if network.channels != channels:
            network = colour_network_from_grey(network)  # type: ignore[arg-type]
        return network
    wanted = parameters_of(asked.name)
    shape = {name: value for name, value in asdict(asked).items() if name in wanted}
    try:
        return build_generator(shape | {"name": asked.name, "channels": channels})
    except ValueError as error:
        raise ConfigError(f"[network]: {error}.") from error


def discriminator_for(config: TrainingConfig) -> Discriminator | None:
    """The discriminator, where the loss needs one."""
    if not config.loss.needs_discriminator:
        return None
    return Discriminator(_CHANNELS[config.network.kind], config.network.discriminator_width)


def sampler_for(config: TrainingConfig, data: Data, place: ProcessRank) -> PatchSampler:
    """Draws this process's patches."""
    return PatchSampler(
        data.folder.training,
        size=config.data.patch,
        batch=config.data.batch,
        scale=config.network.scale,
        mixture=config.degradation,
        seed=config.run.seed,
        shard=(place.rank, place.world),
    )


def prepare_torch(config: TrainingConfig) -> None:
    """Threads and the seed of the first weights; holds for the whole process."""
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    torch.manual_seed(config.run.seed)


def check_images(data: Data, folder: Path) -> None:
    """Raise `ImageError` where nothing is left to train on."""
    if not data.training:
        raise ImageError(
            f"No image in {folder} is left to train on; hold out fewer with data.validation."
        )
