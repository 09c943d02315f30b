"""Gradient noise of mini-batches, V(D, ρ, β*) = ⟨Σ (p_i - q_i)²⟩: docs/dynamics.md, Eqs. 10-14.

The student's logits are D z + ρ w, the teacher's β* z. Close to a decision boundary two classes matter and V
has a closed form (`boundary`); elsewhere it is the exact average, tabulated once per (n, β*).
"""

from __future__ import annotations

import functools
import math

import numpy as np

from peakedtheory.dynamics.integration import completed
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.dynamics.softmax_overlap import softmax_overlap
from peakedtheory.dynamics.surface import Surface
from peakedtheory.kernels import forces

#: Distance of the table's points in ln(1 + D/D₁) and asinh(ρ/ρ₁).
_STEP = 0.4
#: β up to which the noise against hard labels is tabulated; beyond it V β is constant.
_HARD_LIMIT = 300.0
#: Relative distance from the teacher at which the form that V starts with is read off.
_NEAR = 0.02


def noise_variance(alignment: float, residual: float, beta_star: float, n: int) -> float:
    """Return V = ⟨Σ (p_i - q_i)²⟩ with an absolute error of 1e-7 or less (docs/dynamics.md Eq. 14).

    Parameters
    ----------
    alignment, residual : float
        D and ρ of the student's logits D z + ρ w.
    beta_star : float
        Teacher's inverse temperature, infinite for hard labels.
    n : int
        Number of classes.
    """
    own = [_mean_square(beta, n) for beta in (math.hypot(alignment, residual), beta_star)]
    return max(sum(own) - 2.0 * softmax_overlap(alignment, residual, beta_star, n), 0.0)


def _mean_square(beta: float, n: int) -> float:
    """⟨Σ p²⟩ = 1 - Φ'(β)/β (docs/dynamics.md Eq. 10)."""
    if math.isinf(beta):
        return 1.0
    if beta < 1e-4:
        return 1.0 / n
    table = interpolant(n)
    return 1.0 - (table.slope - table.drive(beta)) / beta


class NoiseTable:
    """V(D, ρ) at one (n, β*): ln of its ratio to the quadratic form it starts with, where a flow comes by."""

    def __init__(self, n: int, beta_star: float) -> None:
        self.beta_star, self._n = beta_star, n
        hard = math.isinf(beta_star)
        self._limit = _HARD_LIMIT if hard else max(16.0 * beta_star, 10.0)
        self._widest = 100.0 if hard else max(2.0 * beta_star, 20.0)
        self._turn = self._stretch = 0.0
        if not hard:
            aside = min(_NEAR, 0.1 * beta_star)
            self._turn = noise_variance(beta_star, aside, beta_star, n) / aside**2
            sides = sum(noise_variance(beta_star * f, 0.0, beta_star, n) for f in (1.0 - _NEAR, 1.0 + _NEAR))
            self._stretch = 0.5 * sides / (_NEAR * beta_star) ** 2
        # Classes compete from D c0 = 1 on; where β* is small all is smooth in D/β* and ρ/β*.
        self._first = min(1.0 / interpolant(n).slope, 0.5 * beta_star)
        self._wide = min(1.0, 2.0 * beta_star)
        rows = 2 + int(math.log1p(self._limit / self._first) / _STEP)
        columns = 2 + int(math.asinh(self._widest / self._wide) / _STEP)
        self._surface = Surface(self._ratio, rows, columns)
        constants = np.empty(forces.NOISE_CONSTANTS)
        constants[forces.FIRST], constants[forces.WIDE] = self._first, self._wide
        constants[forces.STEP], constants[forces.STAR] = _STEP, beta_star
        constants[forces.FARTHEST], constants[forces.WIDEST] = self._limit, self._widest
        constants[forces.TURN], constants[forces.STRETCH] = self._turn, self._stretch
        #: Arguments of the compiled functions that take the noise.
        self.tables = (constants, self._surface.cells[0])

    def _ratio(self, i: int, j: int) -> tuple[float]:
        """Ln of V over its quadratic form at one node."""
        alignment, residual = self._first * math.expm1(_STEP * i), self._wide * math.sinh(_STEP * j)
        form = self._form(alignment, residual)
        if form <= 1e-6:
            return (0.0,)
        return (math.log(noise_variance(alignment, residual, self.beta_star, self._n) / form),)

    def _form(self, alignment: float, residual: float) -> float:
        if not self._turn:
            return 1.0
        return self._turn * residual**2 + self._stretch * (alignment - self.beta_star) ** 2 + 1e-300

    def fill(self, cell: int) -> None:
        """Compute the cell that a kernel has found missing."""
        self._surface.fill(cell)

    def many(self, alignment: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """V for arrays of D and ρ."""
        states = alignment, residual, *self.tables
        return completed(forces.fill_noise, states, np.empty(alignment.size), self.fill)

    def __call__(self, alignment: float, residual: float) -> float:
        """V at one (D, ρ)."""
        return float(self.many(np.array([alignment]), np.array([residual]))[0])


@functools.lru_cache(maxsize=16)
def noise_table(n: int, beta_star: float) -> NoiseTable:
    """Return the table of V for n classes and this teacher, kept as far as it has been computed."""
    return NoiseTable(n, beta_star)
