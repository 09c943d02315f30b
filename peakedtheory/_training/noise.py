"""Gradient noise of mini-batches, V(D, ρ, β*) = ⟨Σ (p_i - q_i)²⟩: docs/dynamics.md, Eqs. 10-14.

The student's logits are D z + ρ w, the teacher's β* z. Near a decision boundary two classes matter and V is
closed
(`boundary_noise`); elsewhere it is an average over the highest of n normals, with importance sampling of the
gap
between the two highest, tabulated once per (n, β*).
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.special import log_ndtr, ndtri
from scipy.stats import qmc

from peakedtheory.thermodynamics import thermodynamics

_TOP_RANKS = 64
_LOG2_POINTS = 11
_SOBOL_DIMENSIONS = 7
_SEED = 20260203
_STEP = 0.34
#: β up to which the noise against hard labels is tabulated; beyond it V β is constant.
_HARD_LIMIT = 300.0
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


@functools.lru_cache(maxsize=16)
def _ranks(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Survival probabilities of ranks 2…K, two uniforms for the gap, and standard normals w for ranks 1…K."""
    k = min(n, _TOP_RANKS)
    sobol = qmc.Sobol(_SOBOL_DIMENSIONS, rng=np.random.default_rng(_SEED)).random_base2(_LOG2_POINTS)
    sobol = np.clip(sobol, 1e-12, 1.0 - 1e-12)
    rng = np.random.default_rng(_SEED + 1)
    spacing = rng.standard_exponential((sobol.shape[0], k))
    spacing[:, : min(3, k)] = -np.log(sobol[:, 1 : 1 + min(3, k)])
    log_cdf = -np.cumsum(spacing / (n - np.arange(k)), axis=1)
    w = rng.standard_normal((sobol.shape[0], k))
    w[:, : min(3, k)] = ndtri(sobol[:, 4 : 4 + min(3, k)])
    return -np.expm1(log_cdf[:, 1:]), sobol[:, 0], -ndtri(-np.expm1(log_cdf[:, 1:])), w


