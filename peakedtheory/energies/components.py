"""A distribution of x = -energy, cut into pieces that sixteen-point Gauss-Legendre rules integrate exactly.

`Density` is the continuous part: panels found by bisection until the density is resolved on each, which
finds kinks, singular edges and power-law tails by itself. `Atoms` is the discrete part. Both hand out
quadrature nodes for averages over the Gumbel kernel in v = s + beta x.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from peakedtheory._common.panels import NODES, ORDER, TO_LEGENDRE, WEIGHTS
from peakedtheory.energies.doubt import NO_DOUBT, Doubt
from peakedtheory.energies.gumbel import V_MAX

Function = Callable[[np.ndarray], np.ndarray]

#: Panels in v on which all Gumbel kernels are resolved by the rule to rounding.
_KERNEL_EDGES = np.array([-90.0, -65.0, -46.0, -30.0, -18.0, -9.0, -4.0, -1.0, 1.0, 2.4, V_MAX])
#: Legendre coefficients of degrees 13 to 15, relative, of a resolved density: as these fall geometrically,
#: the rule, exact to degree 31, then errs below 1e-15.
_RESOLVED = 1e-7
_SMALLEST = float(np.finfo(float).tiny)
_SMALLEST_TAIL = 1e-34
#: Room that the rounding of x asks for at an end of the support, relative to it.
_COARSE_X = 2e-15
#: Panels shorter than this, relative to x, have nodes whose rounding shows in their sums.
_SHORT = 1e-3
#: And the kernel's, relative to its width.
_MARGIN = 1e-13
_HUGE = 1e290
_MAX_PANELS = 20_000
#: Atoms this close in v differ too little for the kernels, which are analytic, to show a step.
_BLURRED = 1.0


@dataclass(frozen=True)
class Nodes:
    """Quadrature nodes of the average at each s: row index, x, weight, and the masses to either side."""

    row: np.ndarray
    x: np.ndarray
    weight: np.ndarray
    mass_above: np.ndarray
    mass_below: np.ndarray


class Atoms:
    """Finitely many values of x with probabilities that sum to one."""

    def __init__(self, x: np.ndarray, weight: np.ndarray) -> None:
        order = np.argsort(x)
        self.x = np.asarray(x, dtype=float)[order]
        self.weight = np.asarray(weight, dtype=float)[order]
        self._mass_from = np.append(np.cumsum(self.weight[::-1])[::-1], 0.0)
        self._mass_to = np.append(0.0, np.cumsum(self.weight))
        self.width = float(self.x[-1] - self.x[0])
        self.centre = float(self.x[np.searchsorted(self._mass_to[1:], 0.5).clip(0, self.x.size - 1)])

    def above(self, x: np.ndarray) -> np.ndarray:
        """P(X > x)."""
        return self._mass_from[np.searchsorted(self.x, x, side="right")]

    def below(self, x: np.ndarray) -> np.ndarray:
        """P(X < x)."""
        return self._mass_to[np.searchsorted(self.x, x, side="left")]

    def breaks(self, beta: float) -> np.ndarray:
        """Return points whose images in s need a panel boundary: the ends of runs that β blurs into one."""
        apart = np.diff(self.x) * beta > _BLURRED
        return self.x[np.append(True, apart) | np.append(apart, True)]

    def nodes(self, s: np.ndarray, beta: float, v_min: float) -> Nodes:
        """Return the atoms inside the kernel's window of each s."""
        first = np.searchsorted(self.x, (v_min - s) / beta)
        last = np.searchsorted(self.x, (V_MAX - s) / beta, side="right")
        count = last - first
        row = np.repeat(np.arange(s.size), count)
        atom = np.arange(row.size) + np.repeat(first - np.cumsum(count) + count, count)
        return Nodes(row, self.x[atom], self.weight[atom], self._mass_from[last], self._mass_to[first])

    def pieces(
        self, low: float, high: float, longest: float, shortest: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the atoms in [low, high] and their weights."""
        inside = (self.x >= low) & (self.x <= high)
        return self.x[inside], self.weight[inside]

    def cost(self, window: float) -> float:
        """Return a bound on the number of nodes in a window of x."""
        return float((np.searchsorted(self.x, self.x + window) - np.arange(self.x.size)).max() + 1)

    def raw(self) -> tuple[np.ndarray, np.ndarray]:
        """Return nodes and weights of the whole distribution."""
        return self.x, self.weight


class Density:
    """A probability density of x with its tail functions, resolved into panels.

    Parameters
    ----------
    pdf, above, below : callable
        Density of x, P(X > x) and P(X < x), vectorised, accurate in relative terms in their tails.
    lower, upper : float
        Support, possibly infinite.
    centre, width : float
        Median and interquartile range, from which the panels grow geometrically.
    candidates : sequence of float
        Points where the density may have a kink; panels start there.
    doubt : Doubt
        How far the density and the tails are known to be wrong.
    """

    def __init__(
        self,
        pdf: Function,
        above: Function,
        below: Function,
        lower: float,
        upper: float,
        centre: float,
        width: float,
        candidates: tuple[float, ...] = (),
        doubt: Doubt = NO_DOUBT,
    ) -> None:
        self.pdf, self._above, self._below, self.doubt = pdf, above, below, doubt
        self.lower, self.upper = lower, upper
        self.centre, self.width = centre, width
        right = _geometric_edges(centre, width, upper, self.above)
        left = -_geometric_edges(-centre, width, -lower, lambda x: self.below(-x))
        inside = [c for c in candidates if left.min() < c < right.max()]
        self.edges = self._bisect(np.unique(np.concatenate([left, [centre], inside, right])))

    def above(self, x: np.ndarray) -> np.ndarray:
        """P(X > x)."""
        return self._with_limits(self._above, x, 1.0, 0.0)

    def below(self, x: np.ndarray) -> np.ndarray:
        """P(X < x)."""
        return self._with_limits(self._below, x, 0.0, 1.0)

    def _with_limits(self, tail: Function, x: np.ndarray, before: float, after: float) -> np.ndarray:
        """Return the tail function with its limits where it overflows to NaN, as some do far out."""
        with np.errstate(all="ignore"):
            values = tail(x)
        lost = np.isnan(values)
        return np.where(lost, np.where(x < self.centre, before, after), values) if lost.any() else values

    def _mass(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Probability of [a, b] from whichever tail is the smaller."""
        above, below = self.above(a), self.below(b)
        return np.maximum(np.where(above < below, above - self.above(b), below - self.below(a)), 0.0)

    def _roughness(self, mid: np.ndarray, half: np.ndarray) -> np.ndarray:
        """Size of the last Legendre coefficients on each panel relative to the largest."""
        with np.errstate(all="ignore"):
            values = self.pdf(mid[:, None] + half[:, None] * NODES)
        coefficients = np.abs(np.where(np.isfinite(values), values, 0.0) @ TO_LEGENDRE.T)
        return coefficients[:, -3:].max(axis=1) / (coefficients.max(axis=1) + 1e-300)

    def _bisect(self, edges: np.ndarray, resolved: float = _RESOLVED) -> np.ndarray:
        a, b = edges[:-1], edges[1:]
        previous = np.full(a.size, np.inf)
        accepted = [edges]
        total = a.size
        while a.size:
            half = 0.5 * (b - a)
            mid = a + half
            roughness = self._roughness(mid, half)
            mass = self._mass(a, b)
            magnitude = np.maximum(np.abs(a), np.abs(b))
            # On panels so short that x itself is coarse the density is known no better than this.
            done = roughness < resolved + 4e-16 * magnitude / np.maximum(half, _SMALLEST)
            done |= (roughness < 1e-9) & (roughness > 0.25 * previous)  # the density's own rounding noise
            done |= mass <= np.maximum(1e-18 * self.above(a), _SMALLEST_TAIL)
            done |= (half <= 4e-16 * magnitude) | (magnitude < 1.0 / _HUGE)  # where numbers end
            split = ~done
            accepted.append(mid[split])
            total += int(split.sum())
            if total > _MAX_PANELS:
                raise ValueError(
                    f"energies: the density is not resolved by {_MAX_PANELS} panels (it oscillates or is not"
                    f" a density near energy {-mid[split][0]:.6g}); pass a smoother one or a sample"
                )
            previous = np.tile(roughness[split], 2)
            a, b = np.concatenate([a[split], mid[split]]), np.concatenate([mid[split], b[split]])
        return np.unique(np.concatenate(accepted))

    def refined(self, resolved: float) -> np.ndarray:
        """Return panel edges on which the Legendre coefficients fall to `resolved`."""
        return self._bisect(self.edges, resolved)

    def breaks(self, beta: float) -> np.ndarray:
        """Return points whose images in s need a panel boundary."""
        return self.landmarks

    @property
    def landmarks(self) -> np.ndarray:
        """Points where the density is not smooth, if few."""
        some = self.rough[:: max(1, self.rough.size // 32)]
        return np.unique(np.append(some, self.rough[-1]))

    @functools.cached_property
    def rough(self) -> np.ndarray:
        """Points across which the density is not smooth, ascending: ends, kinks, jumps and divergences."""
        size, inner = np.diff(self.edges), self.edges[1:-1]
        smooth = self._roughness(inner, 0.25 * np.minimum(size[1:], size[:-1])) < _RESOLVED
        # A divergence lies between the two smallest neighbours of a run of short panels.
        pair = size[:-1] + size[1:]
        lowest = (pair <= np.roll(pair, 1)) & (pair <= np.roll(pair, -1))
        return np.concatenate(
            [self.edges[:1], inner[np.where(pair < 1e-6 * self.width, lowest, ~smooth)], self.edges[-1:]]
        )

    def short_panels(self, length: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the upper ends, ascending, and the masses of the panels below this length."""
        short = np.nonzero(np.diff(self.edges) < length)[0]
        return self.edges[short + 1], self._mass(self.edges[short], self.edges[short + 1])

    def _interior(self, margin: float) -> tuple[float, float]:
        """Return the range of x short of its finite ends by `margin`, or by more where x is rounded."""
        bottom, top = self.edges[0], self.edges[-1]
        if bottom == self.lower:
            bottom += max(margin, _COARSE_X * abs(bottom))
        if top == self.upper:
            top -= max(margin, _COARSE_X * abs(top))
        return bottom, top

    def _resolved(self, beta: float) -> tuple[float, float]:
        """Return the range of x beyond which all is one node."""
        return self._interior(_MARGIN * min(1.0 / beta, self.width))

    def displaced(self, beta: float, n: np.ndarray, weight: float) -> np.ndarray:
        """Return how far the mean of x is displaced by these nodes, which stand for all up to a margin.

        It is the margin, times the share of such energies among all of the kernel's width, times the
        probability that these decide: all n at the bottom of x, at least two at its top.
        """
        (bottom, top), kernel = self._resolved(beta), min(1.0 / beta, self.width)
        distance = np.zeros(n.size)
        if bottom > self.lower > -np.inf:
            inner, outer = weight * self.below(np.array([bottom, self.lower + kernel]))
            distance += (bottom - self.lower) * n * inner * max(inner, outer) ** (n - 1.0)
        if top < self.upper < np.inf:
            inner, outer = weight * self.above(np.array([top, self.upper - kernel]))
            share = inner / max(inner, outer, _SMALLEST)
            distance += (self.upper - top) * share * np.minimum(1.0, n * max(inner, outer)) ** 2
        return distance

    def _weights(self, a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return the weights of the nodes x of panels from a to b.

        Nodes of panels that are short beside x itself are rounded. There the density errs by more than its
        integral, about one part in 1e16 of all, if it is large: the panels' masses count.
        """
        with np.errstate(all="ignore"):
            weight = self.pdf(x) * (0.5 * (b - a)[:, None] * WEIGHTS)
        weight = np.where(np.isfinite(weight), weight, 0.0)
        found, size = weight.sum(axis=1), np.abs(a)
        rounded = np.nonzero(((b - a) < _SHORT * size) & (found * size > b - a))[0]
        weight[rounded] *= (self._mass(a[rounded], b[rounded]) / found[rounded])[:, None]
        return weight

    def nodes(self, s: np.ndarray, beta: float, v_min: float) -> Nodes:
        """Return nodes for each s: panels of the density and of the kernel, intersected.

        Within 1e-13/beta of a finite edge the kernel is constant: that mass, however singular the
        density there, is one more node. Where the edge is not at zero, rounding of x asks for more room.
        """
        bottom, top = self._resolved(beta)
        low = np.clip((v_min - s) / beta, bottom, top)
        high = np.clip((V_MAX - s) / beta, bottom, top)
        kernel = (_KERNEL_EDGES[v_min <= _KERNEL_EDGES] - s[:, None]) / beta
        mine = self.edges[(self.edges > low.min()) & (self.edges < high.max())]
        cuts = np.concatenate([kernel, np.broadcast_to(mine, (s.size, mine.size))], axis=1)
        cuts = np.sort(np.clip(cuts, low[:, None], high[:, None]), axis=1)
        cuts = np.concatenate([low[:, None], cuts, high[:, None]], axis=1)
        row, column = np.nonzero(cuts[:, 1:] > cuts[:, :-1])
        a, b = cuts[row, column], cuts[row, column + 1]
        half = 0.5 * (b - a)
        x = (a + half)[:, None] + half[:, None] * NODES
        weight = self._weights(a, b, x)
        rows = np.arange(s.size)
        at_top, at_bottom = high == top, low == bottom
        above, below = self.above(high), self.below(low)
        return Nodes(
            np.concatenate([np.repeat(row, ORDER), rows[at_top], rows[at_bottom]]),
            np.concatenate([x.ravel(), high[at_top], low[at_bottom]]),
            np.concatenate([weight.ravel(), above[at_top], below[at_bottom]]),
            np.where(at_top, 0.0, above),
            np.where(at_bottom, 0.0, below),
        )

    def pieces(
        self, low: float, high: float, longest: float, shortest: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return nodes and weights of the density on [low, high], from panels no longer than `longest`.

        Runs of panels below `shortest`, which surround singular points, become one node of their
        mass.
        """
        first, last = self._interior(0.0)
        bottom, top = max(low, first), min(high, last)
        if bottom >= top:
            return np.empty(0), np.empty(0)
        inner = self.edges[(self.edges > bottom) & (self.edges < top)]
        edges = np.concatenate([[bottom], inner, [top]])
        short = np.diff(edges) < shortest
        kept = np.concatenate([[True], ~(short[1:] & short[:-1]), [True]])
        a, b, point = edges[kept][:-1], edges[kept][1:], short[kept[:-1]]
        lumps = [(0.5 * (a + b)[point], self._mass(a[point], b[point]))]
        if bottom == first > low:
            lumps.append((np.array([bottom]), self.below(np.array([bottom]))))
        if top == last < high:
            lumps.append((np.array([top]), self.above(np.array([top]))))
        a, b = a[~point], b[~point]
        # parts that rounding of x cannot tell apart would have no length, and no mass
        shortest_part = 8.0 * np.spacing(np.maximum(np.abs(a), np.abs(b)))
        parts = np.maximum(np.ceil((b - a) / np.maximum(longest, shortest_part)), 1.0).astype(int)
        half = np.repeat(0.5 * (b - a) / parts, parts)
        offset = np.arange(half.size) - np.repeat(np.cumsum(parts) - parts, parts)
        start = np.repeat(a, parts) + 2.0 * half * offset
        x = (start + half)[:, None] + half[:, None] * NODES
        weight = self._weights(start, start + 2.0 * half, x)
        return (
            np.concatenate([x.ravel(), *(p[0] for p in lumps)]),
            np.concatenate([weight.ravel(), *(p[1] for p in lumps)]),
        )

    def cost(self, window: float) -> float:
        """Return a bound on the number of nodes in a window of x, some hundred kernels wide."""
        bottom, top = self._interior(_MARGIN * min(0.01 * window, self.width))
        edges = self.edges[(self.edges > bottom) & (self.edges < top)]
        inside = np.searchsorted(edges, edges + window) - np.arange(edges.size)
        return float(ORDER * (inside.max(initial=0) + _KERNEL_EDGES.size))

    def raw(self) -> tuple[np.ndarray, np.ndarray]:
        """Return nodes and weights of the whole density."""
        return self.pieces(self.edges[0], self.edges[-1], math.inf, 1e-17 * self.width)


Component = tuple[float, Atoms | Density]


def _geometric_edges(centre: float, width: float, end: float, tail: Function) -> np.ndarray:
    """Return edges centre + width 2^k up to the end of the support or of the last digit of the tail."""
    distance = width * 2.0 ** np.arange(-1, 1000)
    distance = distance[distance < min(_HUGE, max(end - centre, 0.0))]
    edges = centre + distance
    with np.errstate(all="ignore"):
        remaining = tail(edges) * np.maximum(distance / width, 1.0)
    gone = np.nonzero(~(remaining > _SMALLEST_TAIL))[0]
    if gone.size:
        return edges[: gone[0] + 1]
    return np.append(edges, end) if np.isfinite(end) else edges
