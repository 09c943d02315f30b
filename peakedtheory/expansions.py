"""Low- and high-temperature expansions of the free energy, exact at any finite n.

Low temperature (Liu et al. 2026, Eq. 13):  F = -c0 - c1/β - c2/β² - …,  U = -c0 + c2/β² + 2 c3/β³ + …
High temperature (their Eqs. 54-63 to second order):  ⟨ln Z⟩ = ln n + Σ_r (-β)^r ⟨κ̂_r⟩ / r!
The coefficients are those of docs/expansions.md: averages over the lowest energies and expected cumulants.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.polynomial import hermite_e
from scipy.special import gammainc, gammaln, psi, zeta

from peakedtheory import _cumulants, _order_statistics
from peakedtheory._checks import fail, inverse_temperature, number_of_energies
from peakedtheory._order_statistics import LowestLevels
from peakedtheory._results import describe, scalar_or_array
from peakedtheory.energies import STANDARD_NORMAL, Energies, FiniteWidth, as_energies


@dataclass(frozen=True, repr=False)
class Expansion:
    """A truncated series of Φ = ⟨ln Z⟩ and what follows from it.

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

    @property
    def order(self) -> int:
        """Order of the last coefficient."""
        return self.coefficients.size - 1

    def __repr__(self) -> str:
        letter = "a" if isinstance(self, HighTemperatureExpansion) else "c"
        rows: dict[str, Any] = {f"{letter}{k}": float(v) for k, v in enumerate(self.coefficients)}
        errors = {f"{letter}{k}": float(v) for k, v in enumerate(self.error)}
        low, high = self.valid_range
        rows["valid for beta"] = f"{low:.4g} … {high:.4g}"
        return describe(f"{type(self).__name__} of n={self.n:g} {self.energies.name} energies", rows, errors)

    def _powers(self) -> np.ndarray:
        """Exponents p_k of Φ = Σ c_k β^p_k."""
        raise NotImplementedError

    def _series(self, beta: Any, weights: np.ndarray, shift: float, order: int | None) -> Any:
        """Σ weights_k c_k β^(p_k + shift), summed from the smallest term."""
        b = inverse_temperature(beta)
        top = self.order if order is None else int(order)
        if not 0 <= top <= self.order:
            fail("order", f"must lie between 0 and {self.order}", str(order), "compute a longer expansion")
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = [
                c * w * b ** (p + shift)
                for c, w, p in zip(self.coefficients, weights, self._powers(), strict=True)
                if c * w != 0.0
            ][: top + 1]
        chosen = [k for k in range(top + 1) if self.coefficients[k] * weights[k] != 0.0]
        total = np.zeros_like(b)
        for term in terms[: len(chosen)][::-1]:
            total = total + term
        return scalar_or_array(total)

    def log_partition(self, beta: Any, *, order: int | None = None) -> Any:
        """Return the series of Φ = ⟨ln Z⟩ at `beta`, up to `order`."""
        return self._series(beta, np.ones(self.order + 1), 0.0, order)

    def free_energy(self, beta: Any, *, order: int | None = None) -> Any:
        """Return the series of F = -Φ/β at `beta`, up to `order`."""
        return self._series(beta, -np.ones(self.order + 1), -1.0, order)

    def internal_energy(self, beta: Any, *, order: int | None = None) -> Any:
        """Return the series of U = -Φ' at `beta`, up to `order`."""
        return self._series(beta, -self._powers(), -1.0, order)

    def entropy(self, beta: Any, *, order: int | None = None) -> Any:
        """Return the series of S = Φ - βΦ' at `beta`, up to `order`."""
        return self._series(beta, 1.0 - self._powers(), 0.0, order)

    def energy_variance(self, beta: Any, *, order: int | None = None) -> Any:
        """Return the series of Φ'' at `beta`, up to `order`."""
        p = self._powers()
        return self._series(beta, p * (p - 1.0), -2.0, order)

    def loss(self, beta: Any, beta_star: Any, *, order: int | None = None) -> Any:
        """Return the series of L = Φ(β) - Φ(β*) - (β - β*)Φ'(β*), finite β* (Liu et al. 2026, Eq. 10)."""
        b, s = inverse_temperature(beta), inverse_temperature(beta_star, "beta_star")
        difference = np.asarray(self.log_partition(b, order=order)) - self.log_partition(s, order=order)
        return scalar_or_array(np.asarray(difference + (b - s) * self.internal_energy(s, order=order)))

    def truncation_error(self, beta: Any, *, order: int | None = None) -> Any:
        """Return an estimate of what the series of Φ up to `order` leaves open at `beta`.

        Four times the largest of the last term kept and the next two, as far as known: single terms may
        vanish by accident. The series is asymptotic, so more terms do not always help.
        """
        b = np.asarray(inverse_temperature(beta))
        estimates = self._truncation_errors(b)
        top = self.order if order is None else int(order)
        return scalar_or_array(estimates[max(top - self._first, 0)])

    def best_order(self, beta: Any) -> Any:
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

    def _next_term(self, b: np.ndarray) -> np.ndarray:
        """Estimate of the first term that was not computed."""
        raise NotImplementedError

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
        good = np.nonzero(self._truncation_errors(b).min(axis=0) <= 0.01 * reference)[0]
        if not good.size:
            return math.nan, math.nan
        return (
            0.0 if good[0] == 0 else float(b[good[0]]),
            math.inf if good[-1] == 2000 else float(b[good[-1]]),
        )


