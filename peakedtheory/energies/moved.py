"""Parts of a law whose energies are moved and stretched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from peakedtheory.energies.components import Atoms, Density


def moved(part: Atoms | Density, location: float, scale: float) -> Atoms | Density:
    """Return the distribution of x when the energies become location + scale ε."""
    if isinstance(part, Atoms):
        return Atoms(scale * part.x - location, part.weight)
    law = _Moved(part, location, scale)
    return Density(
        law.pdf,
        law.above,
        law.below,
        scale * part.lower - location,
        scale * part.upper - location,
        scale * part.centre - location,
        scale * part.width,
        tuple(scale * part.edges[(part.edges > part.lower) & (part.edges < part.upper)] - location)
        if part.edges.size < 200
        else (),
        part.doubt,
    )


@dataclass(frozen=True)
class _Moved:
    """Density and tails of scale x - location."""

    part: Density
    location: float
    scale: float

    def _back(self, x: np.ndarray) -> np.ndarray:
        return (x + self.location) / self.scale

    def pdf(self, x: np.ndarray) -> np.ndarray:
        return self.part.pdf(self._back(x)) / self.scale

    def above(self, x: np.ndarray) -> np.ndarray:
        return self.part.above(self._back(x))

    def below(self, x: np.ndarray) -> np.ndarray:
        return self.part.below(self._back(x))
