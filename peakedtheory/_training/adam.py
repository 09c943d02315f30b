"""Equations of Adam for θ(ω), s² and the moments of the gradient: docs/dynamics.md, Eqs. 27-32 and 49-50.

The first and second moments of every weight are variables of their own, and so are the slopes of θ, ln v and
the first moment with the norms of rows. The equations are evaluated hundreds of times per flow on few nodes,
where plain floats are several times faster than arrays.
"""

from __future__ import annotations

import math
from math import exp
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._training.weights import (
    ALONG,
    NODES,
    OMEGA,
    OMEGAS,
    ROW,
    ROWS,
    TINY,
    WEIGHT,
    WEIGHTS,
    Descent,
    moments,
)

if TYPE_CHECKING:
    from peakedtheory.dynamics import Adam

_THETA, _SQUARE = slice(NODES), NODES
_SECOND = slice(NODES + 1, 2 * NODES + 1)
_FIRST = slice(2 * NODES + 1, 3 * NODES + 1)
AMPLITUDE, _SLOPE, _ROW_FIRST = range(3 * NODES + 1, 3 * NODES + 4)
_SIZE = 3 * NODES + 4
#: Largest |ln v| of which the exponential is taken, in trial states.
_BOUND = 1400.0
#: Distance from the teacher, over β*, below which training is at rest.
_REST = 1e-6
#: Least error asked for, near rounding.
_LEAST = 1e-13


def _places() -> np.ndarray:
    """Flat indices of what `AdamEquations.jacobian` lists as direct: of each node, and of the rest."""
    pairs = []
    for i in range(NODES):
        theta, second, first = i, NODES + 1 + i, 2 * NODES + 1 + i
        pairs += [(theta, theta), (theta, second), (theta, first), (_SQUARE, second)]
        pairs += [(second, theta), (second, _SQUARE), (second, second), (first, theta), (first, first)]
        pairs += [(AMPLITUDE, second), (AMPLITUDE, first), (_SLOPE, theta), (_SLOPE, second)]
    pairs += [(_SQUARE, _SQUARE), (AMPLITUDE, AMPLITUDE), (AMPLITUDE, _SLOPE), (AMPLITUDE, _ROW_FIRST)]
    pairs += [(_SLOPE, _SQUARE), (_SLOPE, _SLOPE), (_ROW_FIRST, _ROW_FIRST)]
    return np.array([row * _SIZE + column for row, column in pairs])


_PLACES = _places()


