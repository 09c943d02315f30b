"""A law known by its density alone: polynomials on panels stand for the density and for both of its tails.

The panels grow geometrically from the centre, close in on finite ends, and are halved until the density is a
polynomial times an exponential on each. Beyond the last ones it goes on as the power that it has become.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from peakedtheory._common.panels import NODES, TO_LEGENDRE, WEIGHTS
from peakedtheory.energies.components import Function

#: Last Legendre coefficients, relative, of a resolved density, and errors that matter to neither tail.
_RESOLVED, _NEGLIGIBLE = 1e-14, 1e-16
#: Probability, in units of that at the centre, beyond which a tail has ended.
_ENDED = 1e-38
#: Change of the local power over a panel at which it has become the power of the end.
_SETTLED = 1e-12
_FARTHEST = 1e290
#: Distances from an end, relative to it, at which the energies are rounded.
_COARSE = 1e-7
#: Panels this short, relative to the energies, show the rounding of these.
_ROUNDED = 1e-5
_MAX_PANELS = 3000
#: Rates in u of exponentials that the rule integrates, and that are taken out of a polynomial.
_INTEGRATED, _STEEPEST = 8.0, 300.0
#: Roughness of a panel at an end across which the density is analytic.
_REGULAR = 1e-7
#: Roughness below which halving a panel tells rounding noise, which stays, from a density not yet resolved.
_NOISY = 1e-2
#: Nodes between each node of the rule and the right end of the panel, and the polynomials there.
_PARTS = NODES[:, None] + 0.5 * (1.0 - NODES[:, None]) * (1.0 + NODES)
_AT_PARTS = np.polynomial.legendre.legvander(_PARTS.ravel(), NODES.size - 1) @ TO_LEGENDRE


@dataclass(frozen=True)
class _End:
    """What lies beyond the last panel: `mass`, falling as a power of the distance from `origin`."""

    edge: float
    origin: float
    mass: float
    density: float
    power: float

    @property
    def uncertain(self) -> float:
        """How much of the mass is uncertain: next to an end away from zero the energies are rounded."""
        coarse = abs(self.edge - self.origin) < _COARSE * abs(self.origin)
        return self.mass * (0.1 if coarse else 4.0 * _SETTLED)

    def ratio(self, x: np.ndarray) -> np.ndarray:
        """Return the distance from the origin in units of that of the last edge."""
        with np.errstate(all="ignore"):
            return np.abs(x - self.origin) / abs(self.edge - self.origin)

    def beyond(self, x: np.ndarray) -> np.ndarray:
        """Return the mass beyond x."""
        with np.errstate(all="ignore"):
            return self.mass * self.ratio(x) ** self.power

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """Return the density at x."""
        with np.errstate(all="ignore"):
            return self.density * self.ratio(x) ** (self.power - 1.0)


class _Pieces:
    """A positive function on panels: exp(trend u) times a polynomial in u, from -1 to 1 on each."""

    def __init__(self, at_nodes: np.ndarray) -> None:
        self.trend = _trend(at_nodes)
        self.coefficients = ((at_nodes * np.exp(-self.trend[:, None] * NODES)) @ TO_LEGENDRE.T).T.copy()

    def __call__(self, panel: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return the values at u of these panels, by Clenshaw's recurrence."""
        after = following = np.zeros(u.shape)
        for k in range(NODES.size - 1, 0, -1):
            here = self.coefficients[k][panel] + (2.0 * k + 1.0) / (k + 1.0) * u * following
            after, following = following, here - (k + 1.0) / (k + 2.0) * after
        return (self.coefficients[0][panel] + u * following - 0.5 * after) * np.exp(self.trend[panel] * u)


