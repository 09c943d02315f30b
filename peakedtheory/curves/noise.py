"""The noise of single records, from how far each lies off the line between its neighbours."""

from __future__ import annotations

import numpy as np

#: Neighbours on each side whose deviations are pooled; the least noise, of losses with few digits.
_REACH, _LEAST = 25, 1e-7
#: Standard deviation of normal numbers of median size 1.
_NORMAL = 1.4826


def local_noise(at: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the noise at each record.

    A record less the line between its neighbours has the variance σ² (1 + a² + b²), a and b their weights.
    The median size of that over the records around is turned into σ as for normal noise.

    Parameters
    ----------
    at, value : ndarray, shape (records,)
        Places, increasing, and values.

    Returns
    -------
    ndarray, shape (records,)
        Of fewer than five records, which show no noise, the same small number for all.
    """
    size = at.size
    if size < 5:
        return np.full(size, _LEAST)
    share = (at[1:-1] - at[:-2]) / (at[2:] - at[:-2])
    off = value[1:-1] - (1.0 - share) * value[:-2] - share * value[2:]
    single = np.abs(off) / np.sqrt(1.0 + (1.0 - share) ** 2 + share**2)
    around = np.pad(single, _REACH, mode="reflect") if single.size > _REACH else None
    if around is None:
        return np.full(size, max(_NORMAL * float(np.median(single)), _LEAST))
    pooled = np.median(np.lib.stride_tricks.sliding_window_view(around, 2 * _REACH + 1), axis=1)
    return np.maximum(_NORMAL * np.concatenate([pooled[:1], pooled, pooled[-1:]]), _LEAST)
