"""Moments of a distribution, and which of them exist."""

from __future__ import annotations

import math

import numpy as np

from peakedtheory.energies.components import Atoms, Component, Density, Function

#: A tail of index α, as far as it is known, has moments below α.
_JUST_BELOW = 1.0 - 1e-6


def _tail_index(tail: Function, end: float) -> float:
    """Return α of a tail ~ x^-α, infinite for lighter ones, from its slope far out."""
    if np.isfinite(end):
        return math.inf
    with np.errstate(all="ignore"):
        near, far, farther = np.log10(tail(np.array([1e20, 1e22, 1e24])))
        slope = (near - far) / 2.0
        is_power = np.isfinite(slope) and abs((far - farther) / 2.0 - slope) < 1e-3
    return float(slope) if is_power else math.inf


def tail_indices(part: Atoms | Density) -> tuple[float, float]:
    """Tail indices of x = -ε upwards (low energies) and downwards (high energies)."""
    if isinstance(part, Atoms):
        return math.inf, math.inf
    return _tail_index(part.above, part.upper), _tail_index(lambda x: part.below(-x), -part.lower)


def beyond(part: Atoms | Density, order: int) -> list[float]:
    """Return ∫ |x|^order below and above the panels of a density, infinite where it does not exist.

    Only tails that fall as a power leave anything there.
    """
    if isinstance(part, Atoms):
        return [0.0, 0.0]
    high, low = tail_indices(part)
    bottom, top = np.abs(part.edges[[0, -1]])
    sides = [(part.below(part.edges[:1]), bottom, low), (part.above(part.edges[-1:]), top, high)]
    return [
        0.0
        if math.isinf(index)
        else math.inf
        if order >= index * _JUST_BELOW
        else float(mass[0]) * edge**order * index / (index - order)
        for mass, edge, index in sides
    ]


def central_moments(components: tuple[Component, ...], order: int) -> np.ndarray:
    """Return (mean energy, 0, μ₂, …, μ_order) by quadrature; infinite where a moment does not exist."""
    nodes = [(w * weight, -x) for w, part in components for x, weight in [part.raw()]]
    weight = np.concatenate([w for w, _ in nodes])
    energy = np.concatenate([e for _, e in nodes])
    ascending = np.argsort(energy)
    weight, energy = weight[ascending], energy[ascending]

    exists = min((index for _, part in components for index in tail_indices(part)), default=math.inf)

    def far(r: int) -> float:
        """Moment of the energies, not of x, beyond all panels."""
        sides = np.sum([w * np.array(beyond(part, r)) for w, part in components], axis=0)
        return float(sides[0] + (-1.0) ** r * sides[1])

    out = np.zeros(order + 1)
    out[0] = math.fsum(weight * energy) + far(1) if exists > 1 else math.inf
    centred = energy - out[0] if math.isfinite(out[0]) else energy
    for r in range(2, order + 1):
        out[r] = math.fsum(weight * centred**r) + far(r) if r < exists * _JUST_BELOW else math.inf
    return out
