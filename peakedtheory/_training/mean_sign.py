"""Mean sign of a mini-batch gradient, a sum of few terms of very unequal size: docs/dynamics.md, Eqs. 46-48.

The gradient of a weight is a sum over the batch of e x with e = p - q of its row. Given the e of all examples
it is a Gaussian of variance Σe², so what a sign sees is ⟨Σ e z / √(Σ e²)⟩, not ⟨Σ e z⟩/√⟨Σ e²⟩.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.special import ndtr, ndtri
from scipy.stats import qmc

#: Ranks drawn one by one, and draws of them: the gap between the two highest by importance sampling.
_TOP_RANKS, _LOG2_POINTS, _SOBOL_DIMENSIONS, _SEED = 64, 11, 7, 20260203
#: Nodes in z and w for the classes below the highest 64.
_TAIL_NODES, _TAIL_WEIGHTS = np.polynomial.legendre.leggauss(12)
_W_NODES, _W_WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
_W_WEIGHTS = _W_WEIGHTS / _W_WEIGHTS.sum()
#: Bins of ln e² and points of ln t.
_BINS, _POINTS, _FLOOR = 240, 160, -600.0
_STEP = 0.45
#: The residual at which the response to residuals is read off where there is none.
_FAINT = 0.3
#: And of the alignment: up to here the response to residuals does not depend on them where few examples meet
#: a boundary, and there their own noise would drown it.
_FLAT = 0.03
#: Largest alignment and residual tabulated against hard labels.
_FARTHEST, _WIDEST = 300.0, 30.0


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


def _highest(
    alignment: float, residual: float, beta_star: float, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the highest of n normals z and their w, for students and teachers of these temperatures.

    Returns weights of the draws, z and w (draws, ranks).
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
    return weight, z, w


def mean_ratio(
    alignment: float, residual: float, beta_star: float, n: int, batch: float
) -> tuple[float, float]:
    """Return -⟨Σ e z/√(Σ e²)⟩ and ⟨Σ e w/√(Σ e²)⟩/ρ of one row over a batch (Eq. 47)."""
    residual = max(residual, _FAINT)
    weight, z, w = _highest(alignment, residual, beta_star, n)
    multiplicity = np.ones((1, z.shape[1]))
    rest = n - z.shape[1]
    if rest > 0:
        below = ndtr(z[:, -1:]) * (1.0 - 0.25 * (1.0 + _TAIL_NODES) ** 2)
        tail = np.repeat(ndtri(np.maximum(below, 1e-300)), _W_NODES.size, axis=1)
        shares = np.outer(0.5 * (1.0 + _TAIL_NODES) * _TAIL_WEIGHTS, _W_WEIGHTS).ravel()
        z = np.concatenate([z, tail], axis=1)
        w = np.concatenate([w, np.tile(_W_NODES, (w.shape[0], _TAIL_NODES.size))], axis=1)
        multiplicity = np.concatenate([multiplicity, rest * shares[None, :]], axis=1)
    error = _softmax(alignment * z + residual * w, multiplicity)
    if math.isfinite(beta_star):
        error -= _softmax(beta_star * z, multiplicity)
    # The highest class is the label, or nearly; no digits are lost where both its probabilities are near one.
    error[:, 0] = -(error[:, 1:] * multiplicity[:, 1:]).sum(axis=1)
    mass = weight[:, None] * multiplicity / (n * weight.size)
    size = np.log(np.maximum(error**2, math.exp(_FLOOR)))
    low, high = float(size.min()), float(size.max()) + 1e-9
    width = (high - low) / _BINS
    bins = ((size - low) / width).astype(int).ravel()
    # Over all classes z and w have mean zero; √B times what sampling leaves of it would matter.
    z, w = z - (mass * z).sum() / mass.sum(), w - (mass * w).sum() / mass.sum()
    count, along, across = (
        np.bincount(bins, (mass * f).ravel(), _BINS) for f in (np.ones_like(z), error * z, error * w)
    )
    square = low + width * (np.arange(_BINS) + 0.5)
    typical = -math.log(batch * float(count @ np.exp(square)))
    log_t = np.linspace(typical - 12.0, max(typical + 12.0, 4.0 - low), _POINTS)
    step = float(log_t[1] - log_t[0])
    argument = np.exp(np.minimum(log_t[:, None] + square, 40.0))
    factor = np.exp(0.5 * log_t - batch * (-np.expm1(-argument) @ count))
    factor[0] += (2.0 / step - 0.5) * factor[0]  # from t = 0 to the first point
    kernel = np.exp(-argument)
    scale = batch * step / math.sqrt(math.pi)
    return -scale * float(factor @ (kernel @ along)), scale * float(factor @ (kernel @ across)) / residual


def _softmax(y: np.ndarray, multiplicity: np.ndarray) -> np.ndarray:
    p = np.exp(y - y.max(axis=1, keepdims=True))
    return p / (p * multiplicity).sum(axis=1, keepdims=True)


def _bicubic_cells(
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


class SignTable:
    """`mean_ratio` over (D, ρ) for one (n, β*, B)."""

    def __init__(self, n: int, beta_star: float, batch: float) -> None:
        self._limit = _FARTHEST if math.isinf(beta_star) else min(max(1.5 * beta_star, 10.0), _FARTHEST)
        self._widest = _WIDEST
        x = np.linspace(0.0, math.log1p(self._limit), 4 + int(math.log1p(self._limit) / _STEP))
        y = np.linspace(0.0, math.asinh(self._widest), 4 + int(math.asinh(self._widest) / _STEP))
        values = np.empty((x.size, y.size, 2))
        for i, d in enumerate(np.expm1(x)):
            flat = _FLAT * d
            response = mean_ratio(d, flat, beta_star, n, batch)[1]
            for j, rho in enumerate(np.sinh(y)):
                values[i, j] = mean_ratio(d, rho, beta_star, n, batch)
                if rho < flat:
                    values[i, j, 1] = response
        if not (values[..., 1] > 0.0).all():
            raise RuntimeError(
                f"the mean sign of a gradient at n={n}, batch={batch:g} drowns in its sampling noise"
            )
        tables = [
            _bicubic_cells(RectBivariateSpline(x, y, v), x, y)
            for v in (values[..., 0], np.log(values[..., 1]))
        ]
        (self._along, self._steps, self._last), (self._across, _, _) = tables

    def __call__(self, alignment: float, residual: float) -> tuple[float, float]:
        """Return both means at one (D, ρ)."""
        d = min(max(alignment, 0.0), self._limit)
        below = min(alignment, 0.0) / self._steps[0]  # continued linearly
        u, v = math.log1p(d) / self._steps[0], math.asinh(min(residual, self._widest)) / self._steps[1]
        i, j = min(int(u), self._last[0]), min(int(v), self._last[1])
        u, v = u - i, v - j
        along, across = (
            [a + v * (b + v * (c + v * e)) for a, b, c, e in cells[i][j]]
            for cells in (self._along, self._across)
        )
        first, second = (r[0] + u * (r[1] + u * (r[2] + u * r[3])) for r in (along, across))
        first += below * along[1]
        if alignment <= self._limit:
            return first, math.exp(second)
        # The mean gradient falls as 1/β², the response to residuals as 1/β, the noise of both as 1/√β.
        beyond = self._limit / alignment
        return first * beyond**1.5, math.exp(second) * math.sqrt(beyond)


@functools.lru_cache(maxsize=16)
def sign_table(n: int, beta_star: float, batch: float) -> SignTable:
    """Return the table for n classes, this teacher and this batch, built once."""
    return SignTable(n, beta_star, batch)
