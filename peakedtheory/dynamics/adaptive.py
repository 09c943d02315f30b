"""Flows of Adam and sign descent: every weight moves by its gradient over its own root mean square.

Here are the equations of sign descent (docs/dynamics.md, Eqs. 33 and 46-48) and the solution of both; those
of Adam are in `dynamics.adam`. Time is counted in steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.dynamics.adam import AMPLITUDE, AdamEquations
from peakedtheory.dynamics.integration import around, integrate_implicitly, observed, piecewise_linear
from peakedtheory.dynamics.mean_sign import sign_table
from peakedtheory.dynamics.noise import noise_table
from peakedtheory.dynamics.weights import ALONG, NODES, OMEGA, WEIGHT, Descent
from peakedtheory.kernels import weights as kernel
from peakedtheory.schedules.clock import Clock

if TYPE_CHECKING:
    from peakedtheory.dynamics.finite_width import WideForce
    from peakedtheory.dynamics.optimizers import Adam, SignGD

#: Relative and absolute errors per step of sign descent, and the relative one of Adam.
_RTOL, _ATOL, _RTOL_ADAM = 1e-6, 1e-13, 2e-6


def _in_steps(
    tau: np.ndarray, constant: float, plan: Clock | None
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
        self._signs = sign_table(int(descent.force.n), descent.force.beta_star, batch)
        nodes, constants, *tables = descent.problem(inertia=False)
        noise = descent.variance.tables
        self._problem = nodes, constants, *self._signs.tables, descent.force.infinite, *tables, *noise
        self._slopes = np.empty(NODES + 1)

    def start(self, alignment: float, square: float) -> np.ndarray:
        return np.append(alignment * OMEGA, square)

    def rhs(self, x: float, y: np.ndarray) -> np.ndarray:
        t = math.exp(x)
        arguments = t, y, self._all.rate(t), *self._problem, self._slopes
        while True:
            noise, signs = kernel.sign_rates(*arguments)
            if noise >= 0:
                self._all.variance.fill(noise)
            if signs >= 0:
                self._signs.fill(signs)
            if max(noise, signs) < 0:
                return self._slopes


def adaptive_flow(
    tau: np.ndarray,
    force: WideForce,
    optimizer: Adam | SignGD,
    alignment0: float,
    residual0: float,
    decay: float,
    plan: Clock | None,
) -> tuple[np.ndarray, ...]:
    """Solve for the student; returns the fields of `StudentFlow` from beta on."""
    from peakedtheory.dynamics.optimizers import Adam

    end = math.inf if plan is None else float(plan.tau[-1])
    times = around(tau, end)
    step_of, rate = _in_steps(times, optimizer.learning_rate, plan)
    table = noise_table(int(force.n), force.beta_star)
    descent = Descent(force, table, optimizer.batch, rate, decay, float(optimizer.width))
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
