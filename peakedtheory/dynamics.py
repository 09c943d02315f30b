"""Training of a softmax student on a softmax teacher, as flows of two variables, with nothing fitted.

The student's logits are D z + ρ w, the teacher's β* z; D is the alignment, ρ the residual, β² = D² + ρ². The flow
for gradient descent, its noise and its closed forms are Eqs. 1-20 of docs/dynamics.md; the aligned flow is Liu et al.
2026, Eq. 9, and the split of the loss that of Lee et al. 2026. Adam and sign descent are integrated by `_adaptive`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.integrate import odeint

from peakedtheory._checks import fail, inverse_temperature, number_of_energies, real_array
from peakedtheory._interpolant import Interpolant, interpolant
from peakedtheory._noise import noise_table
from peakedtheory._results import describe, fields_of, scalar_or_array, to_dataset
from peakedtheory.schedules import Schedule, as_schedule

if TYPE_CHECKING:
    import matplotlib.axes
    import xarray

_RTOL, _ATOL = 1e-8, 1e-14
#: β below which Φ'(β)/β is its limit Φ''(0) to rounding.
_SMALL = 1e-5


def _positive(**values: Any) -> None:
    for name, value in values.items():
        number = real_array(name, value)
        if number.ndim or not np.isfinite(number) or number <= 0:
            fail(name, "must be a finite positive number", f"{value}", "correct it")


@dataclass(frozen=True)
class GradientFlow:
    """Noiseless gradient descent in the limit of small steps, dW/dτ = -c_eff ∇L (Liu et al. 2026, Eq. 22)."""

    c_eff: float = 1.0

    def __post_init__(self) -> None:
        _positive(c_eff=self.c_eff)


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent.

    Parameters
    ----------
    learning_rate : float
        η; a schedule given to the flow replaces it.
    batch : float
        Examples per step B.
    width : float
        Input width m.
    """

    learning_rate: float
    batch: float
    width: float

    def __post_init__(self) -> None:
        _positive(learning_rate=self.learning_rate, batch=self.batch, width=self.width)


@dataclass(frozen=True)
class Adam:
    """Adam without weight decay in the gradient: steps of the gradient over its root mean square.

    Parameters
    ----------
    learning_rate, batch, width : float
        As for `SGD`.
    beta2 : float
        Decay of the second moment, which remembers 1/(1 - beta2) steps.
    """

    learning_rate: float
    batch: float
    width: float
    beta2: float = 0.999

    def __post_init__(self) -> None:
        _positive(learning_rate=self.learning_rate, batch=self.batch, width=self.width)
        if not 0 <= self.beta2 < 1:
            fail("beta2", "must be in [0, 1)", f"{self.beta2}", "0.999 is common")


@dataclass(frozen=True)
class SignGD:
    """Steps of the gradient's signs, the limit of Adam without memory; gradient noise taken as Gaussian."""

    learning_rate: float
    batch: float
    width: float

    def __post_init__(self) -> None:
        _positive(learning_rate=self.learning_rate, batch=self.batch, width=self.width)


Optimizer = GradientFlow | SGD | Adam | SignGD
_FIELDS = ("beta", "alignment", "residual", "loss", "radial_loss", "tangential_loss", "local_exponent")


@dataclass(frozen=True, repr=False)
class StudentFlow:
    """One training run as the theory predicts it; every field has the shape of `tau`.

    Attributes
    ----------
    tau : float or ndarray
        Dynamic time Σ η.
    beta, alignment, residual : float or ndarray
        Inverse temperature β, its component D along the teacher and ρ across it, β² = D² + ρ².
    loss, radial_loss, tangential_loss : float or ndarray
        KL divergence from the teacher in nats; its part at β without misalignment, and the rest.
    local_exponent : float or ndarray
        -d ln L/d ln τ along the flow.
    """

    tau: Any
    beta: Any
    alignment: Any
    residual: Any
    loss: Any
    radial_loss: Any
    tangential_loss: Any
    local_exponent: Any
    beta_star: float = field(repr=False)
    n: float = field(repr=False)
    optimizer: Optimizer = field(repr=False)

    def __repr__(self) -> str:
        title = f"StudentFlow of n={self.n:g} classes to beta_star={self.beta_star:g} by {self.optimizer}"
        return describe(title, fields_of(self, "tau", *_FIELDS))

    def to_xarray(self) -> xarray.Dataset:
        """Return the fields over `tau`."""
        attributes = {"beta_star": self.beta_star, "n": self.n, "optimizer": str(self.optimizer)}
        units = dict.fromkeys(("loss", "radial_loss", "tangential_loss"), "nat")
        return to_dataset(fields_of(self, *_FIELDS), {"tau": self.tau}, units, attributes)

    def plot(self, axes: matplotlib.axes.Axes | None = None) -> matplotlib.axes.Axes:
        """Draw L, β and the local exponent against τ."""
        from peakedtheory.plotting import plot_flow

        return plot_flow(self, axes)


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
            return (slope - self.drive_star) / self.n - self.stiffness_at_zero * alignment, self.stiffness_at_zero
        drive = self.table.drive(beta)
        turned = slope * square / (beta * (beta + alignment)) if square > 0 else 0.0
        if alignment < 0:
            turned = slope * (1.0 - alignment / beta)
        return (drive * alignment / beta - self.drive_star + turned) / self.n, (slope - drive) / (beta * self.n)


