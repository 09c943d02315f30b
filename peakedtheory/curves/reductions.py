"""Falls of the learning rate Δ_k = η_{k-1} - η_k and fast sums over them.

Two kinds of sum over all earlier steps k are needed at every record t: Σ Δ_k λ^{t-k}, which obeys a
recursion from record to record and is exact, and Σ Δ_k g(η_k, τ_t - τ_{k-1}) with g smooth away from k = t.
The second is compressed: steps are grouped in cells whose length grows with their distance from t, and each
cell keeps its Δ_k as weights on a few of its steps that reproduce polynomials of k exactly. A cell is used
only if they also reproduce powers of the rate to `TOLERANCE`; otherwise its halves are, down to single
steps, so jumps of the rate cost accuracy nowhere.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np

from peakedtheory.schedules.clock import Clock

#: Steps kept for each cell, and accuracy of the sums of powers of the rate that a cell must reach.
_NODES, TOLERANCE = 4, 1e-5
_POWERS = (-1.0, -0.5, 0.5)
_LONGEST_ROW = 256
#: Rates of zero are taken as this small part of the largest, where powers of them are formed.
LOWEST = 1e-12


class Reductions:
    """The falls of the rate as seen from the records, with η_0 = 0: a warmup's rises are negative falls.

    Parameters
    ----------
    clock : Clock
        Learning rates, and the times they keep.
    step : ndarray, shape (records,)
        Where sums end; fractions of a step are rounded.
    """

    def __init__(self, clock: Clock, step: np.ndarray) -> None:
        self.clock = clock
        self.ends = np.maximum(np.round(step).astype(int), 0)
        self.after_peak = -np.diff(clock.rates, prepend=0.0)
        self.after_peak[: max(clock.warmup, 1)] = 0.0

    @cached_property
    def total(self) -> np.ndarray:
        """Σ Δ_k over the falls after the peak, at the records."""
        return np.concatenate([[0.0], np.cumsum(self.after_peak)])[self.ends]

    @cached_property
    def _between(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Falls after the peak between stops, latest first, the steps between, and the records' places.

        Stops are the records and, so that no row is long, further steps between them.
        """
        begin = int(np.argmax(self.after_peak != 0)) if self.after_peak.any() else int(self.ends[-1])
        stops = np.unique(np.concatenate([self.ends, np.arange(begin, self.ends[-1], _LONGEST_ROW)]))
        gaps = np.diff(stops, prepend=0)
        gaps[0] = min(gaps[0], _LONGEST_ROW) if stops[0] <= begin else gaps[0]
        rows = np.zeros((gaps.size, max(int(gaps.max()), 1)))
        for row, end, gap in zip(rows, stops, gaps, strict=True):
            row[:gap] = self.after_peak[end - gap : end][::-1]
        return rows, gaps, np.searchsorted(stops, self.ends)

    def remembered(self, memory: float) -> tuple[np.ndarray, np.ndarray]:
        """Return Σ Δ_k λ^{t-k} over the falls after the peak, at the records, and its derivative by λ."""
        rows, gaps, places = self._between
        if not rows.any():
            return np.zeros(places.size), np.zeros(places.size)
        j = np.arange(rows.shape[1])
        powers = memory**j
        fresh, fresh_slope = rows @ powers, rows @ (j * powers / memory)
        fade = memory**gaps
        fade_slope = gaps * fade / memory
        kept = kept_slope = 0.0
        history = []
        # Plain numbers: a loop over NumPy scalars would take most of the time of a fit.
        columns = (fade, fade_slope, fresh, fresh_slope)
        for f, f_slope, new, new_slope in zip(*(column.tolist() for column in columns), strict=True):
            kept_slope = f * kept_slope + f_slope * kept + new_slope
            kept = f * kept + new
            history.append((kept, kept_slope))
        value, slope = np.array(history)[places].T
        return value, slope

    @cached_property
    def nodes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Compressed falls: weight, ln rate and τ_t - τ_{k-1} of the nodes, and where a record's start.

        Σ_{k ≤ t} Δ_k g(η_k, τ_t - τ_{k-1}) is the sum of weight·g over the nodes of the record.
        """
        cells = _cells(self.clock.rates.tobytes())
        lists = [cells.before(int(end)) for end in self.ends]
        sizes = np.array([index.size for index, _ in lists])
        index = np.concatenate([index for index, _ in lists]) if sizes.any() else np.zeros(0, dtype=int)
        weight = np.concatenate([weight for _, weight in lists]) if sizes.any() else np.zeros(0)
        tau = self.clock.tau
        distance = np.repeat(tau[self.ends], sizes) - tau[index]
        rate = np.log(np.maximum(self.clock.rates[index], LOWEST * self.clock.peak))
        return weight, rate, distance, np.concatenate([[0], np.cumsum(sizes)])

    def sum_over_nodes(self, values: np.ndarray) -> np.ndarray:
        """Return the sums of each record's nodes, for `values` of shape (…, nodes)."""
        starts = self.nodes[3]
        filled = np.flatnonzero(np.diff(starts))
        sums = np.zeros((*values.shape[:-1], starts.size - 1), dtype=values.dtype)
        if filled.size:
            sums[..., filled] = np.add.reduceat(values, starts[filled], axis=-1)
        return sums


