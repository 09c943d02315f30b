"""Late-time limits of tuned learning rates on hard labels: constant, decaying, and the best anneal.

Two equations, for β and for the residual ρ with the boundary-layer noise f(ρ), decide all three
(docs/schedules.md, Eqs. 1-14).
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.optimize import minimize_scalar

from peakedtheory._common.checks import fail, positive_number, real_number
from peakedtheory._common.constants import C2_PER_GAP_DENSITY
from peakedtheory.dynamics.boundary import boundary_noise
from peakedtheory.dynamics.optimizers import Tunable, of_batches
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.families import constant


def asymptotic_rate() -> tuple[float, float, float]:
    """Return η* m/B, ρ and L_t/L of the best constant rate for hard labels at late times, any n.

    ρ² = (ηm/2B) f(ρ), β = (3Aτ/n)^(1/3) and L = A/β with A = c2 + c0 ρ²/2, c2 = (π²/12) c0: A²/η is minimal
    (docs/schedules.md, Eqs. 3-6).

    Returns
    -------
    rate, residual, tangential_fraction : float
        η* m/B, ρ and L_t/L.

    Examples
    --------
    >>> print("{:.3f} {:.3f} {:.3f}".format(*asymptotic_rate()))
    2.039 0.842 0.301
    """

    def cost(rho: float) -> float:
        return 2.0 * math.log(C2_PER_GAP_DENSITY + 0.5 * rho**2) + math.log(boundary_noise(rho) / rho**2)

    rho = float(minimize_scalar(cost, bounds=(0.05, 10.0), method="bounded", options={"xatol": 1e-10}).x)
    return 2.0 * rho**2 / boundary_noise(rho), rho, 0.5 * rho**2 / (C2_PER_GAP_DENSITY + 0.5 * rho**2)


def decay_exponent(power: float) -> float:
    """Return α = 1/3 + 2p/(3(p+1)) for schedules that end as (1-u)^p (docs/schedules.md, Eq. 9).

    Parameters
    ----------
    power : float
        p >= 0; 0 is a constant rate, and infinity the limit of steep ends.

    Returns
    -------
    float
        α in L ~ T^-α, the loss tuned over heights against the number of steps T, for SGD on hard labels.

    Raises
    ------
    ValueError
        For a negative power.

    Examples
    --------
    >>> print(f"{decay_exponent(0.0):.3f} {decay_exponent(1.0):.3f}")
    0.333 0.667
    """
    p = real_number("power", power)
    if p < 0:
        fail("power", "must be >= 0", f"{p:g}", "a decay falls")
    return 1.0 - 2.0 / (3.0 * (p + 1.0))


@functools.cache
def _anneal() -> tuple[np.ndarray, np.ndarray, float, float]:
    """Residuals ρ, h(ρ) = ∫_ρ^∞ 2f/r³ dr, the final ρ and K (docs/schedules.md, Eqs. 11-13)."""
    rho = np.exp(np.linspace(math.log(0.2), math.log(1e7), 4001))
    f = np.array([boundary_noise(r) for r in rho])
    integrand = 2.0 * f / rho**2  # d ln ρ
    step = math.log(rho[1] / rho[0])
    pieces = 0.5 * step * (integrand[1:] + integrand[:-1])
    # Beyond the last ρ, f = 2ρ/√π - 1.
    last = 4.0 / (math.sqrt(math.pi) * rho[-1])
    remaining = np.append(last + np.cumsum(pieces[::-1])[::-1], last)
    cost = (C2_PER_GAP_DENSITY + 0.5 * rho**2) * remaining
    best = int(np.argmin(cost))
    a, b, c = np.polyfit(np.log(rho[best - 2 : best + 3]), cost[best - 2 : best + 3], 2)
    final = math.exp(-b / (2.0 * a))
    return rho, remaining, final, float(c - b * b / (4.0 * a))


def annealing_limit() -> tuple[float, float, float]:
    """Return K, the final ρ and the final η m/B of the best schedule on hard labels: L → K n m/(B T).

    While β stands still, ρ² falls fastest at η = (B/m) ρ²/f(ρ); spending all T steps so, from ρ = ∞, and
    choosing β for the final loss (c2 + c0ρ²/2)/β leaves K = min (π²/12 + ρ²/2) h(ρ) (docs/schedules.md,
    Eqs. 10-13). It is the limit of large width m: training at m = 32 stays above it.

    Returns
    -------
    constant, residual, rate : float
        K, ρ_T and η_T m/B.

    Examples
    --------
    >>> print("{:.3f} {:.3f} {:.3f}".format(*annealing_limit()))
    2.297 1.156 1.448
    """
    _, _, final, constant = _anneal()
    return constant, final, final**2 / boundary_noise(final)


def annealing(cap: float, steps: int, *, optimizer: Tunable) -> Clock:
    """Return the late-time optimal schedule: a universal function of t/T times B/m, with rates below `cap`.

    η = (B/m) ρ²/f(ρ) with h(ρ)/h(ρ_T) = u: it falls as 1/u and ends near (B/m) ρ_T²/f(ρ_T), not at zero
    (docs/schedules.md, Eq. 14). The cap stands for the stability limit of the first steps.

    Parameters
    ----------
    cap : float
        Highest rate.
    steps : int
        Length of the run T.
    optimizer : SGD
        Has B examples per step and input width m; its learning rate does not count. Of Adam and sign descent
        these are taken too, but the rates stay those that are best for SGD.

    Returns
    -------
    Clock

    Raises
    ------
    ValueError
        For a cap that is not positive, and steps that are not a whole number.

    Examples
    --------
    >>> from peakedtheory import SGD
    >>> print(f"{annealing(100.0, 1000, optimizer=SGD(batch=64, width=32)).rates[-1]:.3f}")
    2.897
    """
    optimizer = of_batches(optimizer)
    plan = constant(positive_number("cap", cap), steps)
    rho, remaining, final, _ = _anneal()
    u = (np.arange(plan.steps) + 0.5) / plan.steps
    end = math.exp(float(np.interp(math.log(final), np.log(rho), np.log(remaining))))
    optimal = np.array([r**2 / boundary_noise(r) for r in rho])
    shape = np.exp(np.interp(-np.log(u * end), -np.log(remaining), np.log(optimal)))
    rates = np.minimum(optimizer.batch / optimizer.width * shape, cap)
    return Clock(rates, f"annealing:cap={cap:g},steps={plan.steps}")
