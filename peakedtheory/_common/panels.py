"""The sixteen-point Gauss-Legendre rule on panels, with an estimate of its error."""

from __future__ import annotations

import functools
import math

import numpy as np

_gauss = functools.cache(np.polynomial.legendre.leggauss)

ORDER = 16
NODES, WEIGHTS = _gauss(ORDER)
TO_LEGENDRE = (
    np.polynomial.legendre.legvander(NODES, ORDER - 1).T * WEIGHTS * (np.arange(ORDER)[:, None] + 0.5)
)
#: Ratios of the weights of the degree-11 least-squares rule on the same nodes: a coarser look at an integral.
_COARSE = 2.0 * np.linalg.pinv(np.polynomial.legendre.legvander(NODES, 11))[0] / WEIGHTS


def gauss_panels(edges: np.ndarray, order: int = ORDER) -> tuple[np.ndarray, np.ndarray]:
    """Return Gauss-Legendre nodes and weights on the panels between the edges, both (panels, order)."""
    nodes, weights = _gauss(order)
    half = 0.5 * np.diff(edges)[:, None]
    return edges[:-1, None] + half * (1.0 + nodes), half * weights


def integrate(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return the sum of values * weights over panels of sixteen nodes, and an estimate of its error.

    A rule of about half the degree on the same nodes has about half the correct digits.
    """
    terms = (values * weights).reshape(-1, ORDER)
    total = math.fsum(terms.ravel())
    change = np.abs(terms @ (1.0 - _COARSE))
    scale = np.abs(terms).sum(axis=1) + 1e-300
    return total, float(np.sum(np.minimum(change, change**1.5 / scale**0.5)))
