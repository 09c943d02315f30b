"""Low- and high-temperature expansions of the free energy, exact at any finite n.

Low temperature (Liu et al. 2026, Eq. 13):  F = -c0 - c1/β - c2/β² - …,  U = -c0 + c2/β² + 2 c3/β³ + …
High temperature (their Eqs. 54-63 to second order):  ⟨ln Z⟩ = ln n + Σ_r (-β)^r ⟨κ̂_r⟩ / r!
The coefficients are those of docs/expansions.md: averages over the lowest energies and expected cumulants.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.polynomial import hermite_e

from peakedtheory._common.checks import fail, shown, single_number, whole_number
from peakedtheory._common.constants import C2_PER_GAP_DENSITY
from peakedtheory.energies.base import Energies
from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.energies.reading import EnergiesLike, as_energies
from peakedtheory.exact import cumulants
from peakedtheory.exact.doubts import relative_doubt
from peakedtheory.exact.lowest_levels import MAX_ORDER, LowestLevels
from peakedtheory.exact.series import (
    Expansion,
    HighTemperatureExpansion,
    LowTemperatureExpansion,
    extreme_value_coefficient,
)

#: Error of a coefficient, relative to its size, at which it is withheld.
_NO_DIGIT = 0.1

Series = TypeVar("Series", bound=Expansion)


def low_temperature_expansion(
    n: float, energies: EnergiesLike = None, order: int = 2
) -> LowTemperatureExpansion:
    """Return the exact coefficients c_0 … c_order of the low-temperature expansion at finite n.

    Parameters
    ----------
    n : int
        Number of energies, at least 2.
    energies : optional
        Distribution of one energy, as `as_energies` takes it; standard normal by default.
    order : int, optional
        Highest order, 0 to 8.

    Returns
    -------
    LowTemperatureExpansion

    Raises
    ------
    ValueError
        If ⟨max(-ε)⟩ does not exist, if the energies are not smooth enough at their lower edge for a term of
        that order (atoms stop at order 1), or if rounding leaves no digit of its coefficient.

    Notes
    -----
    c_0 = ⟨max(-ε)⟩, c_1 = ⟨ln multiplicity of the ground state⟩, c_2 = (π²/12) p_Δ(0) with p_Δ(0) the
    density of the lowest gap at zero; for Gaussian energies p_Δ(0) = c_0, so c_2 = (π²/12) c_0.

    Examples
    --------
    >>> c0, c1, c2 = low_temperature_expansion(50304).coefficients
    >>> print(f"{c0:.10f} {c1:.0f} {c2:.10f}")
    4.2318320421 0 3.4805423456
    """
    count = float(single_number(n, 2))
    order = _checked_order(order, MAX_ORDER)
    distribution = as_energies(energies)
    distribution.require_maximum(count)
    law = distribution.core.unscaled
    levels = LowestLevels(law.components, count, _normal_derivative if law is STANDARD_NORMAL else None)
    reason = "the next term is not a power of 1/β alone"
    _require_order(order, levels.largest_order(order), distribution, reason)
    pairs = [levels.mean_maximum]
    if order >= 1:
        multiplicity = levels.mean_log_multiplicity()
        pairs.append((multiplicity, 1e-14 * multiplicity))
    pairs += [levels.coefficient(k) for k in range(2, order + 1)]
    _require_digits(pairs, distribution)
    powers = 1.0 - np.arange(order + 1)
    values, errors = _scaled(np.array(pairs).T, powers, distribution)
    values[0] -= distribution.location
    errors[0] += 2e-16 * abs(distribution.location)
    gap = distribution.scale * levels.smallest_spacing if law.is_discrete else 0.0
    return LowTemperatureExpansion(values, errors, count, distribution, gap)


def high_temperature_expansion(
    n: float, energies: EnergiesLike = None, order: int = 2
) -> HighTemperatureExpansion:
    """Return the exact coefficients a_0 … a_order of Φ = Σ a_r β^r at finite n.

    Parameters
    ----------
    n : int
        Number of energies, at least 1.
    energies : optional
        Distribution of one energy with finite moments up to `order`; standard normal by default.
    order : int, optional
        Highest order, 0 to 8.

    Returns
    -------
    HighTemperatureExpansion

    Raises
    ------
    ValueError
        If ⟨max(-ε)⟩ does not exist, or a moment up to `order`: coefficient k needs moment k.

    Examples
    --------
    >>> print([round(float(a), 8) for a in high_temperature_expansion(128, order=4).coefficients])
    [4.85203026, 0.0, 0.49609375, 0.0, -0.00193787]
    """
    count = float(single_number(n))
    order = _checked_order(order, cumulants.MAX_ORDER)
    distribution = as_energies(energies)
    distribution.require_maximum(count)
    law = distribution.core.unscaled
    moments = law.central_moments(order)
    finite = np.isfinite(moments)
    if order and not finite.all():
        existing = int(np.argmin(finite)) - 1 if finite[0] else 0
        _require_order(
            order, max(existing, 0), distribution, "coefficient k needs moment k, which is infinite"
        )
    relative = 1e-16 if law is STANDARD_NORMAL else 1e-13 + _doubt_of_moments(law)
    pairs = [(math.log(count), 2e-16 * math.log(count)), (-moments[0], relative * abs(moments[0]))][
        : order + 1
    ]
    for r in range(2, order + 1):
        value, size = cumulants.mean_cumulant(r, int(count), list(moments))
        sign = (-1.0) ** r / math.factorial(r)
        pairs.append(
            (sign * value, abs(sign) * (relative * size if relative > 1e-16 else 2e-16 * abs(value)))
        )
    values, errors = _scaled(np.array(pairs).T, np.arange(order + 1.0), distribution)
    if order >= 1:
        values[1] -= distribution.location
        errors[1] += 2e-16 * abs(distribution.location)
    return HighTemperatureExpansion(values + 0.0, errors, count, distribution)


def longest_expansion(
    expansion: Callable[..., Series], n: float, energies: EnergiesLike, order: int
) -> Series:
    """Return `expansion(n, energies, order)`, or the longest one below `order` that these energies have.

    Parameters
    ----------
    expansion : callable
        `low_temperature_expansion` or `high_temperature_expansion`.
    n, energies
        As these take them.
    order : int
        Order asked for.

    Returns
    -------
    LowTemperatureExpansion or HighTemperatureExpansion

    Raises
    ------
    ValueError
        As `expansion`, but for orders that do not exist.

    Examples
    --------
    >>> longest_expansion(high_temperature_expansion, 100, "t:df=3.5", 6).order
    3
    """
    if not callable(expansion):
        fail("expansion", "must be a function", shown(expansion), "pass low_temperature_expansion")
    for shorter in range(_checked_order(order, MAX_ORDER), 0, -1):
        try:
            return expansion(n, energies, shorter)
        except ValueError as error:
            if not str(error).startswith("order:"):
                raise
    return expansion(n, energies, 0)


def _doubt_of_moments(law: Energies) -> float:
    """Return the relative error of averages over the whole law, of which no part is out of sight."""
    return float(relative_doubt(law.components, np.array([2.0]))[0])


def _scaled(pairs: np.ndarray, powers: np.ndarray, energies: Energies) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and errors once all energies are multiplied by their scales."""
    values, errors = pairs * energies.scale**powers
    if energies.independent:
        return values, errors
    shared = np.array([energies.scale_moment(power) for power in powers])
    known = int(np.argmin(np.append(np.isfinite(shared), False)))
    _require_order(powers.size - 1, known - 1, energies, "inverse powers of their common scale have no mean")
    return values * shared, errors * shared + 1e-15


def _require_order(order: int, allowed: int, energies: Energies, reason: str) -> None:
    if order > allowed:
        rule = f"at most {allowed} for {energies.name} energies: {reason}"
        fail("order", rule, str(order), f"ask for order={allowed}")


def _require_digits(pairs: list[tuple[float, float]], energies: Energies) -> None:
    """Raise ValueError where rounding leaves no digit of a coefficient, beside those of exponential gaps."""
    for k, (value, error) in enumerate(pairs[2:], start=2):
        typical = float(extreme_value_coefficient(k, pairs[2][0] / C2_PER_GAP_DENSITY))
        if not error <= _NO_DIGIT * max(abs(value), typical):
            reason = "rounding leaves no digit of the next coefficient"
            _require_order(len(pairs) - 1, k - 1, energies, reason)


def _normal_derivative(x: np.ndarray, j: int) -> np.ndarray:
    return (
        (-1) ** j * hermite_e.hermeval(x, [0.0] * j + [1.0]) * np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    )


def _checked_order(order: int, largest: int) -> int:
    return whole_number("order", order, 0, largest, "choose a lower order")
