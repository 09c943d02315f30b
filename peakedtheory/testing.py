"""Property tests of the theory's identities, for the package's own tests and for energies of your own.

`IDENTITIES` maps names to checks; each takes (beta, n, energies) and returns how far the identity is
violated in units of what the error estimates allow, so that anything above one is a failure.
Strategies for hypothesis generate inverse temperatures, counts and distributions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from peakedtheory._common.checks import fail, shown
from peakedtheory.energies.atoms import Discrete
from peakedtheory.energies.base import Energies
from peakedtheory.energies.components import Component
from peakedtheory.energies.mixtures import Mixture
from peakedtheory.energies.moved import moved
from peakedtheory.energies.normal import Gaussian
from peakedtheory.energies.reading import EnergiesLike, as_energies
from peakedtheory.exact.expansions import (
    high_temperature_expansion,
    longest_expansion,
    low_temperature_expansion,
)
from peakedtheory.exact.losses import loss_gradient, loss_with_error
from peakedtheory.exact.series import Expansion
from peakedtheory.exact.thermodynamics import thermodynamics

__all__ = [
    "IDENTITIES",
    "Verification",
    "counts",
    "energy_distributions",
    "inverse_temperatures",
    "verify",
    "violation",
]

Check = Callable[[float, float, Energies], float]


def inverse_temperatures(smallest: float = 1e-3, largest: float = 1e3) -> st.SearchStrategy[float]:
    """Return a strategy for inverse temperatures, even in ln β.

    Parameters
    ----------
    smallest, largest : float
        Bounds of β, positive.

    Returns
    -------
    hypothesis.strategies.SearchStrategy of float
    """
    return st.floats(np.log(smallest), np.log(largest)).map(lambda v: float(np.exp(v)))


def counts(largest: float = 1e12) -> st.SearchStrategy[int]:
    """Return a strategy for numbers of energies n >= 2, even in ln n, with small numbers among them.

    Parameters
    ----------
    largest : float
        Bound of n.

    Returns
    -------
    hypothesis.strategies.SearchStrategy of int
    """
    wide = st.floats(np.log(2.0), np.log(largest)).map(lambda v: round(np.exp(v)))
    return st.one_of(st.integers(2, 10), wide)


def energy_distributions() -> st.SearchStrategy[Energies]:
    """Return a strategy for distributions: Gaussian, skewed, bounded, heavy-tailed, atoms and mixtures.

    Returns
    -------
    hypothesis.strategies.SearchStrategy of Energies
    """
    scales = st.floats(0.1, 10.0)
    moved = st.tuples(st.floats(-5.0, 5.0), scales)
    gaussian = moved.map(lambda p: Gaussian(*p))
    named = st.sampled_from(
        [
            "laplace",
            "logistic",
            "expon",
            "uniform",
            "gumbel_l",
            "gumbel_r",
            "gamma:a=2",
            "t:df=4",
            "beta:a=2,b=3",
        ]
    ).map(as_energies)
    atoms = st.lists(st.tuples(st.integers(-20, 20), st.floats(0.05, 1.0)), min_size=1, max_size=5).map(
        lambda pairs: Discrete([0.25 * e for e, _ in pairs], [w for _, w in pairs])
    )
    mixtures = st.tuples(st.floats(0.1, 0.9), gaussian, gaussian).map(
        lambda m: Mixture([(m[0], m[1]), (1 - m[0], m[2])])
    )
    return st.one_of(gaussian, named, atoms, mixtures)


def _averages(beta: float | np.ndarray, n: float, energies: Energies) -> Any:
    """Return exact averages, floats for one β."""
    return thermodynamics(beta, n, energies)


def _loss(beta: float, beta_star: float, n: float, energies: Energies) -> tuple[float, float]:
    """Return the loss and its error as floats."""
    value, error = loss_with_error(beta, beta_star, n, energies)
    return float(value), float(error)


def _free_energy(beta: float, n: float, energies: Energies) -> float:
    """F = U - S/β."""
    t = _averages(beta, n, energies)
    allowed = t.error.free_energy + t.error.internal_energy + t.error.entropy / beta
    return abs(t.free_energy - t.internal_energy + t.entropy / beta) / (allowed + 4e-16 * abs(t.free_energy))


def _entropy_bounds(beta: float, n: float, energies: Energies) -> float:
    """0 <= S <= ln n."""
    t = _averages(beta, n, energies)
    return max(-t.entropy, t.entropy - np.log(n), 0.0) / (t.error.entropy + 4e-16 * np.log(n))


def _ground_state(beta: float, n: float, energies: Energies) -> float:
    """U >= -c0."""
    t = _averages(beta, n, energies)
    ground = low_temperature_expansion(n, energies, 0)
    error = t.error.internal_energy + ground.error[0] + 1e-300  # one atom at zero is exact
    return max(-ground.coefficients[0] - t.internal_energy, 0.0) / error


def _convexity(beta: float, n: float, energies: Energies) -> float:
    """Φ'' >= 0."""
    t = _averages(beta, n, energies)
    return max(-t.energy_variance, 0.0) / (t.error.energy_variance + 1e-300)


def _slope(beta: float, n: float, energies: Energies) -> float:
    """Φ' = -U, by a central difference of fourth order."""
    return _difference(beta, n, energies, "log_partition", lambda t: -t.internal_energy)


