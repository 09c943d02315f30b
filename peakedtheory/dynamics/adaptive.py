"""Flows of Adam and sign descent: every weight moves by its gradient over its own root mean square.

A weight is θ/√m with teacher entry ω/√m, ω uniform of unit variance, so the student is a function θ(ω),
followed on Gauss-Legendre nodes, plus independent noise of variance s² (docs/dynamics.md, Eqs. 27-33 and
46-50). Of Adam the first and second moments of every weight are variables of their own, and so are the slopes
of θ, ln v and the first moment with the norms of rows. Time is counted in steps.
"""

from __future__ import annotations

import math

import numpy as np

from peakedtheory.dynamics.force import Force, student_force
from peakedtheory.dynamics.integration import Equations, completed, integrate_implicitly
from peakedtheory.dynamics.mean_sign import sign_table
from peakedtheory.dynamics.noise import noise_table
from peakedtheory.dynamics.optimizers import Adam, SignGD
from peakedtheory.dynamics.trajectory import (
    Problem,
    Trajectory,
    around,
    averaged,
    in_steps,
    times_of,
    trajectory_within,
)
from peakedtheory.kernels import weights as kernel

#: Nodes in ω > 0; θ is odd in ω. On the half line a step that is the gradient's sign is smooth.
_NODES = 5
_X, _W = np.polynomial.legendre.leggauss(_NODES)
_OMEGA, _WEIGHT = math.sqrt(3.0) * 0.5 * (1.0 + _X), 0.5 * _W
#: Weights of D = ⟨ωθ⟩.
_ALONG = _WEIGHT * _OMEGA
_TABLE = np.array([_OMEGA, _WEIGHT, _ALONG, _WEIGHT * _OMEGA**2])
#: Places of θ(ω), s² and ln v(ω), and of μ(ω), a, u and μ_a.
_THETA, _SQUARE, _SECOND = slice(_NODES), _NODES, slice(_NODES + 1, 2 * _NODES + 1)
_FIRST = slice(2 * _NODES + 1, 3 * _NODES + 1)
_AMPLITUDE, _ROW_FIRST = 3 * _NODES + 1, 3 * _NODES + 3
_SIZE = 3 * _NODES + 4
#: Steps before the first from which the logarithm of their number counts.
_SHIFT = 1e-2
#: Errors per step: relative and absolute ones of sign descent, relative and, near rounding, least of Adam.
_RTOL, _ATOL, _RTOL_ADAM, _LEAST = 1e-6, 1e-13, 2e-6, 1e-13
#: Largest |ln v| of which the exponential is taken.
_LARGE = 1400.0
#: Distance from the teacher, over β*, below which training is at rest.
_REST = 1e-6


def _constants(problem: Problem[Adam | SignGD], force: Force) -> np.ndarray:
    """Return the constants of `kernels.weights`."""
    optimizer, out = problem.optimizer, np.zeros(kernel.WEIGHT_CONSTANTS)
    out[kernel.WIDTH], out[kernel.PER_WEIGHT] = optimizer.width, 1.0 / (problem.n * optimizer.batch)
    out[kernel.DECAY] = problem.weight_decay
    out[kernel.TILT] = _tilt(force.sensitivity, optimizer.width)
    if problem.sampled:
        out[kernel.DRAW] = force.label_noise
        beyond = force.label_sensitivity - force.sensitivity
        drawn = force.label_noise * out[kernel.PER_WEIGHT]
        out[kernel.UNEVEN] = drawn * beyond
        out[kernel.DRAW_TILT] = drawn * (_tilt(force.label_sensitivity, optimizer.width) - out[kernel.TILT])
    if isinstance(optimizer, Adam):
        memories = optimizer.beta2, optimizer.beta1
        out[kernel.FORGET], out[kernel.TURN] = (math.log(b) if b > 0 else 0.0 for b in memories)
    return out


def _tilt(sensitivity: float, width: float) -> float:
    """Slope with ω² of a weight's gradient variance, relative to its mean (Eq. 27a); ⟨z²⟩ as in Eq. 41."""
    level = 1.0 + sensitivity
    return (level / (1.0 + (level / width) ** 2) - 1.0) / width


def _plan(problem: Problem[Adam | SignGD]) -> np.ndarray:
    """Return learning rates against steps."""
    clock = problem.clock
    if clock is None:
        return np.array([[0.0], [problem.optimizer.learning_rate]])
    return np.stack([np.arange(clock.steps) + 0.5, clock.rates])


