"""What a Monte Carlo block draws: every source of energies behind one method, `moments(first, count)`.

A sampler is a plain value that can be sent to another process. What sample s holds depends on the seed and
on s alone, and a block is the unit of summation, so results do not depend on who computes which block.
"""

from __future__ import annotations

import functools
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.threads import share
from peakedtheory.sampling.moments import Layout, Moments

# Marks the seeds of blocks, so that none is a seed that the caller spawns.
_BLOCK_TAG = 0x626C6F63
_ENTRIES = 1 << 21  # numbers that a block may hold in memory
_BLOCK_SECONDS = 0.15  # so that progress and Ctrl-C come through
_MOST_SAMPLES = 1 << 14
CACHED = 1 << 14  # (sample, β) whose outputs fit in the second-level cache
_CHUNKS = 8  # in a block, at least

Span = tuple[int, int]
#: What is drawn for a block, and the largest x of each of its samples where x is given relative to it.
Drawn = tuple[np.ndarray, np.ndarray | None]
#: In single precision weights below 2^-62 count as that: what lies farther below would enter the variance.
FARTHEST_IN_SINGLE = 1e3
#: Largest x of different samples may differ by this: squares of differences are averaged.
_APART = 1e150


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

    def __str__(self) -> str:
        """Return the digits that `estimate --seed` takes; a spawned seed names its key too."""
        return f"{self.entropy}" + (f" spawn_key={self.spawn_key}" if self.spawn_key else "")

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
    """Draws samples and reduces them to moments.

    Attributes
    ----------
    n : int
        Number of energies in a sample.
    seed : Seed
    """

    n: int
    seed: Seed

    @property
    @abstractmethod
    def seconds(self) -> float:
        """Roughly how long one sample takes."""

    @property
    @abstractmethod
    def held(self) -> int:
        """Numbers that a sample keeps in memory at a time."""

    @property
    def columns(self) -> int:
        """Numbers that may be kept of a sample for good."""
        return 0

    @property
    def block(self) -> int:
        """Samples in a block, a power of two."""
        most = min(_ENTRIES / self.held, _BLOCK_SECONDS / self.seconds, _MOST_SAMPLES)
        return 1 << max(int(np.log2(max(most, 1.0))), 0)

    @abstractmethod
    def moments(self, first: int, count: int) -> tuple[Moments, np.ndarray]:
        """Return the moments of samples first .. first + count - 1, and what is kept of each, if anything."""