def _entropy_slope(beta: float, n: float, energies: Energies) -> float:
    """dS/dβ = -β Φ''."""
    return _difference(beta, n, energies, "entropy", lambda t: -beta * t.energy_variance)


def _difference(beta: float, n: float, energies: Energies, name: str, slope: Callable[[Any], float]) -> float:
    """Compare a derivative with differences of two widths, whose disagreement bounds the truncation."""
    width = 0.02 * beta / (1.0 + 0.1 * abs(energies.scale * beta))
    grid = beta + width * np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
    t = _averages(grid, n, energies)
    f, e = getattr(t, name), getattr(t.error, name)
    coarse = (f[0] - 8.0 * f[1] + 8.0 * f[5] - f[6]) / (12.0 * width)
    fine = (f[1] - 8.0 * f[2] + 8.0 * f[4] - f[5]) / (6.0 * width)
    noise = 4.0 * (e.max() + 4e-16 * np.abs(f).max()) / width
    middle = _averages(beta, n, energies)
    return abs(slope(middle) - fine) / (abs(coarse - fine) + noise)


def _loss_sign(beta: float, n: float, energies: Energies) -> float:
    """L >= 0, and zero only at β = β*."""
    at_teacher, _ = _loss(beta, beta, n, energies)
    below, error = _loss(0.7 * beta, beta, n, energies)
    above, other = _loss(1.4 * beta, beta, n, energies)
    has_scale = _averages(beta, n, energies).energy_variance > 1e-20
    positive = (below > 0.0 and above > 0.0) or not has_scale
    return max(
        abs(at_teacher) / 1e-300,
        -below / (error + 1e-300),
        -above / (other + 1e-300),
        0.0 if positive else 2.0,
    )


def _loss_gradient(beta: float, n: float, energies: Energies) -> float:
    """dL/dβ = U(β*) - U(β)."""
    star = 1.7 * beta
    student, teacher = (_averages(b, n, energies) for b in (beta, star))
    allowed = student.error.internal_energy + teacher.error.internal_energy
    expected = teacher.internal_energy - student.internal_energy
    return abs(float(loss_gradient(beta, star, n, energies)) - expected) / (2.0 * allowed + 1e-300)


def _covariance(beta: float, n: float, energies: Energies) -> float:
    """F of 2 + 3ε at β is 2 + 3 F of ε at 3β, with the moved distribution integrated as it stands."""
    if not energies.independent:
        fail("energies", "must be independent to be moved", energies.name, "test the law before its scale")
    moved = Mixture([(1.0, _Moved(energies))])
    direct = _averages(beta, n, moved)
    mapped = _averages(3.0 * beta, n, energies)
    allowed = (
        direct.error.free_energy
        + 3.0 * mapped.error.free_energy
        + 1e-15 * (2.0 + 3.0 * abs(mapped.free_energy))
    )
    return abs(direct.free_energy - 2.0 - 3.0 * mapped.free_energy) / allowed


def _low_temperature(beta: float, n: float, energies: Energies) -> float:
    """Compare the low-temperature series, in its range, with the exact value."""
    return _series(longest_expansion(low_temperature_expansion, n, energies, 6), beta, n, energies)


def _high_temperature(beta: float, n: float, energies: Energies) -> float:
    """Compare the high-temperature series, in its range, with the exact value."""
    return _series(longest_expansion(high_temperature_expansion, n, energies, 6), beta, n, energies)


def _series(series: Expansion, beta: float, n: float, energies: Energies) -> float:
    lower, upper = series.valid_range
    if not lower <= beta <= upper:
        return 0.0
    t = _averages(beta, n, energies)
    order = int(series.best_order(beta))
    powers = np.abs(series.error) * beta ** series._powers()
    allowed = series.truncation_error(beta, order=order) + t.error.log_partition + powers.sum()
    return abs(series.log_partition(beta, order=order) - t.log_partition) / (
        allowed + 4e-16 * abs(t.log_partition)
    )


