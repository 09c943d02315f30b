"""Gradient noise of mini-batches, V(D, ρ, β*) = ⟨Σ (p_i - q_i)²⟩: docs/dynamics.md, Eqs. 10-14.

The student's logits are D z + ρ w, the teacher's β* z. Close to a decision boundary two classes matter and V
has a closed form (`boundary_noise`); elsewhere it is the exact average, tabulated once per (n, β*).
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.interpolate import RectBivariateSpline

from peakedtheory._training.interpolant import interpolant
from peakedtheory._training.softmax_overlap import softmax_overlap

#: Distance of the table's points in ln(1 + D) and asinh ρ, and least number of them.
_STEP, _LEAST_POINTS = 0.5, 12
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


def bicubic_cells(
    spline: RectBivariateSpline, x: np.ndarray, y: np.ndarray
) -> tuple[list, tuple[float, float], tuple[int, int]]:
    """Return the spline's coefficients in each cell of its uniform grid, for fast single points."""
    local = (2 * np.arange(4) + 1) / 8.0
    to_powers = np.linalg.inv(np.vander(local, increasing=True))
    hx, hy = float(x[1] - x[0]), float(y[1] - y[0])
    fine_x = (x[:-1, None] + hx * local).ravel()
    fine_y = (y[:-1, None] + hy * local).ravel()
    values = spline(fine_x, fine_y).reshape(x.size - 1, 4, y.size - 1, 4)
    cells = np.einsum("pa,iajb,qb->ijpq", to_powers, values, to_powers)
    return cells.tolist(), (hx, hy), (x.size - 2, y.size - 2)


class NoiseTable:
    """V(D, ρ) at one (n, β*): ln of its ratio to the quadratic form it starts with, on a spline."""

    def __init__(self, n: int, beta_star: float) -> None:
        self.beta_star = beta_star
        hard = math.isinf(beta_star)
        self._limit = _HARD_LIMIT if hard else max(16.0 * beta_star, 10.0)
        self._widest = 100.0 if hard else max(2.0 * beta_star, 20.0)
        x, y = (
            np.linspace(0.0, end, max(_LEAST_POINTS, 4 + int(end / _STEP)))
            for end in (math.log1p(self._limit), math.asinh(self._widest))
        )

        def exact(alignment: float, residual: float) -> float:
            return noise_variance(alignment, residual, beta_star, n)

        self._turn = self._stretch = 0.0
        if not hard:
            aside = min(_NEAR, 0.1 * beta_star)
            self._turn = exact(beta_star, aside) / aside**2
            sides = exact(beta_star * (1.0 - _NEAR), 0.0) + exact(beta_star * (1.0 + _NEAR), 0.0)
            self._stretch = 0.5 * sides / (_NEAR * beta_star) ** 2
        table = np.zeros((x.size, y.size))
        for i, d in enumerate(np.expm1(x)):
            for j, rho in enumerate(np.sinh(y)):
                form = self._form(d, rho)
                if form > 1e-6:
                    table[i, j] = math.log(exact(d, rho) / form)
        self._spline = RectBivariateSpline(x, y, table)
        self._cells, self._steps, self._last = bicubic_cells(self._spline, x, y)

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
        u, v = math.log1p(d) / self._steps[0], math.asinh(residual) / self._steps[1]
        i, j = int(u), int(v)
        i, j = i if i < self._last[0] else self._last[0], j if j < self._last[1] else self._last[1]
        u, v = u - i, v - j
        (a, b, c, e), (f, g, h, k), (p, q, r, s), (w, x, y, z) = self._cells[i][j]
        value = (
            a
            + v * (b + v * (c + v * e))
            + u
            * (
                f
                + v * (g + v * (h + v * k))
                + u * (p + v * (q + v * (r + v * s)) + u * (w + v * (x + v * (y + v * z))))
            )
        )
        if turn:
            return math.exp(value) * self._form(d, residual)
        return math.exp(value) * limit / alignment if alignment > limit else math.exp(value)

    def many(self, alignment: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """V for arrays."""
        alignment = alignment * np.minimum(1.0, self._widest / np.maximum(residual, 1e-300))
        rho = np.minimum(residual, self._widest)
        d = np.clip(alignment, 0.0, self._limit)
        if self._turn:
            rho = rho * np.minimum(1.0, self._limit / np.maximum(alignment, 1e-300))
        value = np.exp(self._spline.ev(np.log1p(d), np.arcsinh(rho)))
        if self._turn:
            return value * (self._turn * rho**2 + self._stretch * (d - self.beta_star) ** 2)
        return value * np.where(alignment > self._limit, self._limit / np.maximum(alignment, 1e-300), 1.0)


@functools.lru_cache(maxsize=16)
def noise_table(n: int, beta_star: float) -> NoiseTable:
    """Return the table of V for n classes and this teacher, built once."""
    return NoiseTable(n, beta_star)
