"""Expected cumulants of the empirical distribution of n independent values, exactly in rationals.

⟨κ̂_r⟩ is a sum over products of empirical moments; each product of power sums averages to falling factorials
of n times population moments (Liu et al. 2026, Eq. 54, is r = 2). Exact arithmetic keeps the digits that
cancel when n is large, as for Gaussian energies, whose higher cumulants vanish like 1/n.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from peakedtheory.exact.lowest_levels import partitions

#: Largest order of the high-temperature series.
MAX_ORDER = 8


def _set_partitions(items: tuple[int, ...]) -> Iterator[list[int]]:
    """Yield, for every way to group `items`, the list of the groups' sums."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for sums in _set_partitions(rest):
        yield [first, *sums]
        for i in range(len(sums)):
            yield [*sums[:i], sums[i] + first, *sums[i + 1 :]]


@functools.cache
def _terms(order: int) -> tuple[tuple[int, int, tuple[int, ...]], ...]:
    """(coefficient, power of 1/n, group sums) of ⟨κ̂_order⟩; groups of one vanish for centred values."""
    terms: Counter = Counter()
    for parts in partitions(order):
        length = len(parts)
        weight = Fraction((-1) ** (length - 1) * math.factorial(length - 1) * math.factorial(order))
        for part in parts:
            weight /= math.factorial(part)
        for multiplicity in Counter(parts).values():
            weight /= math.factorial(multiplicity)
        for sums in _set_partitions(parts):
            if 1 not in sums:
                terms[(length, tuple(sorted(sums)))] += int(weight)  # whole: it counts set partitions
    return tuple((c, length, sums) for (length, sums), c in terms.items() if c)


def mean_cumulant(order: int, n: int, central_moments: list[float]) -> tuple[float, float]:
    """Return ⟨κ̂_order⟩ of n values and the sum of the absolute terms, order >= 2.

    Parameters
    ----------
    order : int
        Order of the cumulant, 2 to 8.
    n : int
        Number of values.
    central_moments : list of float
        Population central moments by order (entries 0 and 1 are not used).
    """
    moments = [Fraction(m) for m in central_moments[: order + 1]]
    total = size = Fraction(0)
    for coefficient, power, sums in _terms(order):
        factor = Fraction(coefficient) * math.perm(n, len(sums)) / Fraction(n) ** power
        for s in sums:
            factor *= moments[s]
        total += factor
        size += abs(factor)
    return float(total), float(size)
