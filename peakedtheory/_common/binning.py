"""Means over bins."""

from __future__ import annotations

import numpy as np


def bin_means(at: np.ndarray, edges: np.ndarray, *columns: np.ndarray) -> list[np.ndarray]:
    """Return the mean of each column over the bins that hold anything, in order.

    Parameters
    ----------
    at : ndarray, shape (points,)
        Decides the bin of each point.
    edges : ndarray, shape (bins - 1,)
        Where one bin ends and the next begins, inclusive.
    *columns : ndarray, each of shape (points,)
        What is averaged.
    """
    bins = edges.size + 1
    index = np.searchsorted(edges, at, side="right")
    count = np.bincount(index, minlength=bins)
    kept = count > 0
    return [np.bincount(index, values, bins)[kept] / count[kept] for values in columns]
