"""The force on a student and the loss that it descends: docs/dynamics.md, Eqs. 3-8 and 34-39.

At infinite width logits are Gaussian. Two effects of a width m change the force: the negative kurtosis of
logits on the sphere, and rows of the teacher of unequal norm, whose classes grow at unequal rates (amplitude
a).
"""

from __future__ import annotations

import functools
import math

import numpy as np

from peakedtheory.dynamics.fourth_cumulant import NoFourthCumulant, fourth_cumulant
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.kernels import forces as kernel


def row_variance(width: float) -> float:
    """Variance of ln |w_i*| over rows of m uniform entries."""
    return 0.2 / width


class Force:
    """Right-hand side of the flow per unit τ at c_eff = 1, and the loss that it descends."""

    def __init__(self, beta_star: float, n: float, width: float) -> None:
        self.n, self.beta_star = n, beta_star
        self.table = interpolant(n)
        self.cumulant = NoFourthCumulant() if math.isinf(width) else fourth_cumulant(n)
        #: Fourth cumulant of a logit of unit variance: uniform entries (-6/5), inputs on the sphere.
        self.kurtosis = -3.6 / (width + 2.0)
        self.variance = row_variance(width)
        self._drive_star, self._star = 0.0, (self.cumulant.limit, 0.0)
        if math.isfinite(beta_star):
            self._drive_star, star = self.table.drive(beta_star), np.array([beta_star])
            x, fall = self.cumulant.many(star, self.table.drives(star))
            self._star = (float(x[0]), float(fall[0]))
        #: Φ'(β)/β at zero.
        self._stiffness = 1.0 - 1.0 / n
        #: γ, d ln of the frequency of a class over d ln of the norm of its row, of a cold student (Eq. 37).
        self.sensitivity = max(24.0 * self.cumulant.limit / self.table.slope, 0.5)
        #: Arguments of the compiled functions of `kernels.forces`.
        self.tables = (self._constants(), self.table.places, self.table.cells, self.cumulant.cells)

    def _constants(self) -> np.ndarray:
        c = np.empty(kernel.CONSTANTS)
        c[kernel.N], c[kernel.KURTOSIS], c[kernel.ROW_VARIANCE] = self.n, self.kurtosis, self.variance
        c[kernel.SLOPE], c[kernel.DRIVE_STAR] = self.table.slope, self._drive_star
        c[kernel.LIMIT], c[kernel.X_STAR], c[kernel.FALL_STAR] = self.cumulant.limit, *self._star
        c[kernel.STILL], c[kernel.SENSITIVITY] = self._stiffness / self.n, self.sensitivity
        c[kernel.U_TOP : kernel.PER_PLACE + 1] = self.table.ends
        c[kernel.LAST : kernel.LAST_STEEPNESS + 1] = self.cumulant.ends
        return c

    @property
    def label_noise(self) -> float:
        """1 - ⟨Σq²⟩ = n k(β*), what drawing each label from q adds to V; 0 for hard labels (Eq. 51)."""
        if math.isinf(self.beta_star):
            return 0.0
        return self.n * float(self.forces(np.array([self.beta_star]), np.zeros(1))[2, 0])

    @property
    def label_spread(self) -> float:
        """Heterogeneity of class rates of the teacher itself, in the units of `spreads`."""
        if math.isinf(self.beta_star):
            return 1.0
        return float(self.spreads(np.array([self.beta_star]), np.zeros(1), np.zeros(1))[0])

    @property
    def label_sensitivity(self) -> float:
        """γ(β*) of Eq. 37: d ln of the frequency of a label over d ln of the norm of its row."""
        return 24.0 * self._star[0] / (self.table.slope - self._drive_star)

    @property
    def label_entropy(self) -> float:
        """Mean entropy of the labels in nats, Φ(β*) - β*Φ'(β*), the cross-entropy of a perfect student."""
        star = self.beta_star
        if math.isinf(star):
            return 0.0
        x, fall = self._star
        own = float(self.table.hard_loss(np.array(star))) + star * self._drive_star
        return own + self.kurtosis * star * (x + fall - self.cumulant.limit)

    def forces(
        self,
        alignment: np.ndarray,
        square: np.ndarray,
        amplitude: np.ndarray | None = None,
        started: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return dD/dτ, da/dτ, the mean rate k of decay of the residual, and V over that of Gaussian logits.

        Of the squared residual `started` is left of the student's own first weights (Eqs. 35-39).
        """
        states = (np.zeros_like(alignment) if v is None else v for v in (amplitude, started))
        out = np.empty((4, alignment.size))
        kernel.fill_forces(*map(np.ascontiguousarray, (alignment, square, *states)), *self.tables, out)
        return out

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
        stiffness = np.where(beta > kernel.SMALL, (self.table.slope - drive) / safe, self._stiffness)
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
        tangential = gap * (self.table.slope - self._drive_star + self.kurtosis * (limit - fall_star))
        tangential += self.kurtosis * beta * x * (turned * (turned - 2.0) + kept**2)  # h - 1
        return np.maximum([radial + (1.0 - turned) * energy, tangential + turned * energy], 0.0)


@functools.lru_cache(maxsize=32)
def student_force(beta_star: float, n: float, width: float = math.inf) -> Force:
    """Return the force towards this teacher at one input width, built once."""
    return Force(beta_star, n, width)
