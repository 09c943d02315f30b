"""Energies drawn from several distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from peakedtheory._common.checks import fail, real_array, real_number, shown
from peakedtheory.energies.atoms import shorten
from peakedtheory.energies.mixed import Mixed
from peakedtheory.energies.reading import EnergiesLike, as_energies


class Mixture(Mixed):
    """Each energy drawn from one of several distributions.

    Parameters
    ----------
    parts : mapping or sequence of (weight, energies)
        Weights, normalised to one, and anything `as_energies` takes.

    Examples
    --------
    >>> round(Mixture([(0.5, "normal"), (0.5, "normal:loc=2,scale=1")]).mean, 12)
    1.0
    """

    def __init__(self, parts: Mapping[float, EnergiesLike] | Sequence[tuple[float, EnergiesLike]]) -> None:
        try:
            pairs = [(w, e) for w, e in (parts.items() if isinstance(parts, Mapping) else parts)]
        except (TypeError, ValueError):
            fail("parts", "must be (weight, energies) pairs", shown(parts), "write [(0.3, 'normal'), ...]")
        weights = real_array("parts", [real_number("parts", w) for w, _ in pairs])
        if not np.isfinite(weights).all() or (weights <= 0).any():
            fail("parts", "must have positive weights", shorten(weights), "drop parts of weight zero")
        super().__init__(weights, tuple(as_energies(e) for _, e in pairs))
        shared = [e.name for e in self.parts if not e.independent]
        if shared:
            fail("parts", "must have independent energies", shared[0], "mix the results of each part instead")
