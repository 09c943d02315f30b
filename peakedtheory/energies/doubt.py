"""What is not known for certain about a law of energies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Doubt:
    """How far two accounts of a law differ at some places: relative to the tail, and in probability."""

    relative: np.ndarray
    absolute: np.ndarray

    def of(self, n: np.ndarray, weight: float = 1.0) -> np.ndarray:
        """Return the relative doubt in averages over n energies, a share `weight` of which follow the law.

        What lies in a tail that none of them reaches does not matter.
        """
        seen = np.minimum(self.relative, weight * n[:, None] * self.absolute)
        return seen.max(axis=1, initial=0.0)


#: Of laws whose density and probabilities are known in closed form.
NO_DOUBT = Doubt(np.empty(0), np.empty(0))
