"""Integrals over s by the trapezoidal rule, with half the step until that changes nothing more.

φ(s) is analytic in |Im s| < π/2 whatever the law, so the rule converges geometrically on the line: at the
places of the lattice where that spans all that matters, else in u = Σ asinh((s - c)/w) with a centre c and a
width w for each transition of φⁿ and each point where the density is not smooth.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import scipy

from peakedtheory.energies.components import Atoms, Component, Density
from peakedtheory.energies.gumbel import V_MAX
from peakedtheory.exact.lattice import STEP

#: What P(X > x) and -ln P(X < x) have to reach, n times, where the maximum's law ends.
_REST, _SPENT = 1e-20, 60.0
#: Extent in s of what matters up to which all of it is put on the lattice, and the same where steps must stay
#: short or are not needed.
_SPAN, _SHORT_SPAN = 600.0, 250.0
#: Widths of the maximum's law beyond which its density hardly varies across the kernel, and few nodes do.
_COLD = 8.0
#: Rows to start with on the lattice, their longest step, and the one that is short enough for any law.
_ROWS, _LONGEST, _SHORT = 160, 32, 2
#: What halving the step to that one leaves of an error: exp(-π²/0.5), and some powers of two.
_LEFT = 3e-8
#: What halving any other step leaves at least, whatever the last halvings promise.
_LEAST = 2e-3
#: Longest step in u, how often it is halved, and the width of other centres than transitions.
_LONG_STEP, _HALVINGS, _NARROW = 0.16, 3, 1.0
#: Widths of a fall of φⁿ beyond it within which equal steps will do.
_SIDE = 20.0
#: Logarithm of the distance from a fall, in its widths, beyond which only a power law's tail is left.
_TAIL = 6.0
#: Points where the density is not smooth, among all that matters, up to which each gets a centre.
_ROUGH = 4
_NEWTON = 6
#: Error of the rule, and values of the integrands at both ends, relative to all.
_TOLERANCE, _ENDED = 5e-14, 3e-17
_WEIGHTLESS = 1e-17
#: Changes of this size may be the noise of the averages.
_NOISE = 2e-13
#: Rounding of v = s + βx in units of s.
ROUNDED = 4e-16


class Averages(Protocol):
    """Columns ln φ, m, mean and variance of x, and w at ascending s, or at places of the lattice."""

    components: tuple[Component, ...]
    beta: float

    @property
    def places(self) -> tuple[int, int]:
        """First and last place of the lattice."""

    def at(self, place: np.ndarray) -> np.ndarray:
        """Return the columns at s = STEP * place."""

    def __call__(self, s: np.ndarray) -> np.ndarray:
        """Return the columns at s."""


class Integrals(NamedTuple):
    """Integrals and errors, shape (5, n.size): centre - ⟨s⟩, ⟨x⟩ - reference, Φ'', S and one."""

    values: np.ndarray
    errors: np.ndarray
    #: Where φⁿ falls, for the fewest and the most energies: the first is the centre.
    transitions: np.ndarray
    reference: float


#: Places s, ds for a step of one and the averages of nodes given by whole numbers.
Nodes = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Grid:
    """Nodes numbered from `first` to `last`, the step to start with, and one that is short for any law."""

    nodes: Nodes
    first: int
    last: int
    stride: int
    short: int = 0


def trapezoidal(averages: Averages, mean: float, n: np.ndarray, floor: np.ndarray) -> Integrals | None:
    """Return the integrals, or None where the rule does not reach the accuracy of the averages.

    Parameters
    ----------
    averages : Averages
        Over one energy.
    mean : float
        Mean of x, possibly infinite.
    n : ndarray, shape (m,)
        Numbers of energies, ascending.
    floor : ndarray, shape (5, 1)
        Values below which an integral counts as zero.
    """
    reach = reach_of(averages.components, float(n[0]), float(n[-1]))
    rough = _images(reach, averages.beta)
    cold = averages.beta * float(reach.width.min()) > _COLD
    if averages.beta * (reach.high - reach.low) < (_SHORT_SPAN if rough.size or cold else _SPAN):
        grid = _lattice_grid(averages)
    elif rough.size <= _ROUGH:
        grid = _stretched_grid(averages, reach, rough, n)
    else:
        return None
    return _doubled(grid, averages.beta, mean, n, floor)


@dataclass(frozen=True)
class Reach:
    """The range of x that the maxima draw on, places and widths of their laws, and all rough points."""

    low: float
    high: float
    place: np.ndarray
    width: np.ndarray
    rough: np.ndarray


@functools.lru_cache(maxsize=64)
def reach_of(components: tuple[Component, ...], fewest: float, most: float) -> Reach:
    """Return what the laws of the maximum of x over the fewest and the most energies draw on."""
    points = [
        (part.x, part.x) if isinstance(part, Atoms) else (part.edges, _rough(part)) for _, part in components
    ]
    x, rough = (np.unique(np.concatenate(p)) for p in zip(*points, strict=True))
    above, log_below = _tails(components, x)
    distance = np.maximum(1.0, np.abs(x - x[np.argmin(np.abs(log_below + np.log(2.0)))]))
    ended = np.nonzero(most * above * distance < _REST)[0]
    spent = np.nonzero(fewest * log_below < -_SPENT - np.log(distance))[0]
    low, high = x[spent[-1]] if spent.size else x[0], x[ended[0]] if ended.size else x[-1]
    found = [_transition(components, count, x, log_below) for count in sorted({fewest, most})]
    place, width = np.array(found).T
    return Reach(float(low), float(high), place, width, rough)


def _rough(part: Density) -> np.ndarray:
    """Return the points where the density is not smooth, without ends of its panels that are not its own."""
    return part.rough[int(part.edges[0] > part.lower) : part.rough.size - int(part.edges[-1] < part.upper)]


def _images(reach: Reach, beta: float) -> np.ndarray:
    """Return the rough points in s that φⁿ sees, and as one those that the kernel does not tell apart."""
    s = -beta * reach.rough[::-1]
    s = s[(s > -beta * reach.high - _NARROW) & (s < -beta * reach.low + V_MAX)]
    return s[np.diff(s, prepend=-np.inf) > _NARROW]


def _tails(components: tuple[Component, ...], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return P(X > x) and ln P(X < x)."""
    with np.errstate(all="ignore"):
        above = sum((w * part.above(x) for w, part in components), np.zeros_like(x))
        below = sum((w * part.below(x) for w, part in components), np.zeros_like(x))
        near = np.log1p(-np.minimum(above, 0.5))
        return above, np.where(above < 0.5, near, np.log(np.maximum(below, 1e-300)))


