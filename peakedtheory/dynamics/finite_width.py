"""Flow of gradient descent at finite input width m: docs/dynamics.md, Eqs. 34-45.

Three effects of 1/m are added to the flow of (D, ρ): the negative kurtosis of logits on the sphere, rows of
the teacher of unequal norm, whose classes grow at unequal rates (amplitude a), and a spectrum of relaxation
rates of the residual.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from peakedtheory.dynamics.fourth_cumulant import fourth_cumulant
from peakedtheory.dynamics.integration import (
    Force,
    Noise,
    around,
    integrate,
    integrate_implicitly,
    observed,
)
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.kernels import descents as kernel_descent, forces as kernel

#: Gauss nodes of the density of relaxation rates.
_RATES = 7
_RTOL, _ATOL = 1e-6, 1e-10


@dataclass(frozen=True)
class RateSpectrum:
    """Relaxation rates of the residual in units of their mean, with weights.

    The uniform shift of all rows, 1/n of all directions, never relaxes and is left out.
    """

    rates: np.ndarray
    weights: np.ndarray


@functools.lru_cache(maxsize=64)
def rate_spectrum(n: float, width: float) -> RateSpectrum:
    """Return the rates along rows (one direction in m) and across them, a gamma law (Eqs. 41-44).

    Notes
    -----
    Close to a boundary the Hessian is the mean of (e_i - e_j)(e_i - e_j)ᵀ ⊗ x xᵀ. Along its own row a class
    sees ⟨t²⟩, the square of the logits that meet; the trace leaves (m - ⟨t²⟩)/(m - 1) for the rest, whose
    relative variance is that of the frequencies of classes of unequal norm plus that of the pairs in which
    they meet.
    """
    level = 1.0 + 24.0 * fourth_cumulant(n).limit / interpolant(n).slope
    own = level / (1.0 + (level / width) ** 2)
    across = (width - own) / max(width - 1.0, 0.5)
    exponent = min(level**2 * row_variance(width), 3.0)
    meeting = min(0.5 * level**2 / width, 3.0)
    spread = math.expm1(exponent) + 2.0 / n * (math.exp(meeting) * (1.0 + 2.0 * meeting) - 1.0)
    x, weight = _gamma_law(1.0 / max(spread, 1e-9))
    along = min(1.0 / width, 0.5)
    rates = np.append(own, across * x)
    weights = np.append(along, (1.0 - along) * weight)
    return RateSpectrum(rates / (weights @ rates), weights)


def _gamma_law(shape: float) -> tuple[np.ndarray, np.ndarray]:
    """Gauss nodes and weights of the gamma law of unit mean, by Golub and Welsch."""
    i = np.arange(_RATES, dtype=float)
    beside = np.sqrt(i[1:] * (i[1:] + shape - 1.0))
    x, vectors = np.linalg.eigh(np.diag(2.0 * i + shape) + np.diag(beside, 1) + np.diag(beside, -1))
    return x / shape, vectors[0] ** 2


def row_variance(width: float) -> float:
    """Variance of ln |w_i*| over rows of m uniform entries."""
    return 0.2 / width


class WideForce:
    """Right-hand side at finite width, per unit τ at c_eff = 1, and the loss it descends."""

    def __init__(self, beta_star: float, n: float, width: float) -> None:
        self.n, self.beta_star, self.width = n, beta_star, width
        self.table = interpolant(n)
        self.gaussian = Force(self.table, beta_star, n)
        self.cumulant = fourth_cumulant(n)
        #: Fourth cumulant of a logit of unit variance: uniform entries (-6/5), inputs on the sphere.
        self.kurtosis = -3.6 / (width + 2.0)
        self.variance = row_variance(width)
        self._star = (self.cumulant.limit, 0.0)
        if math.isfinite(beta_star):
            star = np.array([beta_star])
            x, fall = self.cumulant.many(star, self.table.drives(star))
            self._star = (float(x[0]), float(fall[0]))
        self._slope_star = self.table.slope - self.gaussian.drive_star
        #: γ, d ln of the frequency of a class over d ln of the norm of its row, of a cold student (Eq. 37).
        self.sensitivity = max(24.0 * self.cumulant.limit / self.table.slope, 0.5)
        #: Arguments of the compiled functions of `kernels.forces`.
        self.tables = (self._constants(), self.table.places, self.table.cells, self.cumulant.cells)

    def _constants(self) -> np.ndarray:
        c = np.empty(kernel.CONSTANTS)
        c[kernel.N], c[kernel.KURTOSIS], c[kernel.ROW_VARIANCE] = self.n, self.kurtosis, self.variance
        c[kernel.SLOPE], c[kernel.DRIVE_STAR] = self.table.slope, self.gaussian.drive_star
        c[kernel.LIMIT], c[kernel.X_STAR], c[kernel.FALL_STAR] = self.cumulant.limit, *self._star
        c[kernel.STILL], c[kernel.SENSITIVITY] = self.gaussian.stiffness_at_zero, self.sensitivity
        c[kernel.U_TOP : kernel.PER_PLACE + 1] = self.table.ends
        c[kernel.LAST : kernel.LAST_STEEPNESS + 1] = self.cumulant.ends
        return c

    @property
    def infinite(self) -> np.ndarray:
        """Constants of the same problem at infinite width."""
        c = self.tables[0].copy()
        c[kernel.KURTOSIS] = c[kernel.ROW_VARIANCE] = 0.0
        return c

    def forces(
        self, alignment: float, square: float, amplitude: float = 0.0, started: float = 0.0
    ) -> tuple[float, float, float, float]:
        """Return dD/dτ, da/dτ, the mean rate k of decay of the residual, and V over that of Gaussian logits.

        Of the squared residual `started` is left of the student's own first weights (Eqs. 35-39).
        """
        return kernel.forces_at(alignment, square, amplitude, started, *self.tables)

    def spreads(self, alignment: np.ndarray, square: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
        """Heterogeneity of class rates, in units of that of a cold aligned student, from 0 to 1 (Eq. 45)."""
        out = np.empty(alignment.size)
        states = map(np.ascontiguousarray, (alignment, square, amplitude))
        kernel.fill_spread(*states, *self.tables, out)
        return out

    def losses(
        self, alignment: np.ndarray, square: np.ndarray, amplitude: np.ndarray, started: np.ndarray
    ) -> np.ndarray:
        """Return L_r and L_t; the energy of unequal rows is shared between them as β² between D² and ρ²."""
        beta = np.sqrt(alignment**2 + square)
        limit, (x_star, fall_star) = self.cumulant.limit, self._star
        safe = np.maximum(beta, 1e-9)
        drive = self.table.drives(safe)
        x, _ = self.cumulant.many(safe, drive)
        c2, turned, kept = (alignment / safe) ** 2, square / safe**2, started / safe**2
        stiffness = np.where(
            beta > kernel.SMALL, (self.table.slope - drive) / safe, self.gaussian.stiffness_at_zero * self.n
        )
        tilt = alignment * amplitude / safe**2
        energy = (
            12.0 * beta * x * tilt * (2.0 * c2 + tilt) + 0.5 * stiffness * amplitude**2
        )  # y² - c⁴ in Eq. 38
        energy = self.variance * (energy - 24.0 * x_star * amplitude)
        radial = self.table.aligned_loss(beta, self.beta_star) + self.kurtosis * beta * (x - limit)
        if math.isfinite(self.beta_star):
            star = (beta - self.beta_star) * fall_star + self.beta_star * (limit - x_star)
            radial += self.kurtosis * star
        gap = np.where(alignment > 0, square / np.maximum(beta + alignment, 1e-300), beta - alignment)
        tangential = gap * (self._slope_star + self.kurtosis * (limit - fall_star))
        tangential += self.kurtosis * beta * x * (turned * (turned - 2.0) + kept**2)  # h - 1
        return np.maximum([radial + (1.0 - turned) * energy, tangential + turned * energy], 0.0)

    def loss(
        self, alignment: float, square: float, amplitude: float = 0.0, started: float = 0.0
    ) -> tuple[float, float]:
        """Return L_r and L_t of one state."""
        parts = self.losses(*(np.array([v], dtype=float) for v in (alignment, square, amplitude, started)))
        return float(parts[0, 0]), float(parts[1, 0])


def descend_wide(
    tau: np.ndarray,
    force: WideForce,
    speed: float,
    noise: Noise | None,
    alignment0: float,
    residual0: float,
    decay: float,
    end: float,
) -> tuple[np.ndarray, ...]:
    """Solve for D, a and the squared residual at each rate over ln(τ + shift).

    Without noise the squared residuals follow from two integrals, ∫k dτ and ∫Ck dτ; with it each is a
    variable. Returns the fields of `StudentFlow` from beta on.
    """
    rates = rate_spectrum(force.n, force.width)
    offset, weight, moving = rates.rates - 1.0, rates.weights, 1.0 - 1.0 / force.n
    spectrum = np.array([offset, weight, weight * offset])
    shift, first = 1e-3 * force.n / speed, residual0**2
    constants = np.empty(kernel_descent.DESCENT_CONSTANTS)
    constants[kernel_descent.SPEED], constants[kernel_descent.DECAY] = speed, decay
    constants[kernel_descent.MOVING], constants[kernel_descent.INITIAL] = moving, first
    constants[kernel_descent.SHIFT] = shift
    problem = (spectrum, constants, *force.tables)

    times = around(tau, end)
    still = np.exp(-2.0 * decay * times) * first
    grid, origin = np.log(times + shift), math.log(shift)
    if noise is None:
        slopes = np.empty(4)

        def quiet(u: float, y: np.ndarray) -> np.ndarray:
            kernel_descent.quiet_rates(math.exp(u), y, *problem, slopes)
            return slopes

        y = integrate_implicitly(quiet, [alignment0, 0.0, 0.0, 0.0], grid, origin, rtol=_RTOL, atol=_ATOL)
        fallen = np.maximum(y[:, 2:3] + offset * y[:, 3:], 0.0)
        alignment, amplitude, started = y[:, 0], y[:, 1], still * np.exp(-2.0 * y[:, 2])
        squares = still[:, None] * np.exp(-2.0 / moving * fallen)
    else:
        table, gain = noise
        start = np.array([alignment0, 0.0] + [first] * (1 + offset.size))
        slopes, by = np.empty(start.size), np.empty((start.size, start.size))

        def noisy(u: float, y: np.ndarray) -> np.ndarray:
            t = math.exp(u)
            return table.run(kernel_descent.noisy_rates, t, y, gain(t - shift), *problem, slopes)

        def jacobian(u: float, y: np.ndarray) -> np.ndarray:
            t = math.exp(u)
            return table.run(kernel_descent.noisy_jacobian, t, y, gain(t - shift), *problem, by)

        y = integrate(noisy, start, grid, origin, jacobian, rtol=_RTOL, atol=_ATOL)
        alignment, amplitude, started, squares = (
            y[:, 0],
            y[:, 1],
            np.maximum(y[:, 2], 0.0),
            np.maximum(y[:, 3:], 0.0),
        )
    total = squares @ weight
    seen = np.maximum(total + force.spreads(alignment, total, amplitude) * (squares @ spectrum[2]), 0.0)
    square = moving * total + still / force.n
    return observed(
        times,
        force.losses(alignment, seen, amplitude, started),
        alignment,
        square,
        math.sqrt(force.variance) * np.abs(amplitude),
    )
