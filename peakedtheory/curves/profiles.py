"""Intervals by profiles: the objective minimised over all other parameters, up to a threshold.

The threshold is scaled to the covariance with correlated residuals (`curves.uncertainty`).
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from peakedtheory.curves.solver import Problem, Solution, improve
from peakedtheory.curves.uncertainty import free_parameters


def profile_interval(
    problem: Problem, solution: Solution, index: int, spread: float, quantile: float
) -> tuple[float, float]:
    """Return where the profile of u[index] crosses its threshold, to both sides.

    Parameters
    ----------
    spread : float
        Standard error of u[index] with correlated residuals.
    quantile : float
        How many standard errors the interval would reach if the profile were a parabola.
    """
    free = free_parameters(problem, solution.u)
    free[index] = True
    jacobian = solution.jacobian[:, free]
    curvature = jacobian.T @ (problem.weights(solution.residual)[:, None] * jacobian)
    inverse = np.linalg.pinv(curvature, rcond=1e-13, hermitian=True)
    column = np.zeros(solution.u.size)
    column[free] = inverse[:, int(free[:index].sum())]
    ridge = column / column[index]
    threshold = 0.5 * (quantile * spread) ** 2 / column[index]
    low, high = (
        _crossing(problem, solution, index, ridge, sign * quantile * spread, threshold)
        for sign in (-1.0, 1.0)
    )
    return low, high


def _crossing(
    problem: Problem, solution: Solution, index: int, ridge: np.ndarray, reach: float, threshold: float
) -> float:
    """Follow the profile outwards until it has risen by `threshold`; the bound where it never does."""
    name = problem.unknowns[index].name
    keep = np.arange(solution.u.size) != index
    bound = (problem.lower if reach < 0 else problem.upper)[index] - solution.u[index]
    inner, inner_rise, outer, outer_rise = 0.0, 0.0, math.inf, math.inf
    rest, trial = solution.u, reach
    for _ in range(6):
        trial = min(trial, bound) if reach > 0 else max(trial, bound)
        held = _held(problem, name, solution.u[index] + trial)
        guess = (rest + ridge * (trial - inner))[keep]
        found = improve(
            held, np.clip(guess, held.lower, held.upper), 12, 0.02 * threshold / solution.objective
        )
        rise = found.objective - solution.objective
        if abs(rise / threshold - 1.0) < 0.05 or (rise < threshold and trial == bound):
            break
        if rise < threshold:
            inner, inner_rise = trial, max(rise, 0.0)
            rest = np.insert(found.u, index, solution.u[index] + trial)
        else:
            outer, outer_rise = trial, rise
        if math.isinf(outer):
            trial = 1.6 * trial
        else:
            # Interpolate in the root of the rise, which is linear for a parabola.
            a, b = math.sqrt(inner_rise), math.sqrt(outer_rise)
            part = (math.sqrt(threshold) - a) / max(b - a, 1e-300)
            trial = inner + float(np.clip(part, 0.05, 0.95)) * (outer - inner)
    return float(solution.u[index] + trial)


def _held(problem: Problem, name: str, inner: float) -> Problem:
    """Return the problem with one unknown held."""
    parameter = next(p for p in problem.unknowns if p.name == name)
    value = float(parameter.outer(inner))
    if name == "origin":
        origins = tuple(o + value for o in problem.origins)
        return dataclasses.replace(problem, origins=origins, free_origin=False)
    law = dataclasses.replace(problem.law, fixed={**problem.law.fixed, name: value})
    return dataclasses.replace(problem, law=law)