class Tabulated:
    """Density and tails of a law from values of its density.

    Parameters
    ----------
    pdf : callable
        Density of x, vectorised.
    lower, upper : float
        Support, possibly infinite.
    centre, width : float
        A place in its middle, and the order of its width.
    candidates : sequence of float
        Points where the density may have a kink.

    Attributes
    ----------
    edges : ndarray
        Ends of the panels.
    total : float
        Integral of the density as given, by which everything is divided.
    uncertain_above, uncertain_below : ndarray
        Relative errors of the tails at the edges, from what the panels do not resolve.
    noise : float
        Probability of which rounding of the density leaves one uncertain.
    """

    def __init__(
        self,
        pdf: Function,
        lower: float,
        upper: float,
        centre: float,
        width: float,
        candidates: tuple[float, ...] = (),
    ) -> None:
        self._given, self.lower, self.upper, self._centre = pdf, lower, upper, centre
        right = _outwards(self._values, centre, width, upper)
        left = -_outwards(lambda x: self._values(-x), -centre, width, -lower)
        inner = [c for c in candidates if left[-1] < c < right[-1]]
        self.edges, values, rough, noise = self._bisect(np.unique(np.concatenate([left, inner, right])))
        half = 0.5 * np.diff(self.edges)
        self._half, self._middle = half, self.edges[:-1] + half
        self._bottom = _end(self._values, self.edges[0], self.edges[1], lower, centre)
        self._top = _end(self._values, self.edges[-1], self.edges[-2], upper, centre)
        mass = half * (values @ WEIGHTS)
        self.total = float(math.fsum(mass) + self._bottom.mass + self._top.mass)
        self.noise = float(mass @ noise) / self.total
        blurred = np.where(rough > _RESOLVED, mass * rough, 0.0)
        above, above_blurred = _sums(self._top, mass[::-1], blurred[::-1])[:, ::-1]
        below, below_blurred = _sums(self._bottom, mass, blurred)
        everywhere = (self._top.uncertain + below_blurred[-1]) / self.total
        self.uncertain_above = above_blurred / np.maximum(above, 1e-300) + everywhere
        self.uncertain_below = below_blurred / np.maximum(below, 1e-300) + everywhere
        self._pdf = _Pieces(values)
        #: Panels on whose upper ends P(X > x) is the smaller tail; each panel keeps the smaller one.
        self._upper = above[1:] < below[:-1]
        beyond = half[:, None] * _to_the_right(values) + above[1:, None]
        before = half[:, None] * _to_the_right(values[:, ::-1])[:, ::-1] + below[:-1, None]
        self._tail = _Pieces(np.where(self._upper[:, None], beyond, before))

    @property
    def sure_edges(self) -> np.ndarray:
        """Edges at which the distance from the ends of the law keeps its digits, and something is left."""
        ends = np.array([e for e in (self.lower, self.upper) if math.isfinite(e)])
        sure = np.ones(self.edges.size, dtype=bool)
        for end in ends:
            sure &= np.abs(self.edges - end) > _COARSE * abs(end)
        return sure

    def closing_in(self) -> list[float]:
        """Return points that close in on those finite ends of the law at which its density is singular."""
        points: list[float] = []
        for end, tail, least in ((self.lower, self.below, 1e-18), (self.upper, self.above, 1e-34)):
            reach = 0.125 * (self._centre - end) if math.isfinite(end) else 0.0
            if not reach or _last(self.pdf(end + 0.5 * reach * (1.0 + NODES)) @ TO_LEGENDRE.T) < _REGULAR:
                continue
            near = end + reach * 0.5 ** np.arange(1000.0)
            near = near[np.abs(near - end) > max(1e-15 * abs(end), 1.0 / _FARTHEST)]
            points += list(near[tail(near) > least])
        return points

    @property
    def quartiles(self) -> np.ndarray:
        """Quartiles of x, roughly."""
        return np.interp([0.25, 0.5, 0.75], self.below(self.edges), self.edges)

    def _values(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            values = np.asarray(self._given(x), dtype=float)
        return np.where(np.isfinite(values) & (values > 0.0), values, 0.0)

    def _bisect(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return edges, the density at the nodes, and shares of each panel: unresolved ones and noise."""
        a, b = edges[:-1], edges[1:]
        values = self._at_nodes(a, b)
        rough = _roughness(values)
        noisy = np.zeros(a.size, dtype=bool)
        while True:
            half = 0.5 * (b - a)
            mass, magnitude = half * (values @ WEIGHTS), np.maximum(np.abs(a), np.abs(b))
            rest = np.minimum(np.cumsum(mass[::-1])[::-1], np.cumsum(mass))
            done = (rough <= _RESOLVED + 4e-16 * magnitude / half) | (mass * rough <= _NEGLIGIBLE * rest)
            done &= np.abs(_trend(values)) <= _INTEGRATED
            done |= noisy | (half <= 8e-16 * magnitude) | (mass == 0.0)
            if done.all() or a.size > _MAX_PANELS:
                own_noise = noisy & (half > _ROUNDED * magnitude)  # not that of the energies
                return np.append(a, b[-1:]), values, rough, np.where(own_noise, rough, 0.0)
            split = np.nonzero(~done)[0]
            left = split + np.arange(split.size)
            middle, before = (a + half)[split], rough[split]
            a, b = np.insert(a, split + 1, middle), np.insert(b, split, middle)
            values, rough, noisy = (np.repeat(array, 2 - done, axis=0) for array in (values, rough, noisy))
            new = np.sort(np.concatenate([left, left + 1]))
            values[new] = self._at_nodes(a[new], b[new])
            rough[new] = _roughness(values[new])
            # both halves as rough as the whole: rounding of the density, which no panel resolves
            noisy[left] = (before > _RESOLVED) & (before < _NOISY)
            noisy[left] &= np.minimum(rough[left], rough[left + 1]) > 0.25 * before
            noisy[left + 1] = noisy[left]

    def _at_nodes(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self._values(a[:, None] + 0.5 * (b - a)[:, None] * (1.0 + NODES))

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """Return the density."""
        x, panel, u = self._place(x)
        out = self._pdf(panel, u)
        for outside, end in self._outside(x):
            out[outside] = end.pdf(x[outside])
        return np.maximum(out, 0.0) / self.total

    def above(self, x: np.ndarray) -> np.ndarray:
        """P(X > x)."""
        return self._smaller_tail(x, self._top)

    def below(self, x: np.ndarray) -> np.ndarray:
        """P(X < x)."""
        return self._smaller_tail(x, self._bottom)

    def _smaller_tail(self, x: np.ndarray, wanted: _End) -> np.ndarray:
        """Return the tail on the side of `wanted`, or one less the other where that is the smaller."""
        x, panel, u = self._place(x)
        out, upper = self._tail(panel, u), self._upper[panel]
        for outside, end in self._outside(x):
            out[outside], upper[outside] = end.beyond(x[outside]), end is self._top
        out = np.maximum(out, 0.0) / self.total
        return np.where(upper == (wanted is self._top), out, 1.0 - out)

    def _place(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return x within the support, the panel and the place u from -1 to 1 in it."""
        x = np.clip(x, self.lower, self.upper)
        panel = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, self._half.size - 1)
        return x, panel, np.clip((x - self._middle[panel]) / self._half[panel], -1.0, 1.0)

    def _outside(self, x: np.ndarray) -> list[tuple[np.ndarray, _End]]:
        """Return where x is beyond the panels, and what is there."""
        sides = [(x < self.edges[0], self._bottom), (x > self.edges[-1], self._top)]
        return [(outside, end) for outside, end in sides if outside.any()]


def _sums(end: _End, mass: np.ndarray, blurred: np.ndarray) -> np.ndarray:
    """Return the masses from an end up to each edge, and how much of them is uncertain, shape (2, edges)."""
    return np.cumsum([np.append(end.mass, mass), np.append(end.uncertain, blurred)], axis=1)


def _trend(values: np.ndarray) -> np.ndarray:
    """Return the rate in u of the exponential through the values at the first and last nodes."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.log(values[:, -1] / values[:, 0]) / (NODES[-1] - NODES[0])
    return np.where(np.abs(rate) < _STEEPEST, rate, 0.0)


def _roughness(values: np.ndarray) -> np.ndarray:
    """Return the size of the last Legendre coefficients beside the largest, without the trend."""
    return _last(_Pieces(values).coefficients)


def _last(coefficients: np.ndarray) -> np.ndarray:
    size = np.abs(coefficients)
    return size[-3:].max(axis=0) / (size.max(axis=0) + 1e-300)


def _to_the_right(values: np.ndarray) -> np.ndarray:
    """Return the integrals over u from each node to the right end of its panel."""
    trend = _trend(values)[:, None]
    parts = ((values * np.exp(-trend * NODES)) @ _AT_PARTS.T) * np.exp(trend * _PARTS.ravel())
    return 0.5 * (1.0 - NODES) * (parts.reshape(-1, NODES.size, NODES.size) @ WEIGHTS)


def _outwards(pdf: Function, centre: float, width: float, end: float) -> np.ndarray:
    """Return edges from the centre up to where the tail has ended or goes on as a power."""
    reach = end - centre
    steps = width * 2.0 ** np.arange(-1.0, 990.0)
    far = np.append(0.0, steps[steps < min(0.75 * reach, _FARTHEST)])
    if math.isinf(end):
        return centre + _shortened(lambda d: pdf(centre + d), far, 1.0 / width)
    near = (end - centre - far[-1]) * 0.25 ** np.arange(1.0, 600.0)
    near = near[near > max(4e-15 * abs(end), 1.0 / _FARTHEST)]
    near = _shortened(lambda d: pdf(end - d), near, 1.0 / width)
    return np.concatenate([centre + far, end - near])


def _shortened(pdf: Function, distances: np.ndarray, unit: float) -> np.ndarray:
    """Return the distances up to the first at which nothing is left, or at which the power has settled."""
    for last in range(8, distances.size + 8, 8):
        d = distances[1:last]
        mass = pdf(d) * d
        with np.errstate(all="ignore"):
            power = np.diff(np.log(mass)) / np.diff(np.log(d))
        settled = np.abs(np.diff(power)) < _SETTLED
        settled = np.append([False, False, False], settled[:-1] & settled[1:])
        stop = np.nonzero((mass < _ENDED * min(unit, 1.0)) | settled)[0] if d.size > 3 else np.empty(0, int)
        if stop.size:
            return distances[: stop[0] + 2]
    return distances


def _end(pdf: Function, edge: float, inner: float, end: float, centre: float) -> _End:
    """Return what is beyond the last edge, by the power that the density has there."""
    origin = end if math.isfinite(end) else centre
    distance = abs(edge - origin)
    density, before = pdf(np.array([edge, inner]))
    if density == 0.0 or before == 0.0 or distance == 0.0:
        return _End(edge, origin, 0.0, 0.0, 1.0)
    power = 1.0 + math.log(density / before) / math.log(distance / abs(inner - origin))
    if (power <= 0.0) == math.isfinite(end) or power == 0.0:
        return _End(edge, origin, 0.0, 0.0, 1.0)
    return _End(edge, origin, density * distance / abs(power), float(density), power)
