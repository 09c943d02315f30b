"""Quantiles of a law that is known by its probabilities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def quantile_between(
    cdf: Callable[[np.ndarray], np.ndarray], q: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Return the least energies between `low` and `high` at which `cdf` reaches `q`, to the last bit."""
    for _ in range(200):
        middle = 0.5 * (low + high)
        above = cdf(middle) >= q
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return high