def highest(
    alignment: float, residual: float, beta_star: float, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw the highest of n normals z and their w, for students and teachers of these temperatures.

    Returns weights of the draws, z and w (draws, ranks), and which half of the draws has the narrow gap.
    """
    survival, uniform, z_rest, w = _ranks(int(n))
    beta = math.hypot(alignment, residual)
    rate = math.sqrt(2.0 * math.log(n)) + 0.5
    width = min(1.0, 0.6 * rate * (1.0 / max(beta_star, 1e-9) + (1.0 + residual) / max(beta, 1e-9)))
    # The gap in units of the tail: half of the draws are Exp(1), half are as narrow as the boundary layer.
    # Each half of a Sobol sequence is balanced by itself.
    narrow = np.arange(uniform.size) < uniform.size // 2
    gap = -np.log(uniform) * np.where(narrow, width, 1.0)
    weight = 1.0 / (0.5 + 0.5 * np.exp(np.minimum(gap - gap / width, 700.0)) / width)
    first = -ndtri(survival[:, 0] * np.exp(-gap))
    z = np.concatenate([first[:, None], z_rest], axis=1)
    return weight, z, w, narrow


def noise_variance(alignment: float, residual: float, beta_star: float, n: int) -> tuple[float, float]:
    """Return V = ⟨Σ (p_i - q_i)²⟩ and its standard error, by sampling the highest of n normals.

    Parameters
    ----------
    alignment, residual : float
        D and ρ of the student's logits D z + ρ w.
    beta_star : float
        Teacher's inverse temperature, infinite for hard labels.
    n : int
        Number of classes.
    """
    weight, z, w, narrow = highest(alignment, residual, beta_star, n)
    rest = n - z.shape[1]
    tail: np.ndarray | float = 0.0
    p, q = _softmax(alignment * z + residual * w), None
    if rest > 0:
        p, q, tail = _with_tail(z, w, alignment, residual, beta_star, rest)
    elif math.isfinite(beta_star):
        q = _softmax(beta_star * z)
    if q is None:
        q = np.zeros_like(p)
        q[:, 0] = 1.0
    if rest > 0 and residual > 0.0:
        # Where w matters in the tail a few of its draws dominate Σp², whose exact mean (Stein) bounds the
        # tail.
        beta = math.hypot(alignment, residual)
        exact = 1.0 + float(thermodynamics(beta, n).internal_energy) / beta
        missing = max(exact - float((weight * (p * p).sum(axis=1)).mean()), 0.0)
        tail = tail * min(1.0, missing / max(float((weight * tail).mean()), 1e-300))
    values = weight * (((p - q) ** 2).sum(axis=1) + tail)
    halves = [values[narrow], values[~narrow]]
    # As if the points were independent, which overstates the error of a balanced sequence.
    error = 0.5 * math.sqrt(sum(float(h.var()) / h.size for h in halves))
    return float(values.mean()), error


def _softmax(y: np.ndarray) -> np.ndarray:
    e = np.exp(y - y.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _with_tail(
    z: np.ndarray, w: np.ndarray, alignment: float, residual: float, beta_star: float, rest: int
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Softmax over the highest ranks and the mean of the remaining ones below the last rank's z."""
    last = z[:, -1]
    base = math.log(rest) - log_ndtr(last)

    def log_sum(d: float, extra: float) -> np.ndarray:
        """Ln of rest·⟨e^(d z) | z < last⟩, times exp(extra)."""
        return base + 0.5 * d * d + log_ndtr(last - d) + extra

    # ⟨e^(ρw)⟩ over `rest` draws cannot exceed its frozen value √(2 ln rest)ρ: rarer draws are absent.
    frozen = math.sqrt(2.0 * math.log(rest))

    def mean_log(rho: float) -> float:
        return 0.5 * rho * rho if rho < frozen else frozen * rho - 0.5 * frozen * frozen

    y = alignment * z + residual * w
    z1 = log_sum(alignment, mean_log(residual))
    top = np.maximum(y.max(axis=1), z1)
    total = np.exp(y - top[:, None]).sum(axis=1) + np.exp(z1 - top)
    log_z = top + np.log(total)
    p = np.exp(y - log_z[:, None])
    tail = np.exp(np.minimum(log_sum(2 * alignment, mean_log(2 * residual)) - 2 * log_z, 0.0))
    if math.isinf(beta_star):
        return p, None, tail
    y_star = beta_star * z
    z1_star = log_sum(beta_star, 0.0)
    top = np.maximum(y_star[:, 0], z1_star)
    log_z_star = top + np.log(np.exp(y_star - top[:, None]).sum(axis=1) + np.exp(z1_star - top))
    q = np.exp(y_star - log_z_star[:, None])
    tail = tail + np.exp(log_sum(2 * beta_star, 0.0) - 2 * log_z_star)
    tail = tail - 2.0 * np.exp(log_sum(alignment + beta_star, mean_log(residual)) - log_z - log_z_star)
    return p, q, np.maximum(tail, 0.0)


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
        self._limit = _HARD_LIMIT if hard else max(4.0 * beta_star, 10.0)
        self._widest = 100.0 if hard else max(2.0 * beta_star, 20.0)
        x = np.linspace(0.0, math.log1p(self._limit), 3 + int(math.log1p(self._limit) / _STEP))
        y = np.linspace(0.0, math.asinh(self._widest), 3 + int(math.asinh(self._widest) / _STEP))
        if hard:
            self._turn = self._stretch = 0.0
        else:
            small = 1e-3
            self._turn = noise_variance(beta_star, small, beta_star, n)[0] / small**2
            self._stretch = (
                noise_variance(beta_star * (1 + small), 0.0, beta_star, n)[0] / (small * beta_star) ** 2
            )
        table = np.empty((x.size, y.size))
        for i, d in enumerate(np.expm1(x)):
            for j, rho in enumerate(np.sinh(y)):
                form = self._form(d, rho)
                value = noise_variance(d, rho, beta_star, n)[0] if form > 1e-12 else form
                table[i, j] = math.log(value / form)
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
