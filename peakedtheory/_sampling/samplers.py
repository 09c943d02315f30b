"""What a Monte Carlo block draws: every source of energies behind one method, `moments(first, count)`.

A sampler is a plain value that can be sent to another process. What sample s holds depends on the seed and
on s alone, and a block is the unit of summation, so results do not depend on who computes which block.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from peakedtheory._sampling.moments import Layout, Moments
from peakedtheory._sampling.qmc import favour_ends, scramblings, sobol_exponentials
from peakedtheory._sampling.tails import OrderStatisticsTables
from peakedtheory._threads import share

# Marks the seeds of blocks, so that none is a seed that the caller spawns.
_BLOCK_TAG = 0x626C6F63
_ENTRIES = 1 << 21  # numbers that a block may hold in memory
_BLOCK_SECONDS = 0.15  # so that progress and Ctrl-C come through
_MOST_SAMPLES = 1 << 14
_PILOT = (1 << 32) - 1  # number of a block that no run reaches


@dataclass(frozen=True)
class Seed:
    """The resolved seed, enough to repeat a run.

    Attributes
    ----------
    entropy : int or tuple of int
    spawn_key : tuple of int
        As in numpy.random.SeedSequence.
    """

    entropy: int | tuple[int, ...]
    spawn_key: tuple[int, ...] = ()

    @property
    def sequence(self) -> np.random.SeedSequence:
        """The seed sequence itself."""
        return np.random.SeedSequence(self.entropy, spawn_key=self.spawn_key)

    @property
    def counter_key(self) -> tuple[np.uint64, np.uint64]:
        """Key and stream of the kernels' counter-based generator."""
        key, stream = self.sequence.generate_state(2, np.uint64)
        return key, stream & np.uint64(0xFFFFFFFF)

    def block(self, index: int) -> np.random.Generator:
        """Return the generator of one block."""
        child = np.random.SeedSequence(self.entropy, spawn_key=(*self.spawn_key, _BLOCK_TAG, index))
        return np.random.Generator(np.random.Philox(child))

    @property
    def replicates(self) -> np.random.SeedSequence:
        """Parent of the seeds of independent scramblings."""
        return np.random.SeedSequence(self.entropy, spawn_key=(*self.spawn_key, _BLOCK_TAG))


