"""Panels as wide as a density allows: derivatives taken on them keep the most digits.

The j-th derivative of an interpolant carries the rounding of the density over the j-th power of the panel.
"""

from __future__ import annotations

import numpy as np

from peakedtheory._common.panels import NODES, TO_LEGENDRE
from peakedtheory.energies.components import Function

#: Panels up to this many are joined; more of them close in on singular points, where none can be.
_FEW = 300
#: Last coefficients, relative to the largest, of a density that one panel resolves.
_RESOLVED = 1e-15
#: Rounding of these coefficients.
_ROUNDING = 2.0


def joined(edges: np.ndarray, pdf: Function) -> np.ndarray:
    """Return those of the edges between which the density is still a polynomial to rounding."""
    if edges.size > _FEW:
        return edges
    kept = [0]
    while kept[-1] < edges.size - 1:
        last = kept[-1] + 1
        while last < edges.size - 1 and _is_polynomial(pdf, edges[kept[-1]], edges[last + 1]):
            last += 1
        kept.append(last)
    return edges[kept]


def _is_polynomial(pdf: Function, a: float, b: float) -> bool:
    with np.errstate(all="ignore"):
        values = pdf(a + 0.5 * (b - a) * (1.0 + NODES))
    size = np.abs(TO_LEGENDRE @ np.where(np.isfinite(values), values, np.nan))
    return bool(size[-3:].max() <= _ROUNDING * _RESOLVED * size.max())
