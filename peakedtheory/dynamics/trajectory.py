"""What the solvers of flows share: the problem that each is given and the trajectory that it returns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from peakedtheory.dynamics.optimizers import Optimizer, Tunable
from peakedtheory.kernels.averages import fill_averages
from peakedtheory.schedules.averages import Average
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.families import constant

Kind = TypeVar("Kind", bound=Optimizer, covariant=True)

#: Relative distance in τ over which the slope of the loss is taken.
_NEAR = 1e-3


@dataclass(frozen=True)
class Problem(Generic[Kind]):
    """One run: the times asked for, the teacher, how the student is trained and where it starts.

    The rates of the clock, where there is one, replace the optimizer's own. `sampled` labels are drawn from
    the teacher's probabilities.
    """

    tau: np.ndarray
    beta_star: float
    n: float
    optimizer: Kind
    clock: Clock | None
    alignment0: float
    residual0: float
    weight_decay: float
    sampled: bool
    average: Average | None


@dataclass(frozen=True)
class Trajectory:
    """What `StudentFlow` tells of every time, as arrays."""

    beta: np.ndarray
    alignment: np.ndarray
    residual: np.ndarray
    loss: np.ndarray
    radial_loss: np.ndarray
    tangential_loss: np.ndarray
    local_exponent: np.ndarray
    coherent_residual: np.ndarray


def trajectory(
    *,
    alignment: np.ndarray,
    square: np.ndarray,
    losses: np.ndarray,
    exponent: np.ndarray,
    coherent: np.ndarray,
) -> Trajectory:
    """Return the trajectory of these states: D, ρ² with its coherent part, and the losses L_r and L_t."""
    radial, tangential = losses
    return Trajectory(
        beta=np.sqrt(alignment**2 + square),
        alignment=alignment,
        residual=np.sqrt(square),
        loss=radial + tangential,
        radial_loss=radial,
        tangential_loss=tangential,
        local_exponent=exponent,
        coherent_residual=coherent,
    )


def around(problem: Problem) -> np.ndarray:
    """Return times shortly before those asked for, these, and times shortly after, none beyond the end."""
    tau, endless = problem.tau, problem.clock is None and problem.average is None
    end = math.inf if endless else float(run_clock(problem).tau[-1])
    return np.concatenate([tau * (1.0 - _NEAR), tau, np.minimum(tau * (1.0 + _NEAR), np.maximum(tau, end))])


def times_of(problem: Problem) -> np.ndarray:
    """Return the times at which a solver needs its states: those of `around`, or all steps to be averaged."""
    return around(problem) if problem.average is None else run_clock(problem).tau


def run_clock(problem: Problem[Tunable]) -> Clock:
    """Return the rates of the whole run, which ends with the last time asked for where they are constant."""
    if problem.clock is not None:
        return problem.clock
    rate = problem.optimizer.learning_rate
    return constant(rate, max(1, math.ceil(float(problem.tau.max()) / rate - 1e-9)))


def averaged(
    problem: Problem[Tunable], paths: np.ndarray, squares: np.ndarray, falls: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the average of the weights has, at the times of `around`.

    Parameters
    ----------
    paths : ndarray, shape (variables, steps + 1)
        What is certain, at every step of the run.
    squares : ndarray, shape (groups, steps + 1)
        Mean squares of independent noise.
    falls : ndarray, shape (groups, steps + 1)
        Rates per unit τ at which the noise itself falls.
    """
    clock, average = run_clock(problem), problem.average
    assert average is not None
    falls = -np.expm1(-clock.rates * falls[:, :-1])
    out = np.empty_like(paths), np.empty_like(squares)
    given = map(np.ascontiguousarray, (paths, squares, falls))
    fill_averages(average.mixing(clock.steps), *given, *out)
    step = clock.step_at(around(problem))
    steps = np.arange(clock.steps + 1)
    path, square = (np.array([np.interp(step, steps, row) for row in rows]) for rows in out)
    return path, square


def in_steps(problem: Problem[Tunable], tau: np.ndarray) -> np.ndarray:
    """Return the steps after which these times are reached."""
    if problem.clock is None:
        return tau / problem.optimizer.learning_rate
    return problem.clock.step_at(tau)


def trajectory_within(
    times: np.ndarray, *, alignment: np.ndarray, square: np.ndarray, losses: np.ndarray, coherent: np.ndarray
) -> Trajectory:
    """Return the trajectory at the times asked for from what is known at those of `around`.

    The slope of the loss is taken from the integrated solution: rates of change of stiff variables magnify
    its errors. ρ² is given without its coherent part.
    """
    early, _, late = times.reshape(3, -1)
    before, loss, after = np.maximum(losses.sum(axis=0), 1e-300).reshape(3, -1)
    exponent = np.zeros(loss.size)
    moved = early > 0.0
    exponent[moved] = np.log(before[moved] / after[moved]) / np.log(late[moved] / early[moved])
    alignment, square, coherent = (v.reshape(3, -1)[1] for v in (alignment, square, coherent))
    return trajectory(
        alignment=alignment,
        square=square + coherent**2,
        losses=losses.reshape(2, 3, -1)[:, 1],
        exponent=exponent,
        coherent=coherent,
    )