def _tolerances(first_step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return errors allowed where a variable of Adam is near zero, and how they grow with its first size."""
    absolute, of_start = np.full(_SIZE, _RTOL_ADAM), np.zeros(_SIZE)
    absolute[_THETA], absolute[_SQUARE] = 1e-3 * _RTOL_ADAM * first_step, 1e-3 * _RTOL_ADAM * first_step**2
    absolute[_AMPLITUDE] = _RTOL_ADAM * first_step
    of_start[_FIRST], of_start[_ROW_FIRST] = 0.1 * _RTOL_ADAM, 10.0 * _RTOL_ADAM
    absolute[_FIRST] = absolute[_ROW_FIRST] = 0.0
    return absolute, of_start


def adam_flow(problem: Problem[Adam]) -> Trajectory:
    """Solve for θ(ω), s², ln v(ω), μ(ω), and a, u, μ_a of unequal rows, against ln of the steps."""
    star, n, optimizer = problem.beta_star, problem.n, problem.optimizer
    force, noise = student_force(star, n, optimizer.width), noise_table(int(n), star)
    plan, shared = _plan(problem), (_TABLE, _constants(problem, force), *force.tables, *noise.tables)
    absolute, of_start = _tolerances(float(plan[1, 0]) * math.sqrt(optimizer.width))
    jacobian = kernel.adam_jacobian if optimizer.beta1 > 0 else None
    equations = Equations(kernel.adam_rates, (plan, *shared), jacobian, noise.fill)
    times = times_of(problem)
    grid = np.log(in_steps(problem, times) + _SHIFT)
    begin = (problem.alignment0, problem.residual0**2, *shared)
    start = completed(kernel.adam_start, begin, np.empty(_SIZE), noise.fill)
    y = integrate_implicitly(
        equations,
        start,
        grid,
        math.log(_SHIFT),
        rtol=_RTOL_ADAM,
        atol=np.maximum(absolute + of_start * np.abs(start), _LEAST),
        at_rest=lambda y: _at_rest(y, star),
    )
    if problem.average is not None:
        y, times = _averaged(problem, y, force), around(problem)
    return _trajectory(times, y, y[:, _AMPLITUDE], force)


def _averaged(problem: Problem[Adam], y: np.ndarray, force: Force) -> np.ndarray:
    """Return the states of the averaged weights at the times of `around`; second moments are left out."""
    alignment, square = _moments(y)
    damping = np.exp(-0.5 * np.maximum(y[:, _SECOND], -_LARGE)) @ _WEIGHT
    falls = force.forces(alignment, square, y[:, _AMPLITUDE])[2] * damping + problem.weight_decay
    certain = np.concatenate([y[:, _THETA].T, y[None, :, _AMPLITUDE]])
    path, noise = averaged(problem, certain, np.maximum(y[None, :, _SQUARE], 0.0), falls[None])
    out = np.zeros((path.shape[1], _SIZE))
    out[:, _THETA], out[:, _AMPLITUDE], out[:, _SQUARE] = path[:-1].T, path[-1], noise[0]
    return out


def sign_flow(problem: Problem[SignGD]) -> Trajectory:
    """Solve for θ(ω) and s² against ln of the steps; a step is the mean sign of few terms (Eq. 48)."""
    star, n, optimizer = problem.beta_star, problem.n, problem.optimizer
    force, noise = student_force(star, n, optimizer.width), noise_table(int(n), star)
    signs, bare = (
        sign_table(int(n), star, float(optimizer.batch), problem.sampled),
        student_force(star, n).tables[0],
    )

    def fill(cell: int) -> None:
        if cell >= 0:
            noise.fill(cell)
        else:  # those of the mean signs are counted down from -2
            signs.fill(-2 - cell)

    shared = (_TABLE, _constants(problem, force), *signs.tables, bare, *force.tables, *noise.tables)
    equations = Equations(kernel.sign_rates, (_plan(problem), *shared), None, fill)
    times = around(problem)
    start = np.append(problem.alignment0 * _OMEGA, problem.residual0**2)
    grid = np.log(in_steps(problem, times) + _SHIFT)
    y = integrate_implicitly(equations, start, grid, math.log(_SHIFT), rtol=_RTOL, atol=_ATOL)
    return _trajectory(times, y, np.zeros(times.size), force)


def _moments(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """D and ρ² of states, a row each."""
    theta = y[:, _THETA]
    alignment = theta @ _ALONG
    across = theta - alignment[:, None] * _OMEGA
    return alignment, np.maximum(across**2 @ _WEIGHT + y[:, _SQUARE], 0.0)


def _at_rest(y: np.ndarray, star: float) -> bool:
    """Whether the student is its teacher, but for rounding, which Adam would blow up."""
    alignment, square = _moments(y[None])
    return math.hypot(alignment[0] - star, math.sqrt(square[0])) < _REST * star


def _trajectory(times: np.ndarray, y: np.ndarray, amplitude: np.ndarray, force: Force) -> Trajectory:
    alignment, square = _moments(y)
    return trajectory_within(
        times,
        alignment=alignment,
        square=square,
        losses=force.losses(alignment, square, amplitude, np.zeros(times.size)),
        coherent=math.sqrt(force.variance) * np.abs(amplitude),
    )
