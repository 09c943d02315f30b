"""Expansion coefficients fitted to Monte Carlo estimates of ⟨ln Z⟩, with honest errors, beside exact ones.

⟨ln Z⟩ = c_0 β + c_1 + c_2/β + … at low temperature (Liu et al. 2026, Eq. 13) and ln n + a_1 β + a_2 β² + … at
high temperature, fitted by generalised least squares. The orders left out enter as further coefficients of
unknown sign and of the size that extreme-value statistics (cumulants of an exponential) give them, so that
the error bars contain the truncation.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from peakedtheory._common.checks import fail, whole_number
from peakedtheory.energies.base import Energies
from peakedtheory.exact.expansions import high_temperature_expansion, low_temperature_expansion
from peakedtheory.exact.series import Expansion, extreme_value_coefficient
from peakedtheory.sampling.results import MonteCarloResult

#: Low temperature: β must exceed this multiple of the gap rate that the energy variance shows.
LOW_WINDOW = 1.5
#: High temperature: β times the standard deviation of the energies must stay below this.
HIGH_WINDOW = 0.5
_ORDERS_BEYOND = 12
_PRIOR_WIDTH = 1.5
_MOST_POINTS = 24
_RIDGE = 1e-12  # of the variances: below this the estimated covariance has no digits
_IMPLAUSIBLE = 0.01
_LEAST_SPAN = 1.5


@dataclass(frozen=True, repr=False)
class ExpansionFit:
    """Coefficients of an expansion fitted to Monte Carlo estimates.

    Attributes
    ----------
    coefficients : ndarray, shape (order + 1,)
        c_0 … c_order of F = -Σ c_k β^(-k), or a_0 … a_order of ⟨ln Z⟩ = Σ a_r β^r (a_0 = ln n is known).
    covariance : ndarray, shape (order + 1, order + 1)
        Their covariance: sampling, rounding and truncation.
    statistical_covariance : ndarray, shape (order + 1, order + 1)
        The part of it that comes from sampling alone.
    window : tuple of float
        Smallest and largest β used.
    points : int
        Number of β used.
    chi_squared : float
        Of the residuals, truncation included.
    degrees_of_freedom : int
        Points less fitted coefficients.
    p_value : float
        Probability of a larger chi squared if the expansion holds.
    exact : Expansion or None
        The exact coefficients, where the energies are a known distribution that has them.
    letter : str
        "c" or "a".
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    statistical_covariance: np.ndarray
    window: tuple[float, float]
    points: int
    chi_squared: float
    degrees_of_freedom: int
    p_value: float
    exact: Expansion | None = field(repr=False)
    letter: str = field(default="c", repr=False)

    @property
    def standard_error(self) -> np.ndarray:
        """Standard errors of the coefficients, shape (order + 1,)."""
        return np.sqrt(np.diagonal(self.covariance))

    def deviations(self) -> np.ndarray | None:
        """(fitted - exact) in standard errors, zero where nothing was fitted; None without exact values."""
        if self.exact is None:
            return None
        error = self.standard_error
        off = self.coefficients - self.exact.coefficients
        return np.where(error > 0, off / np.where(error > 0, error, 1.0), 0.0)

    def __repr__(self) -> str:
        low, high = self.window
        name = "Low" if self.letter == "c" else "High"
        lines = [
            f"{name}-temperature fit to {self.points} beta"
            f" from {low:.4g} to {high:.4g}: chi²/dof = {self.chi_squared:.1f}/{self.degrees_of_freedom},"
            f" p = {self.p_value:.2g}"
        ]
        away = self.deviations()
        for k, (value, error) in enumerate(zip(self.coefficients, self.standard_error, strict=True)):
            line = f"  {self.letter}{k}  {value:.7g} ± {error:.2g}"
            if self.exact is not None and away is not None:
                line += f"    exact {self.exact.coefficients[k]:.9g}    ({away[k]:+.2f} standard errors)"
            lines.append(line)
        return "\n".join(lines)


