"""Mean sign of a mini-batch gradient, a sum of few terms of very unequal size: docs/dynamics.md, Eqs. 46-48.

The gradient of a weight is a sum over the batch of e x with e = p - q of its row. Given the e of all examples
it is a Gaussian of variance Σe², so what a sign sees is ⟨Σ e z / √(Σ e²)⟩, not ⟨Σ e z⟩/√⟨Σ e²⟩.
"""

from __future__ import annotations

import functools
import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.special import ndtr, ndtri

from peakedtheory._checks import fail
from peakedtheory._threads import number_of_threads
from peakedtheory.kernels import weights as kernel
from peakedtheory.kernels.lanes import LANES
from peakedtheory.kernels.signs import ACROSS, ALONG, BIN_COLUMNS, MASS, fill_error_bins

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


class _Classes(NamedTuple):
    """Draws of n standard normals z, and the w of the same classes; quadrature nodes below the highest 64.

    `second` is the survival probability of the second highest z and `uniform` of the gap above it; the
    highest z itself depends on how the gap is drawn. Rows of z and w (blocks, classes, LANES), a draw in each
    lane, stand for `multiplicity` classes each.
    """

    second: np.ndarray
    uniform: np.ndarray
    z: np.ndarray
    w: np.ndarray
    multiplicity: np.ndarray


@functools.lru_cache(maxsize=16)
def _classes(n: int) -> _Classes:
    from scipy.stats import qmc  # slow to import, and of use to sign descent alone

    k = min(n, _TOP_RANKS)
    sobol = qmc.Sobol(_SOBOL_DIMENSIONS, rng=np.random.default_rng(_SEED)).random_base2(_LOG2_POINTS)
    sobol = np.clip(sobol, 1e-12, 1.0 - 1e-12)
    rng = np.random.default_rng(_SEED + 1)
    spacing = rng.standard_exponential((sobol.shape[0], k))
    spacing[:, : min(3, k)] = -np.log(sobol[:, 1 : 1 + min(3, k)])
    survival = -np.expm1(-np.cumsum(spacing / (n - np.arange(k)), axis=1)[:, 1:])
    w = rng.standard_normal((sobol.shape[0], k))
    w[:, : min(3, k)] = ndtri(sobol[:, 4 : 4 + min(3, k)])
    z = np.concatenate([np.zeros((w.shape[0], 1)), -ndtri(survival)], axis=1)
    multiplicity = np.ones(k)
    if n > k:
        below = ndtr(z[:, -1:]) * (1.0 - 0.25 * (1.0 + _TAIL_NODES) ** 2)
        tail = np.repeat(ndtri(np.maximum(below, 1e-300)), _W_NODES.size, axis=1)
        shares = np.outer(0.5 * (1.0 + _TAIL_NODES) * _TAIL_WEIGHTS, _W_WEIGHTS).ravel()
        z = np.concatenate([z, tail], axis=1)
        w = np.concatenate([w, np.tile(_W_NODES, (w.shape[0], _TAIL_NODES.size))], axis=1)
        multiplicity = np.concatenate([multiplicity, (n - k) * shares])
    z, w = (np.ascontiguousarray(a.reshape(-1, LANES, a.shape[1]).swapaxes(1, 2)) for a in (z, w))
    return _Classes(survival[:, 0], sobol[:, 0], z, w, multiplicity)