def student_flow(
    tau: Any,
    beta_star: float,
    n: float,
    *,
    optimizer: Optimizer | None = None,
    alignment0: float = 0.0,
    residual0: float = 0.0,
    weight_decay: float = 0.0,
    schedule: Any = None,
) -> StudentFlow:
    """Return the predicted training run of a student with n Gaussian logits.

    Parameters
    ----------
    tau : array_like or None
        Dynamic times Σ η >= 0, ascending. With a schedule None means 200 times of its run.
    beta_star : float
        Teacher's inverse temperature; infinite for hard labels (its most likely class).
    n : int
        Number of classes, at least 2.
    optimizer : GradientFlow, SGD, Adam or SignGD, optional
        Gradient flow by default.
    alignment0, residual0 : float
        D and ρ at the start; an independent student of inverse temperature β0 has D = 0, ρ = β0.
    weight_decay : float
        Decoupled decay ω: weights lose the fraction η ω per step.
    schedule : optional
        Learning rates, as `as_schedule` takes them; they replace the optimizer's constant rate. For gradient
        flow only its length in τ matters.

    Returns
    -------
    StudentFlow

    Raises
    ------
    ValueError
        For negative or decreasing τ, τ beyond the schedule's end, n < 2 and other impossible input.

    Notes
    -----
    dD/dτ = [Φ'(β*) - Φ'(β)D/β]/n - ωD and dρ²/dτ = -2Φ'(β)ρ²/(nβ) - 2ωρ² + ηmV(D, ρ, β*)/(nB), with V the mean
    squared difference of the two softmax outputs (docs/dynamics.md, Eqs. 3-9), are solved in ln τ.

    Examples
    --------
    >>> flow = student_flow([1e3, 1e6], float("inf"), 128)
    >>> print(f"{flow.loss[1]:.4f} {flow.local_exponent[1]:.2f}")
    0.0577 0.34
    """
    optimizer = GradientFlow() if optimizer is None else optimizer
    if not isinstance(optimizer, (GradientFlow, SGD, Adam, SignGD)):
        fail("optimizer", "must be GradientFlow, SGD, Adam or SignGD", type(optimizer).__name__, "build one")
    beta_star, n = _teacher(beta_star, n)
    plan = None if schedule is None else as_schedule(schedule)
    times = _times(tau, plan)
    for name, value in (("alignment0", alignment0), ("residual0", residual0), ("weight_decay", weight_decay)):
        number = real_array(name, value)
        if number.ndim or not np.isfinite(number) or (number < 0 and name != "alignment0"):
            fail(name, "must be a finite number" + (" >= 0" if name != "alignment0" else ""), f"{value}", "correct it")
    force = Force(interpolant(n), beta_star, n)
    flat = times.ravel()
    if isinstance(optimizer, (Adam, SignGD)):
        from peakedtheory._adaptive import adaptive_flow

        state = adaptive_flow(flat, force, optimizer, alignment0, residual0, weight_decay, plan)
    else:
        state = _descend(flat, force, optimizer, alignment0, residual0, weight_decay, plan)
    values = _observe(flat, state, force)
    return StudentFlow(
        scalar_or_array(times.copy()),
        *(scalar_or_array(v.reshape(times.shape)) for v in values),
        beta_star=beta_star,
        n=n,
        optimizer=optimizer,
    )


def _teacher(beta_star: Any, n: Any) -> tuple[float, float]:
    star = inverse_temperature(beta_star, "beta_star", allow_infinite=True)
    count = number_of_energies(n)
    if star.ndim or count.ndim:
        fail("beta_star, n", "must be single numbers", f"shapes {star.shape}, {count.shape}", "loop over them")
    if star <= 0:
        fail("beta_star", "must be > 0", f"{float(star):g}", "a teacher at zero has nothing to teach")
    return float(star), float(count)


