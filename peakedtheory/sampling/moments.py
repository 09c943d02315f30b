"""Moments of the quantities of each sample (`kernels.reduction`), merged chunk by chunk, block by block."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

_NO_WEIGHTS = np.empty(0)


@dataclass(frozen=True)
class Layout:
    """Where each quantity of a sample stands in a row.

    Attributes
    ----------
    beta : ndarray, shape (K,)
        Distinct inverse temperatures, ascending.
    pairs : ndarray of int, shape (P, 2)
        Positions in `beta` of each (β, β*).
    """

    beta: np.ndarray
    pairs: np.ndarray

    @property
    def size(self) -> int:
        """Number of quantities of a sample."""
        return 5 * self.beta.size + 1 + 2 * len(self.pairs)

    def reduce(
        self,
        count: int,
        out: np.ndarray,
        maximum: np.ndarray,
        weights: np.ndarray,
        mean: np.ndarray,
        squares: np.ndarray,
    ) -> None:
        """Reduce samples as `kernels.reduction.reduce_samples` does."""
        from peakedtheory.kernels.reduction import reduce_samples  # loads Numba

        reduce_samples(count, out, maximum, self.beta, self.pairs, weights, mean, squares)

    def rounding(self, mean: np.ndarray, unit: float) -> np.ndarray:
        """Return a row of bounds on what rounding adds to each quantity.

        With weights that err by `unit` in relative terms, ln Z errs by as much, and an average over
        distances d = max x - x by that times their mean.
        """
        seen = self.split(mean)
        distance = np.maximum(seen["maximum"][0] - seen["mean"], 0.0)
        student, teacher = self.pairs.T
        gap = np.abs(self.beta[student] - self.beta[teacher])
        row = (
            np.ones(self.beta.size),
            distance,
            2.0 * (distance**2 + seen["variance"]),
            np.ones(self.beta.size),
            1.0 + self.beta * distance,
            np.abs(seen["maximum"]),
            2.0 + gap * distance[teacher],
            distance[student] + distance[teacher],
        )
        return unit * np.concatenate(row)

    def split(self, row: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parts of a row by name."""
        k, p = self.beta.size, len(self.pairs)
        ends = np.cumsum([k, k, k, k, k, 1, p, p])
        names = ("ln_z", "mean", "variance", "squares", "entropy", "maximum", "loss", "gradient")
        return dict(zip(names, np.split(row, ends[:-1]), strict=True))


@dataclass(frozen=True)
class Moments:
    """Count, mean and sums of squared deviations of the rows of some samples.

    Attributes
    ----------
    count : int
        Number of independent rows.
    mean, squares : ndarray, shape (Q,)
        Mean and sum of squared deviations from it.
    products : ndarray, shape (K, K) or (0, 0)
        Sums of products of deviations of the first K entries, where they are kept.
    """

    count: int
    mean: np.ndarray
    squares: np.ndarray
    products: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    @classmethod
    def of(cls, layout: Layout, count: int, out: np.ndarray, maximum: np.ndarray, joint: int = 0) -> Moments:
        """Return the moments of the first `count` samples of a kernel's outputs (K, 4, .) and maxima.

        Products are those of the first `joint` quantities ln Z.
        """
        mean, squares = np.empty((2, layout.size))
        layout.reduce(count, out, maximum, _NO_WEIGHTS, mean, squares)
        rows = out[:joint, 0, :count] - mean[:joint, None]
        # einsum and not a matrix product, whose order of summation may depend on the number of threads
        return cls(count, mean, squares, np.einsum("ji,ki->jk", rows, rows))

    @classmethod
    def of_rows(cls, rows: np.ndarray) -> Moments:
        """Return the moments of rows (Q, samples)."""
        start = rows[:, :1]
        excess = rows - start  # so that what does not fluctuate comes out exact
        mean = excess.mean(axis=1)
        excess -= mean[:, None]
        return cls(rows.shape[1], start[:, 0] + mean, np.einsum("ji,ji->j", excess, excess))

    def __add__(self, other: Moments) -> Moments:
        """Merge two disjoint sets of samples (Chan, Golub and LeVeque 1983)."""
        count = self.count + other.count
        change = other.mean - self.mean
        share = other.count / count
        weight = self.count * share
        joint = self.products.shape[0]
        part = change[:joint]
        return Moments(
            count,
            self.mean + share * change,
            self.squares + other.squares + weight * change * change,
            self.products + other.products + weight * part[:, None] * part,
        )

    @property
    def standard_error(self) -> np.ndarray:
        """Standard error of the mean; infinite for a single sample."""
        if self.count < 2:
            return np.full(self.mean.shape, np.inf)
        return np.sqrt(self.squares / (self.count * (self.count - 1.0)))

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the mean of the first entries, shape (K, K)."""
        return self.products / (self.count * max(self.count - 1.0, 1.0))
