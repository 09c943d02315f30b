"""Randomised quasi-Monte Carlo coordinates for order statistics: scrambled Sobol points as exponentials.

Independent scramblings of one point set are independent, unbiased estimates, so the error of their mean
follows from their spread with Student's t (Owen, "Monte Carlo Theory, Methods and Examples", ch. 17). No
single set knows its own error. Where rare low energies decide an average (β well below √(2 ln n) at huge n,
exponential tails) the means of plain scramblings are skewed and their spread is too small an error: the
first spacing is therefore drawn by importance at both of its ends.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BITS = 30
_BELOW_ONE = 1.0 - 2.0**-53


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
    from scipy.stats import qmc  # slow to import, and needed for scrambled points alone

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


def favour_ends(exponentials: Floats) -> Floats:
    """Draw unit exponentials by importance, in place, and return the weights 30 u²(1-u)².

    -ln(1-u) becomes -ln(1-w) with w = u³(10 - 15u + 6u²): small and large values, as first spacings those
    of rare low and of rare high ground states, are visited more often than they occur, and singularities
    at either end of u are smoothed.
    """
    above = np.exp(-exponentials)
    u = -np.expm1(-exponentials)
    near, far = np.minimum(u, 0.5), np.minimum(above, 0.5)
    low = -np.log1p(-(near**3) * (10.0 - near * (15.0 - 6.0 * near)))
    high = -np.log(far**3 * (10.0 - far * (15.0 - 6.0 * far)))
    exponentials[...] = np.where(u < 0.5, low, high)
    return 30.0 * (u * above) ** 2


def _children(seed: np.random.SeedSequence, count: int) -> list[np.random.SeedSequence]:
    """Spawn without counting on how often the seed has spawned before."""
    return [np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, i)) for i in range(count)]