@dataclass(frozen=True, repr=False)
class LowTemperatureExpansion(Expansion):
    """Series of F in 1/β, whose `coefficients` are c_0 = ⟨max(-ε)⟩, c_1, c_2 and so on.

    Attributes
    ----------
    gap : float
        Smallest distance between levels of a discrete spectrum, zero for continuous energies; with a gap
        the corrections beyond c_1 are exponentially small.
    """

    gap: float = 0.0

    def _powers(self) -> np.ndarray:
        return 1.0 - np.arange(self.order + 1.0)

    @property
    def gap_rate(self) -> float:
        """Density a of the gap between the two lowest energies at zero, 12 c_2/π²; NaN below order 2."""
        return float(self.coefficients[2] / (0.5 * zeta(2))) if self.order >= 2 else math.nan

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
        k = self.order + 1
        return zeta(k) * self.gap_rate ** (k - 1) / k * b ** (1.0 - k)

    def extreme_value(self, beta: Any) -> tuple[Any, Any]:
        """Return (Φ, U) in the extreme-value limit, the closed form that n → ∞ leads to.

        Φ = β c_0 + (β/a) [ln Γ(1 - a/β)] - γ for β above the gap rate a, with c_0 and a those of this n. It
        has the exact c_0 and c_2 but c_k = ζ(k) a^(k-1)/k beyond, so it is for comparison (Derrida and
        Mottishaw, arXiv 1410.1432, treat the limit).

        Raises
        ------
        ValueError
            For β not above the gap rate, or an expansion of order below 2.
        """
        b = inverse_temperature(beta)
        a = self.gap_rate
        if not (b > a).all():  # a NaN gap rate fails here too
            fail(
                "beta",
                f"must exceed the gap rate a={a:.4g} of an order-2 expansion",
                f"{b.min():g}",
                "lower the temperature",
            )
        c0, c1 = self.coefficients[:2]
        phi = b * c0 + c1 + (b / a) * gammaln(1.0 - a / b) - np.euler_gamma
        internal = -c0 - gammaln(1.0 - a / b) / a - psi(1.0 - a / b) / b
        return scalar_or_array(np.asarray(phi)), scalar_or_array(np.asarray(internal))

    def resummed(self, beta: Any) -> tuple[Any, Any]:
        """Return (Φ, U) from the near-diagonal Padé approximant of the series in 1/β.

        Reaches to smaller β than the series itself (a tenth of its error at n = 50304, β = 7).

        Raises
        ------
        ValueError
            For an expansion of order below 2.
        """
        from scipy.interpolate import pade  # slow to import

        if self.order < 2:
            fail("order", "must be at least 2 to resum", str(self.order), "compute more coefficients")
        b = inverse_temperature(beta)
        thermal = np.concatenate([[0.0], self.coefficients[2:]])  # Φ - βc_0 - c_1 as a series in u = 1/β
        numerator, denominator = pade(thermal, (thermal.size - 1) // 2)
        with np.errstate(divide="ignore"):
            u = 1.0 / b
        value = numerator(u) / denominator(u)
        slope = (numerator.deriv()(u) - value * denominator.deriv()(u)) / denominator(u)
        phi = b * self.coefficients[0] + self.coefficients[1] + value
        return scalar_or_array(phi), scalar_or_array(-self.coefficients[0] + u * u * slope)


@dataclass(frozen=True, repr=False)
class HighTemperatureExpansion(Expansion):
    """Series of Φ in β; `coefficients` holds a_0 = ln n, a_1 = -⟨ε⟩, a_2 = ⟨κ̂_2⟩/2 and so on."""

    def _powers(self) -> np.ndarray:
        return np.arange(self.order + 1.0)

    def _next_term(self, b: np.ndarray) -> np.ndarray:
        k = self.order
        terms = np.abs(self.coefficients)[:, None] * b.ravel() ** np.arange(k + 1.0)[:, None]
        last, previous = (terms[max(j, 1) : j + 2].max(axis=0, initial=0.0) for j in (k - 1, k - 3))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(previous > 0.0, last / previous, 0.0)
            following = np.where(ratio < 1.0, last * ratio / (1.0 - ratio), np.inf)
        if k < 4:  # too few terms for a ratio: the next cumulant is of order one in units of the variance
            following = terms[min(k, 2)] ** (0.5 * (k + 1.0)) if k >= 2 else terms[k]
        return following.reshape(b.shape)

    def _beyond(self, b: np.ndarray, order: int) -> np.ndarray:
        # What ends the high-temperature phase is (e^z - 1)/(2n), z = Var(βε): low orders do not show it.
        z = 2.0 * abs(self.coefficients[2]) * b**2
        with np.errstate(over="ignore"):
            return gammainc(order // 2 + 1.0, z) * np.exp(np.minimum(z, 700.0)) / (2.0 * self.n)


Series = TypeVar("Series", bound=Expansion)


def low_temperature_expansion(n: Any, energies: Any = None, order: int = 2) -> LowTemperatureExpansion:
    """Return the exact coefficients c_0 … c_order of the low-temperature expansion at finite n.

    Parameters
    ----------
    n : int
        Number of energies, at least 2.
    energies : optional
        Distribution of one energy, as `as_energies` takes it; standard normal by default.
    order : int, optional
        Highest order, 0 to 8.

    Returns
    -------
    LowTemperatureExpansion

    Raises
    ------
    ValueError
        If ⟨max(-ε)⟩ does not exist, or if the energies are not smooth enough at their lower edge for a
        term of that order (atoms stop at order 1).

    Notes
    -----
    c_0 = ⟨max(-ε)⟩, c_1 = ⟨ln multiplicity of the ground state⟩, c_2 = (π²/12) p_Δ(0) with p_Δ(0) the
    density of the lowest gap at zero; for Gaussian energies p_Δ(0) = c_0, so c_2 = (π²/12) c_0.

    Examples
    --------
    >>> c0, c1, c2 = low_temperature_expansion(50304).coefficients
    >>> print(f"{c0:.10f} {c1:.0f} {c2:.10f}")
    4.2318320421 0 3.4805423456
    """
    count = _single_count(n)
    order = _checked_order(order, _order_statistics.MAX_ORDER)
    distribution = as_energies(energies)
    if isinstance(distribution, FiniteWidth):
        core = low_temperature_expansion(count, STANDARD_NORMAL, order)
        if order - 1 >= distribution.width:
            fail(
                "order",
                f"must be at most the width {distribution.width}",
                str(order),
                "⟨(χ_m)^(1-k)⟩ diverges beyond",
            )
        s, weight = distribution.scales
        factors = np.array([weight @ s ** (1.0 - k) for k in range(order + 1)])
        return LowTemperatureExpansion(
            core.coefficients * factors, core.error * factors + 1e-15, count, distribution
        )
    distribution.require_maximum(count)
    is_normal = distribution.core is STANDARD_NORMAL
    levels = LowestLevels(distribution.core.components, count, _normal_derivative if is_normal else None)
    allowed = levels.largest_order(order)
    if order > allowed:
        fail(
            "order",
            f"at most {allowed} for {distribution.name} energies: the next term is not a power of 1/β alone",
            str(order),
            f"ask for order={allowed}",
        )
    pairs = [levels.mean_maximum]
    if order >= 1:
        multiplicity = levels.mean_log_multiplicity()
        pairs.append((multiplicity, 1e-14 * multiplicity))
    pairs += [levels.coefficient(k) for k in range(2, order + 1)]
    values, errors = np.array(pairs).T
    scaling = distribution.scale ** (1.0 - np.arange(order + 1))
    values, errors = values * scaling, errors * scaling
    values[0] -= distribution.location
    errors[0] += 2e-16 * abs(distribution.location)
    gap = distribution.scale * levels.smallest_spacing if distribution.is_discrete else 0.0
    return LowTemperatureExpansion(values, errors, count, distribution, gap)


def high_temperature_expansion(n: Any, energies: Any = None, order: int = 2) -> HighTemperatureExpansion:
    """Return the exact coefficients a_0 … a_order of Φ = Σ a_r β^r at finite n.

    Parameters
    ----------
    n : int
        Number of energies, at least 1.
    energies : optional
        Distribution of one energy with finite moments up to `order`; standard normal by default.
    order : int, optional
        Highest order, 0 to 8.

    Returns
    -------
    HighTemperatureExpansion

    Raises
    ------
    ValueError
        If a moment up to `order` does not exist.

    Examples
    --------
    >>> print([round(float(a), 8) for a in high_temperature_expansion(128, order=4).coefficients])
    [4.85203026, 0.0, 0.49609375, 0.0, -0.00193787]
    """
    count = _single_count(n, smallest=1)
    order = _checked_order(order, _cumulants.MAX_ORDER)
    distribution = as_energies(energies)
    if isinstance(distribution, FiniteWidth):
        core = high_temperature_expansion(count, STANDARD_NORMAL, order)
        s, weight = distribution.scales
        factors = np.array([weight @ s**r for r in range(order + 1)])
        return HighTemperatureExpansion(
            core.coefficients * factors, core.error * factors + 1e-15, count, distribution
        )
    moments = distribution.core.central_moments(max(order, 1))
    if not np.isfinite(moments).all():
        finite = int(np.argmin(np.isfinite(moments))) - 1
        fail(
            "order",
            f"at most {max(finite, 0)} moments of {distribution.name} exist",
            str(order),
            "lower the order",
        )
    relative = 1e-16 if distribution.core is STANDARD_NORMAL else 1e-13
    pairs = [(math.log(count), 2e-16 * math.log(count)), (-moments[0], relative * abs(moments[0]))][
        : order + 1
    ]
    for r in range(2, order + 1):
        value, size = _cumulants.mean_cumulant(r, int(count), list(moments))
        sign = (-1.0) ** r / math.factorial(r)
        pairs.append(
            (sign * value, abs(sign) * (relative * size if relative > 1e-16 else 2e-16 * abs(value)))
        )
    values, errors = np.array(pairs).T
    scaling = distribution.scale ** np.arange(order + 1.0)
    values, errors = values * scaling, errors * scaling
    if order >= 1:
        values[1] -= distribution.location
    return HighTemperatureExpansion(values + 0.0, errors, count, distribution)


def longest_expansion(expansion: Callable[..., Series], n: Any, energies: Any, order: int) -> Series:
    """Return `expansion(n, energies, order)`, or the longest one below `order` that these energies have."""
    for shorter in range(_checked_order(order, _order_statistics.MAX_ORDER), 0, -1):
        try:
            return expansion(n, energies, shorter)
        except ValueError as error:
            if not str(error).startswith("order:"):
                raise
    return expansion(n, energies, 0)


def _normal_derivative(x: np.ndarray, j: int) -> np.ndarray:
    return (
        (-1) ** j * hermite_e.hermeval(x, [0.0] * j + [1.0]) * np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    )


def _single_count(n: Any, smallest: int = 2) -> float:
    array = number_of_energies(n)
    if array.ndim:
        fail("n", "must be a single number here", f"an array of shape {array.shape}", "loop over the sizes")
    if array < smallest:
        fail("n", f"must be at least {smallest}", f"{float(array):g}", "one energy has no excited states")
    return float(array)


def _checked_order(order: Any, largest: int) -> int:
    if isinstance(order, bool) or int(order) != order or not 0 <= order <= largest:
        fail("order", f"must be a whole number from 0 to {largest}", repr(order), "choose a lower order")
    return int(order)
