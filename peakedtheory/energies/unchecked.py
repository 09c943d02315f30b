"""The functions of a frozen SciPy law without checks of arguments, which cost most of their time."""

from __future__ import annotations

from typing import Any

import numpy as np

from peakedtheory.energies.components import Function


class Unchecked:
    """Density, distribution and survival function of a frozen continuous law of location 0 and scale 1.

    They are the methods that a law of `scipy.stats` defines, called on arrays of numbers; outside the
    support they take their limits.
    """

    def __init__(self, frozen: Any) -> None:
        shapes, _, _ = frozen.dist._parse_args(*frozen.args, **frozen.kwds)
        self._law, self._shapes = frozen.dist, tuple(np.asarray(a, dtype=float) for a in shapes)
        self._low, self._high = (float(e) for e in frozen.support())

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """Return the density."""
        values, x = self._within(self._law._pdf, x)
        return np.where((x < self._low) | (x > self._high), 0.0, values)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of values up to x."""
        values, x = self._within(self._law._cdf, x)
        return np.where(x <= self._low, 0.0, np.where(x >= self._high, 1.0, values))

    def sf(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of values beyond x."""
        values, x = self._within(self._law._sf, x)
        return np.where(x <= self._low, 1.0, np.where(x >= self._high, 0.0, values))

    def _within(self, function: Function, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the function at x, moved into the support, and x."""
        x = np.asarray(x, dtype=float)
        inside = np.clip(x, self._low, self._high)
        return function(inside.ravel(), *self._shapes).reshape(x.shape), x


def unchecked(distribution: Any) -> Any:
    """Return such functions of a frozen law, or the law itself where it is another kind or has its own."""
    from scipy.stats import rv_continuous  # slow to import

    family = getattr(distribution, "dist", None)
    if not isinstance(family, rv_continuous):
        return distribution
    own = any(getattr(type(family), f) is not getattr(rv_continuous, f) for f in ("pdf", "cdf", "sf"))
    _, location, scale = family._parse_args(*distribution.args, **distribution.kwds)
    return distribution if own or (location, scale) != (0.0, 1.0) else Unchecked(distribution)
