"""How far a restored pixel may be off: a mean absolute error from the features, and the half-width
that holds nine of ten.

The logarithm of the error's scale is a quadratic form of the features, fitted by the likelihood of
a Laplace distribution to restorations whose truth is known; the width of the interval, a multiple
of the scale, is the quantile that covers nine of ten of them (split conformal prediction,
Papadopoulos et al. 2002), for small scales and for large ones. The numbers belong to one model's
weights, and are kept by their digest.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan.model import ModelCard, user_model_folder
from napari_mdeblurgan.trust.features import FEATURES, WITH_DISAGREEMENT

BUNDLED_CALIBRATIONS = Path(__file__).with_name("calibrations.json")
USERS = "calibrations.json"
COVERED = 0.9
_AT_ONCE = 2**15  # pixels: their features fit into the cache
_ON_THIS_THREAD = 2**11  # pixels
CLIP = 4.0  # standard deviations of a feature beyond which nothing was learned


@dataclass(frozen=True, slots=True)
class ErrorBar:
    """A fitted error bar.

    Attributes
    ----------
    names : tuple of str
        Of the features, in order.
    mean, spread : tuple of float
        Of each feature over what it was fitted to.
    constant : float
    linear : tuple of float
    square : tuple of tuple of float
        Symmetric. The logarithm of the scale is constant + linear · z + z · square · z for
        standardised features z.
    levels, widths : tuple of float
        The half-width that covers nine of ten, as a multiple of the scale, at given logarithms of
        the scale.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    constant: float
    linear: tuple[float, ...]
    square: tuple[tuple[float, ...], ...]
    levels: tuple[float, ...]
    widths: tuple[float, ...]

    def log_scale(self, features: np.ndarray) -> np.ndarray:
        """Logarithm of the expected absolute error in windows: (features, ...) to (...)."""
        linear, square = np.asarray(self.linear, np.float32), np.asarray(self.square, np.float32)
        flat = features.reshape(len(features), -1)
        level = np.empty(flat.shape[1:], np.float32)
        for start in range(0, len(level), _AT_ONCE):
            now = slice(start, start + _AT_ONCE)
            z = standardised(flat[:, now], self.mean, self.spread)
            form = _product(square, z)
            form += linear[:, None]
            np.einsum("fn,fn->n", form, z, out=level[now])
        level += np.float32(self.constant)
        low, high = self.levels[0] - 1, self.levels[-1] + 1  # hardly beyond what was seen
        bounded: np.ndarray = np.clip(level, low, high, out=level).reshape(features.shape[1:])
        return bounded

    def half_width(self, features: np.ndarray) -> np.ndarray:
        """What nine of ten absolute errors stay below, in windows: (features, ...) to (...)
        float32.
        """
        level = self.log_scale(features)
        width = np.interp(level, self.levels, self.widths).astype(np.float32)
        width *= np.exp(level)
        return width


def _product(square: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Matrix product with (features, n), in parts so small that it stays on this thread: helpers of
    the library for linear algebra would wait for the next one on the processor of whoever works
    beside it.
    """
    made = np.empty_like(values)
    whole = values.shape[1] // _ON_THIS_THREAD * _ON_THIS_THREAD
    parts, target = (
        each[:, :whole].reshape(len(each), -1, _ON_THIS_THREAD).swapaxes(0, 1)
        for each in (values, made)
    )
    np.matmul(square, parts, out=target)
    np.matmul(square, values[:, whole:], out=made[:, whole:])
    return made


@dataclass(frozen=True, slots=True)
class ErrorCalibration:
    """What is known of the errors of one model.

    Attributes
    ----------
    model : str
        Name of the model.
    plain, with_disagreement : ErrorBar
        Without and with the spread of the eight restorations.
    noise_limit : float
        Largest standard deviation of the noise that the model learned, in windows.
    own : bool
        Whether it was made for these very weights. If not, larger is still worse, but by how much
        nobody has measured.
    """

    model: str
    plain: ErrorBar
    with_disagreement: ErrorBar
    noise_limit: float
    own: bool = True


def standardised(
    features: np.ndarray, mean: Iterable[float], spread: Iterable[float]
) -> np.ndarray:
    """(features, n) less their mean, over their spread, within ± 4."""
    centre, width = (np.array(tuple(each), np.float32)[:, None] for each in (mean, spread))
    z: np.ndarray = features - centre
    z /= width
    return np.clip(z, -CLIP, CLIP, out=z)


def error_calibration(card: ModelCard, factor: int | None = None) -> ErrorCalibration | None:
    """The calibration of a model for results of so many pixels.

    Parameters
    ----------
    card : ModelCard
        Of the model.
    factor : int, optional
        Pixels of the result for one of the image, along y and x; by default those of the model.

    Returns
    -------
    ErrorCalibration or None
        That of a bundled model of as many channels where there is none for this one; None if there
        is none at all.
    """
    known = _known(BUNDLED_CALIBRATIONS) | _known(user_model_folder() / USERS)
    averaged = None if factor in (None, card.scale) else factor
    own = known.get(card.weights_sha256)
    if own is not None and _bars(own, averaged):
        return _read_calibration(own, averaged=averaged)
    kin = (
        entry
        for entry in known.values()
        if entry["channels"] == card.channels and _bars(entry, averaged)
    )
    found = next((_read_calibration(entry, own=False, averaged=averaged) for entry in kin), None)
    return (
        found
        if found is None or own is None
        else replace(found, noise_limit=float(own["noise_limit"]))
    )


def _read_calibration(
    entry: dict[str, Any], own: bool = True, averaged: int | None = None
) -> ErrorCalibration:
    """From plain JSON values; of results as the model makes them, or `averaged` to so many pixels
    for one of the image.
    """
    bars = _bars(entry, averaged)
    return ErrorCalibration(
        model=str(entry["model"]),
        plain=_read_bar(bars["plain"], FEATURES),
        with_disagreement=_read_bar(bars["with_disagreement"], WITH_DISAGREEMENT),
        noise_limit=float(entry["noise_limit"]),
        own=own,
    )


def _bars(entry: dict[str, Any], averaged: int | None) -> dict[str, Any]:
    """Where the two error bars of an entry are; nothing where it has none for results that are
    averaged so.
    """
    return entry if averaged is None else entry.get("averaged", {}).get(str(averaged), {})


def _read_bar(fields: dict[str, Any], names: tuple[str, ...]) -> ErrorBar:
    if tuple(fields["names"]) != names:
        raise ValueError("the calibration was made for other features")
    lines = {
        name: tuple(float(value) for value in fields[name])
        for name in ("mean", "spread", "linear", "levels", "widths")
    }
    square = tuple(tuple(float(value) for value in row) for row in fields["square"])
    return ErrorBar(names=names, constant=float(fields["constant"]), square=square, **lines)


@functools.lru_cache(maxsize=4)
def _read(path: Path, changed_ns: int) -> dict[str, dict[str, Any]]:  # noqa: ARG001
    entries = json.loads(path.read_text(encoding="utf-8"))
    for entry in entries.values():
        for averaged in (None, *map(int, entry.get("averaged", {}))):
            _read_calibration(entry, averaged=averaged)
    return dict(entries)


def _known(path: Path) -> dict[str, dict[str, Any]]:
    """By digest of the weights; a file that cannot be used is as if it were not there."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
