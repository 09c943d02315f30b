"""Gradient noise of mini-batches, V(D, ρ, β*) = ⟨Σ (p_i - q_i)²⟩: docs/dynamics.md, Eqs. 10-14.

The student's logits are D z + ρ w, the teacher's β* z. Close to a decision boundary two classes matter and V
has a closed form (`boundary_noise`); elsewhere it is the exact average, tabulated once per (n, β*).
"""

from __future__ import annotations

import functools
import math

import numpy as np

from peakedtheory._training.interpolant import interpolant
from peakedtheory._training.softmax_overlap import softmax_overlap
from peakedtheory._training.surface import Surface

#: Distance of the table's points in ln(1 + D/D₁) and asinh(ρ/ρ₁).
_STEP = 0.4
#: β up to which the noise against hard labels is tabulated; beyond it V β is constant.
_HARD_LIMIT = 300.0
#: Relative distance from the teacher at which the form that V starts with is read off.
_NEAR = 0.02
_HERMITE_NODES, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
_HERMITE_WEIGHTS = _HERMITE_WEIGHTS / _HERMITE_WEIGHTS.sum()


def boundary_noise(residual: float) -> float:
    """Return f(ρ) = 2⟨softplus(√2 ρ ξ)⟩ - 1, the noise of the two-class boundary layer against hard labels.

    V → p_Δ(0) f(ρ)/β as β → ∞; f(0) = 2 ln 2 - 1 and f → 2ρ/√π (docs/dynamics.md Eq. 12).
    """
    # softplus(a) = max(a, 0) + ln(1 + e^-|a|); the kink is integrated exactly, the rest in ξ > 0.
    rho = abs(float(residual))
    scale = math.sqrt(2.0) * rho
    linear = scale / math.sqrt(2.0 * math.pi)
    t = _SOFT_NODES / max(scale, 1.0)
    density = np.exp(-0.5 * t * t) * math.sqrt(2.0 / math.pi)
    soft = float((np.log1p(np.exp(-scale * t)) * density) @ _SOFT_WEIGHTS) / max(scale, 1.0)
    return 2.0 * (linear + soft) - 1.0


def _half_line(top: float, panels: int) -> tuple[np.ndarray, np.ndarray]:
    x, w = np.polynomial.legendre.leggauss(16)
    edges = top * np.linspace(0.0, 1.0, panels + 1)
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half * (1 + x)).ravel(), (half * w).ravel()


_SOFT_NODES, _SOFT_WEIGHTS = _half_line(40.0, 20)


def soft_boundary_noise(alignment: float, residual: float, beta_star: float) -> float:
    """Return V/p_Δ(0) of the two-class layer for a soft teacher: ∫⟨(σ(DΔ + √2ρξ) - σ(β*Δ))²⟩ dΔ over all Δ.

    Expanding the square, each cross term is a difference of softplus functions (docs/dynamics.md Eq. 13).
    """
    reach = 45.0 / min(alignment, beta_star) + 12.0 * residual / alignment
    x, w = _half_line(1.0, 40)
    gap = reach * np.concatenate([-(x[::-1] ** 3), x**3])
    weight = reach * 3.0 * np.concatenate([(w * x**2)[::-1], w * x**2])
    a = alignment * gap[:, None] + math.sqrt(2.0) * residual * _HERMITE_NODES
    with np.errstate(over="ignore"):
        p = 1.0 / (1.0 + np.exp(-a))
        q = 1.0 / (1.0 + np.exp(-beta_star * gap))
    return float(weight @ ((p - q[:, None]) ** 2 @ _HERMITE_WEIGHTS))


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
        self._surface = Surface(self._ratio)

    def _ratio(self, i: int, j: int) -> float:
        """Ln of V over its quadratic form at one node."""
        alignment, residual = self._first * math.expm1(_STEP * i), self._wide * math.sinh(_STEP * j)
        form = self._form(alignment, residual)
        if form <= 1e-6:
            return 0.0
        return math.log(noise_variance(alignment, residual, self.beta_star, self._n) / form)

    def _form(self, alignment: float, residual: float) -> float:
        if not self._turn:
            return 1.0
        return self._turn * residual**2 + self._stretch * (alignment - self.beta_star) ** 2 + 1e-300

    def __call__(self, alignment: float, residual: float) -> float:
        """V at one (D, ρ)."""
        limit, widest, turn = self._limit, self._widest, self._turn
        # Once both are large only their ratio is left; under hard labels a large D alone goes on as 1/D.
        if residual > widest:
            alignment, residual = alignment * widest / residual, widest
        if turn and alignment > limit:
            alignment, residual = limit, residual * limit / alignment
        d = limit if alignment > limit else alignment if alignment > 0.0 else 0.0
        u, v = math.log1p(d / self._first) / _STEP, math.asinh(residual / self._wide) / _STEP
        value = math.exp(self._surface(u, v))
        if turn:
            return value * self._form(d, residual)
        return value * limit / alignment if alignment > limit else value

    def many(self, alignment: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """V for arrays."""
        return np.array([self(d, rho) for d, rho in zip(alignment.tolist(), residual.tolist(), strict=True)])


@functools.lru_cache(maxsize=16)
def noise_table(n: int, beta_star: float) -> NoiseTable:
    """Return the table of V for n classes and this teacher, kept as far as it has been computed."""
    return NoiseTable(n, beta_star)
