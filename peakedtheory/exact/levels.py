"""Discrete energies so cold that no two levels share the weight: sums over which level is the lowest.

With K the number of the n energies in a level, U = Σ P(lowest) ε and S = Σ ⟨ln K; lowest⟩, which is Eq. 5 of
docs/thermodynamics.md with one level; s is counted from that level, and nothing is lost to the size of βε.
"""

from __future__ import annotations

import numpy as np

from peakedtheory.energies.components import Atoms
from peakedtheory.energies.gumbel import V_MAX, entropy_kernel

#: Gaps, in units of 1/β and beyond ln n, behind which another level weighs less than rounding. Of a few
#: levels the tiny weights are kept as long as they are numbers.
_APART, _FEW, _UNDERFLOW = 80.0, 64, 700.0
#: Levels less likely to be the lowest than this do not count.
_UNLIKELY = 1e-40
_STEP = 0.125
_LEVELS_AT_ONCE = 2000


def are_apart(atoms: Atoms, beta: float, n: float) -> bool:
    """Return whether each level alone decides ln Z when it is the lowest of at most n energies."""
    gap = float(np.diff(atoms.x).min(initial=np.inf))
    return beta * gap > (_UNDERFLOW if atoms.x.size <= _FEW else _APART + np.log(n))


def separate_levels(atoms: Atoms, beta: float, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values and errors of (Φ, -U, Φ'', S) for all n >= 2, as `general_thermodynamics` does."""
    values, errors = np.zeros((4, n.size)), np.zeros((4, n.size))
    above = np.minimum(atoms.above(atoms.x), 1.0)
    with np.errstate(divide="ignore"):
        share = atoms.weight / (atoms.weight + atoms.below(atoms.x))
        none_above, not_here = np.log1p(-above), np.log1p(-share)
    gap = float(np.diff(atoms.x).min(initial=np.inf))
    for i, count in enumerate(n):
        lowest = np.exp(count * none_above) * -np.expm1(count * not_here)
        counts = np.nonzero(lowest > _UNLIKELY)[0]
        slope = float(lowest[counts] @ atoms.x[counts])
        entropy = float(_ties(share[counts], none_above[counts], count))
        values[:, i] = beta * slope + entropy, slope, 0.0, entropy
        size = float(lowest[counts] @ np.abs(atoms.x[counts]))
        other = 0.0 if np.isinf(gap) else count * np.exp(-beta * gap)
        # sums of probabilities, raised to a power that brings about forty of their errors
        rounding = 2e-14 + 1e-15 * np.sqrt(share.size)
        errors[:, i] = (
            rounding * (beta * size + entropy) + other,
            rounding * size + other * atoms.width,
            other * atoms.width**2,
            rounding * entropy + other * (1.0 + beta * atoms.width),
        )
    return values, errors


def _ties(share: np.ndarray, none_above: np.ndarray, n: float) -> float:
    """Return Σ ⟨ln K; lowest⟩ over the levels, by an integral of positive terms."""
    s = np.arange(-46.0 - np.log(n), V_MAX + 1.0, _STEP)
    t = np.exp(s)
    gone = -np.expm1(-t)
    kernel = np.exp(s - t) * entropy_kernel(s)
    total = 0.0
    for rows in np.array_split(np.arange(share.size), 1 + share.size // _LEVELS_AT_ONCE):
        q, before = share[rows, None], none_above[rows, None]
        power = np.exp(n * before + (n - 2.0) * np.log1p(-np.minimum(q * gone, 1.0 - 1e-16)))
        total += float(((q**2 * power) @ kernel).sum())
    return n * (n - 1.0) * _STEP * total