def mean_ratio(
    alignment: float, residual: float, beta_star: float, n: int, batch: float
) -> tuple[float, float]:
    """Return -⟨Σ e z/√(Σ e²)⟩ and ⟨Σ e w/√(Σ e²)⟩/ρ of one row over a batch (Eq. 47)."""
    residual = max(residual, _FAINT)
    second, uniform, z, w, multiplicity = _classes(int(n))
    beta = math.hypot(alignment, residual)
    rate = math.sqrt(2.0 * math.log(n)) + 0.5
    narrow = min(1.0, 0.6 * rate * (1.0 / max(beta_star, 1e-9) + (1.0 + residual) / max(beta, 1e-9)))
    # The gap in units of the tail: half of the draws are Exp(1), half are as narrow as the boundary layer.
    # Each half of a Sobol sequence is balanced by itself.
    gap = -np.log(uniform) * np.where(np.arange(uniform.size) < uniform.size // 2, narrow, 1.0)
    weight = 1.0 / (0.5 + 0.5 * np.exp(np.minimum(gap - gap / narrow, 700.0)) / narrow)
    highest = -ndtri(second * np.exp(-gap))
    bins = np.empty((_BINS, BIN_COLUMNS))
    low, width = fill_error_bins(
        weight.reshape(-1, LANES),
        highest.reshape(-1, LANES),
        z,
        w,
        multiplicity,
        alignment,
        residual,
        beta_star,
        n,
        math.exp(_FLOOR),
        np.empty(z.shape),
        bins,
    )
    square = np.exp(low + width * (np.arange(_BINS) + 0.5))
    typical = -math.log(batch * float(bins[:, MASS] @ square))
    log_t = np.linspace(typical - 12.0, max(typical + 12.0, 4.0 - low), _POINTS)
    step = float(log_t[1] - log_t[0])
    left = np.exp(-np.exp(log_t)[:, None] * square)
    sums = left @ bins
    factor = np.exp(0.5 * log_t - batch * (bins[:, MASS].sum() - sums[:, MASS]))
    factor[0] += (2.0 / step - 0.5) * factor[0]  # from t = 0 to the first point
    scale = batch * step / math.sqrt(math.pi)
    return -scale * float(factor @ sums[:, ALONG]), scale * float(factor @ sums[:, ACROSS]) / residual


def _bicubic_cells(spline: RectBivariateSpline, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coefficients of the spline in each cell of its grid by powers of x and y, (cells, cells, 4, 4)."""
    local = (2 * np.arange(4) + 1) / 8.0
    to_powers = np.linalg.inv(np.vander(local, increasing=True))
    fine_x = (x[:-1, None] + (x[1] - x[0]) * local).ravel()
    fine_y = (y[:-1, None] + (y[1] - y[0]) * local).ravel()
    values = spline(fine_x, fine_y).reshape(x.size - 1, 4, y.size - 1, 4)
    return np.einsum("pa,iajb,qb->ijpq", to_powers, values, to_powers)


class SignTable:
    """`mean_ratio` over (D, ρ) for one (n, β*, B)."""

    def __init__(self, n: int, beta_star: float, batch: float) -> None:
        self._limit = _FARTHEST if math.isinf(beta_star) else min(max(1.5 * beta_star, 10.0), _FARTHEST)
        self._widest = _WIDEST
        x = np.linspace(0.0, math.log1p(self._limit), 4 + int(math.log1p(self._limit) / _STEP))
        y = np.linspace(0.0, math.asinh(self._widest), 4 + int(math.asinh(self._widest) / _STEP))
        values = np.empty((x.size, y.size, 2))

        def fill_row(i: int) -> None:
            d = math.expm1(x[i])
            flat = _FLAT * d
            response = mean_ratio(d, flat, beta_star, n, batch)[1]
            for j, rho in enumerate(np.sinh(y)):
                values[i, j] = mean_ratio(d, rho, beta_star, n, batch)
                if rho < flat:
                    values[i, j, 1] = response

        with ThreadPoolExecutor(number_of_threads()) as threads:
            list(threads.map(fill_row, range(x.size)))
        if not (values[..., 1] > 0.0).all():
            fail(
                "batch",
                "must leave a mean sign that stands out of its sampling noise",
                f"{batch:g} at n={n}",
                "take another batch",
            )
        constants = np.empty(kernel.SIGN_CONSTANTS)
        constants[kernel.STEP_D], constants[kernel.STEP_RHO] = x[1] - x[0], y[1] - y[0]
        constants[kernel.FARTHEST], constants[kernel.WIDEST] = self._limit, self._widest
        #: Arguments of `kernels.weights`: constants, and cells of both means.
        self.tables = (
            constants,
            *(
                _bicubic_cells(RectBivariateSpline(x, y, v), x, y)
                for v in (values[..., 0], np.log(values[..., 1]))
            ),
        )

    def __call__(self, alignment: float, residual: float) -> tuple[float, float]:
        """Return both means at one (D, ρ)."""
        return kernel.mean_signs_at(alignment, residual, *self.tables)


@functools.lru_cache(maxsize=16)
def sign_table(n: int, beta_star: float, batch: float) -> SignTable:
    """Return the table for n classes, this teacher and this batch, built once."""
    return SignTable(n, beta_star, batch)
