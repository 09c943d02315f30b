"""Learning rates and schedules that minimise the final loss of the predicted training run.

For a constant rate the self-consistent residual gives η* = 2.04 B/m at late times (docs/schedules.md,
Eqs. 1-6); for decaying rates each family's best height is found on the flow itself, and the free schedule
by descent over its shape (Eqs. 7-15). Lee et al. 2026 pose the question for constant rates.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from peakedtheory._common.checks import fail, flag, number_of_energies, number_of_steps, shown
from peakedtheory._common.progress import Report, reporter
from peakedtheory._common.results import describe
from peakedtheory._common.types import Values
from peakedtheory.dynamics.late_time import annealing, asymptotic_rate, decay_exponent
from peakedtheory.dynamics.optimizers import SGD, Tunable, of_batches
from peakedtheory.dynamics.student import StudentFlow, student_flow
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.families import BUILDERS

#: What is tuned unless another optimizer is given.
_SGD = SGD()
_KNOTS = 12
_LOG_TOLERANCE = 5e-3
_REACHED = 1e-14  # nats: below it the flow's loss is rounding, and schedules are no longer told apart


@dataclass(frozen=True, repr=False)
class OptimalRate:
    """The constant learning rate with the lowest final loss.

    Attributes
    ----------
    learning_rate : float
        η*.
    loss : float
        Loss in nats after the given steps; None where no number of steps was given.
    tangential_fraction, residual : float
        L_t/L, the share of misalignment, and ρ at the end.
    exponent : float
        -d ln L/d ln T of the envelope of tuned losses, at this number of steps T.
    """

    learning_rate: float
    loss: float | None
    tangential_fraction: float
    residual: float
    exponent: float

    def __repr__(self) -> str:
        rows = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return describe("Best constant learning rate", rows)


@dataclass(frozen=True)
class FamilyOptimum:
    """The best member of one family of schedules.

    Attributes
    ----------
    name, schedule, peak : str, Clock, float
        Key in `FAMILIES`, learning rates, and their height.
    loss, tangential_fraction : float
        Predicted final loss in nats, and L_t/L, the share of misalignment in it.
    exponent : float or None
        α of the tuned loss against the number of steps, at late times; None but for SGD on hard labels.
    """

    name: str
    schedule: Clock = field(repr=False)
    peak: float
    loss: float
    tangential_fraction: float
    exponent: float | None


@dataclass(frozen=True, repr=False)
class OptimalSchedule:
    """The schedule that minimises the final loss, beside the best member of each family.

    Attributes
    ----------
    schedule : Clock
        Learning rates, one per step.
    loss : float
        Predicted final loss in nats.
    exponent : float or None
        Predicted α of the tuned loss against the number of steps, at late times; None but for SGD
        on hard labels.
    families : tuple of FamilyOptimum
        From the lowest loss to the highest.
    flow : StudentFlow
        The predicted run.
    """

    schedule: Clock
    loss: float
    exponent: float | None
    families: tuple[FamilyOptimum, ...]
    flow: StudentFlow = field(repr=False)

    @property
    def tangential_fraction(self) -> float:
        """L_t/L at the end."""
        return _share(self.flow)

    def __repr__(self) -> str:
        title = f"Optimal schedule over {self.schedule.steps} steps"
        lines = [f"{title}: loss {self.loss:.5g}"]
        lines += [
            f"  {f.name:<12}peak {f.peak:<10.4g}loss {f.loss:<10.4g}"
            f"L_t/L {f.tangential_fraction:<7.3f}" + ("" if f.exponent is None else f"alpha {f.exponent:.3f}")
            for f in self.families
        ]
        return "\n".join(lines)


def _at_rate(optimizer: Tunable, rate: float) -> Tunable:
    """Return the optimizer with this learning rate; a rate that has vanished stays positive."""
    return replace(optimizer, learning_rate=max(rate, 1e-300))


def _usual_rate(optimizer: Tunable, n: float, steps: int) -> float:
    """Return a rate of the order of the best constant one."""
    number_of_energies(n)
    if isinstance(optimizer, SGD):
        return 2.0 * optimizer.batch / optimizer.width
    return 0.3 * math.sqrt(optimizer.batch / (n * optimizer.width)) * steps ** (-1.0 / 3.0)


def _minimise(cost: Callable[[float], float], guess: float, decades: float = 1.5) -> float:
    """Return the minimiser in ln x, from a coarse scan and a bounded search inside its bracket."""
    grid = math.log(guess) + np.linspace(-decades, decades, 7) * math.log(10.0)
    values = [cost(math.exp(x)) for x in grid]
    best = int(np.argmin(values))
    for _ in range(4):
        if 0 < best < grid.size - 1:
            break
        step = grid[1] - grid[0]
        edge = grid[0] - step if best == 0 else grid[-1] + step
        grid = np.insert(grid, 0, edge) if best == 0 else np.append(grid, edge)
        values.insert(0 if best == 0 else len(values), cost(math.exp(edge)))
        best = int(np.argmin(values))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    found = minimize_scalar(
        lambda x: cost(math.exp(x)), bounds=(low, high), method="bounded", options={"xatol": _LOG_TOLERANCE}
    )
    return math.exp(float(found.x)) if found.fun < values[best] else math.exp(float(grid[best]))


def optimal_learning_rate(
    steps: int | None,
    beta_star: float,
    n: float,
    *,
    optimizer: Tunable = _SGD,
) -> OptimalRate:
    """Return the constant learning rate with the lowest loss after `steps` steps from zero.

    Parameters
    ----------
    steps : int or None
        Length of the run; None for the late-time limit, which exists in closed form for SGD and hard labels.
    beta_star : float
        Teacher's inverse temperature; infinite for hard labels.
    n : int
        Number of classes.
    optimizer : SGD, Adam or SignGD
        Its learning rate does not count.

    Returns
    -------
    OptimalRate

    Raises
    ------
    ValueError
        For impossible values, and for the limit of anything but SGD on hard labels.

    Examples
    --------
    >>> from peakedtheory import SGD
    >>> best = optimal_learning_rate(None, float("inf"), 128, optimizer=SGD(batch=64, width=32))
    >>> print(f"{best.learning_rate:.3f}")
    4.078
    """
    optimizer = of_batches(optimizer)
    if steps is None:
        if not isinstance(optimizer, SGD) or math.isfinite(beta_star):
            fail("steps", "must be given, as only SGD on hard labels has a limit", "None", "give a length")
        ratio, rho, share = asymptotic_rate()
        return OptimalRate(ratio * optimizer.batch / optimizer.width, None, share, rho, 1.0 / 3.0)
    length = number_of_steps(steps)

    def run(rate: float) -> StudentFlow:
        return student_flow([rate * length], beta_star, n, optimizer=_at_rate(optimizer, rate))

    best = _minimise(lambda rate: _last(run(rate).loss), _usual_rate(optimizer, n, length))
    flow = run(best)
    loss, residual, exponent = map(_last, (flow.loss, flow.residual, flow.local_exponent))
    return OptimalRate(best, loss, _share(flow), residual, exponent)


#: The power with which the rates of each family end.
_POWERS = {
    "constant": 0.0, "linear": 1.0, "square": 2.0, "quartic": 4.0, "cosine": 2.0, "wsd": 1.0, "1-sqrt": 1.0,
    "hyperbolic": 0.0,
}  # fmt: skip
#: Families by name, as functions of (peak, steps), and the power with which each ends.
FAMILIES: dict[str, tuple[Callable[..., Clock], float]] = {
    **{name: (BUILDERS[name][0], power) for name, power in _POWERS.items()},
    "annealing": (annealing, math.inf),
}


def best_of_family(
    name: str,
    steps: int,
    beta_star: float,
    n: float,
    *,
    optimizer: Tunable = _SGD,
) -> FamilyOptimum:
    """Return the member of one of `FAMILIES` whose peak gives the lowest predicted final loss.

    Parameters
    ----------
    name : str
        Key in `FAMILIES`.
    steps, beta_star, n, optimizer
        As in `optimal_schedule`, which also says what is refused.

    Returns
    -------
    FamilyOptimum
    """
    optimizer, steps = of_batches(optimizer), number_of_steps(steps)
    if not isinstance(name, str) or name not in FAMILIES:
        fail("family", f"must be one of {', '.join(FAMILIES)}", shown(name), "name a family")
    build, power = FAMILIES[name]
    if name == "annealing":
        build = functools.partial(annealing, optimizer=optimizer)

    def run(peak: float) -> StudentFlow:
        return _final(build(peak, steps), beta_star, n, optimizer)

    guess = _usual_rate(optimizer, n, steps)
    growth = 2.0 * min(power, 4.0) / (3.0 * (min(power, 4.0) + 1.0))
    peak = _minimise(lambda height: _last(run(height).loss), guess * (steps / 30.0) ** growth)
    flow = run(peak)
    exponent = None
    if isinstance(optimizer, SGD) and math.isinf(beta_star):
        exponent = 1.0 if math.isinf(power) else decay_exponent(power)
    return FamilyOptimum(name, build(peak, steps), peak, _last(flow.loss), _share(flow), exponent)


def _share(flow: StudentFlow) -> float:
    """Return L_t/L at the end; 0 where nothing is left of the loss."""
    loss = _last(flow.loss)
    return _last(flow.tangential_loss) / loss if loss > 0.0 else 0.0


def _last(values: Values) -> float:
    return float(np.ravel(values)[-1])


def _final(plan: Clock, beta_star: float, n: float, optimizer: Tunable) -> StudentFlow:
    rule = _at_rate(optimizer, plan.peak)
    return student_flow([plan.tau[-1]], beta_star, n, optimizer=rule, schedule=plan)


def optimal_schedule(
    steps: int,
    beta_star: float,
    n: float,
    *,
    optimizer: Tunable = _SGD,
    families: tuple[str, ...] = tuple(FAMILIES),
    refine: bool = True,
    progress: bool | Report = False,
) -> OptimalSchedule:
    """Return the learning-rate schedule with the lowest predicted final loss, from zero.

    Parameters
    ----------
    steps : int
        Length of the run T, at least 10.
    beta_star : float
        Teacher's inverse temperature; infinite for hard labels.
    n : int
        Number of classes.
    optimizer : SGD, Adam or SignGD
        Its learning rate does not count.
    families : tuple of str
        Families whose best members are compared.
    refine : bool
        Whether to free the shape altogether; otherwise the best family member is returned.
    progress : bool or callable
        Show a bar on a terminal, or be called with the numbers of families done and planned; the free shape
        counts as one.

    Returns
    -------
    OptimalSchedule

    Raises
    ------
    ValueError
        For impossible values.

    Notes
    -----
    The free schedule is ln η, piecewise linear on knots that crowd towards both ends, improved by quasi-
    Newton descent from the best family member (docs/schedules.md, Eq. 15). Its prediction is too low for long
    runs: 12 % below training by SGD at 10,000 steps, 21 % at 30,000 (same page).
    """
    optimizer = of_batches(optimizer)
    if not isinstance(optimizer, SGD):
        families = tuple(name for name in families if name != "annealing")  # its rates are those of SGD
    steps = number_of_steps(steps)
    if steps < 10:
        fail("steps", "must be at least 10", f"{steps}", "a shorter run has no schedule")
    if not families:
        fail("families", f"must be some of {', '.join(FAMILIES)}", "none", "name one")
    planned = len(families) + flag("refine", refine)
    with reporter(progress, "tuning schedules") as report:
        optima = []
        for done, name in enumerate(families, start=1):
            optima.append(best_of_family(name, steps, beta_star, n, optimizer=optimizer))
            report(done, planned)
        optima.sort(key=lambda f: f.loss)
        plan = optima[0].schedule
        if refine:
            plan = _free_shape(plan, optima[0].loss, beta_star, n, optimizer)
            report(planned, planned)
    times = plan.tau[np.unique(np.round(np.geomspace(1, steps, 200)).astype(int))]
    flow = student_flow(times, beta_star, n, optimizer=_at_rate(optimizer, plan.peak), schedule=plan)
    exponent = optima[0].exponent
    if exponent is not None and plan is not optima[0].schedule:
        exponent = 1.0
    return OptimalSchedule(plan, _last(flow.loss), exponent, tuple(optima), flow)


def _free_shape(plan: Clock, loss: float, beta_star: float, n: float, optimizer: Tunable) -> Clock:
    steps = plan.steps
    u = (np.arange(steps) + 0.5) / steps
    margin = min(0.5, 3.0 / steps)
    position = np.log((u + margin) / (1.0 - u + margin))
    knots = np.linspace(position[0], position[-1], _KNOTS)
    start = np.interp(knots, position, np.log(np.maximum(plan.rates, 1e-12 * plan.rates.max())))

    def build(y: np.ndarray) -> Clock:
        rates = np.exp(np.interp(position, knots, y))
        return Clock(rates, "free")

    def cost(y: np.ndarray) -> float:
        loss = _last(_final(build(y), beta_star, n, optimizer).loss)
        return math.log(max(loss, _REACHED))

    highest = math.log(n) + 2.0 if isinstance(optimizer, SGD) else math.inf
    bounds = [(value - 6.0, min(value + 6.0, highest)) for value in start]
    bounds = [(low, max(high, low + 1.0)) for low, high in bounds]
    found = minimize(
        cost, start, method="L-BFGS-B", bounds=bounds, options={"eps": 1e-4, "maxiter": 25, "ftol": 1e-5}
    )
    best = build(found.x)
    if not found.fun < math.log(max(loss, _REACHED)):
        return plan
    return Clock(best.rates, f"optimal:steps={steps}")