def fit_low_temperature(estimates: MonteCarloResult, order: int = 2) -> ExpansionFit:
    """Fit c_0 … c_order of F = -c_0 - c_1/β - c_2/β² - … to estimates of ⟨ln Z⟩ at many β.

    Parameters
    ----------
    estimates : MonteCarloResult
        From `estimate(..., covariance=True)` on a grid that reaches low temperatures.
    order : int, optional
        Highest order, 1 to 6.

    Returns
    -------
    ExpansionFit

    Raises
    ------
    ValueError
        If the estimates lack their covariance, or too few β lie in the window.

    Notes
    -----
    Window: the β from which on β >= 1.5 a everywhere and a rises no further than twofold, a(β) =
    (6/π²) β³ Φ'' being the gap rate that the energy variance shows (it grows as β³ at high temperature); it
    must span a factor of 1.5 in β. The series converges geometrically for β > a in the extreme-value
    limit, where c_k = ζ(k) a^(k-1)/k. Twelve further orders are carried with standard deviations of 1.5
    times that. While p < 0.01, as where a gap makes the corrections exponential, the lowest β is dropped.
    The covariance of ⟨ln Z⟩ is regularised by the square of the bias bound, rounding included, and by
    10^-12 of its diagonal. At most 24 β, and a third as many as there are independent rows, are used,
    evenly spaced in 1/β: 21 for quasi-Monte Carlo with its 64 scramblings.

    Examples
    --------
    >>> import numpy as np
    >>> from peakedtheory.sampling.montecarlo import estimate
    >>> result = estimate(np.linspace(2, 40, 20), 128, samples=4096, rng=1, covariance=True)
    >>> fit = fit_low_temperature(result)
    >>> bool(np.all(np.abs(fit.deviations()) < 4))
    True
    """
    data = _Data.of(estimates, order)
    with np.errstate(over="ignore"):
        local = 6.0 / np.pi**2 * data.beta**3 * data.variance
    # the largest local rate from each β on
    onwards = np.maximum.accumulate(local[::-1])[::-1]
    inside = (data.beta > 0) & (data.beta >= LOW_WINDOW * onwards) & (local >= 0.5 * onwards)
    inside &= bool(inside.any() and data.beta[-1] >= _LEAST_SPAN * data.beta[inside][0])
    gap_rate = float(local[inside].max(initial=0.0))
    spacing = -1.0 / np.maximum(data.beta, 1e-300)
    data = data.inside(inside, order + 1, f"of low temperatures, beta >= {LOW_WINDOW} gap rates", spacing)
    exponents = 1.0 - np.arange(order + 1.0 + _ORDERS_BEYOND)
    beyond = np.arange(order + 1, order + 1 + _ORDERS_BEYOND)
    widths = _PRIOR_WIDTH * extreme_value_coefficient(beyond, gap_rate)
    exact = _exact(low_temperature_expansion, estimates.n, estimates.energies, order)
    free = np.ones(order + 1, bool)
    fit = _solve(data, exponents, free, np.zeros(order + 1), widths, exact, "c")
    while fit.p_value < _IMPLAUSIBLE and data.beta.size > order + 2:
        data = data.at(np.arange(1, data.beta.size))
        fit = _solve(data, exponents, free, np.zeros(order + 1), widths, exact, "c")
    return fit


