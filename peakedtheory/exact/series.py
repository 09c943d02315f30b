"""Truncated series of the free energy as objects: values, truncation errors, ranges."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import scipy

from peakedtheory._common.checks import fail, inverse_temperature
from peakedtheory._common.constants import C2_PER_GAP_DENSITY
from peakedtheory._common.results import describe, scalar_or_array
from peakedtheory._common.types import Reals, Values
from peakedtheory.energies.base import Energies
from peakedtheory.exact.lowest_levels import LowestLevels
from peakedtheory.exact.thermodynamics import thermodynamics

#: Where the exact Φ shows what a low-temperature series leaves open, in units of the rate it should vary at.
_SEEN = (5.0, 20.0, 80.0)
#: Temperatures, in units of the spread of the energies, at which Φ'' is looked at, and a margin for others.
_SPANNED, _MARGIN = (0.02, 50.0), 1.1


def extreme_value_coefficient(order: Any, gap_rate: float) -> Any:
    """Return c_k = ζ(k) a^(k-1)/k, k >= 2, of energies whose gaps are exponential with rate a."""
    return scipy.special.zeta(order) * gap_rate ** (order - 1.0) / order


@dataclass(frozen=True, repr=False)
class Expansion(ABC):
    """A truncated series of Φ = ⟨ln Z⟩ and what follows from it.

    Methods take β >= 0, a number or an array, and an `order` at which to cut (the whole series by default);
    they return the shape of β. Φ, S and L are in nats.

    Attributes
    ----------
    coefficients : ndarray, shape (order + 1,)
        Low temperature: c_0 … c_order of F = -Σ c_k β^(-k). High temperature: a_0 … a_order of
        Φ = Σ a_r β^r, a_0 = ln n.
    error : ndarray, shape (order + 1,)
        Absolute error estimates of the coefficients.
    n : float
        Number of energies.
    energies : Energies
        Distribution of one energy.
    """

    coefficients: np.ndarray
    error: np.ndarray
    n: float
    energies: Energies = field(repr=False)

    #: What tables call the coefficients.
    letter: ClassVar[str]

    @property
    def order(self) -> int:
        """Order of the last coefficient."""
        return self.coefficients.size - 1

    def __repr__(self) -> str:
        rows: dict[str, Any] = {f"{self.letter}{k}": float(v) for k, v in enumerate(self.coefficients)}
        errors = {f"{self.letter}{k}": float(v) for k, v in enumerate(self.error)}
        low, high = self.valid_range
        rows["valid for beta"] = f"{low:.4g} … {high:.4g}"
        return describe(f"{type(self).__name__} of n={self.n:g} {self.energies.name} energies", rows, errors)

    @abstractmethod
    def _powers(self) -> np.ndarray:
        """Exponents p_k of Φ = Σ c_k β^p_k."""

    def _series(self, beta: Reals, weights: np.ndarray, shift: float, order: int | None) -> Values:
        """Σ weights_k c_k β^(p_k + shift), summed from the smallest term."""
        b = inverse_temperature(beta)
        top = self.order if order is None else int(order)
        if not 0 <= top <= self.order:
            fail("order", f"must lie between 0 and {self.order}", str(order), "compute a longer expansion")
        powers = self._powers() + shift
        total = np.zeros_like(b)
        with np.errstate(divide="ignore"):
            for k in range(top, -1, -1):
                if self.coefficients[k] * weights[k] != 0.0:
                    total = total + self.coefficients[k] * weights[k] * b ** powers[k]
        return scalar_or_array(total)

    def log_partition(self, beta: Reals, *, order: int | None = None) -> Values:
        """Return the series of Φ = ⟨ln Z⟩ at `beta`, up to `order`."""
        return self._series(beta, np.ones(self.order + 1), 0.0, order)

    def free_energy(self, beta: Reals, *, order: int | None = None) -> Values:
        """Return the series of F = -Φ/β at `beta`, up to `order`."""
        return self._series(beta, -np.ones(self.order + 1), -1.0, order)

    def internal_energy(self, beta: Reals, *, order: int | None = None) -> Values:
        """Return the series of U = -Φ' at `beta`, up to `order`."""
        return self._series(beta, -self._powers(), -1.0, order)

    def entropy(self, beta: Reals, *, order: int | None = None) -> Values:
        """Return the series of S = Φ - βΦ' at `beta`, up to `order`."""
        return self._series(beta, 1.0 - self._powers(), 0.0, order)

    def energy_variance(self, beta: Reals, *, order: int | None = None) -> Values:
        """Return the series of Φ'' at `beta`, up to `order`."""
        p = self._powers()
        return self._series(beta, p * (p - 1.0), -2.0, order)

    def loss(self, beta: Reals, beta_star: Reals, *, order: int | None = None) -> Values:
        """Return the series of L = Φ(β) - Φ(β*) - (β - β*)Φ'(β*), finite β* (Liu et al. 2026, Eq. 10)."""
        b, s = inverse_temperature(beta), inverse_temperature(beta_star, "beta_star")
        difference = np.asarray(self.log_partition(b, order=order)) - self.log_partition(s, order=order)
        return scalar_or_array(np.asarray(difference + (b - s) * self.internal_energy(s, order=order)))

    def truncation_error(self, beta: Reals, *, order: int | None = None) -> Values:
        """Return an estimate of what the series of Φ up to `order` leaves open at `beta`.

        Four times the largest of the last term kept and the next two, as far as known: single terms may
        vanish by accident. The series is asymptotic, so more terms do not always help.
        """
        b = np.asarray(inverse_temperature(beta))
        estimates = self._truncation_errors(b)
        top = self.order if order is None else int(order)
        return scalar_or_array(estimates[max(top - self._first, 0)])

    def best_order(self, beta: Reals) -> Values:
        """Return the order at which the series is best cut at `beta`."""
        b = np.asarray(inverse_temperature(beta))
        return (np.argmin(self._truncation_errors(b), axis=0) + min(self._first, self.order))[()]

    _first = 2

    def _truncation_errors(self, b: np.ndarray) -> np.ndarray:
        """Error estimates of the series cut at the orders 2, 3, … (or at its only, lower, order)."""
        with np.errstate(divide="ignore", over="ignore"):
            terms = [
                abs(self.coefficients[k]) * b ** self._powers()[k] for k in range(self._first, self.order + 1)
            ]
            terms += [self._next_term(b)]
            # Row i cuts after term i: the next two terms and, past the leading one, the last term kept.
            rows = [
                4.0 * np.maximum(np.max(terms[max(i, 1) : i + 3], axis=0), self._beyond(b, self._first + i))
                for i in range(len(terms) - 1)
            ]
        return np.array(rows) if rows else np.array([self._next_term(b)])

    @abstractmethod
    def _next_term(self, b: np.ndarray) -> np.ndarray:
        """Estimate of the first term that was not computed."""

    def _beyond(self, b: np.ndarray, order: int) -> np.ndarray:
        """Return what no term shows, however many are computed, when the series is cut after `order`."""
        return np.zeros(b.shape)

    @property
    def valid_range(self) -> tuple[float, float]:
        """Range of β where the best cut leaves less than 1 % of the first temperature-dependent term open."""
        b = np.geomspace(1e-3, 1e7, 2001)
        reference = (
            np.abs(self.coefficients[2]) * b ** self._powers()[2] if self.order >= 2 else np.log(self.n)
        )
        good = b[self._truncation_errors(b).min(axis=0) <= 0.01 * reference]
        if not good.size:
            return math.nan, math.nan
        return 0.0 if good[0] == b[0] else float(good[0]), math.inf if good[-1] == b[-1] else float(good[-1])


