"""Distributions of the i.i.d. energies ε, whose logits are -βε.

Anything that says where low energies lie will do: the standard normal (the default), any distribution of
scipy.stats, finitely many atoms, a sample, a mixture, or Gaussian logits of a network of finite width.
"""

from __future__ import annotations

import functools
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from peakedtheory._checks import fail
from peakedtheory._components import Atoms, Component, Density

_MAX_ATOMS = 1_000_000


class Energies(ABC):
    """Distribution of one energy ε, dimensionless (k_B = 1).

    Attributes
    ----------
    name : str
        What tables, figures and files call it; `parse_energies` reads it back where that is possible.
    location, scale : float
        The energies are location + scale * ε₀ with ε₀ distributed as `core`: thermodynamics follows by
        F = location + scale F₀(scale β), and only the core is ever integrated.
    core : Energies
        The standardised distribution, `self` where location is 0 and scale is 1.
    """

    name: str
    location: float = 0.0
    scale: float = 1.0

    @property
    def core(self) -> Energies:
        """The distribution before location and scale."""
        return self

    @property
    @abstractmethod
    def components(self) -> tuple[Component, ...]:
        """Weighted continuous and discrete parts of the distribution of x = -ε."""

    @abstractmethod
    def cdf(self, energy: np.ndarray) -> np.ndarray:
        """Probability that an energy is at most `energy`, accurate in relative terms near zero."""

    @abstractmethod
    def ppf(self, q: np.ndarray) -> np.ndarray:
        """Energy below which a fraction `q` of the probability lies; q down to 1e-300 must work."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        """Draw independent energies."""

    @property
    def mean(self) -> float:
        """Mean energy; infinite or NaN where it does not exist."""
        return float(self.central_moments(1)[0])

    @property
    def variance(self) -> float:
        """Variance of the energy, possibly infinite."""
        return float(self.central_moments(2)[2])

    def central_moments(self, order: int) -> np.ndarray:
        """Return (mean, 0, μ₂, …, μ_order), the mean energy and the central moments.

        A moment that does not exist is reported as infinite.
        """
        return _moments(self.components, order)

    @property
    def is_discrete(self) -> bool:
        """Whether the distribution consists of atoms alone."""
        return all(isinstance(part, Atoms) for _, part in self.components)

    def require_maximum(self, n: float) -> None:
        """Raise ValueError unless ⟨max(-ε)⟩ over n energies exists.

        Both tails count: -ε must have a mean towards high values, and the lowest of n energies must have
        one even where a single energy has none.
        """
        for _, part in self.core.components:
            low, high = _tail_indices(part)
            if low <= 1.0 + 1e-6:
                fail(
                    "energies",
                    "must have a finite mean of their lowest value, or ⟨ln Z⟩ does not exist",
                    f"{self.name} (tail towards low energies of index {low:.3g} <= 1)",
                    "use a lighter tail, or truncate the distribution",
                )
            if n * high <= 1.0 + 1e-6:
                fail(
                    "energies",
                    f"must have a finite mean of the lowest of n={n:g} values",
                    f"{self.name} (high-energy tail of index {high:.3g})",
                    f"take n > {1 / high:.3g}",
                )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"


class _Located(Energies):
    """A core distribution moved and stretched."""

    def __init__(self, core: Energies, location: float, scale: float, name: str) -> None:
        self._core, self.location, self.scale, self.name = core, float(location), float(scale), name

    @property
    def core(self) -> Energies:
        return self._core

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        return tuple((w, _move(part, self.location, self.scale)) for w, part in self.core.components)

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return self.core.cdf((np.asarray(energy, dtype=float) - self.location) / self.scale)

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return self.location + self.scale * self.core.ppf(q)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        return self.location + self.scale * self.core.sample(rng, size)

    def central_moments(self, order: int) -> np.ndarray:
        moments = self.core.central_moments(order) * self.scale ** np.maximum(np.arange(order + 1), 1)
        moments[0] += self.location
        return moments


class StandardNormal(Energies):
    """ε ~ N(0, 1), for which the engine has a fast path."""

    name = "normal"

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        density = Density(
            lambda x: np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi),
            lambda x: ndtr(-x),
            ndtr,
            -math.inf,
            math.inf,
            0.0,
            1.35,
        )
        return ((1.0, density),)

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return ndtr(energy)

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return ndtri(q)

    def log_cdf(self, energy: np.ndarray) -> np.ndarray:
        """ln P(ε <= energy)."""
        return log_ndtr(energy)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        return rng.standard_normal(size)

    def require_maximum(self, n: float) -> None:
        """Every moment exists."""

    def central_moments(self, order: int) -> np.ndarray:
        moments = np.zeros(order + 1)
        for r in range(2, order + 1, 2):
            moments[r] = (r - 1) * (moments[r - 2] if r > 2 else 1.0)
        return moments


STANDARD_NORMAL = StandardNormal()


class Gaussian(_Located):
    """ε ~ N(mean, std²).

    Parameters
    ----------
    mean, std : float
        Mean and standard deviation, std > 0.

    Examples
    --------
    >>> Gaussian(std=2.0).scale
    2.0
    """

    def __init__(self, mean: float = 0.0, std: float = 1.0) -> None:
        if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
            fail("mean, std", "must be finite with std > 0", f"{mean}, {std}", "give a positive standard deviation")
        name = "normal" if (mean, std) == (0, 1) else f"normal:loc={mean:g},scale={std:g}"
        super().__init__(STANDARD_NORMAL, mean, std, name)


class Continuous(Energies):
    """A scipy.stats distribution of the energy, frozen or of the new infrastructure, without atoms."""

    def __init__(self, distribution: Any, name: str, candidates: Sequence[float] = (0.0,)) -> None:
        self.distribution, self.name = distribution, name
        self._candidates = tuple(-float(c) for c in candidates)
        self._quantile = getattr(distribution, "ppf", None) or distribution.icdf
        self._survival = getattr(distribution, "sf", None) or distribution.ccdf

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        d = self.distribution
        with np.errstate(all="ignore"):
            low, high = (float(e) for e in d.support())
            quartiles = np.asarray(self._quantile(np.array([0.25, 0.5, 0.75])), dtype=float)
        if not np.isfinite(quartiles).all() or quartiles[2] <= quartiles[0]:
            fail("energies", "must have finite, distinct quartiles", self.name, "check the parameters")
        density = Density(
            lambda x: d.pdf(-x),
            lambda x: d.cdf(-x),
            lambda x: self._survival(-x),
            -high,
            -low,
            -quartiles[1],
            quartiles[2] - quartiles[0],
            self._candidates,
        )
        return ((1.0, density),)

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return self.distribution.cdf(energy)

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return self._quantile(q)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        if hasattr(self.distribution, "rvs"):
            return self.distribution.rvs(size=size, random_state=rng)
        return self.distribution.sample(size, rng=rng)


class Discrete(Energies):
    """Finitely many energies with given probabilities.

    Parameters
    ----------
    energies : array_like, shape (k,)
        Values of the energy; equal ones are merged.
    weights : array_like, shape (k,), optional
        Probabilities, normalised to one; equal ones by default.

    Examples
    --------
    >>> Discrete([0.0, 1.0], [0.25, 0.75]).mean
    0.75
    """

    def __init__(self, energies: Any, weights: Any = None, name: str | None = None) -> None:
        values = np.asarray(energies, dtype=float).ravel()
        if values.size == 0 or not np.isfinite(values).all():
            fail("energies", "must be finite numbers, at least one", _shorten(values), "drop NaN and infinite entries")
        mass = np.ones(values.size) if weights is None else np.asarray(weights, dtype=float).ravel()
        if mass.shape != values.shape or not np.isfinite(mass).all() or (mass < 0).any() or mass.sum() <= 0:
            fail("weights", "must be one nonnegative number per energy", _shorten(mass), "give as many as energies")
        self.values, inverse = np.unique(values, return_inverse=True)
        self.weights = np.bincount(inverse, mass) / mass.sum()
        self.name = name or (
            "atoms:" + ",".join(f"{e:g}={w:g}" for e, w in zip(self.values, self.weights, strict=True))
            if self.values.size <= 8
            else f"{self.values.size} atoms"
        )
        self._cumulative = np.cumsum(self.weights)

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        return ((1.0, Atoms(-self.values, self.weights)),)

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return np.append(0.0, self._cumulative)[np.searchsorted(self.values, energy, side="right")]

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return self.values[np.searchsorted(self._cumulative, q).clip(0, self.values.size - 1)]

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        return self.ppf(rng.random(size))


class Sample(Discrete):
    """An empirical sample of energies, each value as likely as the next.

    Parameters
    ----------
    values : array_like
        Observed energies, any shape.
    """

    def __init__(self, values: Any, name: str | None = None) -> None:
        values = np.asarray(values, dtype=float).ravel()
        super().__init__(values, name=name or f"sample of {values.size}")


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

    def __init__(self, parts: Sequence[tuple[float, Any]]) -> None:
        weights = np.array([w for w, _ in parts], dtype=float)
        if weights.size == 0 or not np.isfinite(weights).all() or (weights <= 0).any():
            fail("parts", "must have positive weights", _shorten(weights), "drop parts of weight zero")
        self.weights = weights / weights.sum()
        self.parts = tuple(as_energies(e) for _, e in parts)
        if any(isinstance(e, FiniteWidth) for e in self.parts):
            fail("parts", "must be distributions of one energy", "FiniteWidth", "mix the widths' results instead")
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
        low, high = candidates.min(axis=0), candidates.max(axis=0)
        for _ in range(200):  # bisection between the parts' own quantiles, to the last bit
            middle = 0.5 * (low + high)
            above = self.cdf(middle) >= q
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return high

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        which = rng.choice(self.weights.size, size=size, p=self.weights)
        out = np.empty(which.shape)
        for i, e in enumerate(self.parts):
            out[which == i] = e.sample(rng, int((which == i).sum()))
        return out


class FiniteWidth(Energies):
    """Gaussian logits of a network of hidden width m whose inputs are not normalised.

    Given the input x the n logits are i.i.d. N(0, |x|²/m), so that averages over inputs mix temperatures:
    Φ_m(β) = ⟨Φ(β s)⟩ with s = χ_m/√m. Inputs of fixed norm need no mixing: use the normal energies.

    Parameters
    ----------
    width : int
        Hidden width m >= 1.
    """

    def __init__(self, width: int) -> None:
        if int(width) != width or width < 1:
            fail("width", "must be a positive integer", str(width), "give the hidden width of the network")
        self.width = int(width)
        self.name = f"finite-width:m={self.width}"

    @functools.cached_property
    def scales(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights of the average over s = χ_m/√m, by the trapezoidal rule in ln s."""
        m = self.width
        step = min(0.125, 0.45 / math.sqrt(m))
        y = step * np.arange(-math.ceil(40.0 / m / step) - math.ceil(9.0 / step), math.ceil(9.0 / step) + 1)
        y = y[(y > -40.0 / m - 7.0) & (y < 4.0)]
        s = np.exp(y)
        log_weight = m * (y - 0.5 * (s * s - 1.0))
        weight = np.exp(log_weight - log_weight.max())
        keep = weight > 1e-20
        return s[keep], weight[keep] / weight[keep].sum()

    @property
    def components(self) -> tuple[Component, ...]:
        raise ValueError("energies: finite-width logits are independent only given the input; mix over `scales`")

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        s, weight = self.scales
        return ndtr(np.asarray(energy, dtype=float)[..., None] / s) @ weight

    def ppf(self, q: np.ndarray) -> np.ndarray:
        raise ValueError("energies: finite-width logits are independent only given the input; use the normal quantile")

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        """Draw energies; the last axis holds the n energies that share one input."""
        out = rng.standard_normal(size)
        norm = np.sqrt(rng.chisquare(self.width, out.shape[:-1]) / self.width)
        return out * norm[..., None] if out.ndim > 1 else out * norm

    def central_moments(self, order: int) -> np.ndarray:
        s, weight = self.scales
        return STANDARD_NORMAL.central_moments(order) * np.array([weight @ s**r for r in range(order + 1)])

    @property
    def is_discrete(self) -> bool:
        return False

    def require_maximum(self, n: float) -> None:
        """Every moment exists."""


