"""Robust least squares of few unknowns over many pixels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from napari_mdeblurgan.pairs.solving import gram, solved


def residuals(parameters):
    """A wave of unknown height, length and place, with some values far off."""
    random = np.random.default_rng(3)
    x = np.linspace(0, 6, 4000)
    seen = 2 * np.sin(1.3 * x + 0.4) + 0.1 * random.standard_normal(len(x))
    seen[::17] += 5
    height, speed, phase = parameters
    return (height * np.sin(speed * x + phase) - seen) / 0.1


def jacobian(parameters):
    x = np.linspace(0, 6, 4000)
    height, speed, phase = parameters
    slope = height * np.cos(speed * x + phase)
    return np.stack([np.sin(speed * x + phase), slope * x, slope]) / 0.1


@pytest.mark.parametrize("start", [(1.0, 1.0, 0.0), (3.0, 1.5, -0.5)])
@pytest.mark.parametrize("rounds", [2, 3, 50])
def test_every_step_is_that_of_scipy(start, rounds):
    start = np.array(start)
    found, weighted = solved(residuals, jacobian, start, scale=2.0, tolerance=1e-6, rounds=rounds)
    expected = optimize.least_squares(
        residuals,
        start,
        lambda at: jacobian(at).T,
        loss="soft_l1",
        f_scale=2.0,
        xtol=1e-6,
        ftol=1e-7,
        max_nfev=rounds,
    )
    np.testing.assert_allclose(found, expected.x, atol=1e-6)
    np.testing.assert_allclose(gram(weighted), expected.jac.T @ expected.jac, rtol=1e-4)


def test_values_far_off_count_little():
    found, _ = solved(
        residuals, jacobian, np.array([1.0, 1.0, 0.0]), scale=2.0, tolerance=1e-6, rounds=50
    )
    np.testing.assert_allclose(found, (2, 1.3, 0.4), atol=0.02)


def test_what_nothing_depends_on_stays_where_it_was():
    found, _ = solved(
        lambda at: np.array([at[0] - 3.0]),
        lambda _: np.array([[1.0], [0.0]]),
        np.array([1.0, 7.0]),
        scale=100.0,
        tolerance=1e-9,
        rounds=50,
    )
    np.testing.assert_allclose(found, (3, 7), atol=1e-6)


def test_a_place_that_cannot_be_judged_is_not_gone_to():
    found, _ = solved(
        lambda at: np.array([at[0] ** 2 - 2 if at[0] < 1.5 else np.inf]),
        lambda at: np.array([[2 * at[0]]]),
        np.array([0.3]),
        scale=100.0,
        tolerance=1e-9,
        rounds=50,
    )
    np.testing.assert_allclose(found, np.sqrt(2), atol=1e-6)
