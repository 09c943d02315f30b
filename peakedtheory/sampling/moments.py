"""Moments of the quantities of each sample (`kernels.reduction`), merged chunk by chunk, block by block."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

#: Relative spacing of numbers in double precision.
DIGITS = 2.0**-52
_NO_WEIGHTS = np.empty(0)
#: What a standard error is enlarged by for each unit of γ²/N, and at most.
_ENLARGED, _MOST_ENLARGED = 2.0, 0.2


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

    @property
    def rises(self) -> np.ndarray:
        """Which quantities rise with x: ln Z, <x> and max x."""
        yes = ("ln_z", "mean", "maximum")
        parts = self.split(np.empty(self.size)).items()
        return np.concatenate([np.full(part.size, name in yes) for name, part in parts])

    def reduce(
        self,
        count: int,
        out: np.ndarray,
        maximum: np.ndarray,
        weights: np.ndarray,
        mean: np.ndarray,
        squares: np.ndarray,
        cubes: np.ndarray,
    ) -> None:
        """Reduce samples as `kernels.reduction.reduce_samples` does."""
        from peakedtheory.kernels.reduction import reduce_samples  # loads Numba

        reduce_samples(count, out, maximum, self.beta, self.pairs, weights, mean, squares, cubes)

    def rounding(self, mean: np.ndarray, unit: float) -> np.ndarray:
        """Return a row of bounds on what rounding adds to each quantity.

        With weights that err by `unit` in relative terms, ln Z errs by as much, and an average over
        distances d = max x - x by that times their mean. What rises with x has the digits of its size.
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
        return unit * np.concatenate(row) + np.where(self.rises, 2.0 * DIGITS * np.abs(mean), 0.0)

    def split(self, row: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parts of a row by name."""
        k, p = self.beta.size, len(self.pairs)
        ends = np.cumsum([k, k, k, k, k, 1, p, p])
        names = ("ln_z", "mean", "variance", "squares", "entropy", "maximum", "loss", "gradient")
        return dict(zip(names, np.split(row, ends[:-1]), strict=True))


@dataclass(frozen=True)
class Moments:
    """Count, mean and sums of squared and cubed deviations of the rows of some samples.

    Attributes
    ----------
    count : int
        Number of independent rows.
    mean, squares, cubes : ndarray, shape (Q,)
        Mean and sums of squared and cubed deviations from it.
    products : ndarray, shape (K, K) or (0, 0)
        Sums of products of deviations of the first K entries, where they are kept.
    """

    count: int
    mean: np.ndarray
    squares: np.ndarray
    cubes: np.ndarray
    products: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    @classmethod
    def of(
        cls,
        layout: Layout,
        count: int,
        out: np.ndarray,
        maximum: np.ndarray,
        joint: int = 0,
        level: np.ndarray | None = None,
    ) -> Moments:
        """Return the moments of the first `count` samples of a kernel's outputs (K, 4, .) and maxima.

        Products are those of the first `joint` quantities ln Z. Where x is given relative to a `level` of
        each sample, outputs are raised to it, but what no level changes is formed without it: differences of
        large numbers would lose their digits.
        """
        rows = np.empty((3, layout.size))
        layout.reduce(count, out, maximum, _NO_WEIGHTS, *rows)
        if level is not None:
            out[:, 0, :count] += layout.beta[:, None] * level
            out[:, 1, :count] += level
            maximum[:count] += level
            raised = np.empty_like(rows)
            layout.reduce(count, out, maximum, _NO_WEIGHTS, *raised)
            rows = np.where(layout.rises, raised, rows)
        mean, squares, cubes = rows
        deviations = out[:joint, 0, :count] - mean[:joint, None]
        # einsum and not a matrix product, whose order of summation may depend on the number of threads
        return cls(count, mean, squares, cubes, np.einsum("ji,ki->jk", deviations, deviations))

    @classmethod
    def of_rows(cls, rows: np.ndarray) -> Moments:
        """Return the moments of rows (Q, samples)."""
        start = rows[:, :1]
        excess = rows - start  # so that what does not fluctuate comes out exact
        mean = excess.mean(axis=1)
        excess -= mean[:, None]
        squares = np.einsum("ji,ji->j", excess, excess)
        cubes = np.einsum("ji,ji,ji->j", excess, excess, excess)
        return cls(rows.shape[1], start[:, 0] + mean, squares, cubes)

    def __add__(self, other: Moments) -> Moments:
        """Merge two disjoint sets of samples (Chan, Golub and LeVeque 1983; cubes as Pébay 2008)."""
        count = self.count + other.count
        change = other.mean - self.mean
        share = other.count / count
        weight = self.count * share
        joint = self.products.shape[0]
        part = change[:joint]
        bent = weight * (1.0 - 2.0 * share) * change * change
        mixed = (1.0 - share) * other.squares - share * self.squares
        return Moments(
            count,
            self.mean + share * change,
            self.squares + other.squares + weight * change * change,
            self.cubes + other.cubes + change * (3.0 * mixed + bent),
            self.products + other.products + weight * part[:, None] * part,
        )

    @property
    def standard_error(self) -> np.ndarray:
        """Standard error of the mean, enlarged where the rows are skewed; infinite for a single row.

        The mean of skewed rows lies further from the truth than Student's t says, by Edgeworth's expansion as
        if the error were larger by a share of (7γ² - κ/2)/6N at two and (16γ² - 3κ/2)/3N at three standard
        errors (γ skewness, κ excess, often near 3γ²/2): enlarged by 2γ²/N, all multiples nearly hold.
        """
        if self.count < 2:
            return np.full(self.mean.shape, np.inf)
        enlarged = 1.0 + np.minimum(_ENLARGED * self.skew, _MOST_ENLARGED)
        return enlarged * np.sqrt(self.squares / (self.count * (self.count - 1.0)))

    @property
    def skew(self) -> np.ndarray:
        """γ²/N, squared skewness over the number of rows, less what it is by chance: an error's own error."""
        with np.errstate(all="ignore"):  # cubes may overflow where squares do not
            share = (self.cubes / self.squares) ** 2 / self.squares
        return np.where(np.isfinite(share), np.maximum(share - 6.0 / self.count**2, 0.0), 0.0)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the mean of the first entries, shape (K, K)."""
        return self.products / (self.count * max(self.count - 1.0, 1.0))
