"""Robust least squares of a few unknowns over very many pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SMALLEST_GRADIENT = 1e-8
BAD, GOOD = (
    0.25,
    0.75,
)  # shares of the foretold gain: below it the step was too far, above it it may be longer
HALVINGS = 60


def solved(
    residuals: Callable[[np.ndarray], np.ndarray],
    jacobian: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    *,
    scale: float,
    tolerance: float,
    rounds: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The parameters at which residuals are smallest, large ones counting little.

    A trust region around every point, as in SciPy's ``least_squares`` with the loss ``soft_l1``
    (Branch, Coleman & Li 1999), whose results these are. But that takes tall matrices apart, for
    which BLAS keeps all cores busy waiting for each other; here they are summed up first to as many
    rows as there are unknowns.

    Parameters
    ----------
    residuals : callable
        From (parameters,) float64 to (n,) float64.
    jacobian : callable
        From the same to (parameters, n) float64: how the residuals change with each.
    start : ndarray
        (parameters,) float64.
    scale : float
        Residuals from here on count less and less.
    tolerance : float
        A smaller step ends it, relative to the parameters' norm, and so does a gain of a tenth of
        that, relative to the cost.
    rounds : int
        Evaluations of the residuals, at most.

    Returns
    -------
    parameters : ndarray
        (parameters,) float64.
    weighted : ndarray
        (parameters, n) float64: the Jacobian there, weighted so that its product with itself is the
        curvature of the cost.
    """
    at, error = start, residuals(start)
    cost, slope, weighted, curvature = _model(error, jacobian(at), scale)
    radius = float(np.sqrt((at**2).sum())) or 1.0
    evaluated = 1
    ended = False
    while not ended and evaluated < rounds and np.abs(slope).max() >= SMALLEST_GRADIENT:
        gain = 0.0
        values, vectors = np.linalg.eigh(curvature)
        while gain <= 0 and evaluated < rounds and not ended:
            step = _step(values, vectors, slope, radius)
            foretold = -float((slope * step).sum() + 0.5 * (step[:, None] * curvature * step).sum())
            new = at + step
            error = residuals(new)
            evaluated += 1
            new_cost = _cost(error, scale)
            gain, length = cost - new_cost, float(np.sqrt((step**2).sum()))
            share = gain / foretold if foretold > 0 else 0.0
            ended = (gain < 0.1 * tolerance * cost and share > BAD) or length < tolerance * (
                tolerance + float(np.sqrt((at**2).sum()))
            )
            if not np.isfinite(new_cost) or share < BAD:
                radius = 0.25 * length
            elif share > GOOD and length > 0.95 * radius:
                radius *= 2
        if gain > 0:
            at = new
            cost, slope, weighted, curvature = _model(error, jacobian(at), scale)
    return at, weighted


def _cost(error: np.ndarray, scale: float) -> float:
    return scale**2 * float((np.sqrt(1 + (error / scale) ** 2) - 1).sum())


def _model(
    error: np.ndarray, jacobian: np.ndarray, scale: float
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """The cost, its slope, and its curvature with the weighted Jacobian that it comes from; Triggs
    et al. 2000.
    """
    root = np.sqrt(1 + (error / scale) ** 2)
    weight = np.maximum(
        root**-3, np.finfo(float).eps
    )  # first derivative and twice the second one times the square
    slope = (jacobian * (error / root)).sum(axis=1)
    weighted = jacobian * np.sqrt(weight)
    return scale**2 * float((root - 1).sum()), slope, weighted, gram(weighted)


def gram(rows: np.ndarray) -> np.ndarray:
    """The products of all rows with each other; (n, values) to (n, n). Without BLAS, whose threads
    cost more than they bring.
    """
    return np.einsum("in,jn->ij", rows, rows)


def _step(values: np.ndarray, vectors: np.ndarray, slope: np.ndarray, radius: float) -> np.ndarray:
    """The lowest point of the model that is not farther than `radius`."""
    along = (vectors * slope[:, None]).sum(axis=0)
    least = max(float(values[-1]), 0.0) * len(values) * np.finfo(float).eps

    def length(damping: float) -> float:
        return float(np.sqrt(((along / (values + damping)) ** 2).sum()))

    damping = 0.0
    if values[0] <= least or length(0.0) > radius:
        low, high = least, float(np.sqrt((along**2).sum())) / radius + least
        for _ in range(HALVINGS):
            damping = (low + high) / 2
            low, high = (damping, high) if length(damping) > radius else (low, damping)
        damping = high
    return -(vectors * (along / (values + damping))).sum(axis=1)