class _Moved(Energies):
    """2 + 3ε, without telling the engine how it came about."""

    def __init__(self, energies: Energies) -> None:
        self._energies, self.name = energies, f"2 + 3 ({energies.name})"
        self._components = tuple((w, moved(part, 2.0, 3.0)) for w, part in energies.components)

    @property
    def components(self) -> tuple[Component, ...]:
        return self._components

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        return self._energies.cdf((np.asarray(energy) - 2.0) / 3.0)

    def ppf(self, q: np.ndarray) -> np.ndarray:
        return 2.0 + 3.0 * self._energies.ppf(q)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        return 2.0 + 3.0 * self._energies.sample(rng, size)


IDENTITIES: dict[str, Check] = {
    "F = U - S/β": _free_energy,
    "0 <= S <= ln n": _entropy_bounds,
    "U >= -c0": _ground_state,
    "Φ'' >= 0": _convexity,
    "dΦ/dβ = -U": _slope,
    "dS/dβ = -β Φ''": _entropy_slope,
    "L >= 0, = 0 only at β*": _loss_sign,
    "dL/dβ = U(β*) - U(β)": _loss_gradient,
    "F[2 + 3ε](β) = 2 + 3 F[ε](3β)": _covariance,
    "low-T series within its error": _low_temperature,
    "high-T series within its error": _high_temperature,
}


def violation(name: str, beta: float, n: float, energies: EnergiesLike = None) -> float:
    """Return how far an identity is violated, in units of the allowed error.

    Parameters
    ----------
    name : str
        Key of `IDENTITIES`.
    beta : float
        Inverse temperature, positive.
    n : int
        Number of energies, at least 2.
    energies : optional
        Distribution of one energy; standard normal by default.

    Returns
    -------
    float
        At most 1 where the identity holds.

    Examples
    --------
    >>> violation("F = U - S/β", 3.0, 1000, "laplace") <= 1.0
    True
    """
    if not isinstance(name, str) or name not in IDENTITIES:
        fail("name", f"must be one of {', '.join(IDENTITIES)}", shown(name), "choose one of them")
    return float(IDENTITIES[name](beta, n, as_energies(energies)))


@dataclass(frozen=True)
class Verification:
    """Outcome of one identity over many examples.

    Attributes
    ----------
    identity : str
        Name of the identity.
    examples : int
        Number of (β, n, energies) tried.
    worst : float
        Largest violation in units of the allowed error; at most 1 where the identity holds.
    example : str
        Where the largest violation was found; after a failure, the simplest failing case.
    """

    identity: str
    examples: int
    worst: float
    example: str

    @property
    def holds(self) -> bool:
        """Whether no example violated the identity."""
        return self.worst <= 1.0


def verify(
    energies: EnergiesLike = None,
    *,
    examples: int = 25,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> list[Verification]:
    """Run every identity on random β and n, for energies of your own or for random ones.

    Parameters
    ----------
    energies : optional
        Distribution of one energy; by default distributions are drawn from `energy_distributions`.
    examples : int, optional
        Number of examples of each identity.
    seed : int, optional
        The same seed tries the same examples.
    progress : callable, optional
        Called with the name of each identity before it is tried.

    Returns
    -------
    list of Verification
        One for each of `IDENTITIES`, in their order.

    Raises
    ------
    ValueError
        For energies that cannot be understood, or whose averages do not exist.

    Examples
    --------
    >>> all(outcome.holds for outcome in verify("laplace", examples=2))
    True
    """
    chosen = energy_distributions() if energies is None else st.just(as_energies(energies))
    results = []
    for name, check in IDENTITIES.items():
        if progress is not None:
            progress(name)
        results.append(_verify_one(name, check, chosen, examples, seed))
    return results


def _verify_one(
    name: str, check: Check, chosen: st.SearchStrategy[Energies], examples: int, seed: int
) -> Verification:
    tried: list[tuple[float, str]] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(inverse_temperatures(), counts(), chosen)
    def run(beta: float, n: int, energies: Energies) -> None:
        amount = check(beta, float(n), energies)
        tried.append((amount, f"β={beta:.6g}, n={n}, {energies.name}"))
        assert amount <= 1.0

    try:
        run()
    except AssertionError:
        return Verification(name, len(tried), *tried[-1])
    return Verification(name, len(tried), *max(tried))