def as_energies(energies: Any = None) -> Energies:
    """Return the distribution meant by `energies`.

    Parameters
    ----------
    energies : optional
        None for the standard normal; an `Energies`; a frozen or new-style scipy.stats distribution of the
        energy; an array of observed energies; or text for `parse_energies`.

    Returns
    -------
    Energies

    Raises
    ------
    ValueError
        If it is none of these.

    Examples
    --------
    >>> from scipy import stats
    >>> as_energies(stats.norm(loc=1, scale=2)).scale
    2.0
    """
    if energies is None:
        return STANDARD_NORMAL
    if isinstance(energies, Energies):
        return energies
    if isinstance(energies, str):
        return parse_energies(energies)
    if isinstance(energies, (list, tuple, np.ndarray)):
        return Sample(energies)
    if isinstance(energies, Mapping):
        return Discrete(list(energies.keys()), list(energies.values()))
    if hasattr(energies, "dist") and hasattr(energies, "kwds"):
        return _from_frozen(energies)
    if hasattr(energies, "support") and hasattr(energies, "icdf"):
        return _from_new_style(energies)
    return fail(
        "energies",
        "must be None, a scipy.stats distribution, an array of energies or a name",
        type(energies).__name__,
        "freeze the distribution, for example scipy.stats.t(df=5)",
    )


