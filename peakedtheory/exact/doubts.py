"""What doubts about a law of energies do to averages over them."""

from __future__ import annotations

import numpy as np

from peakedtheory.energies.central_moments import beyond
from peakedtheory.energies.components import Component, Density

#: Factor by which averages may change more than the probabilities that they are taken with.
_AMPLIFIED = 4.0
#: Energies up to this many temperatures from the lowest have a share in the variance.
_SEEN = 50.0
#: Inverse temperatures whose squares are numbers.
_SMALLEST = 1e-150


def relative_doubt(components: tuple[Component, ...], n: np.ndarray) -> np.ndarray:
    """Return the relative error that doubts about the tails which n energies see bring, shape of n."""
    doubts = [part.doubt.of(n, weight) for weight, part in components if isinstance(part, Density)]
    return _AMPLIFIED * np.max(doubts, axis=0) if doubts else np.zeros(n.size)


def extent(components: tuple[Component, ...]) -> tuple[float, float]:
    """Return a centre and a width of a law."""
    centre = components[0][1].centre
    return centre, max(part.width + abs(part.centre - centre) for _, part in components)


def doubtful(components: tuple[Component, ...], beta: float, n: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the errors of (Φ, -U, Φ'', S), shape (4, n.size), that doubts about the law bring.

    Tails that err by ε in relative terms move the quantiles that decide by a share ε of the law's width or of
    their distance from its centre, and the density of gaps by a few ε.
    """
    doubt = relative_doubt(components, n)
    centre, width = extent(components)
    moved = width + np.abs(values[1] - centre)
    errors = doubt * np.stack([beta * moved, moved, np.abs(values[2]), np.abs(values[3])])
    errors[2] += _cut_off(components, beta)
    return errors


def _cut_off(components: tuple[Component, ...], beta: float) -> float:
    """Return what the panels of the densities leave out of the variance, where β is tiny."""
    left = 0.0
    for weight, part in components:
        seen = isinstance(part, Density) and beta * np.abs(part.edges[[0, -1]]) < _SEEN
        if np.any(seen):
            most = (_SEEN / max(beta, _SMALLEST)) ** 2
            left += weight * float(np.minimum(beyond(part, 2), most)[seen].sum())
    return left