def _times(tau: Any, plan: Schedule | None) -> np.ndarray:
    if tau is None:
        if plan is None:
            fail("tau", "must be given without a schedule", "None", "list the dynamic times wanted")
        steps = np.unique(np.round(np.geomspace(1, plan.steps, 200)).astype(int))
        return plan.tau[steps]
    times = real_array("tau", tau)
    if (times < 0).any():
        fail("tau", "must be >= 0", f"{times.min():g}", "dynamic time starts at zero")
    if times.ndim > 1 or (np.diff(times.ravel()) < 0).any():
        fail("tau", "must be one ascending list", f"shape {times.shape}", "sort it")
    if np.isinf(times).any():
        fail("tau", "must be finite", "inf", "read the limit from the closed forms")
    if plan is not None and times.max() > plan.tau[-1] * (1 + 1e-9):
        fail("tau", f"must end with the schedule at {plan.tau[-1]:g}", f"{times.max():g}", "lengthen the schedule")
    return times


@dataclass(frozen=True)
class State:
    """Alignment, squared residual and their rates of change with τ at the output times."""

    alignment: np.ndarray
    square: np.ndarray
    alignment_rate: np.ndarray
    square_rate: np.ndarray


def _descend(
    tau: np.ndarray,
    force: Force,
    optimizer: GradientFlow | SGD,
    alignment0: float,
    residual0: float,
    decay: float,
    plan: Schedule | None,
) -> State:
    """Solve for (D, ρ²) over ln(τ + shift)."""
    gain = None
    speed = optimizer.c_eff if isinstance(optimizer, GradientFlow) else 1.0
    if isinstance(optimizer, SGD):
        table = noise_table(int(force.n), force.beta_star)
        factor = optimizer.width / (force.n * optimizer.batch)
        if plan is None:
            rate = optimizer.learning_rate

            def gain(_: float, d: float, square: float) -> float:
                return rate * factor * table(d, math.sqrt(square))
        else:
            edges, heights = plan.tau, plan.rates
            # The rate as a function of τ, exact at the middle of every step of the schedule.
            middles = np.concatenate([[0.0], 0.5 * (edges[1:] + edges[:-1]), edges[-1:]])
            rates = np.concatenate([heights[:1], heights, heights[-1:]])

            def gain(t: float, d: float, square: float) -> float:
                return float(np.interp(t, middles, rates)) * factor * table(d, math.sqrt(square))

    def rhs(t: float, d: float, square: float) -> tuple[float, float]:
        square = max(square, 0.0)
        pull, stiffness = force(d, square)
        up = 0.0 if gain is None else gain(t, d, square)
        return speed * pull - decay * d, -2.0 * (speed * stiffness + decay) * square + up

    shift = 1e-3 * force.n / speed

    def in_log(x: float, y: np.ndarray) -> list[float]:
        t = math.exp(x)
        a, b = rhs(t - shift, float(y[0]), float(y[1]))
        return [t * a, t * b]

    y = integrate(in_log, [alignment0, residual0**2], np.log(tau + shift), math.log(shift))
    square = np.maximum(y[:, 1], 0.0)
    rates_of_change = np.array([rhs(t, d, s) for t, d, s in zip(tau, y[:, 0], square, strict=True)]).reshape(-1, 2)
    return State(y[:, 0], square, rates_of_change[:, 0], rates_of_change[:, 1])


def integrate(rhs: Any, start: list[float] | np.ndarray, x: np.ndarray, origin: float) -> np.ndarray:
    """Return the solution at ascending x from `origin`, by LSODA, which turns implicit where the flow is stiff."""
    grid, back = np.unique(np.concatenate([[origin], x]), return_inverse=True)
    if grid.size == 1:
        return np.tile(np.asarray(start, dtype=float), (x.size, 1))
    y, report = odeint(
        rhs, start, grid, tfirst=True, rtol=_RTOL, atol=_ATOL, mxstep=100_000, full_output=True, printmessg=False
    )
    if report["message"] != "Integration successful.":
        raise RuntimeError(f"the flow could not be integrated beyond {grid[len(report['tcur'])]:g}: {report['message']}")
    return y[back[1:]]


def _observe(tau: np.ndarray, state: State, force: Force) -> tuple[np.ndarray, ...]:
    """Fields of `StudentFlow` from D, ρ² and their rates: Eqs. 5-8."""
    beta = np.sqrt(state.alignment**2 + state.square)
    slope_star = force.table.slope - force.drive_star
    radial = np.maximum(force.table.aligned_loss(beta, force.beta_star), 0.0)
    gap = np.where(
        state.alignment > 0, state.square / np.maximum(beta + state.alignment, 1e-300), beta - state.alignment
    )
    tangential = gap * slope_star
    loss = radial + tangential
    pulls = np.array([force(d, s) for d, s in zip(state.alignment, state.square, strict=True)]).reshape(-1, 2)
    change = -force.n * pulls[:, 0] * state.alignment_rate + 0.5 * force.n * pulls[:, 1] * state.square_rate
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.where(loss > 0, -change * tau / loss, 0.0)
    return beta, state.alignment, np.sqrt(state.square), loss, radial, tangential, exponent
