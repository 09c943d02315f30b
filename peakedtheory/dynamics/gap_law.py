"""The law of small gaps between the lowest energies, and the exponent of the loss that follows from it.

If P(gap < s) ~ C s^κ, then L ~ CΓ(κ+1)η(κ+1) β^-κ and gradient flow gives L ~ τ^-α with α = κ/(κ+2)
(docs/regimes.md, Eqs. 1-7; κ = 1 is the 1/3 law of Liu et al. 2026).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.special import beta as beta_function, gamma, zeta

from peakedtheory._common.checks import fail, real_array, real_number, single_number
from peakedtheory._common.constants import C2_PER_GAP_DENSITY
from peakedtheory._common.panels import gauss_panels
from peakedtheory._common.results import describe
from peakedtheory._common.types import Reals, Values
from peakedtheory.energies.base import Energies
from peakedtheory.energies.components import Atoms, Density
from peakedtheory.energies.reading import EnergiesLike, as_energies

#: Distances, in widths of the law, at which the power of a divergence is looked for.
_CLOSEST = (1e-270, 1e-180, 1e-90, 1e-45, 1e-22, 1e-8)


@dataclass(frozen=True, repr=False)
class Exponent:
    """Asymptotic power law of the loss against hard labels.

    Attributes
    ----------
    exponent : float
        α in L ~ τ^-α under gradient flow.
    gap_exponent : float
        κ in P(gap < s) ~ s^κ and L ~ β^-κ; infinite where the gap cannot be small.
    coefficient : float or None
        Of L ~ coefficient·β^-κ (times ln β where `logarithmic`); None where there is no power law in β or no
        closed form for it, as where more than two energies meet.
    gap : float
        Smallest gap of a discrete spectrum, zero otherwise: L falls as exp(-β gap).
    logarithmic : bool
        Whether a factor ln β accompanies the power.
    explanation : str
        What of the distribution decides.
    """

    exponent: float
    gap_exponent: float
    coefficient: float | None
    explanation: str
    gap: float = 0.0
    logarithmic: bool = False

    def __repr__(self) -> str:
        shown = {
            "exponent": self.exponent,
            "gap_exponent": self.gap_exponent,
            "coefficient": self.coefficient,
        }
        return describe("Exponent of the loss against dynamic time", shown) + f"\n  {self.explanation}"


def exponent_of_gap(gap_exponent: float) -> float:
    """Return α = κ/(κ + 2) for a gap law P(Δ < s) ~ s^κ (docs/regimes.md, Eq. 3).

    Parameters
    ----------
    gap_exponent : float
        κ > 0; 2 and 3 are level repulsion, ∞ a true gap.

    Returns
    -------
    float
        α in L ~ τ^-α under gradient flow.

    Raises
    ------
    ValueError
        If κ is not positive.

    Examples
    --------
    >>> exponent_of_gap(2.0), exponent_of_gap(float("inf"))
    (0.5, 1.0)
    """
    kappa = real_number("gap_exponent", gap_exponent)
    if kappa <= 0:
        fail("gap_exponent", "must be > 0", f"{kappa:g}", "a gap law vanishes at zero gap")
    return 1.0 if math.isinf(kappa) else kappa / (kappa + 2.0)


def exponent_of_edge(edge_exponent: Reals) -> Values:
    """Return α for i.i.d. energies whose density starts as (ε - ε_min)^(k-1).

    It is k/(k+1) below k = 1/2 and 1/3 above. At k = 1/2 a logarithm accompanies the power
    (docs/regimes.md, Eqs. 6-7).

    Parameters
    ----------
    edge_exponent : array_like
        k > 0.

    Returns
    -------
    float or ndarray
        α, of the shape of k.

    Raises
    ------
    ValueError
        If some k is not positive.

    Examples
    --------
    >>> print(exponent_of_edge([0.25, 1.0]))
    [0.2        0.33333333]
    """
    k = real_array("edge_exponent", edge_exponent)
    if (k <= 0).any():
        fail("edge_exponent", "must be > 0", f"{k.min():g}", "the density must be integrable")
    if np.isinf(k).any():
        fail("edge_exponent", "must be finite", "inf", "beyond 1/2 the exponent is 1/3")
    return (np.where(k < 0.5, k / (k + 1.0), 1.0 / 3.0))[()]


def predict_exponent(n: float = 50304, energies: EnergiesLike = None) -> Exponent:
    """Return the exponent of the loss that a distribution of energies implies at long times.

    Parameters
    ----------
    n : int
        Number of energies, at least 2.
    energies : optional
        Distribution of one energy, as `as_energies` takes it; standard normal by default.

    Returns
    -------
    Exponent

    Raises
    ------
    ValueError
        If ⟨max(-ε)⟩ is infinite, n < 2, or all energies are equal.

    Notes
    -----
    Regular densities have κ = 1 and the coefficient (π²/12) p_Δ(0), p_Δ(0) = n(n-1)∫f²F^(n-2) dx, which is
    (π²/12)⟨max⟩ for Gaussian energies. A density A|x - x0|^(k-1) with k < 1/2 makes ∫f² diverge: κ = 2k,
    at the highest energy of all κ = nk.

    Examples
    --------
    >>> prediction = predict_exponent(128)
    >>> print(f"{prediction.exponent:.4f} {prediction.coefficient:.10f}")
    0.3333 2.1339708007
    """
    distribution = as_energies(energies)
    n = float(single_number(n, 2))
    distribution.require_maximum(n)
    given_scale = _independent_exponent(distribution, n)
    return given_scale if distribution.independent else _over_scales(given_scale, distribution)


def _over_scales(given: Exponent, energies: Energies) -> Exponent:
    """Return the law averaged over the scale s that the energies of one draw share: L ~ ⟨s^-κ⟩."""
    mean = energies.scale_moment(-given.gap_exponent)
    text = f"given the scale that all energies share, {given.explanation}"
    if math.isinf(mean):
        text += "; averaged over it a factor ln β remains"
        return replace(given, coefficient=None, explanation=text, logarithmic=True)
    coefficient = None if given.coefficient is None else given.coefficient * mean
    return replace(given, coefficient=coefficient, explanation=text)


def _independent_exponent(distribution: Energies, n: float) -> Exponent:
    """Return the law of independent energies, or of those that share a scale where that is one."""
    scale, parts = distribution.scale, distribution.core.unscaled.components
    atoms = [part for _, part in parts if isinstance(part, Atoms)]
    densities = [(w, part) for w, part in parts if isinstance(part, Density)]
    if not densities:
        return _discrete(np.unique(np.concatenate([a.x for a in atoms])) * scale)
    singular = _strongest_singularity(densities, n, bool(atoms))
    if singular is not None and singular.kappa < 1.0 - 2e-3:
        kappa, strength, where, k, together = singular
        coefficient = None
        if math.isfinite(strength):
            mass = n * (n - 1.0) * strength / kappa
            coefficient = mass * gamma(kappa + 1.0) * _eta(kappa + 1.0) / scale**kappa
        place = distribution.location - (where * scale if abs(where) > 1e-12 else 0.0)
        distance = f"|ε {'-+'[place < 0]} {abs(place):.6g}|" if place else "|ε|"
        meeting = "all n" if together > 2 else "two of the lowest"
        text = (
            f"the density diverges as {distance}^{k - 1:.3g}, too strongly for a finite density of gaps"
            f" at zero: {meeting} energies meet there, P(gap < s) ~ s^{kappa:.3g}"
        )
        return Exponent(exponent_of_gap(kappa), kappa, coefficient, text)
    if singular is not None:
        text = (
            f"the density diverges with exponent {singular.k - 1:.3g}, where the density of the gap at zero"
            " diverges logarithmically: L ~ ln β/β"
        )
        coefficient = n * (n - 1.0) * singular.strength * C2_PER_GAP_DENSITY / scale
        return Exponent(1 / 3, 1.0, coefficient, text, 0.0, True)
    text = "regular density: the gap between the two lowest energies has a finite, nonzero density at zero"
    if atoms:
        text += "; atoms beside it change the coefficient, not the exponent"
        return Exponent(1 / 3, 1.0, None, text)
    return Exponent(1 / 3, 1.0, C2_PER_GAP_DENSITY * gap_density(densities, n) / scale, text)


def _eta(s: float) -> float:
    """Dirichlet eta function, s > 1 here."""
    return float((1.0 - 2.0 ** (1.0 - s)) * zeta(s))


def _discrete(x: np.ndarray) -> Exponent:
    if x.size < 2:
        fail("energies", "must take at least two values", "one atom", "equal energies leave nothing to learn")
    gap = float(np.diff(x).min())
    text = f"discrete energies: the smallest gap is {gap:.6g}, so L ~ exp(-β gap), β ~ ln τ/gap and L ~ 1/τ"
    return Exponent(1.0, math.inf, None, text, gap)


def gap_density(parts: list[tuple[float, Density]], n: float) -> float:
    """Return p_Δ(0) = n(n-1)∫f²F^(n-2), the density of the gap between the two highest x at zero.

    Parameters
    ----------
    parts : list of (float, Density)
        Weights and densities of the continuous parts, as `Energies.components` has them.
    n : float
        Number of energies.

    Returns
    -------
    float
        Wrong where ∫f² diverges: docs/regimes.md, Eq. 6.
    """
    edges = np.unique(np.concatenate([part.edges for _, part in parts]))
    # The panels resolve f; F^n falls off faster, so each is cut where ln F changes by order 1/n.
    if edges.size < 400:
        edges = np.unique((edges[:-1, None] + np.diff(edges)[:, None] * np.linspace(0, 1, 9)).ravel())
    x, weights = gauss_panels(edges)
    with np.errstate(all="ignore"):
        f = sum(w * part.pdf(x) for w, part in parts)
        above = np.clip(sum(w * part.above(x) for w, part in parts), 0.0, 1.0)
        values = np.where(np.isfinite(f), f, 0.0) ** 2 * np.exp((n - 2.0) * np.log1p(-above))
    values = np.where(np.isfinite(values), values, 0.0)
    return float(n * (n - 1.0) * (values * weights).sum())


class _Singularity(NamedTuple):
    """A divergence f ~ A|x - x0|^(k-1) where energies meet: p_Δ(s) = n(n-1) S s^(κ-1)."""

    kappa: float
    strength: float
    x0: float
    k: float
    together: float


def _strongest_singularity(parts: list[tuple[float, Density]], n: float, atoms: bool) -> _Singularity | None:
    """Return the divergence with the lowest κ <= 1 at which the highest of n values can be.

    S collects the pairs on one side and across, at all such places; where κ = 1, a logarithm, the sum of A²
    alone; NaN where more than two energies meet. At the lowest value of all, where
    n(n-1)∫f(δ)f(δ+s)F(δ)^(n-2) is led by small δ, all n meet and κ = nk.
    """
    found: list[_Singularity] = []
    lowest = min(part.edges[0] for _, part in parts)
    for weight, part in parts:
        for x0 in part.landmarks:
            from_ends = np.abs(part.edges[[0, -1]] - x0)
            if ((from_ends > 0.0) & (from_ends < 1e-9 * part.width)).any():
                continue  # the end itself is a landmark too
            sides = [_side(part, x0, sign) for sign in (-1.0, 1.0)]
            k = min((s[0] for s in sides), default=1.0)
            if k > 0.5 + 1e-3:
                continue
            amplitudes = [weight * a if abs(side_k - k) < 1e-3 else 0.0 for side_k, a in sides]
            amplitude, together = math.hypot(*amplitudes), 2.0
            if x0 - lowest < 1e-12 * max(abs(x0), part.width) and not atoms:
                # F = (A/k) δ^k of all others: their power is taken of a ratio of order one
                together, strength, survives = n, k * k * (amplitude / k) ** n, 1.0
            else:
                below = sum(w * p.below(np.array([x0]))[0] for w, p in parts)
                strength = amplitude**2
                survives = math.exp((n - 2.0) * math.log(below)) if below > 0 else float(n == 2)
            kappa = together * k
            if kappa > 1.0 + 2e-3 or survives <= 1e-300:
                continue
            if kappa < 1.0 - 2e-3:
                strength *= beta_function(kappa - k, 1.0 - kappa)
                strength += amplitudes[0] * amplitudes[1] * beta_function(k, k)
            found.append(_Singularity(kappa, strength * survives, float(x0), k, together))
    if not found:
        return None
    first = min(found)
    places = list[_Singularity]()
    for one in sorted(found, key=lambda one: one.x0):  # rounding may find a place more than once
        far = not places or one.x0 - places[-1].x0 > 1e-9 * max(part.width for _, part in parts)
        if far and one.kappa < first.kappa + 1e-3:
            places.append(one)
    several = first.kappa < 1.0 - 2e-3 and any(one.together > 2 for one in places)
    return first._replace(strength=math.nan if several else sum(one.strength for one in places))


def _side(part: Density, x0: float, sign: float) -> tuple[float, float]:
    """Return k and A of the density A δ^(k-1) at distance δ to one side of x0; k = ∞ where there is none.

    Corrections may fade as slowly as δ^k: the closer to x0 the better, as far as numbers tell it from δ.
    """
    least = max(1e-9 * abs(x0), _blur(part, x0))
    for closest in _CLOSEST:
        delta = max(part.width * closest, least) * np.array([1.0, 10.0, 100.0])
        with np.errstate(all="ignore"):
            f = part.pdf(x0 + sign * delta)
        if not (np.isfinite(f).all() and (f > 0).all()):
            continue
        slopes = np.diff(np.log(f)) / np.diff(np.log(delta))
        if abs(slopes[1] - slopes[0]) < 1e-3:
            exponent = float(slopes[0])
            return round(1.0 + exponent, 5), float(f[0] * delta[0] ** -exponent)
    return math.inf, 0.0


def _blur(part: Density, x0: float) -> float:
    """Return ten times the size of the panels between which a divergence at an inner edge lies."""
    i = int(np.searchsorted(part.edges, x0))
    if not 0 < i < part.edges.size - 1:
        return 0.0
    pair = float(part.edges[i + 1] - part.edges[i - 1])
    return 10.0 * pair if pair < 1e-10 * part.width else 0.0
