"""Fitting an error bar to restorations whose truth is known, and judging one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.binning import block_means
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.ensemble import ensemble, read_for_all
from napari_mdeblurgan.restoration.fitting import on_result
from napari_mdeblurgan.restoration.inference import network_on
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.trust.consistency import compare
from napari_mdeblurgan.trust.domain import examine
from napari_mdeblurgan.trust.error_bar import COVERED, ErrorBar, standardised
from napari_mdeblurgan.trust.estimates import estimate_whole
from napari_mdeblurgan.trust.explanation import explained
from napari_mdeblurgan.trust.features import FEATURES, WITH_DISAGREEMENT, details, features
from napari_mdeblurgan.trust.pieces import read_piece

RIDGE = 1e-3
_ITERATIONS = 60
_LEVELS = 8
LEAST_ERROR = 1e-5
_CELL = 8
_TILE_STEP = 64


class Known(NamedTuple):
    """Restored pixels whose truth is known.

    Attributes
    ----------
    features : ndarray
        (features, y, x), disagreement included.
    error, error_of_mean : ndarray
        (y, x) absolute errors in windows, mean over the colours: of the restoration, and of the
        mean of its eight orientations.
    """

    features: np.ndarray
    error: np.ndarray
    error_of_mean: np.ndarray


def restore_known(
    image: np.ndarray,
    truth: np.ndarray,
    model: Model,
    border: int = 8,
    output_scale: int | None = None,
) -> list[Known]:
    """Restore an image that fits one tile, and compare it with the truth: as it was computed, and
    rounded to 8 bits.

    Rounding makes small features larger, so both kinds are to be fitted to.

    Parameters
    ----------
    image, truth : ndarray
        (y, x) or (y, x, 3), float32 in [0, 1], of 8 bits; and the same of the model's factor times
        as many pixels.
    model : Model
        To calibrate.
    border : int
        Pixels of the image left out on every side.
    output_scale : int, optional
        As in `make_plan`; the truth is averaged to as many pixels as the result.
    """
    levels = np.rint(image * 255).astype(np.uint8)
    edge = -(-max(levels.shape[:2]) // _TILE_STEP) * _TILE_STEP
    plan = make_plan(levels, model.card, tile=edge, output_scale=output_scale)
    (window,) = plan.windows or ()
    (tile,) = plan.grid
    network = network_on(model, plan.device)
    limits = window.low, window.high
    restored = restore(levels.astype(np.float32), model, window=limits, output_scale=output_scale)
    said = (
        explained(levels[tile.y.source, tile.x.source], tile, plan, window, network)
        if network.explains
        else None
    )
    eight = ensemble(read_for_all(levels, (), tile, plan), tile, plan, window, network)
    truth = block_means(np.atleast_3d(truth), binning=len(truth) // len(restored), y=0)
    sharp = (truth * 255 - window.low) / window.span
    f = plan.factor * border
    known = []
    for result in (restored, np.rint(restored.clip(0, 255))):
        estimate = estimate_whole(
            levels, result, plan, window, examine(levels, plan, window, model.card)
        )
        piece = read_piece(levels, result, (), tile, plan, window, estimate.psf)
        difference = compare(piece, estimate.psf, (-np.inf, estimate.examination.ceiling))
        errors = (
            np.abs(each - sharp).mean(axis=-1)
            for each in (piece.restored[piece.result_inside], eight.mean)
        )
        error, error_of_mean = (each[f:-f, f:-f].astype(np.float32) for each in errors)
        seen = details(piece, difference, estimate.examination.noise.sigma(piece.blurred))
        values = features(seen, piece.inside, plan.factor, estimate.psf, said, eight.spread)
        values = np.stack([on_result(each, plan.factor) for each in values])[:, f:-f, f:-f]
        known.append(Known(values, error, error_of_mean))
    return known


def noise_share(image: np.ndarray, model: Model) -> float:
    """The noise of an image as `Examination` has it: of (y, x) or (y, x, 3), float32 in [0, 1]."""
    levels = np.rint(image * 255).astype(np.uint8)
    plan = make_plan(levels, model.card)
    (window,) = plan.windows or ()
    return examine(levels, plan, window, model.card).noise_share


def calibrate(
    known: list[Known],
    noise_shares: list[float],
    card_name: str,
    channels: int,
    averaged: Mapping[int, list[Known]] | None = None,
) -> dict[str, Any]:
    """Fit all error bars; an entry of `calibrations.json` in plain JSON values.

    Parameters
    ----------
    known : list of Known
        Of images apart from those that the error bar will be judged by.
    noise_shares : list of float
        Of images as the model learned from, see `noise_share`.
    card_name : str
        Name of the model.
    channels : int
        Of the model.
    averaged : mapping of int to list of Known, optional
        The same images restored to fewer pixels, by the output scale.
    """
    return {
        "model": card_name,
        "channels": channels,
        "images": len(known),
        "noise_limit": round(float(np.quantile(noise_shares, 0.98)), 4),
        **error_bars(known),
        "averaged": {str(factor): error_bars(those) for factor, those in (averaged or {}).items()},
    }


def error_bars(known: list[Known], pixels: int = 4000) -> dict[str, Any]:
    """Fit both error bars, without the disagreement and with it, in plain JSON values.

    Parameters
    ----------
    known : list of Known
        All of the same output scale.
    pixels : int
        Drawn from each image at random.
    """
    random = np.random.default_rng(0)
    values, errors = [], []
    for each in known:
        drawn = random.choice(each.error.size, min(pixels, each.error.size), replace=False)
        values.append(each.features.reshape(len(each.features), -1)[:, drawn])
        errors.append(each.error.ravel()[drawn])
    matrix, error = np.concatenate(values, axis=1), np.concatenate(errors)
    bars = {
        name: fit_error_bar(names, matrix[: len(names)], error)
        for name, names in (("plain", FEATURES), ("with_disagreement", WITH_DISAGREEMENT))
    }
    return {name: _rounded(asdict(bar)) for name, bar in bars.items()}


def _rounded(fields: Any) -> Any:
    if isinstance(fields, dict):
        return {name: _rounded(value) for name, value in fields.items()}
    if isinstance(fields, list | tuple):
        return [_rounded(value) for value in fields]
    return round(fields, 6) if isinstance(fields, float) else fields


def fit_error_bar(names: tuple[str, ...], features: np.ndarray, errors: np.ndarray) -> ErrorBar:
    """The quadratic form of the features under which the errors are likeliest, if they follow
    Laplace distributions.

    Parameters
    ----------
    names : tuple of str
        Of the features.
    features : ndarray
        (features, n).
    errors : ndarray
        (n,): absolute errors in windows.
    """
    mean, spread = features.mean(axis=1), np.maximum(features.std(axis=1), 1e-3)
    z = torch.from_numpy(standardised(features, mean, spread))
    errors = np.maximum(errors, LEAST_ERROR)
    truth = torch.from_numpy(np.asarray(errors, np.float32))
    count = len(names)
    constant = torch.tensor(
        float(np.log(errors.mean())), dtype=z.dtype, device="cpu", requires_grad=True
    )
    linear = torch.zeros(count, dtype=z.dtype, device="cpu", requires_grad=True)
    square = torch.zeros(count, count, dtype=z.dtype, device="cpu", requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [constant, linear, square], max_iter=_ITERATIONS, line_search_fn="strong_wolfe"
    )

    def log_scale() -> torch.Tensor:
        symmetric = (square + square.T) / 2
        return constant + linear @ z + ((symmetric @ z) * z).sum(dim=0)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        scale = log_scale()
        value = (scale + truth * torch.exp(-scale)).mean()
        value = value + RIDGE * (linear.square().sum() + square.square().sum())
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        scale = log_scale().numpy().astype(np.float64)
    levels, widths = _widths(scale, errors)
    symmetric = ((square + square.T) / 2).detach().numpy()
    return ErrorBar(
        names=names,
        mean=tuple(map(float, mean)),
        spread=tuple(map(float, spread)),
        constant=float(constant.detach()),
        linear=tuple(map(float, linear.detach())),
        square=tuple(tuple(map(float, row)) for row in symmetric),
        levels=tuple(map(float, levels)),
        widths=tuple(map(float, widths)),
    )


def _widths(log_scale: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For eight groups of growing scale: its mean logarithm, and the multiple of the scale that
    nine of ten stay below.
    """
    groups = np.array_split(np.argsort(log_scale), _LEVELS)
    levels = np.array([log_scale[group].mean() for group in groups])
    widths = np.array(
        [np.quantile(errors[group] / np.exp(log_scale[group]), COVERED) for group in groups]
    )
    return levels, widths


@dataclass(frozen=True, slots=True)
class BarScore:
    """An error bar on one image.

    Attributes
    ----------
    spearman : float
        Rank correlation of the half-width with the absolute error, both as means over cells of 8 ×
        8 pixels.
    covered : float
        Share of the pixels whose error is within the half-width.
    width, error : float
        Means over the image, in windows.
    """

    spearman: float
    covered: float
    width: float
    error: float


def score_bar(half_width: np.ndarray, error: np.ndarray) -> BarScore:
    """Judge half-widths, (y, x) in windows, by the absolute errors there."""
    from scipy import stats  # takes half a second to import

    cells = [_cells(each) for each in (half_width, error)]
    return BarScore(
        spearman=float(stats.spearmanr(*cells).statistic),
        covered=float((error <= half_width).mean()),
        width=float(half_width.mean()),
        error=float(error.mean()),
    )


def _cells(plane: np.ndarray) -> np.ndarray:
    rows, columns = (length // _CELL for length in plane.shape)
    cut = plane[: rows * _CELL, : columns * _CELL].reshape(rows, _CELL, columns, _CELL)
    return cut.mean(axis=(1, 3)).ravel()
