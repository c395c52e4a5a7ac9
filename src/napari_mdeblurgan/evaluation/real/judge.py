"""Every contender on every real image: one record for each, written down at once."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_mdeblurgan.errors import ImageError, ModelError
from napari_mdeblurgan.evaluation.ledger import Ledger, measured_alone
from napari_mdeblurgan.evaluation.methods import named_models
from napari_mdeblurgan.evaluation.real.cases import LeftOut, cases, count
from napari_mdeblurgan.evaluation.real.contenders import Contender, baselines, model_contenders
from napari_mdeblurgan.evaluation.real.real_pictures import drawn
from napari_mdeblurgan.evaluation.real.scoring import REAL_KEYS, RealScore, scores_of
from napari_mdeblurgan.evaluation.real.sets import RealSet, find_sets
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.device import device_label, pick_device

KIND_OF_CHANNELS = {1: "grey", 3: "colour"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RealOptions:
    """What is to be judged, and by which images.

    Attributes
    ----------
    folder : Path
        Real images, see `find_sets`.
    output : Path
        Folder of the report.
    models : tuple of str
        Names or paths.
    sets : tuple of str
        Parts of names of sets; empty takes all.
    halve : bool or None
        Whether models are also judged with the image halved first; None does what the sets ask for.
    advised : bool
        Whether models are also judged as the program advises: the image binned first by as much as
        it says.
    sharpened : bool
        Whether to compare with unsharp masking and Richardson-Lucy, which takes longest.
    device : str
        For the networks.
    restoring : mapping
        Further arguments of `contenders.restored`, for all models.
    pictures : bool
        Whether to draw results side by side.
    """

    folder: Path
    output: Path
    models: tuple[str, ...]
    sets: tuple[str, ...] = ()
    halve: bool | None = None
    advised: bool = False
    sharpened: bool = True
    device: str = "auto"
    restoring: Mapping[str, Any] = field(default_factory=dict)
    pictures: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RealEvaluation:
    """All that was measured.

    Attributes
    ----------
    folder : str
        Name of the folder of images.
    device : str
        What the networks ran on, for people.
    models : tuple of (str, Model)
        What they are called, and they.
    scores : tuple of RealScore
        In the order of sets, images and contenders.
    notes : tuple of str
        What was left out, and why: a sentence each.
    pictures : mapping of str to list of (str, str)
        File name and caption, under the name of the set.
    """

    folder: str
    device: str
    models: tuple[tuple[str, Model], ...]
    scores: tuple[RealScore, ...]
    notes: tuple[str, ...] = ()
    pictures: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RealStep:
    """How far the work has come, and what it is at."""

    done: int
    total: int
    at: str


def evaluate_real(options: RealOptions) -> Generator[RealStep, None, RealEvaluation]:
    """Judge models by real images; writes `scores.csv` and yields after everything that takes time.

    Raises
    ------
    MdeblurganError
        If there are no images or models to judge, or a file cannot be read or written.
    """
    found, notes = find_sets(options.folder, options.sets)
    device = pick_device(options.device)
    models, same = named_models(options.models)
    notes += same
    with measured_alone(options.output) as lock:
        notes += filter(None, [lock.note])
        table = Ledger(options.output / "scores.csv", RealScore, REAL_KEYS)
        lists = {real: contenders(real, models, options, device) for real in found}
        total = sum(count(real) * len(each) for real, each in lists.items())
        done, scores = 0, []
        pictures: dict[str, list[tuple[str, str]]] = {}
        for name in dict.fromkeys(real.name for real in found):
            group = {real: each for real, each in lists.items() if real.name == name}
            own = []
            for real, listed in group.items():
                for case in cases(real):
                    at = f"{name}, {case.name}"
                    if isinstance(case, LeftOut):
                        notes.append(f"{at} was left out: {case.why}")
                    else:
                        for score in scores_of(case, listed, table):
                            own.append(score)
                            yield RealStep(done, total, f"{at}, {score.method}")
                    done += len(listed)
                    yield RealStep(done, total, at)
            if options.pictures:
                pictures[name] = drawn(options.output, group, own)
                yield RealStep(done, total, f"{name}, pictures")
            scores += own
    if not scores:
        raise ImageError(f"No image can be judged: {notes[-1]}")
    used = {score.method_id.split()[0] for score in scores}
    notes += [
        f"{name} was not judged: there are no {KIND_OF_CHANNELS[model.card.channels]} images."
        for name, model in models
        if model.card.weights_sha256 not in used
    ]
    if not any(model.card.weights_sha256 in used for _, model in models):
        raise ModelError(
            "The models are not for the kind of images that there are here (colour or grey); name "
            "others."
        )
    return RealEvaluation(
        folder=real_path(options.folder).name,
        device=device_label(device),
        models=tuple(models),
        scores=tuple(scores),
        notes=tuple(notes),
        pictures=pictures,
    )


def contenders(
    real: RealSet, models: Sequence[tuple[str, Model]], options: RealOptions, device: str
) -> tuple[Contender, ...]:
    """All that is compared on a set: what needs no learning, then the models."""
    plain = baselines(sharpened=options.sharpened)
    halved = _halved(real, options)
    own = model_contenders(
        models, halved=halved, advised=options.advised, device=device, options=options.restoring
    )
    return (*plain, *own)


def _halved(real: RealSet, options: RealOptions) -> bool:
    return real.description.halve if options.halve is None else options.halve
