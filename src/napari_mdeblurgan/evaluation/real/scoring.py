"""One contender on one real image: its best setting, how close it comes to the truth, and the
record of that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_mdeblurgan.evaluation.ledger import Ledger
from napari_mdeblurgan.evaluation.real.cases import Case
from napari_mdeblurgan.evaluation.real.contenders import Contender, on_grid
from napari_mdeblurgan.evaluation.real.measures import Closeness, closeness


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


def scores_of(
    case: Case, contenders: Sequence[Contender], table: Ledger[RealScore]
) -> Iterator[RealScore]:
    """The scores of one image; what stands in the table already is taken from there."""
    fitting = [each for each in contenders if each.channels in (None, 3 if case.colour else 1)]
    identity = case_digest(case)
    for contender in fitting:
        known = table.find(image_id=identity, method_id=contender.identity)
        if known is None:
            setting, close = best_setting(case, contender)
            known = _record(case, contender, setting, close, identity)
            table.add(known)
        yield replace(known, set=case.set_name, image=case.name, method=contender.name)


def best_setting(case: Case, contender: Contender) -> tuple[str, Closeness]:
    """The setting whose result has the highest PSNR, and how close that comes."""
    tried = {
        setting: closeness_of(case, run(case.image)) for setting, run in contender.runs.items()
    }
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


def _record(
    case: Case, contender: Contender, setting: str, close: Closeness, identity: str
) -> RealScore:
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
