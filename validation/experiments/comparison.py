"""How far training is from theory, in numbers: relative errors, exponents with errors, and collapse in τ.

Errors over few seeds are widened by Student's t, so that two of them cover as they should.
Exponents are slopes of ln y against ln x. Their error combines the spread over seeds with what moving the
ends of the window does, which on real curves is the larger part (docs/reproduction.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from peakedtheory._common.checks import fail
from peakedtheory._common.slopes import loglog_slope

__all__ = [
    "Agreement",
    "FittedExponent",
    "agreement",
    "fit_exponent",
    "fit_on_even_records",
    "late_window",
    "mean_and_error",
    "relative_spread",
    "relative_spread_error",
    "small_sample",
    "steepest_slope",
    "tuned_minimum",
]

#: Points of the common grid on which curves are compared.
_GRID = 64


def small_sample(count: int) -> float:
    """Return what widens a standard error from `count` values so that twice it covers 95.45 %.

    Student's t over the normal quantile: 7.0 for two values, 2.3 for three, 1.16 for ten.

    Examples
    --------
    >>> print(f"{small_sample(10):.3f} {small_sample(1000):.3f}")
    1.160 1.001
    """
    return float(stats.t.ppf(stats.norm.cdf(2.0), count - 1)) / 2.0 if count > 1 else math.nan


@dataclass(frozen=True)
class FittedExponent:
    """Slope of ln y against ln x.

    Attributes
    ----------
    value : float
        Mean slope over the seeds; NaN where a curve has fewer than three points in the window.
    seed_error : float
        Standard error of that mean; zero for a single curve, whose scatter enters `window_error`.
    window_error : float
        Half of the range of the slope as either end of the window moves inwards by a quarter of it, or the
        standard error of the regression where that is larger.
    window : tuple of float
        The window in x.
    """

    value: float
    seed_error: float
    window_error: float
    window: tuple[float, float]

    @property
    def error(self) -> float:
        """Both errors together."""
        return math.hypot(self.seed_error, self.window_error)


def _slope(x: np.ndarray, y: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Least-squares slope of ln y on ln x inside [low, high], and its standard error."""
    inside = (x >= low * (1 - 1e-9)) & (x <= high * (1 + 1e-9)) & (y > 0) & np.isfinite(y)
    if inside.sum() < 3:
        return math.nan, math.nan
    return loglog_slope(x[inside], y[inside])


def fit_exponent(x: Any, y: Any, window: tuple[float, float]) -> FittedExponent:
    """Return the slope of ln y against ln x in a window, with an error over seeds and windows.

    Parameters
    ----------
    x : array_like, shape (points,)
        Times, data, or inverse temperatures; positive where used.
    y : array_like, shape (points,) or (seeds, points)
        Values; points that are not positive and finite are left out.
    window : tuple of float
        Smallest and largest x used.

    Examples
    --------
    >>> x = np.geomspace(1, 100, 21)
    >>> print(f"{fit_exponent(x, x**-0.5, (2, 50)).value:.6f}")
    -0.500000
    """
    x, curves = np.asarray(x, dtype=float), np.atleast_2d(np.asarray(y, dtype=float))
    low, high = window
    if not 0 < low < high:
        fail("window", "must be two positive numbers in ascending order", f"{window}", "give (low, high)")
    if curves.shape[-1] != x.size:
        fail(
            "y", f"must end with the {x.size} points of x", f"shape {curves.shape}", "make the lengths agree"
        )
    fits = np.array([_slope(x, curve, low, high) for curve in curves])
    used = fits[np.isfinite(fits[:, 0])]
    if not used.size:
        return FittedExponent(math.nan, math.nan, math.nan, (low, high))
    value = float(used[:, 0].mean())
    seed_error = mean_and_error(used[:, 0])[1] if len(used) > 1 else 0.0
    quarter = (high / low) ** 0.25
    moved = [value]
    for a, b in ((low * quarter, high), (low, high / quarter), (low * quarter, high / quarter)):
        slopes = np.array([_slope(x, curve, a, b)[0] for curve in curves])
        if np.isfinite(slopes).any():
            moved.append(float(slopes[np.isfinite(slopes)].mean()))
    regression = float(np.sqrt((used[:, 1] ** 2).sum())) / len(used)
    return FittedExponent(value, seed_error, max(0.5 * (max(moved) - min(moved)), regression), (low, high))


def fit_on_even_records(x: Any, y: Any, window: tuple[float, float], every: float) -> FittedExponent:
    """Return the exponent that records evenly spaced in x would give: late times weigh more than in ln x.

    Curves are read between their own records by straight lines in ln y against ln x.

    Parameters
    ----------
    x, y, window
        As for `fit_exponent`.
    every : float
        Distance of the records.

    Examples
    --------
    >>> x = np.geomspace(1, 1000, 60)
    >>> print(f"{fit_on_even_records(x, x**-0.5, (20, 1000), 5).value:.6f}")
    -0.500000
    """
    x, curves = np.asarray(x, dtype=float), np.atleast_2d(np.asarray(y, dtype=float))
    low, high = window
    grid = np.arange(every * math.ceil(low / every), high * (1 + 1e-9), every)
    good = x > 0
    values = [
        np.exp(np.interp(np.log(grid), np.log(x[good]), np.log(np.where(c > 0, c, np.nan)[good])))
        for c in curves
    ]
    return fit_exponent(grid, values, window)


def late_window(x: Any, factor: float = 10.0) -> tuple[float, float]:
    """Return the window that ends with x and spans this factor: by default its last decade."""
    last = float(np.asarray(x)[-1])
    return last / factor, last


