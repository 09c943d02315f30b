"""Tables the order-statistics sampler reads: the quantile of x = -ε, and moments of the energies below x_k.

With the hazard s = -log2 P(X <= x), the quantile X(s) is a polynomial on pieces of every binade of s. Given
the k-th hazard s_k, the rest has hazards s_k + h / ln 2 with h a unit exponential, hence
<g(X) | X < x_k> = ∫_0^∞ g(X(s_k + h / ln 2)) e^{-h} dh, tabulated against ln s_k for each β.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import lgamma
from typing import Protocol

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import special

from peakedtheory.energies.normal import STANDARD_NORMAL

Floats = NDArray[np.float64]

LN2 = float(np.log(2.0))
DEGREE = 7
"""Degree of the quantile's polynomials."""

REST_ORDERS = ((1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2), (4, 0))
"""(r, s) of the tabulated sums (n-k) <(x-x_k)^s e^{rβ(x-x_k)} | x < x_k>."""

GREATEST_HAZARD = 128.0 * (1.0 - 2.0**-52)
UNIFORM_BITS = 54
"""No exponential that is ever drawn lies below 2^-UNIFORM_BITS."""

ALL_SAMPLED = 64
"""Up to this many energies are all sampled: the rest's fluctuations are not small then."""

# Without isf, energies above which the probability is less are held there: 1 - q would have no digits left.
_LAST_SEEN = 2.0**-40
_MAY_ALL_BE_SAMPLED = 256  # where the k-th energy may lie at a kink in the middle of the distribution
_UNLIKELY = 1e-16  # probability with which s_k leaves the tabulated range, where it is held at the end
_QUANTILE_TOLERANCE = 1e-13
_REST_TOLERANCE = 1e-12
_ACCEPTED = 1e-9
_SPLITS = (4, 5, 6, 7)
_REST_DEGREES = (16, 24, 32)
_PANEL_NODES = 24


class Quantiles(Protocol):
    """What an energy distribution must offer; `isf`, the quantile from the other end, is used if present."""

    def ppf(self, q: Floats) -> Floats:
        """Return the energy below which the probability is q."""


@dataclass(frozen=True)
class QuantileTable:
    """Piecewise polynomial X(s) of the hazard s = -log2 P(X <= x), x = -ε.

    Attributes
    ----------
    coefficients : (pieces, DEGREE + 1) highest power first, in u on [-1, 1] of each piece.
    first : number of the first piece, counted as the leading bits of the float64 s.
    split : log2 of the number of pieces per binade.
    least, most : range of s; values outside are held at its ends.
    error : greatest interpolation error seen, relative to |x| + the interquartile range, and below the median
        times twice the probability of lying there.
    """

    coefficients: Floats
    first: int
    split: int
    least: float
    most: float
    error: float

    def __call__(self, s: Floats) -> Floats:
        """Return x at the hazards s."""
        s = np.clip(np.asarray(s, dtype=np.float64), self.least, self.most)
        piece, u = _locate(s, self.split)
        c = self.coefficients[piece - self.first]
        x = c[..., 0]
        for power in range(1, DEGREE + 1):
            x = x * u + c[..., power]
        return x

    @property
    def range(self) -> tuple[np.int64, np.int64, float, float]:
        """What the kernel takes as `quantile_range`."""
        return np.int64(self.first), np.int64(self.split), self.least, self.most


@dataclass(frozen=True)
class RestTable:
    """Sums over the n - k energies below x_k as polynomials in ln s_k, one set for each β.

    Attributes
    ----------
    polynomials : (m, 10, degree + 1) highest power first, in (ln s_k - centre) * scale on [-1, 1].
    centre, scale : of that variable.
    error : greatest error of quadrature and interpolation seen, relative to each sum's greatest value or to k
        terms of its kind.
    spread : how far x_k ranges.
    """

    polynomials: Floats
    centre: float
    scale: float
    error: float
    spread: float

    @property
    def range(self) -> tuple[float, float]:
        """What the kernel takes as `rest_range`."""
        return self.centre, self.scale


@dataclass(frozen=True)
class OrderStatisticsTables:
    """Everything the order-statistics kernel reads besides its coordinates.

    Attributes
    ----------
    beta : (m,) inverse temperatures.
    n, k : number of energies, and how many of the lowest are sampled.
    rates : (k,) 1 / ((n - j) ln 2).
    quantile, rest : the tables.
    """

    beta: Floats
    n: int
    k: int
    rates: Floats
    quantile: QuantileTable
    rest: RestTable

    @property
    def error(self) -> Floats:
        """What interpolation may add to ln Z, <x>_p, Var_p(x) and Σp², shape (m, 4)."""
        x = self.quantile(np.array([1.0 / (self.n * LN2), 2.0, -np.log2(0.75)]))
        bulk = abs(float(x[1] - x[2]))
        shift = self.quantile.error * (abs(float(x[0])) + bulk)
        width = self.rest.spread + bulk
        log_z = self.beta * shift + 4.0 * self.rest.error
        mean = shift + width * log_z
        return np.stack((log_z, mean, 2.0 * width * mean, 2.0 * log_z), axis=-1)