def _transition(
    components: tuple[Component, ...], n: float, x: np.ndarray, log_below: np.ndarray
) -> tuple[float, float]:
    """Return where P(X < x)ⁿ = 1/e, and the distance over which -n ln P(X < x) falls e-fold there."""
    for _ in range(6):
        rise = np.log(np.maximum(-n * log_below, 1e-300))
        after = max(int(np.argmax(rise < 0.0)), 1)
        steepness = float(rise[after - 1] - rise[after])
        low, high = float(x[after - 1]), float(x[after])
        if steepness < 1.0:
            break
        x = np.linspace(low, high, 18)
        log_below = _tails(components, x)[1]
    return 0.5 * (low + high), (high - low) / max(steepness, 1e-300)


def _lattice_grid(averages: Averages) -> Grid:
    """Return the places of the lattice."""
    first, last = averages.places
    stride = _LONGEST
    while stride > _SHORT and last - first < _ROWS * stride:
        stride //= 2

    def nodes(k: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return STEP * k, np.full(k.size, STEP), averages.at(k)

    return Grid(nodes, first, last - (last - first) % stride, stride, _SHORT)


def _stretched_grid(averages: Averages, reach: Reach, rough: np.ndarray, n: np.ndarray) -> Grid:
    """Return nodes at equal steps of u."""
    beta = averages.beta
    ends = np.array([-beta * reach.high - _SPENT - np.log(n[-1]), -beta * reach.low + V_MAX])
    warm = -beta * np.median([part.centre for _, part in averages.components]) - np.log(n[[0, -1]])
    falls = np.minimum(-beta * reach.place, warm[: reach.place.size])
    widths = np.maximum(beta * reach.width, _NARROW)
    short = ends[1] - falls < _SIDE * widths
    stretch = Stretch(
        falls[short],
        widths[short],
        np.append(falls[~short], rough),
        np.append(widths[~short], np.full(rough.size, _NARROW)),
    )
    known = stretch.known(ends)
    u_known = stretch(known)
    count = 4 * int(np.ceil((u_known[-1] - u_known[0]) / (4.0 * _LONG_STEP)))
    step = (u_known[-1] - u_known[0]) / (count * 2**_HALVINGS)

    def nodes(k: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        u = u_known[0] + step * k
        s = np.interp(u, u_known, known)
        for _ in range(_NEWTON):
            s = s - (stretch(s) - u) / stretch.slope(s)
        return s, step / stretch.slope(s), averages(s)

    return Grid(nodes, 0, count * 2**_HALVINGS, 2**_HALVINGS)


@dataclass(frozen=True)
class Stretch:
    """u(s), with equal steps near centres and steps that grow with the distance from them.

    Where φⁿ falls at once steps stay equal beyond the fall, s = c - w(y + e^y), and in a power law's tail, at
    very large y, they grow faster still, y = e^(-u - a) - u.
    """

    fall: np.ndarray
    fall_width: np.ndarray
    centre: np.ndarray
    width: np.ndarray

    def _tail(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return y and the functions ω of both steps, for which ω + ln ω is their argument."""
        z = (self.fall - s[:, None]) / self.fall_width
        near = scipy.special.wrightomega(z)
        # y = z - ω is ln ω too, which keeps its digits far out.
        y = np.where(z > 0.0, np.log(np.maximum(near, 0.5)), z - near)
        return y, near, scipy.special.wrightomega(y - _TAIL)

    def __call__(self, s: np.ndarray) -> np.ndarray:
        y, _, far = self._tail(s)
        both = np.arcsinh((s[:, None] - self.centre) / self.width)
        return (far - y).sum(axis=1) + both.sum(axis=1)

    def slope(self, s: np.ndarray) -> np.ndarray:
        """Return du/ds."""
        _, near, far = self._tail(s)
        one = 1.0 / (self.fall_width * (1.0 + near) * (1.0 + far))
        return one.sum(axis=1) + (1.0 / np.hypot(s[:, None] - self.centre, self.width)).sum(axis=1)

    def known(self, ends: np.ndarray) -> np.ndarray:
        """Return places between the ends, close enough to interpolate u a little."""
        all_ = np.append(self.fall, self.centre), np.append(self.fall_width, self.width)
        farthest = np.abs(ends[:, None] - all_[0]).max() / all_[1].min()
        steps = np.arange(0.0, np.arcsinh(farthest) + 0.25, 0.25)
        around = (all_[1] * np.sinh(np.append(-steps, steps))[:, None] + all_[0]).ravel()
        return np.unique(np.concatenate([ends, around[(around > ends[0]) & (around < ends[1])]]))


def _doubled(grid: Grid, beta: float, mean: float, n: np.ndarray, floor: np.ndarray) -> Integrals | None:
    """Add up the integrands, with half the step until that changes nothing more; None if it always does."""
    stride, first, last = grid.stride, grid.first, grid.last
    s, step, averages = grid.nodes(np.arange(first, last + 1, stride))
    density = step[:, None] * _columns(s, averages, np.zeros(n.size), 0.0, n)[:, 4]
    if not (density.sum(axis=0) > 0.0).all():
        return None
    centres = s @ density / density.sum(axis=0)
    reference = mean if np.isfinite(mean) else -float(centres[0]) / beta
    while True:
        terms = step[:, None, None] * _columns(s, averages, centres, reference, n)
        sums = [stride * 2**i * terms[:: 2**i].sum(axis=0) for i in range(3)]
        size = stride * np.abs(terms)
        scale = np.maximum(size.sum(axis=0), floor)
        before, change = (float((np.abs(sums[i + 1] - sums[i]) / scale).max()) for i in (1, 0))
        # Before a kink is resolved errors fall like a power of the step, later each is squared.
        rest = change * (_LEFT if stride <= grid.short else max(change / max(before, change, 1e-300), _LEAST))
        # v = s + βx carries the rounding of s, wherever pairs have these.
        rounding = np.zeros_like(scale)
        rounding[2:4] = ROUNDED * np.tensordot(np.abs(s), size[:, 2:4], 1)
        noise = float((rounding / scale).max())
        if rest < _TOLERANCE or change < 2.0 * noise:
            ended = bool((size[[0, -1]].max(axis=0) <= _ENDED * scale).all())
            errors = rounding + scale * (max(rest, change) if change < _NOISE + 2.0 * noise else rest)
            sums[0][0] += centres[0] - centres
            return Integrals(sums[0], errors, centres[[0, -1]], reference) if ended else None
        if stride <= max(grid.short, 1) or not np.isfinite(rest):
            return None
        stride //= 2
        between = grid.nodes(np.arange(first + stride, last + 1, 2 * stride))
        s, step, averages = (_interleaved(*pair) for pair in zip((s, step, averages), between, strict=True))


def _interleaved(even: np.ndarray, odd: np.ndarray) -> np.ndarray:
    out = np.empty((even.shape[0] + odd.shape[0], *even.shape[1:]))
    out[::2], out[1::2] = even, odd
    return out


def _columns(
    s: np.ndarray, averages: np.ndarray, centres: np.ndarray, reference: float, n: np.ndarray
) -> np.ndarray:
    """Return the integrands, shape (s.size, 5, n.size)."""
    log_phi, m, mean, variance, w = averages.T[:, :, None]
    single = n * np.exp((n - 1.0) * log_phi) * m
    pair = n * (n - 1.0) * np.exp((n - 2.0) * log_phi) * m
    offset, weight = (centres - s[:, None]) * single, pair * m
    # Where they weigh nothing variances may drown; known ones may be so large that they matter all the same.
    drowned = np.isnan(variance) & (weight <= _WEIGHTLESS * weight.max(axis=0))
    spread = np.where(drowned, 0.0, weight * variance)
    return np.stack([offset, single * (mean - reference), spread, pair * w, single], axis=1)
