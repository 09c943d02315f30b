"""Averages over one energy for many s at once: the distribution of βx moved onto a lattice.

Every kernel of v = s + βx is analytic for |Im v| < π/2 and its spectrum falls as exp(-π|ω|/2): across some
points 1/8 apart it is a polynomial to rounding. Weights on a lattice that reproduce all such polynomials may
hence replace a distribution, however singular it is; the averages at lattice values of s are correlations of
these weights with fixed tables of the kernels, and smooth enough in s to interpolate.
"""

from __future__ import annotations

import functools

import numpy as np

from peakedtheory.energies.components import Atoms, Component
from peakedtheory.energies.gumbel import V_MAX, entropy_kernel

STEP = 0.125
#: Points of the local polynomials: with 22, 26 and 30 of them Φ'' errs by 1e-13, 1e-14 and 1e-15.
_POINTS = 30
_HALF = _POINTS // 2
_OFFSETS = np.arange(1 - _HALF, _HALF + 1)
_BARYCENTRIC = np.concatenate(
    [[1.0], np.cumprod(-(np.arange(_POINTS - 1.0, 0.0, -1.0)) / np.arange(1.0, _POINTS))]
)
#: Longest piece of the density in v that sixteen nodes integrate together with a kernel.
_PIECE = 1.4
#: Panels shorter than this, in units of the kernel's width and of the law's, count as points.
_POINT = 1e-15
#: Largest extent of the lattice in v; of distributions that are wider it covers half, about the transition.
EXTENT = 800.0
#: Largest extent where transitions lie apart: if wider, it covers those of the fewest energies alone.
_WIDEST = 20_000.0
#: Below this spread of βx its moments are carried by weights of their own, not by the lattice's positions.
_NARROW = 0.5
_ROWS_AT_ONCE = 128
_NODES_AT_ONCE = 1_000
#: Means of v this close share one origin for their variances.
_UNIT = 4.0


