"""Energies from distributions of scipy.stats, of either infrastructure."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from peakedtheory._common.checks import fail, real_number
from peakedtheory.energies.atoms import Discrete
from peakedtheory.energies.base import Energies, Located
from peakedtheory.energies.components import Function
from peakedtheory.energies.continuous import Continuous
from peakedtheory.energies.mixed import Mixed
from peakedtheory.energies.normal import STANDARD_NORMAL, Gaussian

_MAX_ATOMS = 1_000_000


class FrozenLaw(Protocol):
    """A frozen distribution of scipy.stats, as ``scipy.stats.t(df=5)``."""

    dist: Any
    kwds: Any


class NewStyleLaw(Protocol):
    """A distribution of SciPy's new infrastructure, as ``scipy.stats.Normal()``."""

    def support(self) -> Any:
        """Return its ends."""

    def icdf(self, p: Any, /) -> Any:
        """Return its quantiles."""


def is_frozen(law: Any) -> bool:
    """Return whether `law` is a frozen distribution."""
    return hasattr(law, "dist") and hasattr(law, "kwds")


def is_new_style(law: Any) -> bool:
    """Return whether `law` is a distribution of the new infrastructure."""
    return hasattr(law, "support") and hasattr(law, "icdf")


def from_frozen(frozen: Any, name: str | None = None) -> Energies:
    """Return the energies that follow a frozen distribution, its location and scale taken out."""
    shapes, location, scale = frozen.dist._parse_args(*frozen.args, **frozen.kwds)
    shapes = tuple(real_number("energies", a) for a in shapes)
    location, scale = real_number("energies", location), real_number("energies", scale)
    label = frozen.dist.name
    arguments = [f"{k}={v:g}" for k, v in zip((frozen.dist.shapes or "").split(","), shapes, strict=False)]
    core_name = f"{label}:{','.join(a.strip() for a in arguments)}" if arguments else label
    if not (math.isfinite(location) and 0 < scale < math.inf and not np.isnan(frozen.support()).any()):
        fail("energies", "must have valid parameters", core_name, "correct shapes, loc and scale")
    if label == "norm":
        return Gaussian(location, scale) if (location, scale) != (0.0, 1.0) else STANDARD_NORMAL
    core: Energies
    if hasattr(frozen.dist, "pmf"):
        core = _enumerate(frozen.dist(*shapes), core_name)
    else:
        core = Continuous(frozen.dist(*shapes), core_name, (0.0, *shapes))
    if (location, scale) == (0.0, 1.0):
        return core
    if name is None:
        name = core_name + ("," if ":" in core_name else ":") + f"loc={location:g},scale={scale:g}"
    return Located(core, location, scale, name)


def from_new_style(law: Any) -> Energies:
    """Return the energies that follow a distribution of the new infrastructure."""
    kinds = [kind.__name__ for kind in type(law).__mro__]
    if "Normal" in kinds:
        return Gaussian(float(law.mean()), float(law.standard_deviation()))
    if "DiscreteDistribution" in kinds:
        return _enumerate(law, str(law))
    if kinds[0] == "Mixture":
        return Mixed(np.asarray(law.weights), tuple(from_new_style(part) for part in law.components))
    return Continuous(law, str(law))


def _enumerate(distribution: Any, name: str) -> Discrete:
    """List the integers that a discrete distribution charges, down to the last digit of either tail."""
    low, high = (float(e) for e in distribution.support())
    quantile = getattr(distribution, "ppf", None) or distribution.icdf
    survival = getattr(distribution, "sf", None) or distribution.ccdf
    middle = float(quantile(0.5))
    first = low if np.isfinite(low) else middle - _reach(lambda k: distribution.cdf(middle - k), 1e-34)
    last = high if np.isfinite(high) else middle + _reach(lambda k: survival(middle + k), 1e-18)
    if last - first > _MAX_ATOMS:
        fail(
            "energies",
            f"discrete distributions may have at most {_MAX_ATOMS} atoms above rounding",
            f"{name} ({last - first:.3g} atoms)",
            "use a lighter tail or a continuous approximation",
        )
    values = np.arange(first, last + 1)
    mass = np.asarray(distribution.pmf(values), dtype=float)
    return Discrete(values[mass > 0], mass[mass > 0], name)


def _reach(tail: Function, target: float) -> float:
    steps = 2.0 ** np.arange(0, 21)  # SciPy may sum term by term: never ask for more than is enumerated
    with np.errstate(all="ignore"):
        gone = np.nonzero(np.asarray(tail(steps)) < target)[0]
    return float(steps[gone[0]]) if gone.size else math.inf
