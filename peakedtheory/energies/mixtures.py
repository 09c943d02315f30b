"""Energies drawn from several distributions."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from peakedtheory._common.checks import fail, real_array, real_number, shown
from peakedtheory.energies.atoms import shorten
from peakedtheory.energies.base import Energies
from peakedtheory.energies.components import Component
from peakedtheory.energies.inversion import quantile_between
from peakedtheory.energies.reading import EnergiesLike, as_energies


class Mixture(Energies):
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
        self.weights = weights / weights.sum()
        self.parts = tuple(as_energies(e) for _, e in pairs)
        shared = [e.name for e in self.parts if not e.independent]
        if shared:
            fail("parts", "must have independent energies", shared[0], "mix the results of each part instead")
        self.name = " + ".join(f"{w:g}*({e.name})" for w, e in zip(self.weights, self.parts, strict=True))

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        return tuple(
            (w * weight, part)
            for w, e in zip(self.weights, self.parts, strict=True)
            for weight, part in e.components
        )

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return sum(w * e.cdf(energy) for w, e in zip(self.weights, self.parts, strict=True))

    def ppf(self, q: np.ndarray) -> np.ndarray:
        q = np.asarray(q, dtype=float)
        candidates = np.stack([e.ppf(q) for e in self.parts])
        return quantile_between(self.cdf, q, candidates.min(axis=0), candidates.max(axis=0))

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        which = rng.choice(self.weights.size, size=size, p=self.weights)
        out = np.empty(which.shape)
        for i, e in enumerate(self.parts):
            out[which == i] = e.sample(rng, int((which == i).sum()))
        return out