class AdamEquations:
    """θ(ω), s², ln v(ω), μ(ω), and a, u, μ_a of unequal rows against ln of the steps."""

    def __init__(self, descent: Descent, optimizer: Adam) -> None:
        self._all, self._inertia = descent, bool(optimizer.beta1)
        self._memories = [math.log(b) if b > 0 else None for b in (optimizer.beta2, optimizer.beta1)]
        if not self._inertia:
            self.jacobian = None  # type: ignore[assignment, method-assign]

    def _forget(self, step: float) -> list[float]:
        """Rates at which bias-corrected means, over the last min(t, 1/(1 - β)) steps, forget: Eqs. 28-29."""
        return [1.0 if m is None else m / math.expm1((step + 1.0) * m) for m in self._memories]

    def start(self, alignment: float, square: float) -> np.ndarray:
        theta = alignment * OMEGA
        _, across, residual = moments(theta.tolist(), square)
        pull, push, stiffness, noise = self._all.gradient(alignment, residual, 0.0)
        mean = pull * OMEGA - stiffness * np.array(across)
        second = (mean**2 + stiffness**2 * square) / self._all.width + noise + TINY
        uneven = (2.0 * mean * push * OMEGA / self._all.width + noise * self._all.force.sensitivity) / second
        return np.concatenate([theta, [square], np.log(second), mean, [0.0, float(ROW @ uneven), push]])

    def tolerance(self, start: np.ndarray, relative: float) -> np.ndarray:
        """Errors allowed where a variable is near zero, in units of the first step and the first gradient."""
        step = self._all.rate(0.0) * math.sqrt(self._all.width)
        out = np.full(_SIZE, relative)
        out[_THETA], out[_SQUARE], out[AMPLITUDE] = (
            1e-3 * relative * step,
            1e-3 * relative * step**2,
            relative * step,
        )
        out[_FIRST] = 0.1 * relative * np.abs(start[_FIRST])
        out[_ROW_FIRST] = 10.0 * relative * abs(start[_ROW_FIRST])
        return np.maximum(out, _LEAST)

    def at_rest(self, y: np.ndarray) -> bool:
        """Whether the student is its teacher, but for rounding, which Adam would blow up."""
        alignment, _, residual = moments(y[_THETA].tolist(), max(float(y[_SQUARE]), 0.0))
        star = self._all.force.beta_star
        return math.hypot(alignment - star, math.sqrt(residual)) < _REST * star

    def rhs(self, x: float, y: np.ndarray) -> list[float]:
        force, _, _, rate, decay, m = self._all
        t = math.exp(x)
        values = y.tolist()
        theta, seconds, firsts = values[_THETA], values[_SECOND], values[_FIRST]
        square = values[_SQUARE] if values[_SQUARE] > 0.0 else 0.0
        amplitude, slope, row_first = values[AMPLITUDE:]
        alignment, across, residual = moments(theta, square)
        pull, push, stiffness, noise = self._all.gradient(alignment, residual, amplitude)
        eta = rate(t)
        forget, turn = self._forget(t)
        pace, lost, forget, turn = t * eta, t * eta * decay, t * forget, t * turn
        inertia, each, tilted = self._inertia, 1.0 / m, 2.0 * push / m
        common = stiffness * stiffness * square * each + noise + TINY
        uneven = noise * force.sensitivity
        if min(seconds) < -_BOUND:
            seconds = [max(second, -_BOUND) for second in seconds]
        moves, second_rates, first_rates = [], [], []
        damping = variance = moved = row_damping = gained = kept = 0.0
        for omega, w, row, value, off, second, first in zip(
            OMEGAS, WEIGHTS, ROWS, theta, across, seconds, firsts, strict=True
        ):
            mean = pull * omega - stiffness * off
            inverse = exp(-0.5 * second)
            step = (first if inertia else mean) * inverse
            moves.append(pace * step - lost * value)
            moved += w * omega * step
            damping += w * inverse
            row_damping += row * inverse
            inverse *= inverse
            variance += w * inverse
            ratio = (mean * mean * each + common) * inverse
            second_rates.append(forget * (ratio - 1.0))
            gained += row * inverse * (tilted * omega * mean + uneven)
            kept += row * ratio
            first_rates.append(turn * (mean - first))
        return [
            *moves,
            pace * (eta * m * noise * variance - 2.0 * stiffness * damping * square) - 2.0 * lost * square,
            *second_rates,
            *first_rates,
            pace * ((row_first if inertia else push) * row_damping - 0.5 * slope * moved) - lost * amplitude,
            forget * (gained - slope * kept),
            turn * (push - row_first),
        ]

    def jacobian(self, x: float, y: np.ndarray) -> np.ndarray:
        """Of `rhs`: what acts through the four forces, by differences, and what acts directly."""
        force, _, _, rate, decay, m = self._all
        t = math.exp(x)
        eta = rate(t)
        forget, turn = self._forget(t)
        values = y.tolist()
        theta, seconds, firsts = values[_THETA], values[_SECOND], values[_FIRST]
        square = values[_SQUARE] if values[_SQUARE] > 0.0 else 0.0
        amplitude, slope, row_first = values[AMPLITUDE:]
        alignment, across, residual = moments(theta, square)
        (pull, push, stiffness, noise), by = self._differences(alignment, residual, amplitude)
        reach = np.zeros((3, _SIZE))
        reach[0, _THETA], reach[1, _THETA] = ALONG, 2.0 * WEIGHT * across
        reach[1, _SQUARE] = reach[2, AMPLITUDE] = 1.0

        each, own = 1.0 / m, stiffness * square / m
        uneven = noise * force.sensitivity
        direct: list[float] = []
        through, turned = [], []  # derivatives of ln v and of μ with dD/dτ, da/dτ, k and the noise
        damping = variance = moved = row_damping = rows = kept = 0.0
        by_pull = by_push = by_stiffness = 0.0
        for omega, w, row, off, second, first in zip(
            OMEGAS, WEIGHTS, ROWS, across, seconds, firsts, strict=True
        ):
            mean = pull * omega - stiffness * off
            inverse = exp(-0.5 * max(second, -_BOUND))
            over = inverse * inverse
            ratio = ((mean * mean + stiffness * stiffness * square) * each + noise + TINY) * over
            damping, variance = damping + w * inverse, variance + w * over
            grown, seen = eta * w * omega * inverse, forget * row * over
            moved, row_damping = moved + grown * first, row_damping + grown * omega
            rows, kept = rows + seen, kept + forget * row * ratio
            by_mean = 2.0 * each * forget * over * mean
            tilt = 2.0 * each * seen * (push * omega - slope * mean)
            by_pull, by_push = by_pull + tilt * omega, by_push + 2.0 * each * seen * mean * omega
            by_stiffness -= tilt * off + 2.0 * slope * seen * own
            through.append((by_mean * omega, 0.0, 2.0 * own * forget * over - by_mean * off, forget * over))
            turned.append((turn * omega, 0.0, -turn * off, 0.0))
            direct += (
                -eta * decay,
                -0.5 * eta * first * inverse,
                eta * inverse,
                eta * w * (square * stiffness * inverse - eta * m * noise * over),
                -stiffness * by_mean,
                forget * over * stiffness * stiffness * each,
                -forget * ratio,
                -turn * stiffness,
                -turn,
                grown * (0.25 * slope * first - 0.5 * row_first * omega),
                -0.5 * slope * grown,
                -stiffness * tilt,
                -seen * (2.0 * each * mean * push * omega + uneven) + slope * forget * row * ratio,
            )
        direct += (-2.0 * eta * (stiffness * damping + decay), -eta * decay, -0.5 * moved, row_damping)
        direct += (-slope * rows * stiffness * stiffness * each, -kept, -turn)
        acts = np.zeros((_SIZE, 4))
        acts[_SQUARE] = 0.0, 0.0, -2.0 * eta * square * damping, eta * eta * m * variance
        acts[_SECOND], acts[_FIRST] = through, turned
        acts[_SLOPE] = by_pull, by_push, by_stiffness, (force.sensitivity - slope) * rows
        acts[_ROW_FIRST, 1] = turn
        out = acts @ (by @ reach)
        out.ravel()[_PLACES] += direct
        out *= t
        return out

    def _differences(
        self, alignment: float, residual: float, amplitude: float
    ) -> tuple[tuple[float, float, float, float], np.ndarray]:
        """Return the four forces and their derivatives with D, ρ² and a; with D that of dD/dτ + kD."""
        gradient = self._all.gradient
        now = gradient(alignment, residual, amplitude)
        steps = 1e-7 * abs(alignment) + 1e-9, 1e-7 * residual + 1e-12, 1e-7 * abs(amplitude) + 1e-9
        moved = (
            gradient(alignment + steps[0], residual, amplitude),
            gradient(alignment, residual + steps[1], amplitude),
            gradient(alignment, residual, amplitude + steps[2]),
        )
        by = ((np.array(moved) - now) / np.array(steps)[:, None]).T
        by[0, 0] += now[2]
        return now, by
