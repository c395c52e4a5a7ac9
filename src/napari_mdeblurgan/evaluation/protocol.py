"""Sharp images made blurred and small, restored, and compared with what they were: one record for
each result.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan.degradation import GAUSSIAN, PHYSICAL, STRONG, Condition
from napari_mdeblurgan.evaluation.images import SharpPart, digest, find_images
from napari_mdeblurgan.evaluation.ledger import Ledger
from napari_mdeblurgan.evaluation.methods import Method, Restore
from napari_mdeblurgan.evaluation.metrics import cropped, psnr, similarities

BORDER = 8
_SIGMAS = tuple(condition.sigma for condition in GAUSSIAN if condition.sigma is not None)
PROTOCOLS = {"gaussian": GAUSSIAN, "physical": PHYSICAL, "strong": STRONG}


@dataclass(frozen=True, slots=True)
class Score:
    """One method on one image under one condition.

    Attributes
    ----------
    protocol, condition : str
        Names.
    kind : {"colour", "grey"}
        Of the image.
    scale : int
        Pixels of the truth for one of the blurred image, along y and x.
    image, method : str
        Names.
    psnr_db, ssim : float
        Of the result clipped to [0, 1], 8 pixels left out on every side.
    ms_ssim : float or None
        The same; None where the image is too small for it.
    image_id, condition_id, method_id : str
        What the figures depend on; where all three are the same, so is the result.
    """

    protocol: str
    condition: str
    kind: str
    scale: int
    image: str
    method: str
    psnr_db: float
    ssim: float
    ms_ssim: float | None
    image_id: str
    condition_id: str
    method_id: str


SCORE_KEYS = ("scale", "image_id", "condition_id", "method_id")


def condition_id(condition: Condition) -> str:
    """Changes with anything that the condition says."""
    return f"{zlib.crc32(repr(condition).encode()):08x}"


def degraded(sharp: np.ndarray, condition: Condition, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """What a condition makes of an image, and the truth on the same camera's scale; noise depends
    on the image alone.

    Parameters
    ----------
    sharp : ndarray
        (y, x) or (y, x, 3), float32 in [0, 1]; y and x multiples of `scale`.
    condition : Condition
        From `GAUSSIAN`, `PHYSICAL` or `STRONG`.
    scale : int
        Reduction along y and x.

    Returns
    -------
    tuple of ndarray
        The blurred image of 1/scale the size, and the truth.
    """
    planes = torch.from_numpy(np.atleast_3d(sharp).transpose(2, 0, 1).copy())[None]
    pair = condition.degrade(planes, int(digest(sharp)[:8], 16), scale)
    low, truth = (image[0].numpy().transpose(1, 2, 0) for image in (pair.blurred, pair.sharp))
    low, truth = (each.reshape(*each.shape[:2], *sharp.shape[2:]) for each in (low, truth))
    return np.ascontiguousarray(low), np.ascontiguousarray(truth)


def clipped_result(method: Method, low: np.ndarray, condition: Condition) -> np.ndarray:
    """A method's result, clipped to [0, 1]."""
    return np.clip(method.restore(low, condition), 0, 1)


def scores(
    images: Sequence[SharpPart],
    methods: Sequence[Method],
    conditions: Sequence[Condition],
    ledger: Ledger[Score] | None = None,
) -> Iterator[Score]:
    """Score methods on images; what stands in the ledger already is taken from there.

    Parameters
    ----------
    images : sequence of SharpPart
        All in colour, or all grey.
    methods : sequence of Method
        All of one scale; each is given the very same blurred image.
    conditions : sequence of Condition
        Degradations.
    ledger : Ledger of Score, optional
        Every new score is written down at once.

    Yields
    ------
    Score
        For every image, condition and method.
    """
    for image in images:
        scale = methods[0].scale
        sharp = image.read(scale)
        of_image = digest(sharp)
        for condition in conditions:
            pair: tuple[np.ndarray, np.ndarray] | None = None
            for method in methods:
                key = {
                    "image_id": of_image,
                    "condition_id": condition_id(condition),
                    "method_id": method.identity,
                }
                known = ledger.find(scale=scale, **key) if ledger else None
                if known is None:
                    pair = pair or degraded(sharp, condition, scale)
                    result, truth = (
                        cropped(each, BORDER)
                        for each in (clipped_result(method, pair[0], condition), pair[1])
                    )
                    one, many = similarities(result, truth)
                    known = Score(
                        protocol=condition.protocol,
                        condition=condition.label,
                        kind="colour" if image.colour else "grey",
                        scale=scale,
                        image=image.name,
                        method=method.name,
                        psnr_db=round(psnr(result, truth), 4),
                        ssim=round(one, 6),
                        ms_ssim=None if many is None else round(many, 6),
                        **key,
                    )
                    if ledger:
                        ledger.add(known)
                yield replace(
                    known, image=image.name, method=method.name, condition=condition.label
                )


def evaluate_functions(
    folder: Path,
    methods: Mapping[str, Restore],
    conditions: Sequence[Condition] = GAUSSIAN,
    scale: int = 2,
) -> Iterator[Score]:
    """Score plain functions on every image of a folder; nothing is written down.

    Parameters
    ----------
    folder : Path
        Sharp images, all in colour or all grey where a function can do but one of them.
    methods : mapping of str to callable
        From the blurred image and its condition to the restored image.
    conditions, scale
        As in `scores`.
    """
    named = [
        Method(name, "", "", name, "", scale, None, restore) for name, restore in methods.items()
    ]
    yield from scores(find_images(folder)[0], named, conditions)
