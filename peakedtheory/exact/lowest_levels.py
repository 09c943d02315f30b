"""Averages over the lowest of n energies: ⟨max x⟩, ⟨ln multiplicity⟩ and the low-temperature coefficients.

Conditioned on the largest value y of x = -ε the other n-1 are independent below it, and expanding their
density one-sidedly about y gives every coefficient of Φ = Σ c_k β^(1-k) (docs/expansions.md):

    c_k = (-1)^k Σ_p n(n-1)…(n-r)/Π m_j! J(p) ∫ f F^(n-1-r) Π f^(p_i - 1) dy,

over the partitions p of k-1 into r parts with multiplicities m_j; J(p) = ∫ ds exp(-e^s) Π E_(p_i - 1)(s),
E_0 = Ein(e^s) and E_j the j-fold integral of it.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from peakedtheory._common.panels import NODES, TO_LEGENDRE, WEIGHTS, integrate
from peakedtheory.energies.components import Atoms, Component, Density, Function
from peakedtheory.exact.doubts import extent, relative_doubt
from peakedtheory.exact.wide_panels import joined

#: (x, j) -> j-th derivative of the density.
Derivatives = Callable[[np.ndarray, int], np.ndarray]

#: Largest order of the low-temperature series.
MAX_ORDER = 8
#: Distances from an end at zero, in widths, between which its power is taken.
_NEAR = np.array([1e-250, 1e-240])


def partitions(total: int, largest: int | None = None) -> Iterator[tuple[int, ...]]:
    """Yield the partitions of `total` into nonincreasing positive parts."""
    if total == 0:
        yield ()
        return
    for part in range(min(total, largest or total), 0, -1):
        for rest in partitions(total - part, part):
            yield (part, *rest)


@functools.cache
def _kernel_table() -> tuple[np.ndarray, np.ndarray]:
    """Lattice weights exp(-e^s) ds and the functions E_0 … E_6 on it."""
    step = 0.125
    s = step * np.arange(-300, 30)
    t = np.exp(s)
    term = np.ones_like(t)
    table = np.zeros((MAX_ORDER - 1, t.size))
    for m in range(1, 400):  # E_j = Σ_m (-1)^(m+1) t^m / (m! m^(j+1)), whose error exp(-e^s) damps
        term = term * t / m if m == 1 else -term * t / m
        table += term / float(m) ** np.arange(1, MAX_ORDER)[:, None]
    return step * np.exp(-t), table


@functools.cache
def cluster_integral(parts: tuple[int, ...]) -> float:
    """Return J(p) of the module's formula, the weight of r levels within 1/β of the lowest."""
    weight, table = _kernel_table()
    return float(weight @ np.prod(table[[p - 1 for p in parts]], axis=0))