@dataclass(frozen=True, kw_only=True)
class Sampler(ABC):
    """Draws samples of n standardised energies and reduces them to moments.

    Attributes
    ----------
    layout : Layout
        Inverse temperatures and pairs.
    n : int
        Number of energies in a sample.
    seed : Seed
    joint : bool
        Whether products of ln Z at different β are summed.
    keep : bool
        Whether ln Z of each sample is returned.
    """

    layout: Layout
    n: int
    seed: Seed
    joint: bool = False
    keep: bool = False

    @abstractmethod
    def draw(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (ln Z, <x>, Var x, Σp²), shape (K, 4, count), and max x, shape (count,)."""

    @property
    @abstractmethod
    def seconds(self) -> float:
        """Roughly how long one sample takes."""

    @property
    def held(self) -> int:
        """Numbers that a sample keeps in memory at a time."""
        return 8 * self.layout.beta.size

    @property
    def block(self) -> int:
        """Samples in a block, a power of two."""
        most = min(_ENTRIES / self.held, _BLOCK_SECONDS / self.seconds, _MOST_SAMPLES)
        return 1 << max(int(np.log2(max(most, 1.0))), 0)

    def moments(self, first: int, count: int) -> tuple[Moments, np.ndarray]:
        """Return the moments of samples first .. first + count - 1, and their ln Z if kept."""
        out, maximum = self.draw(first, count)
        kept = out[:, 0].T.copy() if self.keep else np.empty((0, self.layout.beta.size))
        return self.reduce(out, maximum), kept

    def reduce(self, out: np.ndarray, maximum: np.ndarray) -> Moments:
        """Return the moments of a block's samples."""
        joint = self.layout.beta.size if self.joint else 0
        return Moments.of(self.layout.quantities(out, maximum), joint)


@dataclass(frozen=True)
class Grid:
    """Inverse temperatures cut into what the kernels take at once: evenly spaced or not."""

    parts: tuple[tuple[np.ndarray, bool], ...]

    @classmethod
    def of(cls, beta: np.ndarray, main: np.ndarray) -> Grid:
        """Use running products where all β, or at least the `main` ones of them, are evenly spaced."""
        everything = np.arange(beta.size)
        if _is_even(beta):
            return cls(((everything, True),))
        if main.size >= 8 and _is_even(beta[main]):
            return cls(((main, True), (np.setdiff1d(everything, main), False)))
        return cls(((everything, False),))


def _is_even(beta: np.ndarray) -> bool:
    if beta.size < 4:
        return False
    even = np.linspace(beta[0], beta[-1], beta.size)
    return bool(np.abs(beta - even).max() <= 1e-14 * beta[-1])


@dataclass(frozen=True, kw_only=True)
class PlainSampler(Sampler):
    """Energies drawn afresh for each sample inside the kernel: normal, of finite width, or tabulated."""

    grid: Grid
    table: np.ndarray
    per_unit: float = 1.0
    width: int = 0

    @property
    def seconds(self) -> float:
        return 1e-7 + 1e-10 * self.n * (5.0 + self.layout.beta.size)

    def draw(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        return self._evaluate(first, np.empty((0, 0), self.table.dtype), count)

    def _evaluate(self, first: int, given: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        from peakedtheory.kernels.lanes import LANES
        from peakedtheory.kernels.sampling import SMALL, sample_moments

        key, stream = self.seed.counter_key
        beta = self.layout.beta
        out, maximum = np.empty((beta.size, 4, count)), np.empty(count)
        for where, even in self.grid.parts:
            target = out if where.size == beta.size else np.empty((where.size, 4, count))
            betas = np.ascontiguousarray(beta[where])

            def fill(start: int, stop: int, betas: Any = betas, even: bool = even, target: Any = target) -> None:
                sample_moments(
                    key,
                    stream,
                    np.uint64(first),
                    start,
                    stop,
                    self.n,
                    betas,
                    even,
                    self.width,
                    self.table,
                    self.per_unit,
                    given,
                    target,
                    maximum,
                )

            share(count, LANES if self.n <= SMALL else 1, count * self.seconds, fill)
            if target is not out:
                out[where] = target
        return out, maximum


@dataclass(frozen=True, kw_only=True)
class GivenSampler(PlainSampler):
    """Energies filled into an array first, by one of the functions below."""

    fill: Callable[[GivenSampler, int, np.ndarray], None]
    nanoseconds: float = 20.0

    @property
    def seconds(self) -> float:
        return 1e-9 * self.n * (self.nanoseconds + 0.1 * self.layout.beta.size)

    @property
    def held(self) -> int:
        return max(self.n, 8 * self.layout.beta.size)

    def draw(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        x = np.empty((count, self.n), self.table.dtype)
        self.fill(self, first, x)
        return self._evaluate(first, x, count)


@dataclass(frozen=True, kw_only=True)
class AtomsSampler(Sampler):
    """Discrete energies: the numbers of energies at each atom are multinomial, whatever n is."""

    x: np.ndarray
    weights: np.ndarray

    @property
    def seconds(self) -> float:
        return 1e-6 + 1e-8 * self.x.size * (10.0 + self.layout.beta.size)

    @property
    def held(self) -> int:
        return max(4 * self.x.size, 8 * self.layout.beta.size)

    def draw(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        numbers = self.seed.block(first // self.block).multinomial(self.n, self.weights, size=count)
        present = numbers > 0
        maximum = np.where(present, self.x, -np.inf).max(axis=1)
        distance = np.where(present, maximum[:, None] - self.x, 0.0)
        out = np.empty((self.layout.beta.size, 4, count))
        for k, beta in enumerate(self.layout.beta):
            each = np.exp(-beta * distance)
            weight = numbers * each
            z = weight.sum(axis=1)
            mean = (weight * distance).sum(axis=1) / z
            out[k, 0] = beta * maximum + np.log(z)
            out[k, 1] = maximum - mean
            out[k, 2] = (weight * (distance - mean[:, None]) ** 2).sum(axis=1) / z
            out[k, 3] = (weight * each).sum(axis=1) / z**2
        return out, maximum


@dataclass(frozen=True, kw_only=True)
class OrderStatisticsSampler(Sampler):
    """The lowest k energies by exponential spacings, the rest by its conditional moments."""

    grid: Grid
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

    def draw(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        rng = self.seed.block(first // self.block)
        out, maximum, _ = self.evaluate(rng.standard_exponential((count, self.tables.k)))
        return out, maximum

    def evaluate(
        self, exponentials: np.ndarray, *, bounds: bool = False
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return outputs, largest x, and bounds on what each output neglects if asked for."""
        from peakedtheory.kernels.lanes import LANES
        from peakedtheory.kernels.order_statistics import order_statistics

        t = self.tables
        shape = (t.beta.size, 4, exponentials.shape[0])
        out, maximum = np.empty(shape), np.empty(shape[2])
        bound = np.empty(shape if bounds else (0, 0, 0))

        def fill(start: int, stop: int) -> None:
            order_statistics(
                start,
                stop,
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

        share(shape[2], LANES, shape[2] * self._point_seconds, fill)
        return out, maximum, bound

    def bias_bound(self) -> np.ndarray:
        """Return a row of bounds on the bias of each quantity: expansion and interpolation."""
        pilot = self.seed.block(_PILOT).standard_exponential((1024, self.tables.k))
        bound = self.evaluate(pilot, bounds=True)[2].mean(axis=-1) + self.tables.error
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

    points: int = 4096

    @property
    def block(self) -> int:
        return 1

    @property
    def seconds(self) -> float:
        return self.points * (self._point_seconds + 1e-8 * self.tables.k)

    def moments(self, first: int, count: int) -> tuple[Moments, np.ndarray]:
        joint = self.layout.beta.size if self.joint else 0
        total: Moments | None = None
        chunk = 1 << int(np.log2(_ENTRIES / self.held))
        typical = self.layout.quantities(*self.evaluate(np.full((1, self.tables.k), np.log(2.0)))[:2])
        for seed in scramblings(self.seed.replicates, first + count)[first:]:
            mean, seen = np.zeros(self.layout.size), 0
            for exponentials in sobol_exponentials(self.points, self.tables.k, seed, chunk=min(chunk, 4096)):
                weight = favour_ends(exponentials[:, 0])
                rows = self.layout.quantities(*self.evaluate(exponentials)[:2])
                seen += weight.size
                excess = (weight * (rows - typical)).mean(axis=1)
                mean += (excess - mean) * (weight.size / seen)
            one = Moments(1, mean + typical[:, 0], np.zeros_like(mean), np.zeros((joint, joint)))
            total = one if total is None else total + one
        assert total is not None
        return total, np.empty((0, self.layout.beta.size))
