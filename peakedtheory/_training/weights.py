"""Weights of equal teacher entry ω, and the forces on them, shared by Adam and sign descent.

A weight is θ/√m with teacher entry ω/√m, ω uniform of unit variance, so the student is a function θ(ω),
followed on Gauss-Legendre nodes, plus independent noise of variance s² (docs/dynamics.md, Eqs. 27-33).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from peakedtheory._training.finite_width import WideForce
    from peakedtheory._training.noise import NoiseTable

#: Nodes in ω > 0; θ is odd in ω. On the half line a step that is the gradient's sign is smooth.
NODES = 5
_X, _W = np.polynomial.legendre.leggauss(NODES)
OMEGA, WEIGHT = math.sqrt(3.0) * 0.5 * (1.0 + _X), 0.5 * _W
#: Weights of D = ⟨ωθ⟩ and of ⟨ω²…⟩, as arrays and as lists.
ALONG, ROW = WEIGHT * OMEGA, WEIGHT * OMEGA**2
OMEGAS, WEIGHTS, ALONGS, ROWS = OMEGA.tolist(), WEIGHT.tolist(), ALONG.tolist(), ROW.tolist()
#: Square of Adam's own ε, 1e-8; without it steps grow without bound where all of the gradient has vanished.
TINY = 1e-16


class Descent(NamedTuple):
    """What both optimizers share: forces, V, 1/(nB), the learning rate at a step, decay and width."""

    force: WideForce
    variance: NoiseTable
    per_weight: float
    rate: Callable[[float], float]
    decay: float
    width: float

    def gradient(
        self, alignment: float, residual: float, amplitude: float
    ) -> tuple[float, float, float, float]:
        """dD/dτ, da/dτ, the rate k, and the gradient variance of one weight (Eq. 27)."""
        pull, push, stiffness, ratio = self.force.forces(alignment, residual, amplitude)
        return pull, push, stiffness, ratio * self.variance(alignment, math.sqrt(residual)) * self.per_weight


def moments(theta: list[float], square: float) -> tuple[float, list[float], float]:
    """D, the deviations θ - Dω, and ρ²."""
    alignment = 0.0
    for along, value in zip(ALONGS, theta, strict=True):
        alignment += along * value
    across = []
    residual = square
    for omega, w, value in zip(OMEGAS, WEIGHTS, theta, strict=True):
        off = value - alignment * omega
        across.append(off)
        residual += w * off * off
    return alignment, across, residual