def _locate(s: Floats, split: int) -> tuple[NDArray[np.int64], Floats]:
    """Return the piece that holds s, and its coordinate in [-1, 1) there."""
    bits = s.view(np.int64)
    shift = 52 - split
    piece = bits >> shift
    low = ((bits & ((1 << shift) - 1)) | 0x3FF0000000000000).view(np.float64)
    return piece, (low - 1.0) * 2.0 ** (split + 1) - 1.0


def _hazard_quantile(energies: Quantiles, s: Floats) -> Floats:
    """Return x where P(X <= x) = 2^-s, from whichever end of the distribution keeps the digits."""
    h = s * LN2
    x = np.empty_like(s)
    upper = s < 1.0
    x[upper] = -np.asarray(energies.ppf(-np.expm1(-h[upper])))
    above = np.exp(-h[~upper])
    isf = getattr(energies, "isf", None)
    x[~upper] = -np.asarray(isf(above) if isf else energies.ppf(1.0 - np.maximum(above, _LAST_SEEN)))
    return x


def tabulate_quantile(energies: Quantiles, least: float) -> QuantileTable:
    """Tabulate the quantile of x = -ε for hazards from `least` to 128.

    Parameters
    ----------
    energies : distribution of ε with a continuous quantile function
    least : smallest hazard that can occur, > 0

    Raises
    ------
    ValueError
        If the quantile function is not smooth enough for a relative error of 1e-9.
    """
    nodes = chebyshev.chebpts1(DEGREE + 1)
    to_powers = np.linalg.inv(np.vander(nodes))
    checks = np.array([-1.0, -0.55, 0.45, 0.95])
    scale = abs(float(np.ptp(_hazard_quantile(energies, np.array([-np.log2(0.75), 2.0])))))
    for split in _SPLITS:
        first, last = (int(v) for v in _locate(np.array([least, GREATEST_HAZARD]), split)[0])
        pieces = np.arange(first, last + 1, dtype=np.int64) << (52 - split)
        left = pieces.view(np.float64)
        width = (pieces + (np.int64(1) << (52 - split))).view(np.float64) - left
        s = left[:, None] + 0.5 * width[:, None] * (1.0 + np.concatenate((nodes, checks)))
        x = _hazard_quantile(energies, s)
        coefficients = x[:, : DEGREE + 1] @ to_powers.T
        seen = coefficients @ np.vander(checks, DEGREE + 1).T
        exact = x[:, DEGREE + 1 :]
        likely = np.minimum(1.0, 2.0 ** (1.0 - left[:, None]))
        error = float(np.max(np.abs(seen - exact) / (np.abs(exact) + scale) * likely))
        if error <= _QUANTILE_TOLERANCE:
            break
    if not error <= _ACCEPTED:
        raise ValueError(
            f"energies: their quantile function must be smooth for order statistics, but interpolation "
            f"errs by {error:.1e}; use method='plain'"
        )
    return QuantileTable(
        np.ascontiguousarray(coefficients), first, split, float(left[0]), GREATEST_HAZARD, error
    )


def _hazard_range(n: int, k: int) -> tuple[float, float]:
    """Return bounds that s_k = Σ_{j<k} E_j / ((n-j) ln 2) leaves with probabilities below _UNLIKELY."""
    # ΣE is gamma distributed; its lower quantile from the leading term g^k / k!, which bounds the probability
    low = float(np.exp((np.log(_UNLIKELY) + lgamma(k + 1)) / k))
    high = float(special.gammainccinv(k, _UNLIKELY))
    return low / (n * LN2), high / ((n - k + 1) * LN2)