@lru_cache(maxsize=32)
def _cells(rates: bytes) -> _Cells:
    """Return the cells of one schedule; fits to several windows of a curve share them."""
    return _Cells(np.frombuffer(rates))


class _Cells:
    """Dyadic cells of steps with interpolatory weights, found once and shared by all records."""

    def __init__(self, rates: np.ndarray) -> None:
        self.falls, self.rates = -np.diff(rates, prepend=0.0), rates
        self.active = np.concatenate([[0], np.cumsum(self.falls != 0)])
        self.known: dict[tuple[int, int], tuple[np.ndarray, np.ndarray] | None] = {}
        self.ended: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def before(self, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Return nodes and weights for the steps [0, end)."""
        if end not in self.ended:
            self.ended[end] = self._gathered(end)
        return self.ended[end]

    def _gathered(self, end: int) -> tuple[np.ndarray, np.ndarray]:
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._collect(0, 1 << max(end - 1, 1).bit_length(), end, parts)
        if not parts:
            return np.zeros(0, dtype=int), np.zeros(0)
        return np.concatenate([i for i, _ in parts]), np.concatenate([w for _, w in parts])

    def _collect(self, start: int, stop: int, end: int, parts: list) -> None:
        if start >= end or not self.active[min(stop, self.active.size - 1)] - self.active[start]:
            return
        length = stop - start
        if stop <= end and (length <= _NODES or 2 * (end - stop) >= length):
            cell = self._cell(start, stop)
            if cell is not None:
                parts.append(cell)
                return
        if length == 1:
            parts.append((np.array([start]), self.falls[start:stop]))
            return
        middle = start + length // 2
        self._collect(start, middle, end, parts)
        self._collect(middle, stop, end, parts)

    def _cell(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return nodes and weights of one cell, or None where a few nodes do not represent it."""
        key = (start, stop)
        if key not in self.known:
            self.known[key] = self._compressed(start, stop)
        return self.known[key]

    def _compressed(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray] | None:
        falls = self.falls[start:stop]
        used = np.flatnonzero(falls)
        if used.size <= _NODES:
            return start + used, falls[used]
        rates = self.rates[start:stop]
        if (rates <= 0).any():
            return None
        middle, half = 0.5 * (stop - start - 1), 0.5 * (stop - start)
        chebyshev = -np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
        node = np.unique(np.round(middle + half * chebyshev).astype(int))
        if node.size < _NODES:
            return None
        scaled = (np.arange(stop - start) - middle) / half
        moments = np.polynomial.chebyshev.chebvander(scaled, _NODES - 1)
        weight = np.linalg.solve(moments[node].T, moments.T @ falls)
        size = np.abs(falls)
        for power in _POWERS:
            values = (rates / rates.max()) ** power
            if abs(weight @ values[node] - falls @ values) > TOLERANCE * (size @ values):
                return None
        return start + node, weight
