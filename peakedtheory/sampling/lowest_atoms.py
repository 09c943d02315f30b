"""Samplers of finitely many energies that draw the lowest two first, by importance, the others above them.

The levels u = P(ε <= energy) of the lowest two of n energies follow from two spacings,
ln(1-u₁) = -E₁/n and ln(1-u₂) = ln(1-u₁) - E₂/(n-1); the others are independent above u₂.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from peakedtheory.sampling.importance import favour_rare, weigh, weights_of
from peakedtheory.sampling.samplers import FARTHEST_IN_SINGLE, AtomsSampler, Drawn, GivenSampler, Seed, Span

_PILOT = (1 << 32) - 1  # number of a block that no run reaches
_PILOT_SAMPLES = 64


class _Drawn(Protocol):
    """What both samplers have."""

    n: int
    seed: Seed

    @property
    def block(self) -> int:
        """Samples in a block."""


def _spacings(sampler: _Drawn, first: int, count: int) -> tuple[np.ndarray, np.random.Generator]:
    """Return spacings of the samples of a block, and the generator of everything else."""
    lowest, others = sampler.seed.block(first // sampler.block).spawn(2)
    exponentials = lowest.standard_exponential((count, min(sampler.n, 2)))
    favour_rare(exponentials)
    return exponentials, others


def _levels(exponentials: np.ndarray, n: int) -> np.ndarray:
    """Return u of the lowest energies of each sample."""
    left = n - np.arange(exponentials.shape[1], dtype=float)
    return -np.expm1(-np.cumsum(exponentials / left, axis=1))


@dataclass(frozen=True, kw_only=True)
class LowestAtomsSampler(AtomsSampler):
    """Numbers of energies at each atom: the lowest two energies by importance, the others multinomial."""

    method: ClassVar[str] = "order-statistics"

    def draw(self, first: int, count: int) -> Drawn:
        exponentials, others = _spacings(self, first, count)
        levels = _levels(exponentials, self.n)
        ends = np.cumsum(self.weights)
        last = self.x.size - 1
        where = np.minimum(np.searchsorted(ends, levels), last)
        # what of each atom lies above the highest level drawn
        above = np.diff(np.maximum(ends, levels[:, -1:]), axis=1, prepend=levels[:, -1:])
        total = above.sum(axis=1, keepdims=True)
        highest = np.arange(last + 1) == last
        chances = np.where(total > 0.0, above / np.where(total > 0.0, total, 1.0), highest)
        numbers = others.multinomial(self.n - levels.shape[1], chances)
        for column in where.T:
            numbers[np.arange(count), column] += 1
        return numbers, self.level(count)

    def evaluate(
        self, drawn: np.ndarray, first: int, span: Span, out: np.ndarray, maximum: np.ndarray
    ) -> None:
        super().evaluate(drawn, first, span, out, maximum)
        exponentials, _ = _spacings(self, first, len(drawn))
        weigh(weights_of(exponentials[slice(*span)]), *self._typical, out, maximum)

    @functools.cached_property
    def _typical(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean outputs and largest x of a few samples as they are."""
        out, maximum = np.empty((self.layout.beta.size, 4, _PILOT_SAMPLES)), np.empty(_PILOT_SAMPLES)
        drawn = self.seed.block(_PILOT).multinomial(self.n, self.weights, size=_PILOT_SAMPLES)
        super().evaluate(drawn, 0, (0, _PILOT_SAMPLES), out, maximum)
        return _means(out, maximum)


@dataclass(frozen=True, kw_only=True)
class LowestValuesSampler(GivenSampler):
    """Energies from many equally likely values: the lowest two by importance.

    Attributes
    ----------
    values : ndarray
        In ascending order.
    """

    method: ClassVar[str] = "order-statistics"
    values: np.ndarray

    def draw(self, first: int, count: int) -> Drawn:
        exponentials, others = _spacings(self, first, count)
        lowest = _levels(exponentials, self.n)
        floor = lowest[:, -1:]
        levels = np.concatenate(
            [lowest, floor + (1.0 - floor) * others.random((count, self.n - lowest.shape[1]))], axis=1
        )
        return self.relative(self._x_at(levels))

    def evaluate(
        self, drawn: np.ndarray, first: int, span: Span, out: np.ndarray, maximum: np.ndarray
    ) -> None:
        super().evaluate(drawn, first, span, out, maximum)
        exponentials, _ = _spacings(self, first, len(drawn))
        weigh(weights_of(exponentials[slice(*span)]), *self._typical, out, maximum)

    def relative(self, x: np.ndarray) -> Drawn:
        """Return x relative to the largest value there is: a typical sample is one of all blocks."""
        x += self.values[0]
        far = self.values[-1] - self.values[0] > FARTHEST_IN_SINGLE
        level = np.full(len(x), -self.values[0])
        return (x if far else x.astype(self.table.dtype, copy=False)), level

    def _x_at(self, levels: np.ndarray) -> np.ndarray:
        """Return x = -ε at levels u."""
        size = self.values.size
        return -self.values[np.minimum((levels * size).astype(np.int64), size - 1)]

    @functools.cached_property
    def _typical(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean outputs and largest x of a few samples as they are."""
        out, maximum = np.empty((self.layout.beta.size, 4, _PILOT_SAMPLES)), np.empty(_PILOT_SAMPLES)
        drawn, _ = self.relative(self._x_at(self.seed.block(_PILOT).random((_PILOT_SAMPLES, self.n))))
        super().evaluate(drawn, 0, (0, _PILOT_SAMPLES), out, maximum)
        return _means(out, maximum)


def _means(out: np.ndarray, maximum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return out.mean(axis=-1, keepdims=True), maximum.mean(keepdims=True)