def fit_high_temperature(estimates: MonteCarloResult, order: int = 2) -> ExpansionFit:
    """Fit a_1 … a_order of ⟨ln Z⟩ = ln n + a_1 β + a_2 β² + … to estimates at small β.

    Parameters
    ----------
    estimates : MonteCarloResult
        From `estimate(..., covariance=True)` on a grid that reaches high temperatures.
    order : int, optional
        Highest order, 1 to 6.

    Returns
    -------
    ExpansionFit
        With a_0 = ln n held fixed.

    Raises
    ------
    ValueError
        If the estimates lack their covariance, or too few β lie in the window.

    Notes
    -----
    Window: 0 < β <= 0.5/σ, σ² the energy variance at the smallest β. Twelve further orders are carried
    with standard deviations 1.5 σ^r/r, the size they have for exponentially distributed energies. While
    p < 0.01 the highest β is dropped; regularisation and spacing (in β) as in `fit_low_temperature`.

    Examples
    --------
    >>> import numpy as np
    >>> from peakedtheory.sampling.montecarlo import estimate
    >>> result = estimate(np.linspace(0.05, 0.5, 10), 128, samples=4096, rng=1, covariance=True)
    >>> fit = fit_high_temperature(result)
    >>> bool(np.all(np.abs(fit.deviations()) < 4))
    True
    """
    data = _Data.of(estimates, order)
    sigma = float(np.sqrt(data.variance[0]))
    inside = (data.beta > 0) & (data.beta * sigma <= HIGH_WINDOW)
    data = data.inside(inside, order, f"of high temperatures, 0 < beta <= {HIGH_WINDOW}/σ", data.beta)
    exponents = np.arange(order + 1.0 + _ORDERS_BEYOND)
    beyond = np.arange(order + 1, order + 1 + _ORDERS_BEYOND)
    widths = _PRIOR_WIDTH * sigma**beyond / beyond
    free = np.arange(order + 1) > 0
    known = np.where(free, 0.0, np.log(estimates.n))
    exact = _exact(high_temperature_expansion, estimates.n, estimates.energies, order)
    fit = _solve(data, exponents, free, known, widths, exact, "a")
    while fit.p_value < _IMPLAUSIBLE and data.beta.size > order + 1:
        data = data.at(np.arange(data.beta.size - 1))
        fit = _solve(data, exponents, free, known, widths, exact, "a")
    return fit


