"""Every contender on every real image: one record for each, written down at once."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_mdeblurgan.errors import ModelError
from napari_mdeblurgan.evaluation.ledger import Ledger
from napari_mdeblurgan.evaluation.methods import named_models
from napari_mdeblurgan.evaluation.real.cases import Case, LeftOut, cases, count
from napari_mdeblurgan.evaluation.real.contenders import Contender, baselines, model_contenders, on_grid
from napari_mdeblurgan.evaluation.real.measures import Closeness, closeness
from napari_mdeblurgan.evaluation.real.sets import RealSet, find_sets
from napari_mdeblurgan.restoration.device import pick_device

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
    sharpened : bool
        Whether to compare with unsharp masking and Richardson-Lucy, which takes longest.
    device : str
        For the networks.
    """

    folder: Path
    output: Path
    models: tuple[str, ...]
    sets: tuple[str, ...] = ()
    halve: bool | None = None
    sharpened: bool = True
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class RealScore:
    """One contender on one real image.

    Attributes
    ----------
    set, image : str
        Names.
    defocus : float or None
        Distance from focus, where it is known.
    unit : str
        Of the distance.
    judged : float
        Share of the field that is judged.
    method, setting : str
        The contender, and which of its settings came closest to the truth.
    psnr_db, ssim, gmsd : float
        See `Closeness`.
    frc, frc_limit : float or None
        See `Closeness`.
    image_id, method_id : str
        What the figures depend on.
    """

    set: str
    image: str
    defocus: float | None
    unit: str
    judged: float
    method: str
    setting: str
    psnr_db: float
    ssim: float
    gmsd: float
    frc: float | None
    frc_limit: float | None
    image_id: str
    method_id: str


REAL_KEYS = ("image_id", "method_id")


@dataclass(frozen=True, slots=True)
class RealEvaluation:
    """All that was measured.

    Attributes
    ----------
    scores : tuple of RealScore
        In the order of sets, images and contenders.
    notes : tuple of str
        What was left out, and why: a sentence each.
    """

    scores: tuple[RealScore, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RealStep:
    """How far the work has come, and what it is at."""

    done: int
    total: int
    at: str


def evaluate_real(options: RealOptions) -> Generator[RealStep, None, RealEvaluation]:
    """Judge models by real images and write `scores.csv`; yields after everything that takes time.

    Raises
    ------
    MdeblurganError
        If there are no images or models to judge, or a file cannot be read or written.
    """
    found, notes = find_sets(options.folder, options.sets)
    device = pick_device(options.device)
    models, same = named_models(options.models)
    notes += same
    table = Ledger(options.output / "scores.csv", RealScore, REAL_KEYS)
    plain = baselines(sharpened=options.sharpened)
    lists = [plain + model_contenders(models, halved=_halved(real, options), device=device) for real in found]
    total = sum(count(real) * len(each) for real, each in zip(found, lists, strict=True))
    done, scores = 0, []
    for real, contenders in zip(found, lists, strict=True):
        for case in cases(real):
            if isinstance(case, LeftOut):
                notes.append(case.sentence)
                done += len(contenders)
                yield RealStep(done, total, case.sentence)
                continue
            for score in _judged(case, contenders, table):
                scores.append(score)
                yield RealStep(done, total, f"{score.set}, {score.image}, {score.method}")
            done += len(contenders)
            yield RealStep(done, total, f"{case.set_name}, {case.name}")
    used = {score.method_id for score in scores}
    notes += [
        f"{name} was not judged: there are no {KIND_OF_CHANNELS[model.card.channels]} images."
        for name, model in models
        if model.card.weights_sha256 not in used
    ]
    if not any(model.card.weights_sha256 in used for _, model in models):
        raise ModelError("The models are not for the kind of images that there are here (colour or grey); name others.")
    return RealEvaluation(tuple(scores), tuple(notes))


def _halved(real: RealSet, options: RealOptions) -> bool:
    return real.description.halve if options.halve is None else options.halve


def _judged(case: Case, contenders: Sequence[Contender], table: Ledger[RealScore]) -> Iterator[RealScore]:
    """The scores of one image; what stands in the table already is taken from there."""
    fitting = [each for each in contenders if each.channels in (None, 3 if case.colour else 1)]
    identity = case_digest(case)
    for contender in fitting:
        known = table.find(image_id=identity, method_id=contender.identity)
        if known is None:
            setting, close = best_setting(case, contender)
            known = _score(case, contender, setting, close, identity)
            table.add(known)
        yield replace(known, set=case.set_name, image=case.name, method=contender.name)


def best_setting(case: Case, contender: Contender) -> tuple[str, Closeness]:
    """The setting whose result has the highest PSNR, and how close that comes."""
    tried = {setting: closeness_of(case, run(case.image)) for setting, run in contender.runs.items()}
    setting = max(tried, key=lambda each: tried[each].psnr_db)
    return setting, tried[setting]


def closeness_of(case: Case, result: np.ndarray) -> Closeness:
    """How close a result of any density comes to the truth of a case."""
    return closeness(on_grid(result, case.truth.shape), case.truth, case.judged, case.peak)


def case_digest(case: Case) -> str:
    """Changes with the input, the truth and where it counts: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in (case.image, case.truth, np.packbits(case.judged)):
        digest.update(f"{part.shape}{part.dtype}".encode() + np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


def _score(case: Case, contender: Contender, setting: str, close: Closeness, identity: str) -> RealScore:
    return RealScore(
        set=case.set_name,
        image=case.name,
        defocus=case.defocus,
        unit=case.unit,
        judged=round(case.share, 4),
        method=contender.name,
        setting=setting,
        psnr_db=round(close.psnr_db, 4),
        ssim=round(close.ssim, 6),
        gmsd=round(close.gmsd, 6),
        frc=None if close.frc is None else round(close.frc, 5),
        frc_limit=None if close.frc_limit is None else round(close.frc_limit, 5),
        image_id=identity,
        method_id=contender.identity,
    )
