"""Rare lowest energies by importance: the first two spacings are drawn small or large more often than occurs.

A share of the samples takes its spacing E = -ln(1-u) at u = v⁷, another at 1-u = v⁷, v uniform on (0, 1); the
rest is drawn as it is. The weights 1 / (1-a-b + a g(u) + b g(1-u)), g(u) = u^(-6/7)/7, never exceed
1/(1-a-b), fall to zero where the tails are, and have a mean of one: averages keep their values, and
their errors hold where few of the plain samples would decide (heavy tails, levels that nearly meet in
the cold, atoms of little weight). A defensive mixture, as in Owen, "Monte Carlo Theory, Methods and
Examples", ch. 9.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_POWER = 7
#: Shares of the first spacing drawn small and large, and of the second: it is small where levels nearly meet.
_SHARES = ((0.2, 0.06), (0.1, 0.0))
_LEAST = 2.0**-53  # of u and 1 - u


def favour_rare(exponentials: Floats) -> None:
    """Draw the first two of each row of unit exponentials by importance, in place."""
    for column, (small, large) in zip(exponentials.T, _SHARES, strict=False):
        u, above = _uniform(column)
        # one uniform number says which share it is, and, stretched, serves that share
        low = np.maximum((u / small) ** _POWER, _LEAST)
        plain = np.clip((u - small) / (1.0 - small - large), _LEAST, 1.0 - _LEAST)
        column[...] = -np.log1p(-np.where(u < small, np.minimum(low, 1.0 - _LEAST), plain))
        if large:
            high = np.maximum((above / large) ** _POWER, _LEAST)
            column[above < large] = -np.log(high[above < large])


def weights_of(exponentials: Floats) -> Floats:
    """Return the weight of each row drawn by `favour_rare`."""
    weights = np.ones(len(exponentials))
    for column, (small, large) in zip(exponentials.T, _SHARES, strict=False):
        u, above = _uniform(column)
        density = 1.0 - small - large + small * _favoured(u) + large * _favoured(above)
        weights /= density
    return weights


def weigh(weights: Floats, typical: Floats, highest: Floats, out: Floats, maximum: Floats) -> None:
    """Replace each output f of (K, 4, .) and maximum by c + w (f - c), c that of a typical sample.

    The mean stays, whatever c is, and the closer c comes to it the less the weights add to the spread.
    """
    size = len(weights)
    for values, center in ((out, typical), (maximum, highest)):
        part = values[..., :size]
        part -= center
        part *= weights
        part += center


def _uniform(exponentials: Floats) -> tuple[Floats, Floats]:
    """Return u = 1 - e^(-E) and 1 - u."""
    return np.maximum(-np.expm1(-exponentials), _LEAST), np.maximum(np.exp(-exponentials), _LEAST)


def _favoured(u: Floats) -> Floats:
    """Density of v⁷."""
    return u ** (1.0 / _POWER - 1.0) / _POWER