@dataclass(frozen=True)
class _Data:
    """Estimates of ⟨ln Z⟩ at ascending β, with their covariance and that of rounding and bias."""

    beta: np.ndarray
    values: np.ndarray
    variance: np.ndarray
    covariance: np.ndarray
    rounding: np.ndarray
    freedom: int

    @classmethod
    def of(cls, estimates: MonteCarloResult, order: int) -> _Data:
        if not isinstance(estimates, MonteCarloResult):
            fail(
                "estimates",
                "must be a result of estimate",
                type(estimates).__name__,
                "call estimate(..., covariance=True)",
            )
        if estimates.log_partition_covariance is None:
            fail("estimates", "must carry their covariance", "none", "call estimate(..., covariance=True)")
        order = whole_number("order", order, 1, 6, "take 2")
        beta, index = np.unique(np.asarray(estimates.beta, dtype=float).ravel(), return_index=True)
        values = np.asarray(estimates.log_partition.mean).ravel()[index]
        bound = np.asarray(estimates.log_partition.bias_bound).ravel()[index]
        covariance = estimates.log_partition_covariance[np.ix_(index, index)]
        return cls(
            beta,
            values,
            np.asarray(estimates.energy_variance.mean).ravel()[index],
            covariance,
            bound**2 + _RIDGE * np.diagonal(covariance),
            estimates.degrees_of_freedom,
        )

    def inside(self, keep: np.ndarray, parameters: int, rule: str, spacing: np.ndarray) -> _Data:
        """Keep at most as many points of the window as the samples can tell apart, evenly in `spacing`."""
        positions = np.nonzero(keep)[0]
        most = min(_MOST_POINTS, max(self.freedom // 3, parameters))
        if positions.size < parameters or self.freedom < parameters + 4:
            fail(
                "estimates",
                f"need {parameters} values of beta in the window {rule}, {parameters + 5} independent rows",
                f"{positions.size} of {self.beta.size} values, {self.freedom + 1} rows",
                "extend the grid of beta, or take more samples",
            )
        if positions.size > most:
            wanted = np.linspace(spacing[positions[0]], spacing[positions[-1]], most)
            nearest = np.abs(spacing[positions][:, None] - wanted).argmin(axis=0)
            positions = np.unique(positions[nearest])
        return self.at(positions)

    def at(self, positions: np.ndarray) -> _Data:
        """Keep the given points."""
        return _Data(
            self.beta[positions],
            self.values[positions],
            self.variance[positions],
            self.covariance[np.ix_(positions, positions)],
            self.rounding[positions],
            self.freedom,
        )


def _solve(
    data: _Data,
    exponents: np.ndarray,
    free: np.ndarray,
    known: np.ndarray,
    widths: np.ndarray,
    exact: Expansion | None,
    letter: str,
) -> ExpansionFit:
    """Generalised least squares; the columns beyond the fitted ones are marginalised with their widths.

    They enter as coefficients of unit variance that are observed to be zero: adding their squares to the
    covariance instead would drown precise data in its rounding.
    """
    columns = data.beta[:, None] ** exponents
    fitted, left_out = columns[:, : free.size], columns[:, free.size :] * widths
    design = fitted[:, free]
    rest = data.values - fitted[:, ~free] @ known[~free]
    parameters, points = int(free.sum()), data.beta.size
    spare = points - parameters
    inflation, spread = _few_samples(data.freedom, points, parameters)
    sampling = data.covariance * inflation
    noise = sampling + np.diag(data.rounding)
    unit = np.sqrt(np.diagonal(noise))
    # rows of `whitener` turn the data into independent numbers of variance one
    whitener = np.linalg.inv(np.linalg.cholesky(noise / np.outer(unit, unit))) / unit
    beyond = left_out.shape[1]
    system = np.vstack(
        [whitener @ np.hstack([design, left_out]), np.eye(beyond, parameters + beyond, parameters)]
    )
    scale = np.linalg.norm(system, axis=0)
    q, r = np.linalg.qr(system / scale)
    target = np.append(whitener @ rest, np.zeros(beyond))
    inverse = np.linalg.inv(r)[:parameters] / scale[:parameters, None]
    solution = inverse @ (q.T @ target)
    # coefficients = weights @ data, which also says how much of the error is sampling alone
    weights = inverse @ (q[:points].T @ whitener)
    covariance = inverse @ inverse.T * spread
    statistical = weights @ sampling @ weights.T * spread
    residual = target - q @ (q.T @ target)
    chi_squared = float(residual @ residual)
    coefficients = known.copy()
    coefficients[free] = solution
    return ExpansionFit(
        coefficients,
        _embed(covariance, free),
        _embed(statistical, free),
        (float(data.beta[0]), float(data.beta[-1])),
        points,
        chi_squared,
        spare,
        float(stats.chi2.sf(chi_squared, spare)) if spare else 1.0,
        exact,
        letter,
    )


def _few_samples(freedom: int, points: int, parameters: int) -> tuple[float, float]:
    """Factors on the covariance of the data and of the coefficients when few samples estimate the former.

    The inverse of an estimated covariance is too large on average (Hartlap, Simon and Schneider 2007), and
    its noise spreads the coefficients (Dodelson and Schneider 2013).
    """
    inflation = freedom / max(freedom - points - 1.0, 1.0)
    spread = 1.0 + (points - parameters) * (freedom - points - 1.0) / max(
        (freedom - points) * (freedom - points - 3.0), 1.0
    )
    return inflation, max(spread, 1.0)


def _embed(covariance: np.ndarray, free: np.ndarray) -> np.ndarray:
    full = np.zeros((free.size, free.size))
    full[np.ix_(free, free)] = covariance
    return full


@functools.lru_cache(maxsize=32)
def _exact(expansion: Any, n: int, energies: Energies | None, order: int) -> Expansion | None:
    """Return the exact expansion where it exists to this order."""
    if energies is None:
        return None
    try:
        return expansion(n, energies, order)
    except ValueError:
        return None