def local_weights(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for positions in units of the step, the first lattice index and the weights of the points."""
    base = np.floor(position)
    # On a point its weight is all there is.
    distance = np.clip(position - base, 1e-290, 1.0 - 1e-16)
    weights = _BARYCENTRIC / (distance[:, None] - _OFFSETS)
    weights /= weights.sum(axis=1, keepdims=True)
    return base.astype(np.int64) + _OFFSETS[0], weights


@functools.lru_cache(maxsize=16)
def _kernels(first: int, last: int) -> np.ndarray:
    """Columns 1 - exp(-e^v), the Gumbel density, the entropy kernel and v times the Gumbel density."""
    v = STEP * np.arange(first, last + 1)
    t = np.exp(v)
    gumbel = np.exp(v - t)
    return np.stack([-np.expm1(-t), gumbel, entropy_kernel(v), v * gumbel], axis=1)


class Lattice:
    """The distribution of βx on a lattice, and tables of its averages that grow as they are asked for.

    Parameters
    ----------
    components : tuple of (weight, Density or Atoms)
        Distribution of x.
    beta : float
        Inverse temperature, positive.
    v_min : float
        Where the kernels end below.
    n : ndarray
        Numbers of energies, which say what part of the distribution matters.
    spread : float
        Standard deviation of x, or another measure of its width.
    """

    def __init__(
        self, components: tuple[Component, ...], beta: float, v_min: float, n: np.ndarray, spread: float
    ) -> None:
        self._first, self._last = int(np.floor(v_min / STEP)), int(np.ceil(V_MAX / STEP))
        self._v = STEP * np.arange(self._first, self._last + 1)
        self._beta = beta
        self._lay_out(components, n, spread)
        self._project(components, spread)
        size = self._kernel_size
        self._known = np.zeros(self._weights.shape[1] - size + 1, dtype=bool)
        self._table = np.empty((5, self._known.size))

    @property
    def _kernel_size(self) -> int:
        return self._last - self._first + 1

    def _lay_out(self, components: tuple[Component, ...], n: np.ndarray, spread: float) -> None:
        """Choose the range of x that the transition of φⁿ sees, for every n."""
        points = [part.x if isinstance(part, Atoms) else part.edges for _, part in components]
        x = np.unique(np.concatenate(points))
        with np.errstate(all="ignore"):
            above = sum(w * part.above(x) for w, part in components)
            below = sum(w * part.below(x) for w, part in components)
            log_below = np.where(
                above < 0.5, np.log1p(-np.minimum(above, 0.5)), np.log(np.maximum(below, 1e-300))
            )
        centres = [x[np.argmin(np.abs(count * log_below + np.log(2.0)))] for count in (n.min(), n.max())]
        with np.errstate(over="ignore", invalid="ignore"):  # far out few energies decide the variance
            share = n.max() * above * np.maximum(np.abs(x) / spread, 1.0) ** 2
        matters = np.nonzero(share >= 1e-22)[0]
        top = x[min(matters[-1] + 1, x.size - 1)] if matters.size else x[-1]
        excluded = np.nonzero(n.min() * log_below < -45.0)[0]
        lowest = x[excluded[-1]] if excluded.size else x[0]
        bottom = max(x[0], lowest - (STEP * (self._last - self._first) + 1.0) / self._beta)
        half = (0.25 if top - bottom > EXTENT / self._beta else 1.0) * EXTENT / self._beta
        self.low = max(bottom, min(centres) - half)
        self.high = min(top, max(centres) + half, self.low + _WIDEST / self._beta)
        self._open_below, self._open_above = self.low > x[0], self.high < top

    def _project(self, components: tuple[Component, ...], spread: float) -> None:
        beta = self._beta
        shortest = _POINT * min(1.0 / beta, spread)
        pieces = [(w, part.pieces(self.low, self.high, _PIECE / beta, shortest)) for w, part in components]
        x = np.concatenate([p[0] for _, p in pieces])
        mass = np.concatenate([w * p[1] for w, p in pieces])
        self._narrow = beta * spread < _NARROW
        #: Variances of βx below this are lost in the rounding of the lattice.
        self.resolution = 1e-3 * (beta * spread) ** 2 if self._narrow else 1e-2
        self._reference = float(mass @ x) / float(mass.sum())
        moments = [mass]
        if self._narrow:
            deviation = beta * (x - self._reference)
            moments += [mass * deviation, mass * deviation**2]
        position = beta * x / STEP
        origin = int(np.floor(position.min())) + _OFFSETS[0]
        size = int(np.floor(position.max())) + _OFFSETS[-1] + 1 - origin
        pad = self._kernel_size + 2 * _POINTS
        self._weights = np.zeros((len(moments), size + 2 * pad))
        for block in np.array_split(np.arange(x.size), 1 + x.size // _NODES_AT_ONCE):
            first, weights = local_weights(position[block])
            slots = ((first - origin)[:, None] + np.arange(_POINTS)).ravel()
            for row, moment in zip(self._weights, moments, strict=True):
                terms = (weights * moment[block, None]).ravel()
                row[pad : pad + size] += np.bincount(slots, terms, size)
        self._origin = origin - pad
        beyond = sum(w * part.above(np.array([self.high]))[0] for w, part in components)
        self._mass_from = np.append(np.cumsum(self._weights[0][::-1])[::-1], 0.0) + beyond

    def covers(self, s: np.ndarray) -> np.ndarray:
        """Return where the averages at s draw on the lattice alone."""
        inside = np.ones(s.size, dtype=bool)
        reach = STEP * _POINTS
        if self._open_above:
            inside &= STEP * self._last - s + reach < self._beta * self.high
        if self._open_below:
            inside &= STEP * self._first - s - reach > self._beta * self.low
        return inside

    def __call__(self, s: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return g = 1 - φ, m, the mean and variance of x and w at each s; see `averages.Averages`."""
        # Where the whole distribution lies to one side of the kernels nothing changes any more.
        ends = self._first - self._origin - np.array([self._known.size - 1 - _POINTS, _POINTS])
        first, weights = local_weights(np.clip(s / STEP, *ends))
        rows = first[:, None] + np.arange(_POINTS)
        starts = self._first - rows - self._origin
        missing = np.zeros(self._known.size, dtype=bool)
        missing[starts] = True
        self._fill(np.nonzero(missing & ~self._known)[0])
        g, m, mean, variance, w = self._table[:, starts]
        reference = mean[:, _HALF - 1 : _HALF]
        # The mean of βx, or of v, from which s = STEP * rows is still to be taken.
        shift = mean - reference - (0.0 if self._narrow else STEP * _OFFSETS)
        kernel = weights * m
        total = kernel.sum(axis=1)
        safe = np.where(total > 0.0, total, 1.0)
        first_moment = (kernel * shift).sum(axis=1) / safe
        second = (kernel * (variance + shift * shift)).sum(axis=1) / safe
        origin = reference[:, 0] - (0.0 if self._narrow else STEP * rows[:, _HALF - 1])
        return (
            (weights * g).sum(axis=1),
            total,
            (origin + first_moment) / self._beta,
            (second - first_moment**2) / self._beta**2,
            (weights * w).sum(axis=1),
        )

    @property
    def ends(self) -> tuple[int, int]:
        """Numbers k of the first and the last s = STEP * k that `at` knows."""
        first, last = self._first - self._origin - self._known.size + 1, self._first - self._origin
        reach = self._beta / STEP
        if self._open_above:
            first = max(first, int(np.ceil(self._last + _POINTS - reach * self.high)) + 1)
        if self._open_below:
            last = min(last, int(np.floor(self._first - _POINTS - reach * self.low)) - 1)
        return first, last

    def at(self, k: np.ndarray) -> np.ndarray:
        """Return the five averages at s = STEP * k, shape (5, k.size): see `__call__`."""
        starts = self._first - self._origin - k
        self._fill(starts[~self._known[starts]])
        g, m, mean, variance, w = self._table[:, starts]
        mean = (mean if self._narrow else mean - STEP * k) / self._beta
        return np.stack([g, m, mean, variance / self._beta**2, w])

    def _fill(self, starts: np.ndarray) -> None:
        """Tabulate g, m, the mean, the variance and w where the window of kernels begins at these places."""
        size = self._kernel_size
        kernels = _kernels(self._first, self._last)
        for chunk in np.split(starts, range(_ROWS_AT_ONCE, starts.size, _ROWS_AT_ONCE)):
            windows = [np.lib.stride_tricks.sliding_window_view(w, size)[chunk] for w in self._weights]
            g, m, w, moment = (windows[0] @ kernels).T
            g = g + self._mass_from[chunk + size]
            safe = np.where(m > 0.0, m, 1.0)
            if self._narrow:
                first, second = (window @ kernels[:, 1] / safe for window in windows[1:])
                mean, variance = self._beta * self._reference + first, second - first * first
            else:
                mean, variance = moment / safe, np.empty(chunk.size)
                # About a whole number of units near the mean of v few digits cancel.
                centres = np.round(mean / _UNIT) * _UNIT
                for centre in np.unique(centres):
                    near = centres == centre
                    second = windows[0][near] @ (kernels[:, 1] * (self._v - centre) ** 2)
                    variance[near] = second / safe[near] - (mean[near] - centre) ** 2
            self._table[:, chunk] = g, m, mean, variance, w
            self._known[chunk] = True