@dataclass(frozen=True, kw_only=True)
class EnergySampler(Sampler):
    """Draws samples of n standardised energies.

    Attributes
    ----------
    method : str
        What results call this way of sampling.
    layout : Layout
        Inverse temperatures and pairs.
    joint : bool
        Whether products of ln Z at different β are summed.
    keep : bool
        Whether ln Z of each sample is returned.
    """

    method: ClassVar[str] = "plain"
    layout: Layout
    joint: bool = False
    keep: bool = False

    def draw(self, first: int, count: int) -> Drawn:
        """Return what is drawn for a whole block before its samples are evaluated; nothing by default."""
        return np.empty((0, 0)), None

    @abstractmethod
    def evaluate(
        self, drawn: np.ndarray, first: int, span: Span, out: np.ndarray, maximum: np.ndarray
    ) -> None:
        """Fill the first entries of (ln Z, <x>, Var x, Σp²), shape (K, 4, .), and max x, shape (.,).

        They are those of samples span[0] .. span[1] - 1 of the block that begins with sample `first`.
        """

    @property
    def held(self) -> int:
        return 8 * self.layout.beta.size

    @property
    def columns(self) -> int:
        return self.layout.beta.size

    @property
    def chunk(self) -> int:
        """Samples whose outputs lie in memory at a time: few enough for a cache, and for threads to share."""
        most = min(CACHED // self.layout.beta.size, self.block // _CHUNKS)
        return min(1 << int(np.log2(max(most, self.together))), self.block)

    @property
    def together(self) -> int:
        """Samples that a kernel takes at once."""
        from peakedtheory.kernels.lanes import LANES  # loads Numba

        return LANES

    def moments(self, first: int, count: int) -> tuple[Moments, np.ndarray]:
        betas = self.layout.beta.size
        drawn, level = self.draw(first, count)
        spans = [(s, min(s + self.chunk, count)) for s in range(0, count, self.chunk)]
        parts: dict[int, Moments] = {}
        kept = np.empty((count if self.keep else 0, betas))

        def work(start: int, stop: int) -> None:
            out, maximum = np.empty((betas, 4, min(self.chunk, count))), np.empty(min(self.chunk, count))
            for i in range(start, stop):
                self.evaluate(drawn, first, spans[i], out, maximum)
                size = spans[i][1] - spans[i][0]
                here = None if level is None else level[slice(*spans[i])]
                parts[i] = Moments.of(self.layout, size, out, maximum, betas if self.joint else 0, here)
                if self.keep:  # once `out` has been raised to its level
                    kept[slice(*spans[i])] = out[:, 0, :size].T

        share(len(spans), 1, count * self.seconds, work)
        return functools.reduce(operator.add, (parts[i] for i in range(len(spans)))), kept


@dataclass(frozen=True)
class BetaGrid:
    """Inverse temperatures cut into what the kernels take at once: evenly spaced or not."""

    parts: tuple[tuple[np.ndarray, bool], ...]

    @classmethod
    def of(cls, beta: np.ndarray, main: np.ndarray) -> BetaGrid:
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
class PlainSampler(EnergySampler):
    """Energies drawn afresh for each sample inside the kernel: normal, of finite width, or tabulated."""

    grid: BetaGrid
    table: np.ndarray
    per_unit: float = 1.0
    width: int = 0

    @property
    def seconds(self) -> float:
        return 1e-7 + 1e-10 * self.n * (5.0 + self.layout.beta.size)

    @property
    def together(self) -> int:
        from peakedtheory.kernels.sampling import SMALL  # loads Numba

        return super().together if self.n <= SMALL else 1

    def draw(self, first: int, count: int) -> Drawn:
        return np.empty((0, 0), self.table.dtype), None

    def evaluate(
        self, drawn: np.ndarray, first: int, span: Span, out: np.ndarray, maximum: np.ndarray
    ) -> None:
        from peakedtheory.kernels.sampling import sample_moments  # loads Numba

        key, stream = self.seed.counter_key
        beta, (start, stop) = self.layout.beta, span
        table = self.table if self.table.dtype == drawn.dtype else np.empty((0, 6), drawn.dtype)
        for where, even in self.grid.parts:
            target = out if where.size == beta.size else np.empty((where.size, 4, stop - start))
            sample_moments(
                key,
                stream,
                np.uint64(first + start),
                0,
                stop - start,
                self.n,
                np.ascontiguousarray(beta[where]),
                even,
                self.width,
                table,
                self.per_unit,
                drawn[start:stop],
                target,
                maximum,
            )
            if target is not out:
                out[where, :, : stop - start] = target


@dataclass(frozen=True, kw_only=True)
class GivenSampler(PlainSampler):
    """Energies filled into an array first, by one of the functions of `sources`."""

    fill: Callable[[GivenSampler, int, np.ndarray], None]
    nanoseconds: float = 20.0

    @property
    def seconds(self) -> float:
        return 1e-9 * self.n * (self.nanoseconds + 0.1 * self.layout.beta.size)

    @property
    def held(self) -> int:
        return max(self.n, 8 * self.layout.beta.size)

    def draw(self, first: int, count: int) -> Drawn:
        x = np.empty((count, self.n))
        self.fill(self, first, x)
        return self.relative(x)

    def relative(self, x: np.ndarray) -> Drawn:
        """Return x relative to the largest of each row, in the precision asked for if it will do, and it."""
        level = x.max(axis=1)
        if float(level.max()) - float(level.min()) > _APART:
            spread = f"{level.min():.3g} and {level.max():.3g}"
            fail(
                "energies, logits",
                f"lowest or largest may differ by {_APART:g} from sample to sample",
                spread,
                "rescale them",
            )
        with np.errstate(over="ignore"):  # what lies below by more than 1e308 is ruled out
            x -= level[:, None]
            lowest = x.min()
            if lowest < -FARTHEST_IN_SINGLE:
                lowest = x.min(where=np.isfinite(x), initial=0.0)
        return (x if lowest < -FARTHEST_IN_SINGLE else x.astype(self.table.dtype, copy=False)), level


@dataclass(frozen=True, kw_only=True)
class AtomsSampler(EnergySampler):
    """Discrete energies: the numbers of energies at each atom are multinomial, whatever n is."""

    x: np.ndarray
    weights: np.ndarray

    @property
    def seconds(self) -> float:
        return 1e-6 + 1e-8 * self.x.size * (10.0 + self.layout.beta.size)

    @property
    def held(self) -> int:
        return max(4 * self.x.size, 8 * self.layout.beta.size)

    def draw(self, first: int, count: int) -> Drawn:
        numbers = self.seed.block(first // self.block).multinomial(self.n, self.weights, size=count)
        return numbers, self.level(count)

    def level(self, count: int) -> np.ndarray:
        """Return what x is measured from: the largest value there is."""
        return np.full(count, self.x.max())

    def evaluate(
        self, drawn: np.ndarray, first: int, span: Span, out: np.ndarray, maximum: np.ndarray
    ) -> None:
        numbers = drawn[slice(*span)]
        size = len(numbers)
        present = numbers > 0
        x = self.x - self.x.max()
        top = np.where(present, x, -np.inf).max(axis=1)
        distance = np.where(present, top[:, None] - x, 0.0)
        maximum[:size] = top
        for k, beta in enumerate(self.layout.beta):
            each = np.exp(-beta * distance)
            weight = numbers * each
            z = weight.sum(axis=1)
            mean = (weight * distance).sum(axis=1) / z
            out[k, 0, :size] = beta * top + np.log(z)
            out[k, 1, :size] = top - mean
            out[k, 2, :size] = (weight * (distance - mean[:, None]) ** 2).sum(axis=1) / z
            out[k, 3, :size] = (weight * each).sum(axis=1) / z**2