_PARAMETER = re.compile(r"\s*([A-Za-z_]\w*|[-+.\deE]+)\s*=\s*([-+.\deE]+)\s*$")


def parse_energies(text: str) -> Energies:
    """Return the distribution that `text` names: `laplace`, `t:df=5`, `atoms:0=0.3,1=0.7`, `file.npy`.

    Parameters
    ----------
    text : str
        A scipy.stats name with parameters after a colon; `normal`; `finite-width:m=32`;
        `atoms:` with energy=weight pairs; or a .npy, .csv or .txt file of observed energies.

    Raises
    ------
    ValueError
        If the name, a parameter or the file is not known.
    """
    head, _, tail = text.strip().partition(":")
    if Path(text).suffix in {".npy", ".csv", ".txt"}:
        return _read_sample(Path(text))
    pairs = {}
    for item in filter(None, tail.split(",")):
        match = _PARAMETER.match(item)
        try:
            pairs[match[1]] = float(match[2])  # type: ignore[index]
        except (TypeError, ValueError):
            fail("energies", "must list parameters as name=number", repr(item), "write for example t:df=5")
    if head == "atoms":
        try:
            return Discrete([float(k) for k in pairs], list(pairs.values()))
        except ValueError as error:
            raise ValueError(f"energies: {error} in {text!r}; write for example atoms:0=0.3,1=0.7") from None
    if head == "finite-width":
        if set(pairs) != {"m"}:
            fail("energies", "finite-width takes m", text, "write finite-width:m=32")
        return FiniteWidth(int(pairs["m"]) if pairs["m"] == int(pairs["m"]) else pairs["m"])  # type: ignore[arg-type]
    from scipy import stats

    name = "norm" if head in {"normal", "gaussian"} else head
    family = getattr(stats, name, None)
    if not isinstance(family, (stats.rv_continuous, stats.rv_discrete)):
        fail(
            "energies",
            "must name a scipy.stats distribution, `atoms:…`, `finite-width:m=…` or a .npy/.csv/.txt file",
            repr(text),
            "see the list of distributions in the documentation of scipy.stats",
        )
    try:
        frozen = family(**pairs)
        valid = bool(np.isfinite(frozen.ppf(0.5)))
    except TypeError as error:
        valid, reason = False, str(error).replace("_parse_args() ", "")
    else:
        reason = "parameters out of range"
    if not valid:
        known = ", ".join(filter(None, [family.shapes, "loc", *(["scale"] if name != "norm" else ["scale"])]))
        fail("energies", f"{name} takes the parameters {known}", f"{text!r} ({reason})", "correct the parameters")
    return _from_frozen(frozen, text.strip())


