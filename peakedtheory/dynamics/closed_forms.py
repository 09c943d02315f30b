"""Closed forms of the aligned flow in its three regimes and across the end of the power law.

Liu et al. 2026, Eqs. 59 (linear start), 48-49 (power law), 60-63 (exponential end), for n Gaussian logits,
with the exact c0 = ⟨max⟩ and c2 = (π²/12) c0 in place of √(2 ln n); docs/dynamics.md, Eqs. 21-26.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from peakedtheory._common.checks import (
    fail,
    positive_number,
    real_array,
    real_number,
    single_number,
    teacher_temperature,
)
from peakedtheory._common.constants import C2_PER_GAP_DENSITY
from peakedtheory._common.types import Reals, Values
from peakedtheory.dynamics.approach import approach
from peakedtheory.dynamics.interpolant import interpolant


class ClosedForm(NamedTuple):
    """Inverse temperature β and loss L, each of the shape of τ.

    Attributes
    ----------
    beta : float or ndarray
        Inverse temperature of the student.
    loss : float or ndarray
        KL divergence from the teacher in nats.
    """

    beta: Values
    loss: Values


def _arguments(tau: Reals, n: float, c_eff: float) -> tuple[np.ndarray, float, float]:
    times = real_array("tau", tau)
    if (times < 0).any():
        fail("tau", "must be >= 0", f"{times.min():g}", "dynamic time starts at zero")
    return times, float(single_number(n)), positive_number("c_eff", c_eff)


def linear_start(tau: Reals, beta_star: float, n: float, c_eff: float = 1.0) -> ClosedForm:
    """Return β = (c_eff/n) Φ'(β*) τ and L to first order, for τ much below n (Liu et al. 2026, Eq. 59).

    Parameters
    ----------
    tau : array_like
        Dynamic time τ = Σ η, nonnegative, of any shape.
    beta_star : float
        Teacher's inverse temperature β* > 0; infinite for hard labels.
    n : int
        Number of classes.
    c_eff : float
        Factor on the gradient; 1 for gradient descent.

    Returns
    -------
    ClosedForm

    Raises
    ------
    ValueError
        For negative times, and other values that are out of range or not single numbers.

    Examples
    --------
    >>> print(f"{linear_start(1.0, float('inf'), 128).beta:.6f}")
    0.020270
    """
    times, count, c_eff = _arguments(tau, n, c_eff)
    star = teacher_temperature(beta_star)
    table = interpolant(count)
    slope = table.slope - float(table.drives(np.array(star)))
    beta = c_eff * slope * times / count
    loss = float(table.aligned_loss(np.array(0.0), star)) - slope * beta
    return ClosedForm(beta[()], loss[()])


def power_law(tau: Reals, n: float, c_eff: float = 1.0) -> ClosedForm:
    """Return β = (3 c_eff c2 τ/n)^(1/3) and L = c2/β, for c0 << β << β* (Liu et al. 2026, Eqs. 48-49).

    Parameters
    ----------
    tau : array_like
        Dynamic time, nonnegative, of any shape; L is infinite at zero.
    n : int
        Number of classes.
    c_eff : float
        Factor on the gradient.

    Returns
    -------
    ClosedForm

    Raises
    ------
    ValueError
        As `linear_start`.

    Examples
    --------
    >>> print(f"{power_law(1e6, 128).loss:.5f}")
    0.05792
    """
    times, count, c_eff = _arguments(tau, n, c_eff)
    c2 = C2_PER_GAP_DENSITY * interpolant(count).slope
    beta = np.cbrt(3.0 * c_eff * c2 * times / count)
    with np.errstate(divide="ignore"):
        return ClosedForm(beta[()], (c2 / beta)[()])


def exponential_end(
    tau: Reals, beta_star: float, n: float, deviation: float, c_eff: float = 1.0
) -> ClosedForm:
    """Return β = β* - deviation·exp(-c_eff Φ''(β*) τ/n) and L = Φ''(β*)(β* - β)²/2.

    These are Eqs. 60-63 of Liu et al. 2026 at any temperature, and Eqs. 24-25 of docs/dynamics.md.

    Parameters
    ----------
    tau : array_like
        Dynamic time since β was β* - `deviation`, of any shape.
    beta_star : float
        Teacher's inverse temperature, positive and finite.
    n : int
        Number of classes.
    deviation : float
        β* - β at `tau` = 0, small against β*.
    c_eff : float
        Factor on the gradient.

    Returns
    -------
    ClosedForm

    Raises
    ------
    ValueError
        As `linear_start`, and for hard labels, which have no such end.

    Examples
    --------
    >>> print(f"{exponential_end(0.0, 2.0, 128, deviation=0.1).loss:.6f}")
    0.003031
    """
    times, count, c_eff = _arguments(tau, n, c_eff)
    star = teacher_temperature(beta_star, allow_infinite=False)
    variance = float(interpolant(count).variance(np.array(star)))
    left = real_number("deviation", deviation) * np.exp(-c_eff * variance * times / count)
    return ClosedForm((star - left)[()], (0.5 * variance * left**2)[()])


def finite_beta_star_law(tau: Reals, beta_star: float, n: float, c_eff: float = 1.0) -> ClosedForm:
    """Return the power law with its end, L = (c2/β*)(1-b)²/b with artanh b - b = c_eff c2 τ/(nβ*³).

    Exact to leading order in c0/β and c0/β*: b = β/β* solves db/dτ = (1/b² - 1)/T, T = nβ*³/(c_eff c2)
    (docs/dynamics.md, Eq. 26).

    Parameters
    ----------
    tau : array_like
        Dynamic time, nonnegative, of any shape; L is infinite at zero.
    beta_star : float
        Teacher's inverse temperature, positive and finite.
    n : int
        Number of classes.
    c_eff : float
        Factor on the gradient.

    Returns
    -------
    ClosedForm

    Raises
    ------
    ValueError
        As `linear_start`, and for hard labels; `power_law` is their limit.

    Examples
    --------
    >>> print(f"{finite_beta_star_law(1e6, 1e4, 128).loss:.5f}")
    0.05749
    """
    times, count, c_eff = _arguments(tau, n, c_eff)
    star = teacher_temperature(beta_star, allow_infinite=False)
    c2 = C2_PER_GAP_DENSITY * interpolant(count).slope
    b, left = approach(times * c_eff * c2 / (count * star**3))
    with np.errstate(divide="ignore"):
        return ClosedForm((star * b)[()], (c2 / star * left**2 / b)[()])
