"""Arrays as the compiled kernels want them: padded to whole tiles, samples in lanes or in rows."""

from __future__ import annotations

import numpy as np

from peakedtheory.kernels.products import COLUMNS, ROWS


def padded_width(width: int) -> int:
    """Return the number of columns that m inputs take."""
    return -(-width // COLUMNS) * COLUMNS


def padded(array: np.ndarray, dtype: type) -> np.ndarray:
    """Return matrices (…, n, m) with zeros added up to whole tiles."""
    n, m = array.shape[-2:]
    out = np.zeros((*array.shape[:-2], -(-n // ROWS) * ROWS, padded_width(m)), dtype)
    out[..., :n, :m] = array
    return out