@dataclass(frozen=True, repr=False)
class LowTemperatureExpansion(Expansion):
    """Series of F in 1/β, F = -c_0 - c_1/β - c_2/β² - …, with c_0 = ⟨max(-ε)⟩ (docs/expansions.md, Eq. 2).

    Attributes
    ----------
    gap : float
        Smallest distance between levels of a discrete spectrum, zero for continuous energies; with a gap
        the corrections beyond c_1 are exponentially small.
    """

    gap: float = 0.0
    letter: ClassVar[str] = "c"

    def _powers(self) -> np.ndarray:
        return 1.0 - np.arange(self.order + 1.0)

    @property
    def gap_rate(self) -> float:
        """Density a of the gap between the two lowest energies at zero, 12 c_2/π²; NaN below order 2."""
        return float(self.coefficients[2] / C2_PER_GAP_DENSITY) if self.order >= 2 else math.nan

    @property
    def crossover(self) -> float:
        """Inverse temperature where the low-temperature regime begins; NaN where it is not known.

        The gap rate a, at which the expected number of energies within 1/β of the lowest is of order one
        (c_0 for standard normal energies), or ln n over the gap of a discrete spectrum.
        """
        return math.log(self.n) / self.gap if self.gap > 0.0 else self.gap_rate

    def _next_term(self, b: np.ndarray) -> np.ndarray:
        if self.gap > 0.0:
            return np.log1p((self.n - 1.0) * np.exp(-np.where(b > 0.0, b * self.gap, 0.0)))
        if self.order < 2:
            return np.full(b.shape, math.log(self.n))
        return self._next_coefficient * b ** -float(self.order)

    @functools.cached_property
    def _next_coefficient(self) -> float:
        """Size of c_(order+1): that of the extreme-value limit, or more where the exact Φ says so.

        Where n is small the gap density varies as fast as that of the energies, not as its value at zero.
        """
        k = self.order + 1
        limit = float(extreme_value_coefficient(k, self.gap_rate))
        spread = self.energies.scale * math.sqrt(self.energies.core.variance)
        beta = max(self.gap_rate, 1.0 / spread) * np.array(_SEEN)
        exact = thermodynamics(beta, self.n, self.energies)
        known = (self.error * beta[:, None] ** self._powers()).sum(axis=1) + exact.error.log_partition
        left = np.abs(exact.log_partition - self.log_partition(beta)) - known
        return max(limit, float(np.max(left * beta**self.order)))


