"""Randomised quasi-Monte Carlo coordinates for order statistics: scrambled Sobol points as exponentials.

Independent scramblings of one point set are independent, unbiased estimates, so the error of their mean
follows from their spread with Student's t (Owen, "Monte Carlo Theory, Methods and Examples", ch. 17). No
single set knows its own error. Where rare low energies decide an average (β well below √(2 ln n) at huge n,
tails close to the limit of existence) the scramblings' means are skewed, and the error is somewhat too small.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

Floats = NDArray[np.float64]

_BITS = 30
_BELOW_ONE = 1.0 - 2.0**-53


@dataclass(frozen=True)
class ReplicateMean:
    """Mean over independent scramblings.

    Attributes
    ----------
    mean : (...) average over the scramblings.
    standard_error : (...) its standard error.
    covariance : (..., m, m) of the mean, over the last axis of the replicates.
    degrees_of_freedom : of Student's t, the number of scramblings less one.
    """

    mean: Floats
    standard_error: Floats
    covariance: Floats
    degrees_of_freedom: int


def sobol_exponentials(
    points: int, dimension: int, seed: np.random.SeedSequence, *, chunk: int = 4096
) -> Iterator[Floats]:
    """Yield one scrambled Sobol point set, as independent unit exponentials, in chunks of rows.

    Digits beyond the 30th are random, so that each coordinate u is uniform before it becomes -ln(1-u).
    The points do not depend on the size of the chunks.

    Parameters
    ----------
    points : power of two
    dimension : number of coordinates, at most 21201
    seed : of the scrambling
    chunk : power of two, rows in each array but at most `points`

    Yields
    ------
    (min(chunk, points), dimension) array

    Raises
    ------
    ValueError
        If points or chunk is not a power of two.
    """
    for name, value in (("points", points), ("chunk", chunk)):
        if value < 1 or value & (value - 1):
            raise ValueError(
                f"{name}: must be a power of two, got {value}; take {1 << max(value, 1).bit_length()}"
            )
    scrambling, low_digits = (np.random.default_rng(child) for child in _children(seed, 2))
    sequence = qmc.Sobol(dimension, scramble=True, bits=_BITS, rng=scrambling)
    size = min(chunk, points)
    for _ in range(points // size):
        u = low_digits.random((size, dimension))
        u *= 2.0**-_BITS
        u += sequence.random(size)
        np.minimum(u, _BELOW_ONE, out=u)
        np.negative(u, out=u)
        np.log1p(u, out=u)
        np.negative(u, out=u)
        yield u


def scramblings(seed: np.random.SeedSequence, count: int) -> list[np.random.SeedSequence]:
    """Return the seeds of independent scramblings; the first ones do not depend on how many are asked for."""
    return _children(seed, count)


def combine(replicates: Floats) -> ReplicateMean:
    """Combine the means of R >= 2 independent scramblings, shape (R, ..., m).

    Raises
    ------
    ValueError
        If there is only one scrambling.
    """
    count = replicates.shape[0]
    if count < 2:
        raise ValueError(
            f"replicates: at least two scramblings are needed for an error, got {count}; take 16"
        )
    mean = replicates.mean(axis=0)
    deviations = replicates - mean
    covariance = np.einsum("r...i,r...j->...ij", deviations, deviations) / (count * (count - 1))
    error = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    return ReplicateMean(mean, error, covariance, count - 1)


def _children(seed: np.random.SeedSequence, count: int) -> list[np.random.SeedSequence]:
    """Spawn without counting on how often the seed has spawned before."""
    return [np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, i)) for i in range(count)]
