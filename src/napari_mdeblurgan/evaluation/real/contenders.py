"""What is compared on real images: bicubic enlargement, unsharp masking, Richardson-Lucy, and
models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.evaluation.baselines import bicubic, richardson_lucy_bicubic
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.binning import block_means
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.jpeg import JPEG_SOFTNESS
from napari_mdeblurgan.restoration.output_scale import AVERAGED_SOFTER
from napari_mdeblurgan.trust import spectrum
from napari_mdeblurgan.trust.blur import FITTED
from napari_mdeblurgan.trust.defocus import HALVED_PX, HALVED_SHARE
from napari_mdeblurgan.trust.domain import BINS, NEARLY_ALL, binning_for

_Run = Callable[[np.ndarray], np.ndarray]

BICUBIC = "bicubic"
ADVISED = "as advised"
UNSHARP = "unsharp masking, best of 9"
_RICHARDSON_LUCY = "Richardson-Lucy, best of 9"
_SIGMAS = (0.7, 1.2, 2.0)  # pixels of the image
AMOUNTS = (0.5, 1.0, 2.0)
_ITERATIONS = (5, 15, 30)
_DARKEST = 0.1  # percentile that is taken for no light


@dataclass(frozen=True, slots=True)
class Contender:
    """One way from an image to a sharper one.

    Attributes
    ----------
    name : str
        What tables call it.
    identity : str
        Changes with whatever changes its results.
    channels : int or None
        1 for grey images, 3 for colour, None for any.
    runs : mapping of str to callable
        For each setting, from (y, x) or (y, x, 3) to a result of a whole number of times the
        pixels, or as many. Where there are several, the one that comes closest to the truth counts:
        more than anyone could choose who does not know the truth.
    """

    name: str
    identity: str
    channels: int | None
    runs: Mapping[str, _Run]


def restored_for_user(
    image: np.ndarray, model: Model, *, binning: int = 1, device: str = "auto", **options: Any
) -> np.ndarray:
    """What a model makes of an image, as it would for a user: in the image's own type, at the
    default precision.

    Parameters
    ----------
    image : ndarray
        (y, x) or (y, x, 3), any real type.
    model : Model
        For its kind.
    binning : int
        By how many pixels along y and x the image is binned first; by 2 a ×2 model gives back as
        many pixels as the image has.
    device : str
        For the network.
    **options
        As in `restore`.
    """
    options = {"output_scale": model.card.scale} | options
    return np.asarray(restore(image, model, binning=binning, device=device, **options))


def baselines(*, sharpened: bool = True) -> list[Contender]:
    """What needs no learning: bicubic enlargement first; if `sharpened`, unsharp masking and
    Richardson-Lucy, too.
    """
    found = [
        Contender(BICUBIC, BICUBIC, None, {"": lambda image: bicubic(image.astype(np.float32))})
    ]
    if sharpened:
        unsharp = {
            f"σ {sigma:g} px, amount {amount:g}": _unsharp(sigma, amount)
            for sigma in _SIGMAS
            for amount in AMOUNTS
        }
        lucy = {
            f"σ {sigma:g} px, {iterations} iterations": _lucy(sigma, iterations)
            for sigma in _SIGMAS
            for iterations in _ITERATIONS
        }
        found += [
            Contender(UNSHARP, f"unsharp {_SIGMAS} {AMOUNTS}", None, unsharp),
            Contender(_RICHARDSON_LUCY, f"richardson-lucy {_SIGMAS} {_ITERATIONS}", None, lucy),
        ]
    return found


def _unsharp(sigma: float, amount: float) -> _Run:
    def run(image: np.ndarray) -> np.ndarray:
        values = image.astype(np.float32)
        blurred = ndimage.gaussian_filter(values, sigma, axes=(0, 1))
        return bicubic(values + np.float32(amount) * (values - blurred))

    return run


def _lucy(sigma: float, iterations: int) -> _Run:
    def run(image: np.ndarray) -> np.ndarray:
        low, high = np.percentile(image, (_DARKEST, 100))
        light = (image.astype(np.float32) - low) / max(high - low, 1e-6)
        return richardson_lucy_bicubic(light, gaussian_psf(sigma), 2, iterations)

    return run


def gaussian_psf(sigma: float) -> np.ndarray:
    """A Gaussian point-spread function: square, odd edge, sum 1."""
    edge = 2 * int(np.ceil(4 * sigma)) + 1
    point = np.zeros((edge, edge))
    point[edge // 2, edge // 2] = 1
    psf = ndimage.gaussian_filter(point, sigma, mode="constant")
    return psf / psf.sum()


def model_contenders(
    named: Sequence[tuple[str, Model]],
    *,
    halved: bool,
    advised: bool = False,
    device: str = "auto",
    options: Mapping[str, Any] | None = None,
) -> list[Contender]:
    """Models, each once; if `halved`, also with the image halved first; if `advised`, also as the
    program advises.

    Parameters
    ----------
    named : sequence of (str, Model)
        What to call each.
    halved : bool
        Whether there is a second one of each.
    advised : bool
        Whether there is one of each that bins the image by as much as the program would advise.
    device : str
        For the networks.
    options : mapping, optional
        Further arguments of `restored_for_user`; they become part of the identity.
    """
    options = dict(options or {})
    told = "".join(f" {name}={value}" for name, value in sorted(options.items()))
    found = []
    for name, model in named:
        card = model.card
        soft = f"auto {card.softness:g} JPEG {JPEG_SOFTNESS:g}"
        identity, channels = f"{card.weights_sha256}{told} {soft}", card.channels
        found.append(
            Contender(name, identity, channels, {"": _model(model, device, False, options)})
        )
        if halved:
            run = _model(model, device, True, options)
            found.append(
                Contender(
                    f"{name}, halved first",
                    f"{identity} halved {AVERAGED_SOFTER:g}",
                    channels,
                    {"": run},
                )
            )
        if advised:
            run = _advised(model, device, options)
            found.append(
                Contender(
                    f"{name}, {ADVISED}", f"{identity} advised {_rules()}", channels, {"": run}
                )
            )
    return found


def _model(model: Model, device: str, halve: bool, options: Mapping[str, Any]) -> _Run:
    def run(image: np.ndarray) -> np.ndarray:
        binning = 2 if halve else 1
        return restored_for_user(image, model, binning=binning, device=device, **options)

    return run


def _advised(model: Model, device: str, options: Mapping[str, Any]) -> _Run:
    def run(image: np.ndarray) -> np.ndarray:
        binning = binning_for(image, model.card)
        result = restored_for_user(image, model, binning=binning, device=device, **options)
        return result if binning <= 2 else _enlarged(result, binning, image.shape)

    return run


def _enlarged(result: np.ndarray, binning: int, shape: Sequence[int]) -> np.ndarray:
    """The result of a binned image on a whole number of times the pixels of the image of this
    shape: enlarged by bicubic interpolation, and what made no whole block continued.
    """
    large = bicubic(result.astype(np.float32), binning)
    times = -(-large.shape[0] // shape[0])
    lacking = [
        (0, times * length - own) for own, length in zip(large.shape[:2], shape[:2], strict=True)
    ]
    return np.pad(large, lacking + [(0, 0)] * (result.ndim - 2), mode="edge")


def _rules() -> str:
    """A digest of what the advice follows from."""
    rules: tuple[Any, ...] = (HALVED_PX, HALVED_SHARE, BINS, NEARLY_ALL)
    rules += spectrum.CLEAR, spectrum.NOTHING, AVERAGED_SOFTER
    return hashlib.sha256(FITTED.read_bytes() + repr(rules).encode()).hexdigest()[:8]


def on_grid(result: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A result on the pixels of the truth: reduced by means, or enlarged by bicubic interpolation;
    float.
    """
    if result.shape[0] > shape[0]:
        return block_means(result.astype(np.float32), binning=result.shape[0] // shape[0], y=0)
    if result.shape[0] < shape[0]:
        return bicubic(result.astype(np.float32), shape[0] // result.shape[0])
    return result
