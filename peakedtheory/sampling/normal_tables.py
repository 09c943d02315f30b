"""Any smooth distribution as a tabulated function of a normal deviate, for the plain sampling kernel.

x(z) = -Q⁻¹(P(Z > z)) with Q⁻¹ the quantile function of the energies is smooth wherever the density is; each
cell holds the quintic through six Chebyshev points of it (format: `kernels.sampling.sample_moments`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr

_REACH = 9.0  # no deviate is larger
_POINTS = 0.5 * (1.0 - np.cos((np.arange(6) + 0.5) * np.pi / 6.0))
_CHECKS = np.array([0.0, 0.2, 0.45, 0.7, 0.95, 1.0])
_TO_POWERS = np.linalg.inv(np.vander(_POINTS, 6, increasing=True))

#: Largest interpolation error, relative to |x| plus the interquartile range: far below single precision.
TOLERANCE = 1e-9

Quantile = Callable[[np.ndarray], np.ndarray]


def normal_table(ppf: Quantile, isf: Quantile) -> tuple[np.ndarray, float] | None:
    """Return (table, cells in a unit of z), or None where no table of reasonable size is accurate.

    Parameters
    ----------
    ppf, isf : callable
        Energies below and above which a given probability lies.

    Returns
    -------
    table : ndarray, shape (cells, 6)
        Coefficients of the quintics, float32.
    per_unit : float
        A power of two.
    """

    def x(z: np.ndarray) -> np.ndarray:
        low = np.minimum(ndtr(-np.abs(z)), 0.5)
        return np.where(z > 0.0, -ppf(low), -isf(low))

    with np.errstate(all="ignore"):
        middle = x(np.array([-0.674, 0.0, 0.674]))
        for per_unit in (8, 16, 32, 64):
            cells = np.arange(-_REACH * per_unit, _REACH * per_unit)[:, None]
            table = x((cells + _POINTS) / per_unit) @ _TO_POWERS.T
            exact = x((cells + _CHECKS) / per_unit)
            found = table @ np.vander(_CHECKS, 6, increasing=True).T
            error = np.abs(found - exact) / (np.abs(exact) + middle[2] - middle[0])
            if np.isfinite(table).all() and error.max() < TOLERANCE:
                return np.ascontiguousarray(table, dtype=np.float32), float(per_unit)
    return None