@dataclass(frozen=True, repr=False)
class HighTemperatureExpansion(Expansion):
    """Series of Φ in β; `coefficients` holds a_0 = ln n, a_1 = -⟨ε⟩, a_2 = ⟨κ̂_2⟩/2 and so on."""

    letter: ClassVar[str] = "a"

    def _powers(self) -> np.ndarray:
        return np.arange(self.order + 1.0)

    def _next_term(self, b: np.ndarray) -> np.ndarray:
        k = self.order
        terms = np.abs(self.coefficients)[:, None] * b.ravel() ** np.arange(k + 1.0)[:, None]
        last, previous = (terms[max(j, 1) : j + 2].max(axis=0, initial=0.0) for j in (k - 1, k - 3))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(previous > 0.0, last / previous, 0.0)
            following = np.where(ratio < 1.0, last * ratio / (1.0 - ratio), np.inf)
        if k < 2:
            return self._without_terms(b)
        if k < 4:  # too few terms for a ratio: the next cumulant is of order one in units of the variance
            following = terms[2] ** (0.5 * (k + 1.0))
        index = min(min(sides) for sides in self.energies.tail_indices)
        if index <= k + 2.0:  # a moment that is infinite leaves a broken power
            following = np.maximum(following, terms[2] ** (0.5 * index))
        return following.reshape(b.shape)

    def _without_terms(self, b: np.ndarray) -> np.ndarray:
        """Return what ln n - β⟨ε⟩, or ln n alone, leaves open at most.

        It is at most β²/2 times the largest Φ'' and, by β⟨max x⟩ <= Φ <= ln n + β⟨max x⟩ and Jensen's
        inequality, β(⟨max x⟩ - ⟨x⟩).
        """
        mean = -self.energies.mean
        if not math.isfinite(mean):
            return np.where(b > 0.0, np.inf, 0.0)
        left = b * self._rise
        if math.isfinite(self.energies.variance):
            left = np.minimum(left, 0.5 * self._steepest * b**2)
        return left if self.order == 1 else left + np.abs(mean) * b

    @functools.cached_property
    def _steepest(self) -> float:
        """Largest Φ'', with a margin for what lies between the temperatures at which it is taken."""
        beta = np.geomspace(*_SPANNED, 25) / math.sqrt(self.energies.variance)
        largest = np.max(thermodynamics(beta, self.n, self.energies).energy_variance)
        return _MARGIN * max(float(largest), self.energies.variance)

    @functools.cached_property
    def _rise(self) -> float:
        """⟨max x⟩ - ⟨x⟩ of n values, infinite for energies that share a scale."""
        core = self.energies.core
        if not core.independent:
            return math.inf
        highest, error = LowestLevels(core.components, self.n).mean_maximum
        return self.energies.scale * (highest + error + core.mean)

    def _beyond(self, b: np.ndarray, order: int) -> np.ndarray:
        if self.order < 2:
            return np.zeros(b.shape)
        # What ends the high-temperature phase is (e^z - 1)/(2n), z = Var(βε): low orders do not show it.
        z = 2.0 * abs(self.coefficients[2]) * b**2
        with np.errstate(over="ignore"):
            return scipy.special.gammainc(order // 2 + 1.0, z) * np.exp(np.minimum(z, 700.0)) / (2.0 * self.n)
