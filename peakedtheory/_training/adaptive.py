"""Flows of Adam and sign descent: every weight moves by its gradient over its own root mean square.

A weight is θ/√m with teacher entry ω/√m, ω uniform of unit variance, so the student is a function θ(ω),
followed on Gauss-Legendre nodes, plus independent noise of variance s²; the running first and second moments
of the gradient are variables of their own, and under Adam so are the slopes of θ, ln v and μ with the norms
of rows (docs/dynamics.md, Eqs. 27-33 and 46-50). Time is counted in steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from peakedtheory._training.flow import around, integrate, integrate_implicitly, observed, piecewise_linear
from peakedtheory._training.mean_sign import sign_table
from peakedtheory._training.noise import NoiseTable, noise_table
from peakedtheory.schedules import Schedule

if TYPE_CHECKING:
    from peakedtheory._training.finite_width import WideForce
    from peakedtheory.dynamics import Adam, SignGD

_NODES = 6
_SECOND = slice(_NODES + 1, 2 * _NODES + 1)
_FIRST = slice(2 * _NODES + 1, 3 * _NODES + 1)
_ROWS = slice(3 * _NODES + 1, 3 * _NODES + 4)
_AMPLITUDE = 3 * _NODES + 1
_RTOL, _ATOL = 1e-6, 1e-13
#: Distance from the teacher, over β*, below which training is at rest.
_REST = 1e-6
#: Square of Adam's own ε, 1e-8; without it steps grow without bound where all of the gradient has vanished.
_TINY = 1e-16


def _forget(decay: float, step: float) -> float:
    """Rate at which a bias-corrected running mean, over the last min(t, 1/(1 - decay)) steps, forgets."""
    return math.log(decay) / math.expm1((step + 1.0) * math.log(decay)) if decay > 0 else 1.0


def _teacher_entries() -> tuple[np.ndarray, np.ndarray]:
    """Nodes ω > 0 and weights of the uniform entries of unit variance; θ is odd in ω."""
    x, w = np.polynomial.legendre.leggauss(2 * _NODES)
    return math.sqrt(3.0) * x[_NODES:], w[_NODES:] / w[_NODES:].sum()


_OMEGA, _WEIGHT = _teacher_entries()
_ENTRIES = list(zip(_OMEGA.tolist(), _WEIGHT.tolist(), strict=True))


def _in_steps(
    tau: np.ndarray, constant: float, plan: Schedule | None
) -> tuple[np.ndarray, Callable[[float], float]]:
    """Return the steps at which τ is reached, and the learning rate as a function of the step."""
    if plan is None:
        return tau / constant, lambda t: constant
    steps = np.interp(tau, plan.tau, np.arange(plan.steps + 1.0))
    return steps, piecewise_linear(np.arange(plan.steps) + 0.5, plan.rates)


class _Descent(NamedTuple):
    """What both optimizers share: forces, V, 1/(nB), the learning rate at a step, decay and width."""

    force: WideForce
    variance: NoiseTable
    per_weight: float
    rate: Callable[[float], float]
    decay: float
    width: float

    def gradient(
        self, alignment: float, residual: float, amplitude: float
    ) -> tuple[float, float, float, float]:
        """dD/dτ, da/dτ, the rate k, and the gradient variance of one weight (Eq. 27)."""
        pull, push, stiffness, ratio = self.force.forces(alignment, residual, amplitude)
        return pull, push, stiffness, ratio * self.variance(alignment, math.sqrt(residual)) * self.per_weight


def _moments(theta: list[float], square: float) -> tuple[float, list[float], float]:
    """D, the deviations θ - Dω, and ρ²."""
    alignment = 0.0
    for (omega, w), value in zip(_ENTRIES, theta, strict=True):
        alignment += w * omega * value
    across = [value - alignment * omega for (omega, _), value in zip(_ENTRIES, theta, strict=True)]
    residual = square
    for (_, w), value in zip(_ENTRIES, across, strict=True):
        residual += w * value * value
    return alignment, across, residual if residual > 0.0 else 0.0


class _Adam:
    """θ(ω), s², ln v(ω), μ(ω), and a, u, μ_a of unequal rows against ln of the steps (Eqs. 28-31, 49-50)."""

    def __init__(self, descent: _Descent, optimizer: Adam) -> None:
        self._all, self._memory, self._inertia = descent, optimizer.beta2, optimizer.beta1
        if not self._inertia:
            self.jacobian = None  # type: ignore[assignment, method-assign]

    def start(self, alignment: float, square: float) -> np.ndarray:
        theta = alignment * _OMEGA
        _, across, residual = _moments(theta.tolist(), square)
        pull, push, stiffness, noise = self._all.gradient(alignment, residual, 0.0)
        mean = pull * _OMEGA - stiffness * np.array(across)
        second = (mean**2 + stiffness**2 * square) / self._all.width + noise + _TINY
        uneven = (2.0 * mean * push * _OMEGA / self._all.width + noise * self._all.force.sensitivity) / second
        slope = float(_WEIGHT @ (_OMEGA**2 * uneven))
        return np.concatenate([theta, [square], np.log(second), mean, [0.0, slope, push]])

    def at_rest(self, y: np.ndarray) -> bool:
        """Whether the student is its teacher, but for rounding, which Adam would blow up."""
        alignment, _, residual = _moments(y[:_NODES].tolist(), float(y[_NODES]))
        star = self._all.force.beta_star
        return math.hypot(alignment - star, math.sqrt(residual)) < _REST * star

    def rhs(self, x: float, y: np.ndarray) -> list[float]:
        gradient, inertia, (force, _, _, rate, decay, m) = self._all.gradient, self._inertia, self._all
        t = math.exp(x)
        *state, amplitude, slope, row_first = y.tolist()
        theta, square = state[:_NODES], max(state[_NODES], 0.0)
        alignment, across, residual = _moments(theta, square)
        pull, push, stiffness, noise = gradient(alignment, residual, amplitude)
        eta = t * rate(t)
        forget, turn = t * _forget(self._memory, t), t * _forget(inertia, t)
        common = stiffness * stiffness * square / m + noise + _TINY
        uneven = noise * force.sensitivity
        steps, seconds, firsts = [], [], []
        damping = variance = moved = row_damping = gained = kept = 0.0
        for (omega, w), value, off, second, first in zip(
            _ENTRIES, theta, across, state[_SECOND], state[_FIRST], strict=True
        ):
            mean = pull * omega - stiffness * off
            inverse = math.exp(-0.5 * min(max(second, -1400.0), 1400.0))
            step = (first if inertia else mean) * inverse
            steps.append(eta * (step - decay * value))
            damping += w * inverse
            moved += w * omega * step
            row = w * omega * omega
            row_damping += row * inverse
            inverse *= inverse
            variance += w * inverse
            ratio = (mean * mean / m + common) * inverse
            seconds.append(forget * (ratio - 1.0))
            gained += row * inverse * (2.0 * mean * push * omega / m + uneven)
            kept += row * ratio
            firsts.append(turn * (mean - first) if inertia else 0.0)
        loss = 2.0 * eta * square * (stiffness * damping + decay)
        drive = row_first if inertia else push
        rows = [
            eta * (drive * row_damping - 0.5 * slope * moved - decay * amplitude),
            forget * (gained - slope * kept),
            turn * (push - row_first) if inertia else 0.0,
        ]
        return [*steps, eta * rate(t) * m * noise * variance - loss, *seconds, *firsts, *rows]

    def jacobian(self, x: float, y: np.ndarray) -> np.ndarray:
        """Of `rhs`; the forces and the noise are differentiated by differences in D, ρ² and a."""
        gradient, (force, _, _, rate, decay, m) = self._all.gradient, self._all
        t = math.exp(x)
        eta = rate(t)
        forget, turn = _forget(self._memory, t), _forget(self._inertia, t)
        square, first = max(float(y[_NODES]), 0.0), y[_FIRST]
        amplitude, slope, row_first = y[_ROWS].tolist()
        alignment, deviations, residual = _moments(y[:_NODES].tolist(), square)
        across = np.array(deviations)
        now = np.array(gradient(alignment, residual, amplitude))
        pull, push, stiffness, noise = now
        # Derivatives of dD/dτ, da/dτ, k and noise with all variables.
        by = np.zeros((4, y.size))
        step = 1e-7 * abs(alignment) + 1e-9
        by_alignment = (np.array(gradient(alignment + step, residual, amplitude)) - now) / step
        by[:, :_NODES] = np.outer(by_alignment, _WEIGHT * _OMEGA)
        step = 1e-7 * residual + 1e-12
        by_residual = (np.array(gradient(alignment, residual + step, amplitude)) - now) / step
        by[:, :_NODES] += np.outer(by_residual, 2.0 * _WEIGHT * across)
        by[:, _NODES] = by_residual
        step = 1e-7 * abs(amplitude) + 1e-9
        by[:, _AMPLITUDE] = (np.array(gradient(alignment, residual, amplitude + step)) - now) / step
        by_pull, by_push, by_stiffness, by_noise = by

        mean = pull * _OMEGA - stiffness * across
        by_mean = np.outer(_OMEGA, by_pull) - np.outer(across, by_stiffness)
        by_mean[:, :_NODES] += stiffness * (np.outer(_OMEGA, _WEIGHT * _OMEGA) - np.eye(_NODES))
        inverse = np.exp(-0.5 * np.clip(y[_SECOND], -1400.0, 1400.0))
        damping, variance = _WEIGHT @ inverse, _WEIGHT @ inverse**2
        ratio = (mean**2 + stiffness**2 * square) / m + noise + _TINY
        by_ratio = 2.0 / m * mean[:, None] * by_mean + 2.0 * stiffness * square / m * by_stiffness + by_noise
        by_ratio[:, _NODES] += stiffness**2 / m
        row = _WEIGHT * _OMEGA**2 * inverse**2
        uneven = 2.0 / m * mean * push * _OMEGA + noise * force.sensitivity
        by_uneven = 2.0 / m * _OMEGA[:, None] * (push * by_mean + mean[:, None] * by_push)
        by_uneven += force.sensitivity * by_noise

        out = np.zeros((y.size, y.size))
        i = np.arange(_NODES)
        second, third = i + _NODES + 1, i + 2 * _NODES + 1
        out[i, second], out[i, third] = -0.5 * eta * first * inverse, eta * inverse
        out[i, i] -= eta * decay
        out[_NODES] = eta**2 * m * variance * by_noise - 2.0 * eta * square * damping * by_stiffness
        out[_NODES, _NODES] -= 2.0 * eta * (stiffness * damping + decay)
        out[_NODES, second] += eta * _WEIGHT * inverse * (square * stiffness - eta * m * noise * inverse)
        out[_SECOND] = forget * inverse[:, None] ** 2 * by_ratio
        out[second, second] -= forget * ratio * inverse**2
        out[_FIRST] = turn * by_mean
        out[third, third] -= turn
        a, u, row_mean = _AMPLITUDE, _AMPLITUDE + 1, _AMPLITUDE + 2
        moved = _WEIGHT * _OMEGA * inverse
        out[a, third], out[a, row_mean] = -0.5 * eta * slope * moved, eta * moved @ _OMEGA
        out[a, second] = eta * moved * (0.25 * slope * first - 0.5 * row_first * _OMEGA)
        out[a, u], out[a, a] = -0.5 * eta * moved @ first, -eta * decay
        out[u] = forget * (row @ (by_uneven - slope * by_ratio))
        out[u, second] -= forget * row * (uneven - slope * ratio)
        out[u, u] -= forget * row @ ratio
        out[row_mean] = turn * by_push
        out[row_mean, row_mean] -= turn
        return t * out


class _Signs:
    """θ(ω) and s² against ln of the step count; a step is the mean sign of a sum of few terms (Eq. 48)."""

    def __init__(self, descent: _Descent, batch: float) -> None:
        self._all = descent
        self._ratios = sign_table(int(descent.force.n), descent.force.beta_star, batch)

    def start(self, alignment: float, square: float) -> np.ndarray:
        return np.append(alignment * _OMEGA, square)

    def _pull(self, alignment: float, residual: float) -> tuple[float, float]:
        """√m times the mean of a weight's gradient over its spread, per ω and per weight across."""
        pull, _, stiffness, noise = self._all.gradient(alignment, residual, 0.0)
        bare, rate = self._all.force.gaussian(alignment, residual)
        along, across = self._ratios(alignment, math.sqrt(residual))
        return along + (pull - bare) / math.sqrt(noise + _TINY), across * stiffness / rate

    def rhs(self, x: float, y: np.ndarray) -> list[float]:
        m, decay = self._all.width, self._all.decay
        t = math.exp(x)
        *theta, square = y.tolist()
        square = max(square, 0.0)
        alignment, across, residual = _moments(theta, square)
        pull, stiffness = self._pull(alignment, residual)
        eta = self._all.rate(t)
        scale = 1.0 / math.sqrt(2.0 * (m + stiffness * stiffness * square))
        damping = variance = 0.0
        steps = []
        for (omega, w), value, off in zip(_ENTRIES, theta, across, strict=True):
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
    descent = _Descent(force, table, 1.0 / (force.n * optimizer.batch), rate, decay, float(optimizer.width))
    run = (
        _Adam(descent, optimizer) if isinstance(optimizer, Adam) else _Signs(descent, float(optimizer.batch))
    )
    origin = 1e-2
    grid = np.log(np.maximum(step_of, 0.0) + origin)
    start = run.start(alignment0, residual0**2)
    tolerance = {"rtol": _RTOL, "atol": _ATOL}
    if isinstance(run, _Adam):
        y = integrate(run.rhs, start, grid, math.log(origin), run.jacobian, **tolerance, at_rest=run.at_rest)
    else:
        y = integrate_implicitly(run.rhs, start, grid, math.log(origin), **tolerance)
    theta = y[:, :_NODES]
    alignment = theta @ (_WEIGHT * _OMEGA)
    across = theta - alignment[:, None] * _OMEGA
    square = np.maximum(across**2 @ _WEIGHT + y[:, _NODES], 0.0)
    none = np.zeros(times.size)
    amplitude = y[:, _AMPLITUDE] if isinstance(run, _Adam) else none
    losses = force.losses(alignment, square, amplitude, none)
    return observed(times, losses, alignment, square, math.sqrt(force.variance) * np.abs(amplitude))