def _from_frozen(frozen: Any, name: str | None = None) -> Energies:
    shapes, location, scale = frozen.dist._parse_args(*frozen.args, **frozen.kwds)
    shapes = tuple(float(np.asarray(a)) for a in shapes)
    location, scale = float(np.asarray(location)), float(np.asarray(scale))
    label = frozen.dist.name
    arguments = [f"{k}={v:g}" for k, v in zip((frozen.dist.shapes or "").split(","), shapes, strict=False)]
    core_name = f"{label}:{','.join(a.strip() for a in arguments)}" if arguments else label
    if not (math.isfinite(location) and scale > 0 and np.isfinite(frozen.ppf(0.5))):
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
    return _Located(core, location, scale, name)


def _from_new_style(distribution: Any) -> Energies:
    name = str(distribution)
    if type(distribution).__name__ == "Normal":
        return Gaussian(float(distribution.mean()), float(distribution.standard_deviation()))
    with np.errstate(all="ignore"):
        middle = float(distribution.median())
        discrete = bool(np.asarray(distribution.pmf(np.round(middle))) > 0) if hasattr(distribution, "pmf") else False
    if discrete:
        return _enumerate(distribution, name)
    return Continuous(distribution, name)


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


def _reach(tail: Any, target: float) -> float:
    steps = 2.0 ** np.arange(0, 60)
    with np.errstate(all="ignore"):
        gone = np.nonzero(np.asarray(tail(steps)) < target)[0]
    return float(steps[gone[0]]) if gone.size else math.inf


