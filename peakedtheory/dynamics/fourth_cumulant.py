"""First-order effect of a fourth cumulant of the logits on Φ: docs/dynamics.md, Eqs. 34-36.

Logits y with fourth cumulant κ β⁴ have Φ(β) + κ χ(β), χ(β) = ⟨Σ ∂⁴ ln Z/∂y⁴⟩ β⁴/24 = β X(β), with
X = ⟨Σ p_i He₃(z_i)⟩/24, z standard normal and He₃ = z³ - 3z. Tabulated once per n, together with
χ'(∞) - χ'(β) relative to c0 - Φ'(β).
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.special import log_ndtr, ndtr, ndtri

from peakedtheory.dynamics.interpolant import interpolant

_NODES = 72
#: Cells of the tables, quintic splines in ln(1 + β): what an integrator sees has no kinks.
_CELLS = 96
#: The polynomial reaches to _LAST and is used up to _TOP, beyond which both columns have met their limits.
_LAST, _TOP = 200.0, 100.0
#: Step in ln of a unit exponential; a trapezoid errs by exp(-π²/step).
_STEP = 0.45


def _hermite3(z: np.ndarray) -> np.ndarray:
    return z * (z * z - 3.0)


def _limit(n: float) -> float:
    """⟨He₃⟩/24 of the highest of n standard normals."""
    z = np.linspace(-9.0, 14.0, 4601)
    density = n * np.exp((n - 1.0) * log_ndtr(z) - 0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return float((density * _hermite3(z)).sum() * (z[1] - z[0])) / 24.0


def mean_hermite(beta: float, n: float) -> float:
    """Return X(β) = ⟨Σ p_i He₃(z_i)⟩/24 for n standard normals z.

    p_i is the probability that i wins a race of Gumbel-perturbed logits, so the mean is
    n∫ds φ^(n-1) ⟨He₃(z) e^(v - e^v)⟩ with v = s + βz and φ(s) = ⟨exp(-e^v)⟩.
    """
    width = beta / (1.0 + math.sqrt(2.0 * math.log(n)))
    highest = -float(ndtri(1e-17 / n))
    lowest = float(ndtri(min(0.4, 40.0 / n))) if n > 100.0 else 4.0
    low = min(-beta * highest - 6.0, -math.log(n) - 36.0)
    s = np.arange(
        low, max(beta * lowest, 0.0 if n > 100.0 else beta * lowest) + 6.0, max(_STEP, 0.27 * width)
    )
    if beta < 1.5:
        z = np.arange(-12.0, 12.0, 0.25)
        weight = np.exp(-0.5 * z * z) * (0.25 / math.sqrt(2.0 * math.pi))
        t = np.exp(np.minimum(s[:, None] + beta * z, 300.0))
        decay = np.expm1(-t)
        g = -(decay @ weight)
        mean = (t * (1.0 + decay)) @ (weight * _hermite3(z))
    else:
        v = np.arange(-44.0 - math.log(n), 4.2, _STEP)
        gumbel = np.exp(v - np.exp(v)) * _STEP
        z = (v - s[:, None]) / beta
        g = ndtr(-z) @ gumbel
        mean = (np.exp(-0.5 * z * z) * _hermite3(z)) @ gumbel / (beta * math.sqrt(2.0 * math.pi))
    occupied = np.exp((n - 1.0) * np.log1p(-np.minimum(g, 1.0 - 1e-16)))
    return float(n / 24.0 * (s[1] - s[0]) * (occupied * mean).sum())


class FourthCumulant:
    """X(β) and G(β) = χ'(∞) - χ'(β) of n logits.

    Attributes
    ----------
    limit : float
        χ'(∞) = X(∞) = ⟨He₃(highest z)⟩/24.
    cells : ndarray, shape (cells, 24)
        Quintics of X, G/g, β Φ''/g and X/Φ' in ln(1 + β), as `kernels.forces` reads them; X/Φ' is 1/24 of the
        sensitivity of a class to the norm of its row (Eq. 37).
    """

    def __init__(self, n: float) -> None:
        self.limit = _limit(n)
        self._gaussian = interpolant(n)
        top = math.log1p(_LAST)
        nodes = 0.5 * top * (1.0 - np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES))
        values = np.array([mean_hermite(b, n) for b in np.expm1(nodes)])
        fit = np.polynomial.Chebyshev.fit(nodes, values, _NODES - 1, domain=[0.0, top])
        u = np.linspace(0.0, math.log1p(_TOP), _CELLS + 1)
        beta = np.expm1(u)
        x, slope = fit(u), fit.deriv()(u)
        drive, variance = self._gaussian.drives(beta), self._gaussian.variance(beta)
        ratio = (self.limit - x - beta * slope / (1.0 + beta)) / drive
        steepness = beta * variance / drive
        self._per_unit = float((1.0 - 1e-15) / u[1])
        rise = self._gaussian.slope - drive
        rise[0] = np.inf  # at β = 0 X vanishes faster than Φ'
        columns = [_spline_cells(u, value) for value in (x, ratio, steepness, x / rise)]
        self._columns = np.array(columns[:2])
        self.cells = np.concatenate(columns, axis=1)
        self._last = (float(x[-1]), float(ratio[-1]), float(steepness[-1]))

    @property
    def ends(self) -> tuple[float, float, float, float, float]:
        """Where the cells end, cells per unit of ln(1 + β), and there X, G/g and β Φ''/g."""
        return (_TOP, self._per_unit, *self._last)

    def many(self, beta: np.ndarray, drive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X and G at an array of β > 0 where the Gaussian drive is known."""
        place = np.log1p(np.minimum(beta, _TOP)) * self._per_unit
        cell = np.minimum(place.astype(int), _CELLS - 1)
        t = place - cell
        c = self._columns[:, cell]
        x, ratio = c[..., 5]
        for power in range(4, -1, -1):
            x, ratio = c[..., power] + t * (x, ratio)
        beyond = self.limit - (self.limit - self._last[0]) * (_TOP / np.maximum(beta, _TOP)) ** 2
        return np.where(beta >= _TOP, beyond, x), ratio * drive


class NoFourthCumulant:
    """What stands for the tables where logits are Gaussian."""

    limit = 0.0
    cells = np.zeros((1, 24))
    ends = (math.inf, 0.0, 0.0, 0.0, 0.0)

    def many(self, beta: np.ndarray, drive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros_like(beta), np.zeros_like(drive)


def _spline_cells(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients of the quintic spline on a uniform grid, lowest power first, (cells, 6).

    An integrator of order five notices kinks: with four continuous derivatives it takes half of the steps.
    """
    local = (2.0 * np.arange(6) + 1.0) / 12.0
    fine = make_interp_spline(x, values, 5)((x[:-1, None] + x[1] * local).ravel())
    return fine.reshape(-1, 6) @ np.linalg.inv(np.vander(local, increasing=True)).T


@functools.lru_cache(maxsize=32)
def fourth_cumulant(n: float) -> FourthCumulant:
    """Return the table for n logits, built once."""
    return FourthCumulant(n)