@dataclass(frozen=True)
class Agreement:
    """Predicted over measured, minus one, along curves.

    Attributes
    ----------
    median : float
        Median of the signed relative error.
    typical : float
        Median of its size.
    largest : float
        95th percentile of its size.
    """

    median: float
    typical: float
    largest: float


def agreement(measured: Any, predicted: Any) -> Agreement:
    """Return the relative error of a prediction over all points that are positive and finite."""
    a, b = np.broadcast_arrays(np.asarray(measured, dtype=float), np.asarray(predicted, dtype=float))
    good = (a > 0) & np.isfinite(a) & np.isfinite(b)
    if not good.any():
        return Agreement(math.nan, math.nan, math.nan)
    error = b[good] / a[good] - 1.0
    size = np.abs(error)
    return Agreement(float(np.median(error)), float(np.median(size)), float(np.quantile(size, 0.95)))


def relative_spread(x: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> float:
    """Return the relative spread of curves y(x) around their common mean: 0 where they fall on one another.

    Every curve is interpolated, ln y against ln x, on 64 points spread evenly in ln x over the range that at
    least two curves cover. The spread is the root-mean-square deviation of ln y from the mean over the curves
    present, over all points and curves, so that 0.05 means curves within about 5 %. Nothing is fitted. NaN
    where no two curves overlap.

    Examples
    --------
    >>> x = np.geomspace(1, 10, 9)
    >>> print(f"{relative_spread([x, x], [x, 1.1 * x]):.4f}")
    0.0477
    """
    curves = []
    for a, b in zip(x, y, strict=True):
        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        good = (a > 0) & (b > 0) & np.isfinite(a) & np.isfinite(b)
        if good.sum() >= 2:
            curves.append((np.log(a[good]), np.log(b[good])))
    if len(curves) < 2:
        return math.nan
    start, stop = sorted(u[0] for u, _ in curves)[1], sorted(u[-1] for u, _ in curves)[-2]
    if not start < stop:
        return math.nan
    grid = np.linspace(start, stop, _GRID)
    values = np.array([np.interp(grid, u, v, left=np.nan, right=np.nan) for u, v in curves])
    present = np.isfinite(values)
    shared = present.sum(axis=0) >= 2
    if not shared.any():
        return math.nan
    values, present = values[:, shared], present[:, shared]
    mean = np.where(present, values, 0.0).sum(axis=0) / present.sum(axis=0)
    return float(np.sqrt(((values - mean)[present] ** 2).mean()))


def relative_spread_error(x: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> float:
    """Return the jackknife error of the relative spread over the curves."""
    count = len(x)
    keep = [[k for k in range(count) if k != out] for out in range(count)]
    left = np.array([relative_spread([x[k] for k in ks], [y[k] for k in ks]) for ks in keep])
    left = left[np.isfinite(left)]
    if left.size < 2:
        return math.nan
    return small_sample(left.size) * math.sqrt((left.size - 1) * float(left.var()))


def mean_and_error(values: Any) -> tuple[float, float]:
    """Return the mean of the finite values and its standard error as `small_sample` widens it, NaN of one."""
    array = np.asarray(values, dtype=float)
    array = array[np.isfinite(array)]
    if not array.size:
        return math.nan, math.nan
    if array.size < 2:
        return float(array.mean()), math.nan
    return float(array.mean()), small_sample(array.size) * float(array.std(ddof=1)) / math.sqrt(array.size)


def steepest_slope(x: Any, y: Any, low: float = 0.0) -> float:
    """Return the largest -Δ ln y/Δ ln x over a factor of two in x, while y stays above `low` of its start.

    A decaying exponential reaches ln(1/low)/(2 ln 2), 2.8 at 2 %, and grows further; the one-third law of an
    aligned student stays below one. NaN with fewer than three points or less than a factor of two.

    Examples
    --------
    >>> x = np.geomspace(1, 1000, 100)
    >>> print(f"{steepest_slope(x, x**-0.5):.3f} {steepest_slope(x, np.exp(-x / 100), 0.02):.1f}")
    0.500 2.8
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    use = (x > 0) & np.isfinite(y) & (y > 0) & (y > low * y[0])
    if use.sum() < 3:
        return math.nan
    u, v = np.log(x[use]), np.log(y[use])
    inside = u + math.log(2.0) <= u[-1] + 1e-12
    if not inside.any():
        return math.nan
    ahead = np.interp(u + math.log(2.0), u, v)
    return float(((v - ahead) / math.log(2.0))[inside].max())


def tuned_minimum(rate: Any, loss: Any) -> tuple[float, float, bool]:
    """Return the best learning rate, the loss there, and whether it lies inside the scanned rates.

    The parabola of ln L against ln η through the lowest point and its neighbours; on the edge of the scan the
    lowest point itself.
    """
    eta, values = np.asarray(rate, dtype=float), np.asarray(loss, dtype=float)
    good = np.isfinite(values) & (values > 0)
    if not good.any():
        return math.nan, math.nan, False
    eta, values = eta[good], values[good]
    order = np.argsort(eta)
    u, v = np.log(eta[order]), np.log(values[order])
    best = int(np.argmin(v))
    if not 0 < best < v.size - 1:
        return float(np.exp(u[best])), float(np.exp(v[best])), False
    a, b, c = np.polyfit(u[best - 1 : best + 2] - u[best], v[best - 1 : best + 2], 2)
    shift = float(np.clip(-b / (2 * a), u[best - 1] - u[best], u[best + 1] - u[best])) if a > 0 else 0.0
    return float(np.exp(u[best] + shift)), float(np.exp(c + b * shift + a * shift**2)), True