class LowestLevels:
    """The largest of n values of x, from the components of its distribution.

    Parameters
    ----------
    components : tuple of (weight, Density or Atoms)
        Distribution of x.
    n : float
        Number of values.
    derivatives : callable, optional
        Function (x, j) -> j-th derivative of the density; interpolated where it is not given.
    """

    def __init__(
        self, components: tuple[Component, ...], n: float, derivatives: Derivatives | None = None
    ) -> None:
        self.components, self.n = components, n
        edges = []
        for _, part in components:
            edges.append(part.x if isinstance(part, Atoms) else part.refined(2e-13))
        self.edges = np.unique(np.concatenate(edges))
        if derivatives is None and not any(isinstance(part, Atoms) for _, part in components):
            self.edges = joined(self.edges, self._pdf)
        self._derivatives = derivatives
        self._doubt = float(relative_doubt(components, np.array([n]))[0])

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        return sum(w * part.pdf(x) for w, part in self.components if isinstance(part, Density))

    def above(self, x: np.ndarray) -> np.ndarray:
        """P(X > x)."""
        return np.minimum(sum(w * part.above(x) for w, part in self.components), 1.0)

    def log_cdf(self, x: np.ndarray) -> np.ndarray:
        """Ln P(X <= x) off the atoms, accurate at both ends."""
        q = self.above(x)
        p = sum(w * part.below(x) for w, part in self.components)
        with np.errstate(divide="ignore"):
            return np.where(q < 0.5, np.log1p(-np.minimum(q, 0.5)), np.log(np.maximum(p, 1e-320)))

    @functools.cached_property
    def _nodes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Points y, weights, panel numbers and local coordinates; F^n is resolved between them."""
        edges = self._fine_edges
        log_q = np.log(np.maximum(self.above(edges), 1e-300))
        relevant = (log_q[:-1] + math.log(self.n) > -100.0) & (log_q[1:] + math.log(self.n) < 8.0)
        pieces = np.where(relevant, np.clip(np.ceil(np.abs(np.diff(log_q))), 1, 64), 1).astype(int)
        cell = np.repeat(np.arange(pieces.size), pieces)
        offset = np.arange(cell.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        half = 0.5 * (np.diff(edges) / pieces)[cell]
        y = (edges[:-1][cell] + half * (1.0 + 2.0 * offset))[:, None] + half[:, None] * NODES
        panel = np.searchsorted(self.edges, edges[:-1], side="right")[cell] - 1
        low, high = self.edges[panel], self.edges[panel + 1]
        local = np.clip((2.0 * y - (low + high)[:, None]) / (high - low)[:, None], -1.0, 1.0)
        return y, half[:, None] * WEIGHTS, panel, local

    @functools.cached_property
    def _fine_edges(self) -> np.ndarray:
        """Edges that also close in on finite upper ends, where F^n ends within 1/n of the mass."""
        extra = []
        for _, part in self.components:
            if isinstance(part, Density) and np.isfinite(part.upper):
                below = self.edges[self.edges < part.upper]
                if below.size:
                    distance = (part.upper - below[-1]) * 0.5 ** np.arange(1, 400)
                    points = part.upper - distance
                    extra.append(points[(points < part.upper) & (self.n * part.above(points) > 1e-20)])
        return np.unique(np.concatenate([self.edges, *extra]))

    @property
    def smallest_spacing(self) -> float:
        """Smallest distance between atoms, infinite for a single one."""
        return float(np.diff(self.edges).min(initial=math.inf))

    @functools.cached_property
    def mean_maximum(self) -> tuple[float, float]:
        """⟨max x⟩ and its error."""
        y, weight, _, _ = self._nodes
        log_power = self.n * self.log_cdf(y)
        edges = self._fine_edges
        pivot = edges[np.argmin(np.abs(self.n * self.log_cdf(edges) + math.log(2.0)))]
        integrand = np.where(y > pivot, -np.expm1(log_power), -np.exp(log_power))
        total, error = integrate(integrand, weight)
        error += 4e-15 * float(abs(pivot) + np.abs(integrand * weight).sum())
        centre, width = extent(self.components)
        return float(pivot + total), error + self._doubt * (width + abs(pivot + total - centre))

    def mean_log_multiplicity(self) -> float:
        """⟨ln(number of values that equal the largest)⟩, zero without atoms.

        ln M = ∫ ds (exp(-e^s) - exp(-M e^s)), and given that the maximum sits at an atom of weight w
        above a mass p the generating function of M is ((p + w e^(-t))^n - p^n).
        """
        atoms = [(w * weight, x) for w, part in self.components if isinstance(part, Atoms)
                 for weight, x in zip(part.weight, part.x, strict=True)]  # fmt: skip
        total = 0.0
        for w, x in atoms:
            above = float(self.above(np.array([x]))[0])
            if above >= 1.0:  # up to rounding
                continue
            log_upto = math.log1p(-above)
            log_below = math.log1p(-above - w) if above + w < 1.0 - 1e-15 else -math.inf
            if self.n * log_upto < -80.0:
                continue
            s = np.arange(-40.0 - math.log(self.n), 4.5, 0.125)
            t = np.exp(s)
            share = min(w / (1.0 - above), 1.0)
            with np.errstate(divide="ignore"):
                log_generating = self.n * (log_upto + np.log1p(np.maximum(share * np.expm1(-t), -1.0)))
            empty = math.exp(self.n * log_below)
            some = math.exp(self.n * log_upto) - empty
            total += 0.125 * float(np.sum(np.exp(-t) * some - (np.exp(log_generating) - empty)))
        return total

    def _derivative(self, order: int, truncate: int = 0) -> np.ndarray:
        """Differentiate the density at the nodes; `truncate` drops the last Legendre coefficients."""
        y, _, panel, local = self._nodes
        if self._derivatives is not None:
            return self._derivatives(y, order)
        series = self._series.copy()
        if truncate:
            series[:, -truncate:] = 0.0
        half = 0.5 * np.diff(self.edges)
        derived = np.polynomial.legendre.legder(series, order, axis=1) if order else series
        vander = np.polynomial.legendre.legvander(local, derived.shape[1] - 1)
        return np.einsum("pkd,pd->pk", vander, derived[panel]) / half[panel][:, None] ** order

    @functools.cached_property
    def _series(self) -> np.ndarray:
        half = 0.5 * np.diff(self.edges)
        x = (self.edges[:-1] + half)[:, None] + half[:, None] * NODES
        with np.errstate(all="ignore"):
            values = self._pdf(x)
        return np.where(np.isfinite(values), values, 0.0) @ TO_LEGENDRE.T

    def coefficient(self, order: int) -> tuple[float, float]:
        """Return c_k for k >= 2 and its error."""
        value = self._coefficient(order, 0)
        rounding = value[2] + (1e-13 + order * self._doubt) * value[1]
        if self._derivatives is not None:
            return value[0], value[2] + 1e-14 * value[1]
        # Derivatives amplify the rounding of the highest Legendre coefficients: leave some out and compare.
        change = max(abs(value[0] - self._coefficient(order, drop)[0]) for drop in (1, 2, 3))
        return value[0], rounding + 20.0 * change

    def _coefficient(self, order: int, truncate: int) -> tuple[float, float, float]:
        """Return c_k, the sum of its absolute terms and the error of the quadrature."""
        y, weight, _, _ = self._nodes
        log_cdf = self.log_cdf(y)
        density = [self._derivative(j, truncate) for j in range(order - 1)]
        total = size = error = 0.0
        for parts in partitions(order - 1):
            r = len(parts)
            if self.n < r + 1:
                continue
            count = math.prod(self.n - i for i in range(r + 1)) / math.prod(
                math.factorial(m) for m in Counter(parts).values()
            )
            # Factors of n are spread over the densities: n f stays moderate where F^n matters.
            share = count ** (1.0 / (r + 1))
            with np.errstate(under="ignore"):
                integrand = np.exp((self.n - 1.0 - r) * log_cdf) * (share * density[0])
                for part in parts:
                    integrand = integrand * (share * density[part - 1])
            value, deviation = integrate(integrand, weight)
            total += cluster_integral(parts) * value
            error += cluster_integral(parts) * deviation
            size += cluster_integral(parts) * float(np.abs(integrand * weight).sum())
        return (-1) ** order * total, size, error

    def largest_order(self, wanted: int) -> int:
        """Return up to which order, at most `wanted`, the density is smooth enough for the series.

        A density ~ d^(k-1) at distance d from the upper end of x puts a term β^(-2k) into Φ, so that
        only orders below 2k+1 exist unless k is whole (or infinite: faster than any power does no harm);
        the lower end, reached only by all n values together, does the same at order nk+1; a jump of the
        j-th derivative elsewhere spoils order j+3 unless F^n makes it negligible there.
        """
        if any(isinstance(part, Atoms) for _, part in self.components):
            return 1
        allowed = wanted
        for _, part in self.components:
            if isinstance(part, Density) and np.isfinite(part.upper):
                k = edge_exponent(part.above, part.upper, part.width)
                if math.isfinite(k) and (abs(k - round(k)) > 1e-3 or k < 0.5):
                    allowed = min(allowed, math.ceil(2.0 * k + 1.0 - 1e-6) - 1)
            if isinstance(part, Density) and np.isfinite(part.lower):
                k = edge_exponent(_mirrored(part.below), -part.lower, part.width)
                if math.isfinite(k):
                    allowed = int(min(allowed, math.ceil(self.n * k + 1.0 - 1e-3) - 1))
        return min(allowed, self._smooth_order(allowed))

    def _smooth_order(self, wanted: int) -> int:
        if self._derivatives is not None:
            return wanted
        inner = self.edges[1:-1]
        half = 0.5 * np.diff(self.edges)
        weight = np.exp((self.n - 2.0) * self.log_cdf(inner)) * self.n * (self.n - 1.0)
        ends = np.array([-1.0, 1.0])
        scale = np.abs(self._series[:, 0])
        unit = max(part.width for _, part in self.components)
        for j in range(max(wanted - 2, 0)):
            derived = np.polynomial.legendre.legder(self._series, j, axis=1) if j else self._series
            values = (
                derived @ np.polynomial.legendre.legvander(ends, derived.shape[1] - 1).T / half[:, None] ** j
            )
            jump = np.abs(values[1:, 0] - values[:-1, 1])
            typical = np.maximum(scale[1:], scale[:-1]) / unit**j
            broken = (
                jump > 10.0 ** (-6 + j) * (np.abs(values[1:, 0]) + np.abs(values[:-1, 1]) + typical)
            ) & (weight * jump * scale[1:] * unit ** (2 + j) > 1e-9)
            if broken.any():
                return j + 2
        return wanted


def _mirrored(function: Function) -> Function:
    return lambda x: function(-x)


def edge_exponent(above: Function, upper: float, width: float) -> float:
    """Return k of P(X > x) ~ (upper - x)^k at a finite upper end of x."""
    distance = _NEAR * width
    if upper != 0.0:
        distance = np.maximum(1e-12 * width, 1e-9 * max(abs(upper), width)) * np.array([1.0, 100.0])
    with np.errstate(all="ignore"):
        mass = np.log(above(upper - distance))
    if not np.isfinite(mass).all():
        return math.inf
    return float((mass[1] - mass[0]) / math.log(distance[1] / distance[0]))
