"""Equations of Adam for θ(ω), s² and the moments of the gradient: docs/dynamics.md, Eqs. 27-32 and 49-50.

The first and second moments of every weight are variables of their own, and so are the slopes of θ, ln v and
the first moment with the norms of rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.dynamics.weights import ALONG, NODES, OMEGA, ROW, WEIGHT, Descent
from peakedtheory.kernels import weights as kernel

if TYPE_CHECKING:
    from peakedtheory.dynamics.optimizers import Adam

_THETA, _SQUARE = slice(NODES), NODES
_FIRST = slice(2 * NODES + 1, 3 * NODES + 1)
AMPLITUDE, _ROW_FIRST = 3 * NODES + 1, 3 * NODES + 3
_SIZE = 3 * NODES + 4
#: Distance from the teacher, over β*, below which training is at rest.
_REST = 1e-6
#: Least error asked for, near rounding.
_LEAST = 1e-13


class AdamEquations:
    """θ(ω), s², ln v(ω), μ(ω), and a, u, μ_a of unequal rows against ln of the steps."""

    def __init__(self, descent: Descent, optimizer: Adam) -> None:
        self._all = descent
        self._problem = descent.problem(inertia=optimizer.beta1 > 0)
        self._memories = [math.log(b) if b > 0 else None for b in (optimizer.beta2, optimizer.beta1)]
        self._slopes, self._by = np.empty(_SIZE), np.empty((_SIZE, _SIZE))
        if not optimizer.beta1:
            self.jacobian = None  # type: ignore[assignment, method-assign]

    def _pace(self, x: float) -> tuple[float, float, float, float]:
        """Step, learning rate, and the rates at which bias-corrected means forget: Eqs. 28-29.

        They reach over the last min(t, 1/(1 - β)) steps.
        """
        step = math.exp(x)
        forget, turn = (1.0 if m is None else m / math.expm1((step + 1.0) * m) for m in self._memories)
        return step, self._all.rate(step), forget, turn

    def start(self, alignment: float, square: float) -> np.ndarray:
        theta = alignment * OMEGA  # as far as D the student is its teacher
        arguments = alignment, square, 0.0, *self._problem[1:]
        found = self._all.variance.run(kernel.fill_gradient, *arguments, np.empty(4))
        pull, push, stiffness, noise = found.tolist()
        width, mean = self._all.width, pull * OMEGA
        second = (mean**2 + stiffness**2 * square) / width + noise + kernel.TINY
        uneven = (2.0 * mean * push * OMEGA / width + noise * self._all.force.sensitivity) / second
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
        theta, star = y[_THETA], self._all.force.beta_star
        alignment = float(ALONG @ theta)
        residual = max(float(y[_SQUARE]), 0.0) + float(WEIGHT @ (theta - alignment * OMEGA) ** 2)
        return math.hypot(alignment - star, math.sqrt(residual)) < _REST * star

    def rhs(self, x: float, y: np.ndarray) -> np.ndarray:
        t, *pace = self._pace(x)
        return self._all.variance.run(kernel.adam_rates, t, y, *pace, *self._problem, self._slopes)

    def jacobian(self, x: float, y: np.ndarray) -> np.ndarray:
        """Of `rhs`: what acts through the four forces, by differences, and what acts directly."""
        t, *pace = self._pace(x)
        return self._all.variance.run(kernel.adam_jacobian, t, y, *pace, *self._problem, self._by)
