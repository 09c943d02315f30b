"""Why the standard errors of a Monte Carlo result may be too small, as far as law and samples tell."""

from __future__ import annotations

import math

import numpy as np

from peakedtheory.energies.base import Energies
from peakedtheory.sampling.moments import Layout, Moments

#: γ²/N from which on ±3 standard errors hold less than they should.
_SKEWED = 0.04
#: Moments that an error must have to be known: the squares of squares.
_ORDER = 4.0
#: What matters: samples with a rare lowest energy; its distance from the next, as a share of the width.
_FEW, _APART = 30, 0.1
#: Points of a scrambling from which on its mean is near enough to normal.
_MANY_POINTS = 64
_CALLED = {
    "ln_z": "log_partition",
    "mean": "internal_energy",
    "variance": "energy_variance",
    "squares": "participation",
    "maximum": "ground_state_energy",
    "gradient": "loss_gradient",
}


def cautions(
    method: str, layout: Layout, moments: Moments, energies: Energies | None, n: float, points: int
) -> tuple[str, ...]:
    """Return one line for each reason to doubt the standard errors; `points` are those of a scrambling."""
    found = (_heavy(energies, n), _few(energies, moments.count, n)) if method == "plain" else ()
    sparse = _sparse(points) if method == "qmc" else ""
    return tuple(line for line in (*found, sparse, _skewed(layout, moments)) if line)


def _sparse(points: int) -> str:
    """Scramblings of few points, whose means have heavier tails than Student's t allows for."""
    if points >= _MANY_POINTS:
        return ""
    return (
        f"each scrambling has {points} points, and ±2 standard errors of so few were seen to hold 90 % of"
        f" cases, not 95 %; take {64 * _MANY_POINTS} samples or more"
    )


def _heavy(energies: Energies | None, n: float) -> str:
    """Plain samples of a lowest energy without a fourth moment."""
    indices = [] if energies is None else energies.tail_indices
    index = min((min(low, n * high) for low, high in indices), default=math.inf)
    if index > _ORDER:
        return ""
    return (
        f"the lowest energy has no moment of order {math.ceil(index)} or more, so errors of plain samples"
        " cannot be known and may be far too small; method='order-statistics' holds"
    )


def _few(energies: Energies | None, samples: int, n: float) -> str:
    """Plain samples that hardly ever hold an atom, or hardly ever lack it."""
    for _, part in energies.core.components if energies is not None and energies.is_discrete else ():
        apart = -np.diff(part.x[::-1]) > _APART * part.width
        below = np.cumsum(part.weight[::-1])[:-1][apart]
        chance = -np.expm1(n * np.log1p(-np.minimum(below, 1.0 - 1e-16)))
        rare = np.minimum(chance, 1.0 - chance) * samples
        bad = (rare > 1e-3) & (rare < _FEW)
        if bad.any():
            return (
                f"the lowest energy changes in some {rare[bad].min():.1g} of {samples} samples, too few to"
                " know an error by plain sampling; method='order-statistics' looks there more often"
            )
    return ""


def _skewed(layout: Layout, moments: Moments) -> str:
    skew = moments.skew
    if skew.size != layout.size or moments.count < 2:
        return ""
    worst = {name: float(part.max(initial=0.0)) for name, part in layout.split(skew).items()}
    names = [_CALLED.get(name, name) for name, value in worst.items() if value > _SKEWED]
    if not names:
        return ""
    return (
        f"few of the samples decide {', '.join(names)} (skewness²/samples up to {max(worst.values()):.2g}):"
        " their errors may be too small; take more samples"
    )
