"""Flows of Adam and sign descent: every weight moves by its gradient over its own root mean square.

Here are the equations of sign descent (docs/dynamics.md, Eqs. 33 and 46-48) and the solution of both; those
of Adam are in `_training.adam`. Time is counted in steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._training.adam import AMPLITUDE, AdamEquations
from peakedtheory._training.flow import around, integrate_implicitly, observed, piecewise_linear
from peakedtheory._training.mean_sign import sign_table
from peakedtheory._training.noise import noise_table
from peakedtheory._training.weights import (
    ALONG,
    NODES,
    OMEGA,
    OMEGAS,
    TINY,
    WEIGHT,
    WEIGHTS,
    Descent,
    moments,
)
from peakedtheory.schedules import Schedule

if TYPE_CHECKING:
    from peakedtheory._training.finite_width import WideForce
    from peakedtheory.dynamics import Adam, SignGD

#: Relative and absolute errors per step of sign descent, and the relative one of Adam.
_RTOL, _ATOL, _RTOL_ADAM = 1e-6, 1e-13, 2e-6


def _in_steps(
    tau: np.ndarray, constant: float, plan: Schedule | None
) -> tuple[np.ndarray, Callable[[float], float]]:
    """Return the steps at which τ is reached, and the learning rate as a function of the step."""
    if plan is None:
        return tau / constant, lambda t: constant
    steps = np.interp(tau, plan.tau, np.arange(plan.steps + 1.0))
    return steps, piecewise_linear(np.arange(plan.steps) + 0.5, plan.rates)


class _Signs:
    """θ(ω) and s² against ln of the step count; a step is the mean sign of a sum of few terms (Eq. 48)."""

    def __init__(self, descent: Descent, batch: float) -> None:
        self._all = descent
        self._ratios = sign_table(int(descent.force.n), descent.force.beta_star, batch)

    def start(self, alignment: float, square: float) -> np.ndarray:
        return np.append(alignment * OMEGA, square)

    def _pull(self, alignment: float, residual: float) -> tuple[float, float]:
        """√m times the mean of a weight's gradient over its spread, per ω and per weight across."""
        pull, _, stiffness, noise = self._all.gradient(alignment, residual, 0.0)
        bare, rate = self._all.force.gaussian(alignment, residual)
        along, across = self._ratios(alignment, math.sqrt(residual))
        return along + (pull - bare) / math.sqrt(noise + TINY), across * stiffness / rate

    def rhs(self, x: float, y: np.ndarray) -> list[float]:
        m, decay = self._all.width, self._all.decay
        t = math.exp(x)
        *theta, square = y.tolist()
        square = max(square, 0.0)
        alignment, across, residual = moments(theta, square)
        pull, stiffness = self._pull(alignment, residual)
        eta = self._all.rate(t)
        scale = 1.0 / math.sqrt(2.0 * (m + stiffness * stiffness * square))
        damping = variance = 0.0
        steps = []
        for omega, w, value, off in zip(OMEGAS, WEIGHTS, theta, across, strict=True):
            ratio = (pull * omega - stiffness * off) * scale
            sign = math.erf(ratio)
            steps.append(t * eta * (math.sqrt(m) * sign - decay * value))
            damping += w * math.exp(-min(ratio * ratio, 700.0))
            variance += w * (1.0 - sign * sign)
        damping *= 2.0 / math.sqrt(math.pi) * math.sqrt(m) * scale * stiffness
        return [*steps, t * eta * (eta * m * variance - 2.0 * square * (damping + decay))]


def adaptive_flow(
    tau: np.ndarray,
    force: WideForce,
    optimizer: Adam | SignGD,
    alignment0: float,
    residual0: float,
    decay: float,
    plan: Schedule | None,
) -> tuple[np.ndarray, ...]:
    """Solve for the student; returns the fields of `StudentFlow` from beta on."""
    from peakedtheory.dynamics import Adam

    end = math.inf if plan is None else float(plan.tau[-1])
    times = around(tau, end)
    step_of, rate = _in_steps(times, optimizer.learning_rate, plan)
    table = noise_table(int(force.n), force.beta_star)
    descent = Descent(force, table, 1.0 / (force.n * optimizer.batch), rate, decay, float(optimizer.width))
    run = (
        AdamEquations(descent, optimizer)
        if isinstance(optimizer, Adam)
        else _Signs(descent, float(optimizer.batch))
    )
    origin = 1e-2
    grid = np.log(np.maximum(step_of, 0.0) + origin)
    start = run.start(alignment0, residual0**2)
    if isinstance(run, AdamEquations):
        y = integrate_implicitly(
            run.rhs,
            start,
            grid,
            math.log(origin),
            run.jacobian,
            rtol=_RTOL_ADAM,
            atol=run.tolerance(start, _RTOL_ADAM),
            at_rest=run.at_rest,
        )
    else:
        y = integrate_implicitly(run.rhs, start, grid, math.log(origin), rtol=_RTOL, atol=_ATOL)
    theta = y[:, :NODES]
    alignment = theta @ ALONG
    across = theta - alignment[:, None] * OMEGA
    square = np.maximum(across**2 @ WEIGHT + y[:, NODES], 0.0)
    none = np.zeros(times.size)
    amplitude = y[:, AMPLITUDE] if isinstance(run, AdamEquations) else none
    losses = force.losses(alignment, square, amplitude, none)
    return observed(times, losses, alignment, square, math.sqrt(force.variance) * np.abs(amplitude))
