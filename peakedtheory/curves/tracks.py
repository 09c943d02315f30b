"""A curve without its noise: where it comes down to a loss, and where it might have with other noise."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from peakedtheory._common.binning import bin_means
from peakedtheory._common.checks import fail
from peakedtheory.curves.curve import LossCurve

Against = Literal["tau", "step"]
_BINS = 200
_PIECES = 12
_GRID = 400
_FEWEST_RECORDS = 8


class Track:
    """One curve, binned in ln(step) and smoothed by a spline, to say where it reaches a loss."""

    def __init__(self, curve: LossCurve, with_tau: bool) -> None:
        self.name = curve.name
        self.steps = np.arange(math.ceil(curve.step[-1]) + 1.0)
        self.times = curve.time_at(self.steps) if with_tau else self.steps
        inside = np.interp(curve.step, self.steps, self.times) > 0
        if np.count_nonzero(inside) < _FEWEST_RECORDS:
            fail(
                "curves",
                f"must have at least {_FEWEST_RECORDS} records after the first step",
                f"{np.count_nonzero(inside)} in {curve.name or 'one of them'}",
                "log more often or leave the curve out",
            )
        at, value = _binned(np.log(curve.step[inside]), np.log(curve.loss[inside]))
        self.at = np.linspace(at[0], at[-1], _GRID)
        self.smoother, fit = _spline(at, self.at, min(_PIECES, at.size // 4))
        self.smooth = self.smoother @ value
        self.scale, self.correlation = _noise_model(value - fit @ value, fit)

    def crossing(self, smooth: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return the steps at which ln L first comes down to `levels`; NaN outside its range."""
        falling = np.minimum.accumulate(smooth)
        # Ties of the accumulated minimum would leave the inverse to chance: the first point counts.
        first = np.flatnonzero(np.diff(falling, prepend=np.inf))
        found = np.exp(np.interp(-levels, -falling[first], self.at[first]))
        return np.where((levels > falling[0]) | (levels < falling[-1]), np.nan, found)

    def position(self, steps: np.ndarray, against: Against) -> np.ndarray:
        """Return ln x at `steps`."""
        return np.log(steps if against == "step" else np.interp(steps, self.steps, self.times))

    def resample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Return the smoothed curve with other noise, shape (count, grid)."""
        noise = generator.standard_normal((self.scale.size, count))
        fresh = math.sqrt(1.0 - self.correlation**2)
        for i in range(1, noise.shape[0]):
            noise[i] = self.correlation * noise[i - 1] + fresh * noise[i]
        return self.smooth + (self.smoother @ (self.scale[:, None] * noise)).T


def _binned(at: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if at.size <= _BINS:
        return at, value
    edges = np.linspace(at[0], at[-1], _BINS + 1)[1:-1]
    at, value = bin_means(at, edges, at, value)
    return at, value


def _spline(at: np.ndarray, grid: np.ndarray, pieces: int) -> tuple[np.ndarray, np.ndarray]:
    """Return matrices that take values at `at` to their least-squares cubic spline on `grid` and at `at`."""
    from scipy.interpolate import BSpline

    inner = np.quantile(at, np.arange(1, pieces) / pieces)
    knots = np.concatenate([np.repeat(at[0], 4), inner, np.repeat(at[-1], 4)])
    design = BSpline.design_matrix(at, knots, 3).toarray()
    solve = np.linalg.pinv(design)
    return BSpline.design_matrix(grid, knots, 3).toarray() @ solve, design @ solve


def _noise_model(residual: np.ndarray, fit: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the noise of each record and its correlation from one to the next.

    The smoother takes the slow part of the noise with it. What it leaves of noise with correlation r is
    known, and r is the one which leaves the observed ratio of neighbouring products to squares.
    """
    size = residual.size
    width = min(max(size // 8, 4), (size - 1) // 2)
    window = np.ones(2 * width + 1)
    local = np.convolve(residual**2, window, "same") / np.convolve(np.ones(size), window, "same")
    if not local.min() > 0:
        return np.zeros(size), 0.0
    standard = residual / np.sqrt(local)
    observed = (standard[1:] @ standard[:-1]) / (standard @ standard)
    remover = np.eye(size) - fit
    lag = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    candidates = np.array([0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92])
    left, ratio = [], []
    for r in candidates:
        covariance = remover @ r**lag @ remover.T
        left.append(np.trace(covariance) / size)
        ratio.append(np.trace(covariance, 1) / np.trace(covariance))
    correlation = float(np.interp(observed, ratio, candidates))
    return np.sqrt(local / np.interp(correlation, candidates, left)), correlation
