"""Flows of Adam and sign descent: every weight moves by its gradient over its own root mean square.

A weight is θ/√m with teacher entry ω/√m, ω uniform of unit variance, so the student is a function θ(ω),
followed on
Gauss-Legendre nodes, plus independent noise of variance s²; the running first and second moments
of the gradient are variables of their own (docs/dynamics.md, Eqs. 27-33). Time is counted in steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import erf

from peakedtheory._training.finite_width import log_slope
from peakedtheory._training.flow import integrate
from peakedtheory._training.noise import noise_table
from peakedtheory.schedules import Schedule

if TYPE_CHECKING:
    from peakedtheory._training.finite_width import WideForce
    from peakedtheory.dynamics import Adam, SignGD

_NODES = 6
_SECOND = slice(_NODES + 1, 2 * _NODES + 1)
_FIRST = slice(2 * _NODES + 1, 3 * _NODES + 1)


def _forget(decay: float, step: float) -> float:
    """Rate at which a bias-corrected running mean, over the last min(t, 1/(1 - decay)) steps, forgets."""
    return math.log(decay) / math.expm1((step + 1.0) * math.log(decay)) if decay > 0 else 1.0


def _teacher_entries() -> tuple[np.ndarray, np.ndarray]:
    """Nodes ω > 0 and weights of the uniform entries of unit variance; θ is odd in ω."""
    x, w = np.polynomial.legendre.leggauss(2 * _NODES)
    return math.sqrt(3.0) * x[_NODES:], w[_NODES:] / w[_NODES:].sum()


def _in_steps(
    tau: np.ndarray, constant: float, plan: Schedule | None
) -> tuple[np.ndarray, Callable[[float], float]]:
    """Return the steps at which τ is reached, and the learning rate as a function of the step."""
    if plan is None:
        return tau / constant, lambda t: constant
    middles, heights = np.arange(plan.steps) + 0.5, plan.rates
    steps = np.interp(tau, plan.tau, np.arange(plan.steps + 1.0))
    return steps, lambda t: float(np.interp(t, middles, heights))


def adaptive_flow(
    tau: np.ndarray,
    force: WideForce,
    optimizer: Adam | SignGD,
    alignment0: float,
    residual0: float,
    decay: float,
    plan: Schedule | None,
) -> tuple[np.ndarray, ...]:
    """Solve for θ(ω), s², ln v(ω) and the first moment μ(ω) against ln of the step count."""
    from peakedtheory.dynamics import Adam

    table = noise_table(int(force.n), force.beta_star)
    omega, weight = _teacher_entries()
    n, m = force.n, float(optimizer.width)
    per_weight = 1.0 / (n * optimizer.batch)
    signs = not isinstance(optimizer, Adam)
    memory, inertia = (0.0, 0.0) if signs else (optimizer.beta2, optimizer.beta1)  # type: ignore[union-attr]
    step_of, rate = _in_steps(tau, optimizer.learning_rate, plan)

    def moments(theta: np.ndarray, square: float) -> tuple[float, float]:
        alignment = float(weight @ (omega * theta))
        return alignment, max(float(weight @ (theta - alignment * omega) ** 2) + square, 0.0)

    def gradients(theta: np.ndarray, square: float) -> tuple[np.ndarray, float, float]:
        """√m times the mean gradient at each ω, the stiffness k, and the gradient variance of one weight."""
        alignment, residual = moments(theta, square)
        pull, stiffness, ratio = force.rates(alignment, residual)
        # Φ'(β*) ω - Φ'(β) θ/β, over n, split so that nothing cancels along the teacher.
        mean = pull * omega - stiffness * (theta - alignment * omega)
        noise = ratio * table(max(alignment, 0.0), math.sqrt(residual)) * per_weight
        return mean, stiffness, noise

    def response(
        mean: np.ndarray, stiffness: float, noise: float, square: float, second: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """√m times the mean step per unit rate, the decay of independent noise, the variance of a step."""
        if signs:
            spread = math.sqrt(2.0 * (noise + stiffness**2 * square / m) + 1e-300)
            step = erf(mean / math.sqrt(m) / spread)
            slope = (
                2.0
                / math.sqrt(math.pi)
                / spread
                * np.exp(-np.minimum((mean / math.sqrt(m) / spread) ** 2, 700.0))
            )
            return math.sqrt(m) * step, stiffness * slope, 1.0 - step**2
        root = np.sqrt(second)
        return mean / root, stiffness / root, noise / second

    def second_moment(mean: np.ndarray, stiffness: float, noise: float, square: float) -> np.ndarray:
        return (mean**2 + stiffness**2 * square) / m + noise + 1e-60

    def rhs(x: float, y: np.ndarray) -> np.ndarray:
        t = math.exp(x)
        theta, square = y[:_NODES], max(float(y[_NODES]), 0.0)
        mean, stiffness, noise = gradients(theta, square)
        second = np.exp(np.clip(y[_SECOND], -700.0, 700.0))
        drive = y[_FIRST] if inertia > 0 else mean
        step, damping, variance = response(drive, stiffness, noise, square, second)
        eta = rate(t)
        out = np.empty_like(y)
        out[:_NODES] = eta * (step - decay * theta)
        out[_NODES] = -2.0 * eta * square * (float(weight @ damping) + decay) + eta**2 * m * float(
            weight @ variance
        )
        out[_SECOND] = 0.0
        if not signs:
            out[_SECOND] = _forget(memory, t) * (second_moment(mean, stiffness, noise, square) / second - 1.0)
        out[_FIRST] = _forget(inertia, t) * (mean - y[_FIRST]) if inertia > 0 else 0.0
        return t * out

    theta0 = alignment0 * omega
    start_square = residual0**2
    mean, stiffness, noise = gradients(theta0, start_square)
    second = second_moment(mean, stiffness, noise, start_square)
    start = np.concatenate([theta0, [start_square], np.log(second), mean])
    origin = 1e-2
    grid = np.log(np.maximum(step_of, 0.0) + origin)
    y = integrate(rhs, start, grid, math.log(origin))

    def losses(states: np.ndarray) -> np.ndarray:
        alignment, square = np.array([moments(row[:_NODES], float(row[_NODES])) for row in states]).T
        return force.losses(alignment, square, np.zeros(square.size), np.zeros(square.size))

    # Along the run dτ = η dt.
    speed = [math.exp(x) * max(rate(math.exp(x)), 1e-300) for x in grid]
    steps = np.array([1e-4 * t / v * rhs(x, row) for t, v, x, row in zip(tau, speed, grid, y, strict=True)])
    radial, tangential = losses(y)
    alignment, square = np.array([moments(row[:_NODES], float(row[_NODES])) for row in y]).T
    beta, still = np.sqrt(alignment**2 + square), np.zeros(tau.size)
    exponent = log_slope(losses, y, steps)
    return beta, alignment, np.sqrt(square), radial + tangential, radial, tangential, exponent, still
