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
from typing import NamedTuple

import numpy as np

from peakedtheory._training.flow import Force, around, integrate, integrate_implicitly, observed
from peakedtheory._training.fourth_cumulant import fourth_cumulant
from peakedtheory._training.interpolant import interpolant

#: Gauss nodes of the density of relaxation rates.
_RATES = 7
_SMALL = 1e-5
_RTOL, _ATOL = 1e-6, 1e-10
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


class Coherent(NamedTuple):
    """Effect of the amplitude a on the forces on D and on a."""

    alignment_force: float
    amplitude_force: float


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
        hard = math.isinf(beta_star)
        self._star = (self.cumulant.limit, 0.0) if hard else self.cumulant(beta_star)[:2]
        self._slope_star = self.table.slope - self.gaussian.drive_star
        #: γ, d ln of the frequency of a class over d ln of the norm of its row, of a cold student (Eq. 37).
        self.sensitivity = max(24.0 * self.cumulant.limit / self.table.slope, 0.5)
        self._constants = (
            n,
            self.kurtosis,
            self.table.slope,
            self.gaussian.drive_star,
            self.cumulant.limit,
            *self._star,
            self.variance,
        )

    def forces(
        self, alignment: float, square: float, amplitude: float = 0.0, started: float = 0.0
    ) -> tuple[float, float, float, float]:
        """Return dD/dτ, da/dτ, the mean rate k of decay of the residual, and V over that of Gaussian logits.

        Rows are W_i = (D + a ε_i) W_i* + R_i, ε_i = ln |w_i*| less its mean (Eqs. 35-39). `started` is what
        is left of the student's own first weights, whose entries are uniform as the teacher's; the rest of
        the squared residual is noise, and Gaussian.
        """
        beta = math.sqrt(alignment * alignment + square)
        if beta < _SMALL:
            pull, stiffness = self.gaussian(alignment, square)
            pull += self.kurtosis / self.n * (self.cumulant.limit - self._star[1])
            return pull, 24.0 * self._star[0] / self.n - stiffness * amplitude, stiffness, 1.0
        n, kurtosis, top, drive_star, limit, x_star, fall_star, rows = self._constants
        x, fall, drive, variance = self.cumulant(beta)
        inverse = 1.0 / beta
        c = alignment * inverse
        turned = square * inverse * inverse
        turn = turned / (1.0 + c) if c > 0.0 else 1.0 - c
        own = started * started / max(square, 0.5 * started) if started > 0.0 else 0.0
        stiffness = (top - drive) * inverse
        rise = limit - fall  # χ'(β)
        c2 = c * c
        c3 = c2 * c
        kept = started * inverse * inverse
        fourth = kept * kept
        # Of 1 - c⁵ = (1 - c)(1 + c + c² + c³ + c⁴) nothing cancels while ρ ≪ D.
        power = turn * (1.0 + c + c2 + c3 + c2 * c2)
        pull = drive * c - drive_star + top * turn
        pull -= kurtosis * (
            4.0 * c * x * (c2 * turned - fourth) + (c * fourth - power) * rise - fall + fall_star
        )
        noise = kurtosis * (c2 * c2 + fourth) * inverse * (rise - 4.0 * x)
        tilt = c * inverse * amplitude
        y = c2 + tilt
        grip = 12.0 * beta * x
        turning = 2.0 * c * inverse * (turned - tilt) + amplitude * inverse * inverse  # dy/dD
        pull -= rows * (
            12.0 * rise * c * tilt * (c2 + y)
            + 0.5 * (variance - stiffness) * inverse * c * amplitude * amplitude
            + grip * (2.0 * y * turning - 4.0 * c3 * turned * inverse)
        )
        push = 24.0 * x_star - stiffness * amplitude - 2.0 * grip * y * c * inverse
        decay = stiffness + noise + 4.0 * kurtosis * own * x * inverse * inverse * inverse
        return pull / n, push / n, decay / n, 1.0 + noise / stiffness

    def rates(self, alignment: float, square: float, started: float = 0.0) -> tuple[float, float, float]:
        """Return dD/dτ, k and the ratio of V where all rows grow alike."""
        pull, _, stiffness, ratio = self.forces(alignment, square, 0.0, started)
        return pull, stiffness, ratio

    def coherent(self, alignment: float, square: float, amplitude: float) -> Coherent:
        """Return the forces of unequally grown rows: on D beyond those of equal ones, and on a (Eq. 38)."""
        pull, push, _, _ = self.forces(alignment, square, amplitude)
        return Coherent(pull - self.forces(alignment, square)[0], push)

    def spread(self, alignment: float, square: float, amplitude: float) -> float:
        """Heterogeneity of class rates, in units of that of a cold aligned student, from 0 to 1 (Eq. 45)."""
        beta = max(math.sqrt(alignment * alignment + square), 1e-9)
        relative = alignment * (alignment + amplitude) / (beta * beta)
        below = (1.0 - 24.0 * self.cumulant.share(beta) * relative / self.sensitivity) / _CORNER
        return 1.0 - _CORNER * (math.log1p(math.exp(below)) if below < 50.0 else min(below, 1.0 / _CORNER))

    def spreads(self, alignment: np.ndarray, square: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
        """Return `spread` for arrays."""
        beta = np.maximum(np.sqrt(alignment**2 + square), 1e-9)
        drive = self.table.drives(beta)
        sensitivity = 24.0 * self.cumulant.many(beta, drive)[0] / (self.table.slope - drive + 1e-300)
        below = (
            1.0 - sensitivity * alignment * (alignment + amplitude) / beta**2 / self.sensitivity
        ) / _CORNER
        return 1.0 - _CORNER * np.minimum(np.logaddexp(0.0, below), 1.0 / _CORNER)

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
            beta > _SMALL, (self.table.slope - drive) / safe, self.gaussian.stiffness_at_zero * self.n
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
    gain: Callable[[float, float, float], float] | None,
    alignment0: float,
    residual0: float,
    decay: float,
    end: float,
) -> tuple[np.ndarray, ...]:
    """Solve for D, a and the squared residual at each rate over ln(τ + shift).

    Without noise the squared residuals follow from two integrals, ∫k dτ and ∫Ck dτ; with it each is a
    variable. Returns the fields of `StudentFlow` from beta on.
    """
    spectrum = rate_spectrum(force.n, force.width)
    offset, weight, moving = spectrum.rates - 1.0, spectrum.weights, 1.0 - 1.0 / force.n
    biased = weight * offset
    offsets, weights, tilts = offset.tolist(), weight.tolist(), biased.tolist()
    forces, spread_of, lost = force.forces, force.spread, 2.0 * decay

    def core(
        alignment: float, amplitude: float, started: float, total: float, tilt: float
    ) -> tuple[float, float, float, float, float, float]:
        """dD/dτ, da/dτ, k, C, what boundaries see of the squared residual (Eq. 45), and V's ratio."""
        spread = spread_of(alignment, total, amplitude) if total > 0.0 else 1.0
        seen = max(total + spread * tilt, 0.0)
        pull, push, stiffness, ratio = forces(alignment, seen, amplitude, started)
        pull = speed * pull - decay * alignment
        return pull, speed * push - decay * amplitude, speed * stiffness, spread, seen, ratio

    reach = np.zeros((5, 3 + offset.size))
    reach[[0, 1, 2], [0, 1, 2]], reach[3, 3:], reach[4, 3:] = 1.0, weight, biased
    own = np.arange(3, 3 + offset.size)
    shift = 1e-3 * force.n / speed
    first = residual0**2

    def quiet(u: float, y: np.ndarray) -> list[float]:
        t = math.exp(u)
        alignment, amplitude, mean, uneven = y.tolist()
        left = first * math.exp(-lost * (t - shift))
        total = tilt = 0.0
        if left > 0.0:
            for x, w, b in zip(offsets, weights, tilts, strict=True):
                fallen = mean + x * uneven
                square = left * math.exp(-2.0 * fallen / moving) if fallen > 0.0 else left
                total += w * square
                tilt += b * square
        pull, push, stiffness, spread, _, _ = core(
            alignment, amplitude, left * math.exp(-2.0 * mean), total, tilt
        )
        return [t * pull, t * push, t * stiffness, t * spread * stiffness]

    def noisy(u: float, y: np.ndarray) -> list[float]:
        t = math.exp(u)
        alignment, amplitude, started, *squares = y.tolist()
        total = tilt = 0.0
        for w, b, square in zip(weights, tilts, squares, strict=True):
            total += w * square
            tilt += b * square
        if started < 0.0:
            started = 0.0
        pull, push, stiffness, spread, seen, ratio = core(alignment, amplitude, started, total, tilt)
        up = t * ratio * gain(t - shift, alignment, seen) / moving  # type: ignore[misc]
        loss, lose, uneven = 2.0 * t * stiffness / moving, t * lost, spread
        slopes = [t * pull, t * push, -2.0 * t * (stiffness + decay) * started]
        slopes += [
            (1.0 + uneven * x) * (up - loss * square) - lose * square
            for x, square in zip(offsets, squares, strict=True)
        ]
        return slopes

    def jacobian(u: float, y: np.ndarray) -> np.ndarray:
        """Of `noisy`, by differences in the five numbers through which the variables act on each other."""
        t = math.exp(u)
        squares = y[3:]
        point = [*y[:3].tolist(), float(weight @ squares), float(biased @ squares)]

        def act(point: list[float]) -> list[float]:
            pull, push, stiffness, spread, seen, ratio = core(*point)
            up = ratio * gain(t - shift, point[0], seen) / moving  # type: ignore[misc]
            return [pull, push, stiffness, spread, up]

        now = act(point)
        by = np.empty((5, 5))
        for j, value in enumerate(point):
            step = 1e-7 * abs(value) + 1e-9
            by[:, j] = (np.array(act([*point[:j], value + step, *point[j + 1 :]])) - now) / step
        by = by @ reach
        _, _, stiffness, spread, up = now
        loss = 2.0 * stiffness / moving
        out = np.empty((y.size, y.size))
        out[:2], out[2] = by[:2], -2.0 * y[2] * by[2]
        speeds, net = 1.0 + spread * offset, up - loss * squares
        out[3:] = np.outer(speeds, by[4]) - np.outer(speeds * squares, 2.0 / moving * by[2])
        out[3:] += np.outer(offset * net, by[3])
        out[2, 2] -= 2.0 * (stiffness + decay)
        out[own, own] -= speeds * loss + lost
        return t * out

    times = around(tau, end)
    still = np.exp(-lost * times) * first
    grid, origin = np.log(times + shift), math.log(shift)
    if gain is None:
        y = integrate_implicitly(quiet, [alignment0, 0.0, 0.0, 0.0], grid, origin, rtol=_RTOL, atol=_ATOL)
        fallen = np.maximum(y[:, 2:3] + offset * y[:, 3:], 0.0)
        alignment, amplitude, started = y[:, 0], y[:, 1], still * np.exp(-2.0 * y[:, 2])
        squares = still[:, None] * np.exp(-2.0 / moving * fallen)
    else:
        start = [alignment0, 0.0] + [first] * (1 + offset.size)
        y = integrate(noisy, start, grid, origin, jacobian, rtol=_RTOL, atol=_ATOL)
        alignment, amplitude, started, squares = (
            y[:, 0],
            y[:, 1],
            np.maximum(y[:, 2], 0.0),
            np.maximum(y[:, 3:], 0.0),
        )
    total = squares @ weight
    seen = np.maximum(total + force.spreads(alignment, total, amplitude) * (squares @ biased), 0.0)
    square = moving * total + still / force.n
    return observed(
        times,
        force.losses(alignment, seen, amplitude, started),
        alignment,
        square,
        math.sqrt(force.variance) * np.abs(amplitude),
    )
