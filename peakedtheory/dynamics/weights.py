"""What Adam and sign descent share: nodes in the teacher's entry ω of a weight, and one problem's arguments.

A weight is θ/√m with teacher entry ω/√m, ω uniform of unit variance, so the student is a function θ(ω),
followed on Gauss-Legendre nodes, plus independent noise of variance s² (docs/dynamics.md, Eqs. 27-33).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from peakedtheory.kernels import weights as kernel

if TYPE_CHECKING:
    from peakedtheory.dynamics.finite_width import WideForce
    from peakedtheory.dynamics.noise import NoiseTable

#: Nodes in ω > 0; θ is odd in ω. On the half line a step that is the gradient's sign is smooth.
NODES = 5
_X, _W = np.polynomial.legendre.leggauss(NODES)
OMEGA, WEIGHT = math.sqrt(3.0) * 0.5 * (1.0 + _X), 0.5 * _W
#: Weights of D = ⟨ωθ⟩ and of ⟨ω²…⟩.
ALONG, ROW = WEIGHT * OMEGA, WEIGHT * OMEGA**2
TABLE = np.array([OMEGA, WEIGHT, ALONG, ROW])


class Descent(NamedTuple):
    """Forces, V, batch, the learning rate at a step, decay and width."""

    force: WideForce
    variance: NoiseTable
    batch: float
    rate: Callable[[float], float]
    decay: float
    width: float

    def problem(self, *, inertia: bool) -> tuple[Any, ...]:
        """Arguments that the compiled functions of `kernels.weights` have in common, from `nodes` on."""
        constants = np.empty(kernel.WEIGHT_CONSTANTS)
        constants[kernel.WIDTH], constants[kernel.PER_WEIGHT] = self.width, 1.0 / (self.force.n * self.batch)
        constants[kernel.DECAY], constants[kernel.INERTIA] = self.decay, inertia
        return TABLE, constants, *self.force.tables
