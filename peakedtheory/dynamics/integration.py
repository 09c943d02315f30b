"""Right-hand sides and solution of the two-variable flow of gradient descent: docs/dynamics.md, Eqs. 3-9."""

from __future__ import annotations

import bisect
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.integrate import ODEintWarning, odeint

from peakedtheory.dynamics.interpolant import Interpolant
from peakedtheory.schedules.clock import Clock

if TYPE_CHECKING:
    from peakedtheory.dynamics.noise import NoiseTable

_RTOL, _ATOL = 1e-8, 1e-14
#: Where a flow may come to rest: rows in between, and the steps from one to the next after which to look.
_BETWEEN, _STEPS = 200, 5000
#: Most steps from one row to the next; Adam may oscillate about a point for thousands of periods.
_MOST_STEPS = 1_000_000
#: Relative distance in τ over which the slope of the loss is taken.
_NEAR = 1e-3
#: Rate, per unit of ln τ, of the variable that turns the integrator implicit.
_FAST = 1e4
#: Its error, at most.
_GUARD = 1e-6
#: β below which Φ'(β)/β is its limit Φ''(0) to rounding.
_SMALL = 1e-5


@dataclass(frozen=True)
class Force:
    """Right-hand side of the population flow: Eqs. 3 and 4 of docs/dynamics.md, per unit τ at c_eff = 1."""

    table: Interpolant
    beta_star: float
    n: float

    def __post_init__(self) -> None:
        star = 0.0 if math.isinf(self.beta_star) else self.table.drive(self.beta_star)
        object.__setattr__(self, "drive_star", star)
        object.__setattr__(self, "stiffness_at_zero", (1.0 - 1.0 / self.n) / self.n)

    drive_star: float = field(init=False)
    stiffness_at_zero: float = field(init=False)

    def __call__(self, alignment: float, square: float) -> tuple[float, float]:
        """Return dD/dτ and the rate k at which the residual decays, dρ/dτ = -kρ.

        Written with g = c0 - Φ', so that nothing cancels while ρ ≪ D.
        """
        beta = math.sqrt(alignment * alignment + square)
        slope = self.table.slope
        if beta < _SMALL:
            return (
                slope - self.drive_star
            ) / self.n - self.stiffness_at_zero * alignment, self.stiffness_at_zero
        drive = self.table.drive(beta)
        turned = slope * square / (beta * (beta + alignment)) if square > 0 else 0.0
        if alignment < 0:
            turned = slope * (1.0 - alignment / beta)
        return (drive * alignment / beta - self.drive_star + turned) / self.n, (slope - drive) / (
            beta * self.n
        )

    def many(self, alignment: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same two rates for arrays."""
        beta = np.sqrt(alignment**2 + square)
        slope = self.table.slope
        safe = np.maximum(beta, _SMALL)
        drive = self.table.drives(safe)
        with np.errstate(divide="ignore", invalid="ignore"):
            turned = np.where(square > 0, slope * square / (safe * np.maximum(safe + alignment, 1e-300)), 0.0)
        turned = np.where(alignment < 0, slope * (1.0 - alignment / safe), turned)
        pull = (drive * alignment / safe - self.drive_star + turned) / self.n
        near = (slope - self.drive_star) / self.n - self.stiffness_at_zero * alignment
        small = beta < _SMALL
        stiffness = np.where(small, self.stiffness_at_zero, (slope - drive) / (safe * self.n))
        return np.where(small, near, pull), stiffness


@dataclass(frozen=True)
class State:
    """Alignment, squared residual and their rates of change with τ at the output times."""

    alignment: np.ndarray
    square: np.ndarray
    alignment_rate: np.ndarray
    square_rate: np.ndarray


def descend(
    tau: np.ndarray, force: Force, speed: float, alignment0: float, residual0: float, decay: float
) -> State:
    """Solve for (D, ρ²) over ln(τ + shift)."""

    def rhs(d: float, square: float) -> tuple[float, float]:
        square = max(square, 0.0)
        pull, stiffness = force(d, square)
        return speed * pull - decay * d, -2.0 * (speed * stiffness + decay) * square

    shift = 1e-3 * force.n / speed

    def in_log(x: float, y: np.ndarray) -> list[float]:
        t = math.exp(x)
        a, b = rhs(float(y[0]), float(y[1]))
        return [t * a, t * b]

    y = integrate(in_log, [alignment0, residual0**2], np.log(tau + shift), math.log(shift))
    square = np.maximum(y[:, 1], 0.0)
    pull, stiffness = force.many(y[:, 0], square)
    growth = -2.0 * (speed * stiffness + decay) * square
    return State(y[:, 0], square, speed * pull - decay * y[:, 0], growth)


def integrate(
    rhs: Any,
    start: list[float] | np.ndarray,
    x: np.ndarray,
    origin: float,
    jacobian: Any = None,
    *,
    rtol: float = _RTOL,
    atol: float | np.ndarray = _ATOL,
    at_rest: Callable[[np.ndarray], bool] | None = None,
) -> np.ndarray:
    """Return the solution at ascending x from `origin`, by LSODA, which turns implicit where it is stiff.

    Where it comes to a halt `at_rest`, in a state that moves by rounding errors alone, that state stays.
    """
    between = np.linspace(origin, max(x.max(), origin), _BETWEEN) if at_rest else np.empty(0)
    grid, back = np.unique(np.concatenate([[origin], x, between]), return_inverse=True)
    if grid.size == 1:
        return np.tile(np.asarray(start, dtype=float), (x.size, 1))
    for most in (_STEPS, _MOST_STEPS) if at_rest else (_MOST_STEPS,):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ODEintWarning)  # a failure is told below
            y, report = odeint(
                rhs,
                start,
                grid,
                Dfun=jacobian,
                tfirst=True,
                rtol=rtol,
                atol=atol,
                mxstep=most,
                full_output=True,
                printmessg=False,
            )
        if report["message"] == "Integration successful.":
            break
        last = int(np.argmin(report["tcur"] >= grid[1:]))  # the row before the first that was not reached
        if at_rest is not None and at_rest(y[last]):
            y[last:] = y[last]
            break
    else:
        raise ValueError(
            f"width: the flow could not be integrated ({report['message']}); in narrow models far from their "
            "teacher the expansion in 1/width fails: give a larger width, or none for the infinite one"
        )
    return y[back[1 : x.size + 1]]


def integrate_implicitly(
    rhs: Callable[[float, np.ndarray], np.ndarray],
    start: list[float] | np.ndarray,
    x: np.ndarray,
    origin: float,
    jacobian: Callable[[float, np.ndarray], np.ndarray] | None = None,
    *,
    rtol: float,
    atol: float | np.ndarray,
    at_rest: Callable[[np.ndarray], bool] | None = None,
) -> np.ndarray:
    """Return the solution of few variables that relax ever faster, or come to rest.

    LSODA turns implicit late, and never where all rests within rounding: another variable, which relaxes at
    the rate `_FAST` to a point that moves slowly, turns it implicit at once. Where none is given the Jacobian
    is found by differences that stand out of rounding at rest.
    """
    size = len(start)
    slopes = np.empty(size + 1)

    def guarded(x: float, y: np.ndarray) -> np.ndarray:
        slopes[:size] = rhs(x, y[:size])
        slopes[size] = _FAST * (1.0 + 1e-3 * x - y[size])
        return slopes

    def differences(x: float, y: np.ndarray) -> np.ndarray:
        now = rhs(x, y).copy()
        out = np.empty((size, size))
        for i in range(size):
            moved = y.copy()
            moved[i] += 1e-7 * abs(moved[i]) + 1e-8
            out[:, i] = (rhs(x, moved) - now) / (moved[i] - y[i])
        return out

    inner = jacobian or differences
    whole = np.zeros((size + 1, size + 1))
    whole[size, size] = -_FAST

    def guarded_jacobian(x: float, y: np.ndarray) -> np.ndarray:
        whole[:size, :size] = inner(x, y[:size])
        return whole

    begin = np.append(start, 1.001 + 1e-3 * origin)
    bounds = np.append(np.broadcast_to(atol, size), _GUARD)
    rest = None if at_rest is None else lambda y: at_rest(y[:size])
    y = integrate(guarded, begin, x, origin, guarded_jacobian, rtol=rtol, atol=bounds, at_rest=rest)
    return y[:, :size]


def observe(tau: np.ndarray, state: State, force: Force) -> tuple[np.ndarray, ...]:
    """Fields of `StudentFlow` from D, ρ² and their rates: Eqs. 5-8."""
    beta = np.sqrt(state.alignment**2 + state.square)
    slope_star = force.table.slope - force.drive_star
    radial = np.maximum(force.table.aligned_loss(beta, force.beta_star), 0.0)
    gap = np.where(
        state.alignment > 0, state.square / np.maximum(beta + state.alignment, 1e-300), beta - state.alignment
    )
    tangential = gap * slope_star
    loss = radial + tangential
    pull, stiffness = force.many(state.alignment, state.square)
    change = -force.n * pull * state.alignment_rate + 0.5 * force.n * stiffness * state.square_rate
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.where(loss > 0, -change * tau / loss, 0.0)
    still = np.zeros_like(beta)
    return beta, state.alignment, np.sqrt(state.square), loss, radial, tangential, exponent, still


def around(tau: np.ndarray, end: float) -> np.ndarray:
    """Return times shortly before τ, τ itself and times shortly after, none beyond the end of the run."""
    return np.concatenate([tau * (1.0 - _NEAR), tau, np.minimum(tau * (1.0 + _NEAR), np.maximum(tau, end))])


def observed(
    times: np.ndarray, losses: np.ndarray, alignment: np.ndarray, square: np.ndarray, coherent: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Fields of `StudentFlow` from beta on, from what is known at the times of `around`.

    The slope of the loss is taken from the integrated solution: rates of change of stiff variables magnify
    its errors.
    """
    early, _, late = times.reshape(3, -1)
    before, loss, after = np.maximum(losses.sum(axis=0), 1e-300).reshape(3, -1)
    exponent = np.zeros(loss.size)
    moved = early > 0.0
    exponent[moved] = np.log(before[moved] / after[moved]) / np.log(late[moved] / early[moved])
    alignment, square, coherent = (v.reshape(3, -1)[1] for v in (alignment, square, coherent))
    radial, tangential = losses.reshape(2, 3, -1)[:, 1]
    square = square + coherent**2
    beta = np.sqrt(alignment**2 + square)
    return beta, alignment, np.sqrt(square), radial + tangential, radial, tangential, exponent, coherent


class Noise(NamedTuple):
    """V, and at every τ the growth of ρ² by noise per unit τ over V, η m/(nB)."""

    table: NoiseTable
    gain: Callable[[float], float]


def noise_of(n: int, beta_star: float, rate: float, factor: float, plan: Clock | None) -> Noise:
    """Return the noise at a constant or scheduled learning rate; `factor` is m/(nB)."""
    from peakedtheory.dynamics.noise import noise_table

    table = noise_table(n, beta_star)
    if plan is None:
        return Noise(table, lambda _: rate * factor)
    edges, heights = plan.tau, factor * plan.rates
    # The rate as a function of τ, exact at the middle of every step of the schedule.
    middles = np.concatenate([[0.0], 0.5 * (edges[1:] + edges[:-1]), edges[-1:]])
    return Noise(table, piecewise_linear(middles, np.concatenate([heights[:1], heights, heights[-1:]])))


def piecewise_linear(x: np.ndarray, y: np.ndarray) -> Callable[[float], float]:
    """Interpolant through the points, constant beyond them, for single floats."""
    places, values = x.tolist(), y.tolist()
    last = len(places) - 1

    def at(t: float) -> float:
        i = bisect.bisect_right(places, t)
        if i == 0 or i > last:
            return values[0] if i == 0 else values[last]
        before = places[i - 1]
        return values[i - 1] + (values[i] - values[i - 1]) * (t - before) / (places[i] - before)

    return at
