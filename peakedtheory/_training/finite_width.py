"""Flow of gradient descent at finite input width m: docs/dynamics.md, Eqs. 34-45.

Three effects of 1/m are added to the flow of (D, ρ): the negative kurtosis of logits on the sphere, rows of
the teacher of unequal norm, whose classes grow at unequal rates (amplitude a), and a spectrum of relaxation
rates of the residual.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from peakedtheory._training.flow import Force, integrate
from peakedtheory._training.fourth_cumulant import fourth_cumulant
from peakedtheory._training.interpolant import interpolant

#: Gauss nodes of the density of relaxation rates.
_RATES = 7
_SMALL = 1e-5
#: Width of the rounded corner where the heterogeneity of class rates meets its bound of one.
_CORNER = 0.02


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


@dataclass(frozen=True)
class Coherent:
    """Effect of the amplitude a: its energy, and the forces on D and on a."""

    energy: float
    alignment_force: float
    amplitude_force: float


class WideForce:
    """Right-hand side at finite width, per unit τ at c_eff = 1, and the loss it descends."""

    def __init__(self, beta_star: float, n: float, width: float) -> None:
        self.n, self.beta_star, self.width = n, beta_star, width
        self.gaussian = Force(interpolant(n), beta_star, n)
        self.table = self.gaussian.table
        self.cumulant = fourth_cumulant(n)
        #: Fourth cumulant of a logit of unit variance: uniform entries (-6/5), inputs on the sphere.
        self.kurtosis = -3.6 / (width + 2.0)
        self.variance = row_variance(width)
        hard = math.isinf(beta_star)
        self._star = (self.cumulant.limit, 0.0) if hard else self.cumulant(beta_star)[:2]
        self._slope_star = self.table.slope - self.gaussian.drive_star
        self._latest = (0.0, (0.0, 0.0, 0.0, 0.0))
        self._sensitivity = max(24.0 * self.cumulant.limit / self.table.slope, 0.5)

    def _at(self, beta: float) -> tuple[float, float, float, float]:
        """Evaluate the table, once for calls that follow each other at the same β."""
        latest = self._latest
        if latest[0] != beta:
            self._latest = latest = (beta, self.cumulant(beta))
        return latest[1]

    def rates(self, alignment: float, square: float, started: float = 0.0) -> tuple[float, float, float]:
        """Return dD/dτ, the mean rate k at which the residual decays, and V over that of Gaussian logits.

        `started` is what is left of the student's own first weights, whose entries are uniform as the
        teacher's; the rest of the squared residual is noise, and Gaussian (Eqs. 35 and 36).
        """
        pull, stiffness = self.gaussian(alignment, square)
        beta = math.sqrt(alignment * alignment + square)
        limit, star = self.cumulant.limit, self._star[1]
        scale = self.kurtosis / self.n
        if beta < _SMALL:
            return pull - scale * (star - limit), stiffness, 1.0
        x, fall, _, _ = self._at(beta)
        slope = limit - fall
        c, turned, kept = alignment / beta, min(square / beta**2, 1.0 - 1e-12), started / beta**2
        power = math.expm1(2.5 * math.log1p(-turned)) if c > 0 else -1.0 - abs(c) ** 5
        bend = 4.0 * c * x * (c * c * turned - kept**2) + (power + c * kept**2) * slope - fall + star
        noise = scale * (c**4 + kept**2) / beta * (slope - 4.0 * x)
        share = started / max(square, 0.5 * started) if started > 0.0 else 0.0
        own = 4.0 * scale * kept * x / beta * share
        return pull - scale * bend, stiffness + noise + own, 1.0 + noise / stiffness

    def coherent(self, alignment: float, square: float, amplitude: float) -> Coherent:
        """Energy of rows W_i = (D + a ε_i) W_i*, ε_i = ln |w_i*| less its mean, and its slopes (Eq. 38)."""
        beta = max(math.sqrt(alignment * alignment + square), 1e-9)
        x, fall, drive, variance = self._at(beta)
        stiffness = (
            (self.table.slope - drive) / beta if beta > _SMALL else self.gaussian.stiffness_at_zero * self.n
        )
        bend = (variance - stiffness) / beta if beta > 100.0 * _SMALL else 0.0
        c = alignment / beta
        tilt = alignment * amplitude / beta**2
        y = c * c + tilt
        difference = tilt * (2.0 * c * c + tilt)  # y² - c⁴
        turned = square / beta**2
        dy = 2.0 * c / beta * turned + amplitude / beta**2 - 2.0 * c / beta * tilt
        grip, grip_slope = 12.0 * beta * x, 12.0 * (self.cumulant.limit - fall)
        half = 0.5 * amplitude**2
        energy = grip * difference + stiffness * half - 24.0 * self._star[0] * amplitude
        by_alignment = grip_slope * c * difference + bend * c * half
        by_alignment += grip * (2.0 * y * dy - 4.0 * c**3 * turned / beta)
        by_amplitude = 24.0 * self._star[0] - stiffness * amplitude - 2.0 * grip * y * c / beta
        return Coherent(self.variance * energy, -self.variance * by_alignment / self.n, by_amplitude / self.n)

    def spread(self, alignment: float, square: float, amplitude: float) -> float:
        """Heterogeneity of class rates, in units of that of a cold aligned student, from 0 to 1 (Eq. 45)."""
        beta = max(math.sqrt(alignment * alignment + square), 1e-9)
        sensitivity = 24.0 * self.cumulant.value(beta) / (self.table.slope - self.table.drive(beta) + 1e-300)
        relative = alignment * (alignment + amplitude) / beta**2
        below = (1.0 - sensitivity * relative / self._sensitivity) / _CORNER
        return 1.0 - _CORNER * (math.log1p(math.exp(below)) if below < 50.0 else min(below, 1.0 / _CORNER))

    def losses(
        self, alignment: np.ndarray, square: np.ndarray, amplitude: np.ndarray, started: np.ndarray
    ) -> np.ndarray:
        """Return L_r and L_t; the energy of `coherent` is shared between them as β² is between D² and ρ²."""
        beta = np.sqrt(alignment**2 + square)
        limit, (x_star, fall_star) = self.cumulant.limit, self._star
        x = np.array([self.cumulant.value(b) for b in beta.tolist()])
        states = zip(alignment.tolist(), square.tolist(), amplitude.tolist(), strict=True)
        energy = np.array([self.coherent(*state).energy for state in states])
        radial = self.table.aligned_loss(beta, self.beta_star) + self.kurtosis * beta * (x - limit)
        if math.isfinite(self.beta_star):
            star = (beta - self.beta_star) * fall_star + self.beta_star * (limit - x_star)
            radial += self.kurtosis * star
        turned, kept = square / np.maximum(beta**2, 1e-300), started / np.maximum(beta**2, 1e-300)
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
    gain: Callable[[float, float, float], float] | None,
    alignment0: float,
    residual0: float,
    decay: float,
) -> tuple[np.ndarray, ...]:
    """Solve for D, a and the squared residual at each rate over ln(τ + shift).

    Returns the fields of `StudentFlow` from beta on.
    """
    spectrum = rate_spectrum(force.n, force.width)
    x, weight = spectrum.rates - 1.0, spectrum.weights
    moving = 1.0 - 1.0 / force.n
    biased = weight * x

    def project(y: np.ndarray) -> tuple[float, float, float, np.ndarray, float, float]:
        """D, a, residual of the start, squared residuals, their spread, and what boundaries see (Eq. 45)."""
        squares = np.maximum(y[3:], 0.0)
        total = float(weight @ squares)
        spread = force.spread(y[0], total, y[1])
        square = max(total + spread * float(biased @ squares), 0.0)
        return float(y[0]), float(y[1]), max(float(y[2]), 0.0), squares, spread, square

    def rhs(t: float, y: np.ndarray) -> np.ndarray:
        alignment, amplitude, started, squares, spread, square = project(y)
        pull, stiffness, ratio = force.rates(alignment, square, started)
        coherent = force.coherent(alignment, square, amplitude)
        up = 0.0 if gain is None else ratio * gain(t, alignment, square) / moving
        out = np.empty_like(y)
        out[0] = speed * (pull + coherent.alignment_force) - decay * alignment
        out[1] = speed * coherent.amplitude_force - decay * amplitude
        out[2] = -2.0 * (speed * stiffness + decay) * y[2]
        out[3:] = (1.0 + spread * x) * (
            up - 2.0 * speed * stiffness / moving * squares
        ) - 2.0 * decay * squares
        return out

    shift = 1e-3 * force.n / speed

    def in_log(u: float, y: np.ndarray) -> np.ndarray:
        t = math.exp(u)
        return t * rhs(t - shift, y)

    def losses(states: np.ndarray) -> np.ndarray:
        seen = [project(y) for y in states]
        return force.losses(*np.array([(d, square, a, first) for d, a, first, _, _, square in seen]).T)

    start = np.concatenate([[alignment0, 0.0], np.full(1 + x.size, residual0**2)])
    solution = integrate(in_log, start, np.log(tau + shift), math.log(shift), rtol=1e-6, atol=1e-10)
    radial, tangential = losses(solution)
    still = np.exp(-2.0 * decay * tau) * residual0**2 / force.n
    incoherent = moving * (np.maximum(solution[:, 3:], 0.0) @ weight) + still
    coherent = math.sqrt(force.variance) * np.abs(solution[:, 1])
    steps = 1e-4 * np.array([t * rhs(t, y) for t, y in zip(tau, solution, strict=True)])
    exponent = log_slope(losses, solution, steps)
    alignment, square = solution[:, 0], incoherent + coherent**2
    beta = np.sqrt(alignment**2 + square)
    return beta, alignment, np.sqrt(square), radial + tangential, radial, tangential, exponent, coherent


def log_slope(
    losses: Callable[[np.ndarray], np.ndarray], states: np.ndarray, steps: np.ndarray
) -> np.ndarray:
    """-d ln L/d ln τ where `steps` are 1e-4 τ times the rates of change of the states."""
    before, now, after = (losses(at).sum(axis=0) for at in (states - steps, states, states + steps))
    return (before - after) / np.maximum(2e-4 * now, 1e-300)
