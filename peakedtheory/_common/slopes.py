"""The slope of a power law: least squares of ln y on ln x."""

from __future__ import annotations

import math

import numpy as np


def loglog_slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the least-squares slope of ln y on ln x, and the regression's standard error.

    Parameters
    ----------
    x, y : ndarray, shape (points,)
        At least two positive numbers each; the error of two points is that of a perfect fit.

    Examples
    --------
    >>> x = np.array([1.0, 10.0, 100.0])
    >>> print("%.6f %.6f" % loglog_slope(x, x**-0.5))
    -0.500000 0.000000
    """
    u, v = np.log(x), np.log(y)
    u = u - u.mean()
    slope = float(u @ v / (u @ u))
    left = v - v.mean() - slope * u
    return slope, math.sqrt(float(left @ left) / max(u.size - 2, 1) / float(u @ u))