def _panels(start: float, finest: float, pieces: int) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights for h in (0, 64).

    Panels double from `finest`, break at the median, and are then cut into `pieces` each.
    """
    edges = [0.0]
    width = finest
    while width < 64.0:
        edges.append(width)
        width *= 2.0
    edges.append(64.0)
    median = LN2 - start
    if median > 0.0:
        edges = sorted([*edges, median])
    nodes, weights = special.roots_legendre(_PANEL_NODES)
    cuts = np.interp(np.arange(pieces * (len(edges) - 1) + 1) / pieces, np.arange(len(edges)), edges)
    left = cuts[:-1]
    half = 0.5 * np.diff(cuts)
    return (left[:, None] + half[:, None] * (1.0 + nodes)).ravel(), (half[:, None] * weights).ravel()


def _rest_moments(
    quantile: Callable[[Floats], Floats], beta: Floats, hazard: float, pieces: int = 1
) -> Floats:
    """<(x-x_k)^s e^{rβ(x-x_k)} | x < x_k> for the (r, s) of REST_ORDERS: (m, 10)."""
    start = hazard * LN2
    step = 2.0**-6 * start
    x_k = float(quantile(np.array([hazard]))[0])
    slope = abs(float(quantile(np.array([hazard + step / LN2]))[0]) - x_k) / step
    # the integrand varies over a fraction of s_k, or over 1 / (rβ dx/dh) if that is less
    finest = 0.25 * min(start, 1.0, 1.0 / max(4.0 * float(beta.max()) * slope, 1e-300))
    h, weights = _panels(start, finest, pieces)
    gap = quantile(hazard + h / LN2) - x_k
    weights = weights * np.exp(-h)
    powers = np.stack((weights, weights * gap, weights * gap * gap))
    e = np.exp(beta[:, None] * gap)
    moments = np.empty((beta.size, len(REST_ORDERS)))
    factor = np.ones_like(e)
    for r in range(1, 5):
        factor = factor * e
        sums = factor @ powers.T
        for column, (order, s) in enumerate(REST_ORDERS):
            if order == r:
                moments[:, column] = sums[:, s]
    return moments


def tabulate_rest(quantile: QuantileTable, beta: Floats, n: int, k: int) -> RestTable:
    """Tabulate sums over the n - k energies below x_k against ln s_k, for each β.

    Parameters
    ----------
    quantile : table of the energies' quantile function
    beta : (m,) inverse temperatures >= 0
    n, k : number of energies, and how many of the lowest are sampled; 0 < k < n
    """
    low, high = np.log(_hazard_range(n, k))
    centre, half = 0.5 * (low + high), 0.5 * (high - low)

    def evaluate(places: Floats, pieces: int = 1) -> Floats:
        hazards = np.exp(centre + half * places)
        return (n - k) * np.stack([_rest_moments(quantile, beta, float(s), pieces) for s in hazards], axis=-1)

    checks = np.linspace(-1.0, 1.0, 23)[1::2]
    exact = evaluate(checks, pieces=2)
    # sums over the rest are added to sums over the top k, of k terms at least as large as any of the rest's
    spread = float(np.ptp(quantile(np.exp([low, high]))))
    floor = np.array([k**r * spread**s for r, s in REST_ORDERS])
    scale = np.maximum(np.max(np.abs(exact), axis=-1), floor)[..., None]
    for degree in _REST_DEGREES:
        polynomials = _interpolate(evaluate(chebyshev.chebpts1(degree + 1)))
        error = float(np.max(np.abs(polynomials @ np.vander(checks, degree + 1).T - exact) / scale))
        if error <= _REST_TOLERANCE:
            break
    return RestTable(np.ascontiguousarray(polynomials), float(centre), float(1.0 / half), error, spread)


def _interpolate(values: Floats) -> Floats:
    """Convert values at the Chebyshev nodes to coefficients of powers, highest first."""
    degree = values.shape[-1] - 1
    nodes = chebyshev.chebpts1(degree + 1)
    # in two steps: only the series' fast decay tames the large entries of the second matrix
    series = values @ np.linalg.inv(chebyshev.chebvander(nodes, degree)).T
    to_powers = np.zeros((degree + 1, degree + 1))
    for k, unit in enumerate(np.eye(degree + 1)):
        to_powers[k, : k + 1] = chebyshev.cheb2poly(unit[: k + 1])
    return (series @ to_powers)[..., ::-1]


def order_statistics_tables(
    beta: Floats, n: int, energies: Quantiles = STANDARD_NORMAL, *, k: int = 16
) -> OrderStatisticsTables:
    """Prepare everything the order-statistics kernel reads besides its coordinates.

    Parameters
    ----------
    beta : (m,) inverse temperatures >= 0
    n : number of energies, >= 1
    energies : distribution of ε with `ppf` and, where it has one, `isf`; standard normal by default
    k : how many of the lowest energies to sample; all of them if n <= ALL_SAMPLED, or if n <= 256 and the
        density has a kink where the k-th may lie

    Raises
    ------
    ValueError
        If the quantile function is too rough to be tabulated.
    """
    beta = np.ascontiguousarray(beta, dtype=np.float64)
    if n <= max(ALL_SAMPLED, k):
        k = n
    rates = 1.0 / ((n - np.arange(n if n <= _MAY_ALL_BE_SAMPLED else k, dtype=np.float64)) * LN2)
    quantile = tabulate_quantile(energies, 2.0**-UNIFORM_BITS * float(rates[0]))
    if k < n:
        rest = tabulate_rest(quantile, beta, n, k)
        if rest.error <= _ACCEPTED:
            return OrderStatisticsTables(beta, n, k, rates[:k], quantile, rest)
        if n > _MAY_ALL_BE_SAMPLED:
            raise ValueError(
                f"energies: moments below the k-th energy must be smooth in it for order statistics, but "
                f"interpolation errs by {rest.error:.1e}; use method='plain'"
            )
    spread = float(np.ptp(quantile(np.array([rates[0], rates.sum()]))))
    rest = RestTable(np.zeros((beta.size, len(REST_ORDERS), 1)), 0.0, 1.0, 0.0, spread)
    return OrderStatisticsTables(beta, n, n, rates, quantile, rest)
