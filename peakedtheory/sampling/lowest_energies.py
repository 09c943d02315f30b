"""Samplers that draw the lowest energies alone: independent samples, or scrambled Sobol points."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from peakedtheory._common.threads import share
from peakedtheory.sampling.importance import favour_rare, weigh, weights_of
from peakedtheory.sampling.moments import Moments
from peakedtheory.sampling.qmc import favour_ends, scramblings, sobol_exponentials
from peakedtheory.sampling.samplers import CACHED, BetaGrid, Drawn, EnergySampler, Span
from peakedtheory.sampling.tails import OrderStatisticsTables

_PILOT = (1 << 32) - 1  # number of a block that no run reaches
_POINTS = 4096  # of a scrambling, held in memory at a time


@dataclass(frozen=True, kw_only=True)
class OrderStatisticsSampler(EnergySampler):
    """The lowest k energies by exponential spacings, the rest by its conditional moments."""

    method: ClassVar[str] = "order-statistics"
    grid: BetaGrid
    tables: OrderStatisticsTables

    @property
    def seconds(self) -> float:
        return self._point_seconds

    @property
    def _point_seconds(self) -> float:
        return 1e-6 + 4e-8 * self.layout.beta.size * (1.0 + self.tables.k / 16)

    @property
    def held(self) -> int:
        return max(2 * self.tables.k, 8 * self.layout.beta.size)

    def draw(self, first: int, count: int) -> Drawn:
        drawn = self.seed.block(first // self.block).standard_exponential((count, self.tables.k))
        favour_rare(drawn)
        return drawn, None

    def evaluate(
        self, drawn: np.ndarray, first: int, span: Span, out: np.ndarray, maximum: np.ndarray
    ) -> None:
        exponentials = drawn[slice(*span)]
        self._condition(exponentials, out, maximum, np.empty((0, 0, 0)))
        weigh(weights_of(exponentials), *self._typical, out, maximum)

    @functools.cached_property
    def _typical(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean outputs and largest x of a few samples, taken out of sums lest weights add noise."""
        pilot = self._pilot
        out, maximum = np.empty((self.layout.beta.size, 4, len(pilot))), np.empty(len(pilot))
        self._condition(pilot, out, maximum, np.empty((0, 0, 0)))
        return out.mean(axis=-1, keepdims=True), maximum.mean(keepdims=True)

    @property
    def _pilot(self) -> np.ndarray:
        """Spacings of samples that no run draws, as they are."""
        return self.seed.block(_PILOT).standard_exponential((1024, self.tables.k))

    def _condition(
        self, exponentials: np.ndarray, out: np.ndarray, maximum: np.ndarray, bound: np.ndarray
    ) -> None:
        """Fill outputs, largest x, and, given room, bounds on what each output neglects."""
        from peakedtheory.kernels.order_statistics import order_statistics  # loads Numba

        t = self.tables
        order_statistics(
            0,
            len(exponentials),
            exponentials,
            t.rates,
            t.quantile.coefficients,
            t.quantile.range,
            t.beta,
            len(self.grid.parts) == 1 and self.grid.parts[0][1],
            float(t.n - t.k),
            t.rest.polynomials,
            t.rest.range,
            out,
            maximum,
            bound,
            np.empty((0, 0)),
        )

    def bias_bound(self) -> np.ndarray:
        """Return a row of bounds on the bias of each quantity: expansion and interpolation."""
        pilot = self._pilot
        out, every = np.empty((2, self.layout.beta.size, 4, len(pilot)))
        self._condition(pilot, out, np.empty(len(pilot)), every)
        bound = every.mean(axis=-1) + self.tables.error
        layout = self.layout
        ln_z, mean = bound[:, 0], bound[:, 1]
        student, teacher = layout.pairs.T
        gap = np.abs(layout.beta[student] - layout.beta[teacher])
        return np.concatenate(
            [
                *bound.T,
                ln_z + layout.beta * mean,
                [self.tables.error[0, 1]],
                ln_z[student] + ln_z[teacher] + gap * mean[teacher],
                mean[student] + mean[teacher],
            ]
        )


@dataclass(frozen=True, kw_only=True)
class ScrambledSampler(OrderStatisticsSampler):
    """Order statistics at scrambled Sobol points; one sample of a block is one whole scrambling.

    The average over a scrambling's points is one independent, unbiased value, so that the moments over
    scramblings give honest standard errors. Rare low or high ground states would make those values skewed, so
    the first spacing is drawn by importance at both ends, with weights. What all points share is taken out
    of the weighted sum, which keeps the weights from adding noise of their own.
    """

    method: ClassVar[str] = "qmc"
    points: int = 4096

    @property
    def block(self) -> int:
        return 1

    @property
    def seconds(self) -> float:
        return self.points * (self._point_seconds + 1e-8 * self.tables.k)

    def moments(self, first: int, count: int) -> tuple[Moments, np.ndarray]:
        joint = self.layout.beta.size if self.joint else 0
        nothing = np.zeros(self.layout.size)
        means = [self._mean(seed) for seed in scramblings(self.seed.replicates, first + count)[first:]]
        ones = (Moments(1, mean, nothing, nothing, np.zeros((joint, joint))) for mean in means)
        return functools.reduce(operator.add, ones), np.empty((0, self.layout.beta.size))

    def _mean(self, seed: np.random.SeedSequence) -> np.ndarray:
        """Return the mean of every quantity over the points of one scrambling."""
        typical = self._typical_row()
        excess, seen = np.zeros(self.layout.size), 0
        held = min(self.points, _POINTS)
        for exponentials in sobol_exponentials(self.points, self.tables.k, seed, chunk=held):
            weights = favour_ends(exponentials[:, 0])
            for part, size in self._partial_means(exponentials, weights, typical):
                seen += size
                excess += (part - typical - excess) * (size / seen)
        return typical + excess

    def _partial_means(
        self, exponentials: np.ndarray, weights: np.ndarray, typical: np.ndarray
    ) -> list[tuple[np.ndarray, int]]:
        """Return weighted means over chunks of points, and their numbers of points."""
        size = min(1 << int(np.log2(max(CACHED // self.layout.beta.size, self.together))), len(weights))
        means = np.tile(typical, (len(weights) // size, 1))

        def work(start: int, stop: int) -> None:
            out, maximum = np.empty((self.layout.beta.size, 4, size)), np.empty(size)
            ignored = np.empty((2, self.layout.size))
            for i in range(start, stop):
                here = slice(i * size, (i + 1) * size)
                self._condition(exponentials[here], out, maximum, np.empty((0, 0, 0)))
                self.layout.reduce(size, out, maximum, weights[here], means[i], *ignored)

        share(len(means), 1, len(weights) * self._point_seconds, work)
        return [(mean, size) for mean in means]

    def _typical_row(self) -> np.ndarray:
        """Return every quantity of the typical point."""
        mean, *ignored = np.empty((3, self.layout.size))
        self.layout.reduce(1, *self._typical, np.empty(0), mean, *ignored)
        return mean
