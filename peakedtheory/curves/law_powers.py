"""Laws in one time: the power law in τ or in steps, its form at finite β*, and the law of two channels.

Power law: Liu et al. 2026, Eq. 20. Finite β*: docs/dynamics.md, Eq. 26. Two channels: the radial and
tangential losses of Lee et al. 2026, whose tangential part is proportional to the learning rate.
"""

from __future__ import annotations

import numpy as np

from peakedtheory.curves.curve import Times
from peakedtheory.curves.law import FLOOR, Basis, Law, Parameter
from peakedtheory.dynamics.approach import approach

_AMPLITUDE = Parameter("amplitude", "c", "loss above the floor at time one (nats)")
_ALPHA = Parameter(
    "alpha", "\\alpha", "exponent of the loss in time", 1e-3, 8.0, (0.08, 0.2, 1 / 3, 0.5, 0.8, 1.5), "log"
)


def power_term(time: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return t^-α with its derivatives by α and by t."""
    logarithm = np.log(time)
    value = np.exp(-alpha * logarithm)
    return value, -logarithm * value, -alpha * value / time


def _power(times: Times, time: np.ndarray, shape: np.ndarray) -> Basis:
    value, by_alpha, by_time = power_term(time, shape[0])
    ones, zeros = np.ones_like(time), np.zeros_like(time)
    return np.stack([ones, value]), np.stack([zeros, by_alpha])[None], np.stack([zeros, by_time])


def _two_channel(times: Times, time: np.ndarray, shape: np.ndarray) -> Basis:
    radial, radial_alpha, radial_time = power_term(time, shape[0])
    tangential, tangential_alpha, tangential_time = power_term(time, shape[1])
    ones, zeros, eta = np.ones_like(time), np.zeros_like(time), times.learning_rate
    by_shape = np.stack(
        [np.stack([zeros, radial_alpha, zeros]), np.stack([zeros, zeros, eta * tangential_alpha])]
    )
    phi = np.stack([ones, radial, eta * tangential])
    return phi, by_shape, np.stack([zeros, radial_time, eta * tangential_time])


def _finite_beta_star(times: Times, time: np.ndarray, shape: np.ndarray) -> Basis:
    """φ = (1-b)²/b with artanh b - b = t/T, so db/dt = (1/b² - 1)/T."""
    span = shape[0]
    ratio = time / span
    b, left = approach(ratio)
    value = left**2 / b
    by_time = -(left * (1.0 + b) / b**2) * left * (1.0 + b) / b**2 / span
    ones, zeros = np.ones_like(time), np.zeros_like(time)
    return np.stack([ones, value]), np.stack([zeros, -ratio * by_time])[None], np.stack([zeros, by_time])


POWER = Law(
    "power",
    "power law in τ",
    "L = L_\\infty + c\\,\\tau^{-\\alpha}",
    "Liu et al. 2026, Eq. 20",
    "tau",
    (FLOOR, _AMPLITUDE),
    (_ALPHA,),
    _power,
)

POWER_STEPS = Law(
    "power-steps",
    "power law in steps",
    "L = L_\\infty + c\\,t^{-\\alpha}",
    "as Liu et al. 2026, Eq. 20, with the step count t for τ",
    "step",
    (FLOOR, _AMPLITUDE),
    (_ALPHA,),
    _power,
)

FINITE_BETA_STAR = Law(
    "finite-beta-star",
    "power law ending at β*",
    "L = L_\\infty + A\\,(1-b)^2/b,\\quad \\mathrm{artanh}\\,b - b = \\tau/T",
    "docs/dynamics.md, Eq. 26",
    "tau",
    (FLOOR, Parameter("amplitude", "A", "c2/β*, the scale of the loss above the floor (nats)")),
    (
        Parameter(
            "span",
            "T",
            "time the student takes to reach β*, n β*³/(c_eff c2)",
            1e-6,
            1e12,
            tuple(np.geomspace(1e-2, 1e6, 17)),
            "log",
        ),
    ),
    _finite_beta_star,
)

TWO_CHANNEL = Law(
    "two-channel",
    "radial and tangential power laws",
    "L = L_\\infty + c_r\\,\\tau^{-\\alpha_r} + c_t\\,\\eta\\,\\tau^{-\\alpha_t}",
    "radial and tangential losses of Lee et al. 2026",
    "tau",
    (
        FLOOR,
        Parameter("radial_amplitude", "c_r", "radial loss at τ = 1 (nats)"),
        Parameter("tangential_amplitude", "c_t", "tangential loss per unit rate at τ = 1 (nats)"),
    ),
    (
        Parameter(
            "radial_exponent",
            "\\alpha_r",
            "exponent of the radial loss in τ",
            1e-3,
            8.0,
            (0.1, 0.2, 1 / 3, 0.5, 0.8, 1.5),
            "log",
        ),
        Parameter(
            "tangential_exponent",
            "\\alpha_t",
            "exponent of the tangential loss in τ",
            -2.0,
            4.0,
            (-0.5, 0.0, 0.25, 0.5, 1.0),
        ),
    ),
    _two_channel,
    needs_annealing=True,
)