def _read_sample(path: Path) -> Sample:
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        else:
            values = np.loadtxt(path, delimiter="," if path.suffix == ".csv" else None, ndmin=1)
        values = np.asarray(values, dtype=float)
    except (OSError, ValueError, TypeError) as error:
        fail("energies", "must name a readable file of numbers", f"{path} ({error})", "check the path and its format")
    return Sample(values, name=str(path))


def _tail_index(tail: Any, end: float) -> float:
    """Return α of a tail ~ x^-α, infinite for lighter ones, from its slope far out."""
    if np.isfinite(end):
        return math.inf
    with np.errstate(all="ignore"):
        near, far, farther = np.log10(tail(np.array([1e20, 1e22, 1e24])))
        slope = (near - far) / 2.0
        is_power = np.isfinite(slope) and abs((far - farther) / 2.0 - slope) < 1e-3
    return float(slope) if is_power else math.inf


def _tail_indices(part: Atoms | Density) -> tuple[float, float]:
    """Tail indices of x = -ε upwards (low energies) and downwards (high energies)."""
    if isinstance(part, Atoms):
        return math.inf, math.inf
    return _tail_index(part.above, part.upper), _tail_index(lambda x: part.below(-x), -part.lower)


def _moments(components: tuple[Component, ...], order: int) -> np.ndarray:
    """Mean energy and central moments from the quadrature nodes of all components."""
    nodes = [(w * weight, -x) for w, part in components for x, weight in [part.raw()]]
    weight = np.concatenate([w for w, _ in nodes])
    energy = np.concatenate([e for _, e in nodes])
    ascending = np.argsort(energy)
    weight, energy = weight[ascending], energy[ascending]

    exists = min((index for _, part in components for index in _tail_indices(part)), default=math.inf)

    out = np.zeros(order + 1)
    out[0] = math.fsum(weight * energy) if exists > 1 else math.inf
    centred = energy - out[0] if math.isfinite(out[0]) else energy
    for r in range(2, order + 1):
        out[r] = math.fsum(weight * centred**r) if r < exists else math.inf
    return out


def _move(part: Atoms | Density, location: float, scale: float) -> Atoms | Density:
    if isinstance(part, Atoms):
        return Atoms(scale * part.x - location, part.weight)

    def back(x: np.ndarray) -> np.ndarray:
        return (x + location) / scale

    return Density(
        lambda x: part.pdf(back(x)) / scale,
        lambda x: part.above(back(x)),
        lambda x: part.below(back(x)),
        scale * part.lower - location,
        scale * part.upper - location,
        scale * part.centre - location,
        scale * part.width,
        tuple(scale * part.edges[(part.edges > part.lower) & (part.edges < part.upper)] - location)
        if part.edges.size < 200
        else (),
    )


def _shorten(values: np.ndarray) -> str:
    return np.array2string(values[:6], precision=4, separator=", ") + ("…" if values.size > 6 else "")
