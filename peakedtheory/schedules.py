"""Learning-rate schedules and the dynamic time τ = Σ η_t they spend (Liu et al. 2026, Eq. 22).

Every family resolves to one array of rates, one per step. Schedules are built by functions, read from text
such as `cosine:peak=3e-4,warmup=2160,steps=72000,final=3e-5`, or given as an array, a callable or a list of
steps. Rates and lengths that are impossible raise ValueError.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail, number_of_steps, real_array, real_number


@dataclass(frozen=True)
class Schedule:
    """Learning rates η_1 … η_T of one run.

    Attributes
    ----------
    name : str
        The family and its parameters, from which `parse_schedule` builds the same rates; what is built
        otherwise is named after its origin.
    rates : ndarray, shape (steps,)
        Learning rate of each step.
    """

    name: str
    rates: np.ndarray = field(repr=False)

    @property
    def steps(self) -> int:
        """Number of steps."""
        return int(self.rates.size)

    @property
    def tau(self) -> np.ndarray:
        """Dynamic time after 0, 1, …, T steps, shape (steps + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.rates)])


def _rate(value: Any, argument: str, *, zero: bool = False) -> float:
    number = real_number(argument, value)
    if not (number > 0 or (zero and number == 0)) or np.isinf(number):
        fail(
            argument,
            "must be a finite learning rate " + (">= 0" if zero else "> 0"),
            f"{number:g}",
            "give a rate",
        )
    return number


def _text(number: float) -> str:
    """Return the shortest text that stands for the number."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _finish(name: str, rates: np.ndarray) -> Schedule:
    rates = np.ascontiguousarray(rates, dtype=float)
    if not np.isfinite(rates).all() or (rates < 0).any():
        bad = rates[~np.isfinite(rates) | (rates < 0)][0]
        fail("schedule", "must consist of finite rates >= 0", f"{bad:g}", "correct the schedule")
    if not rates.any():
        fail("schedule", "must have a positive rate somewhere", "zeros only", "give a learning rate")
    rates.flags.writeable = False
    return Schedule(name, rates)


def _progress(steps: int, warmup: int) -> tuple[np.ndarray, np.ndarray]:
    """Warmup factor, and progress u in (0, 1] through the rest, of each step."""
    if warmup >= steps:
        fail("warmup", "must be shorter than the run", f"{warmup} of {steps} steps", "shorten it")
    t = np.arange(1, steps + 1)
    return np.minimum(t / max(warmup, 1), 1.0), np.clip((t - warmup) / (steps - warmup), 0.0, 1.0)


def constant(peak: float, steps: int, warmup: int = 0) -> Schedule:
    """Return η_t = peak after a linear warmup.

    Parameters
    ----------
    peak : float
        Highest rate.
    steps, warmup : int
        Length of the run, and of the linear rise from zero at its beginning, which must be shorter.

    Returns
    -------
    Schedule
    """
    peak, steps, warmup = _rate(peak, "peak"), number_of_steps(steps), number_of_steps(warmup, "warmup", 0)
    rise, _ = _progress(steps, warmup)
    return _finish(f"constant:peak={_text(peak)},steps={steps},warmup={warmup}", peak * rise)


def power_decay(peak: float, steps: int, power: float = 1.0, warmup: int = 0, final: float = 0.0) -> Schedule:
    """Return final + (peak - final)(1 - u)^power after a linear warmup, u the progress through the rest.

    Power 1 is the linear decay. u is that of the middle of each step: none is lost to a rate of zero.

    Parameters
    ----------
    peak, steps, warmup, power, final : float
        As for `constant`; power and final rate are at least 0.

    Returns
    -------
    Schedule
    """
    peak, steps, warmup = _rate(peak, "peak"), number_of_steps(steps), number_of_steps(warmup, "warmup", 0)
    final, power = _rate(final, "final", zero=True), real_number("power", power)
    if power < 0:
        fail("power", "must be >= 0", f"{power:g}", "a decay falls")
    rise, u = _progress(steps, warmup)
    u = np.maximum(u - 0.5 / (steps - warmup), 0.0)
    name = f"power:peak={_text(peak)},steps={steps},power={_text(power)},warmup={warmup},final={_text(final)}"
    return _finish(name, rise * (final + (peak - final) * (1.0 - u) ** power))


def warmup_cosine(peak: float, steps: int, warmup: int = 0, final: float = 0.0) -> Schedule:
    """Return the half cosine from `peak` to `final` after a linear warmup.

    Parameters
    ----------
    peak, steps, warmup, final : float
        As for `constant`; the last step has the rate `final`, at least 0.

    Returns
    -------
    Schedule

    Examples
    --------
    >>> warmup_cosine(1.0, 100, warmup=10, final=0.1).rates[[9, -1]].tolist()
    [1.0, 0.1]
    """
    peak, steps, warmup = _rate(peak, "peak"), number_of_steps(steps), number_of_steps(warmup, "warmup", 0)
    final = _rate(final, "final", zero=True)
    rise, u = _progress(steps, warmup)
    name = f"cosine:peak={_text(peak)},steps={steps},warmup={warmup},final={_text(final)}"
    return _finish(name, rise * (final + 0.5 * (peak - final) * (1.0 + np.cos(np.pi * u))))


def _stable_decay(
    kind: str, shape: Callable, peak: Any, steps: Any, warmup: Any, decay: Any, final: Any
) -> Schedule:
    peak, steps, warmup = _rate(peak, "peak"), number_of_steps(steps), number_of_steps(warmup, "warmup", 0)
    final = _rate(final, "final", zero=True)
    length = real_number("decay", decay)
    length = round(length * steps) if 0 < length < 1 else length
    length = number_of_steps(length, "decay")
    if warmup + length > steps:
        fail(
            "decay",
            "must fit behind the warmup",
            f"{warmup} + {length} of {steps} steps",
            "shorten one of them",
        )
    rise, _ = _progress(steps, warmup)
    u = np.clip((np.arange(1, steps + 1) - (steps - length)) / length, 0.0, 1.0)
    name = f"{kind}:peak={_text(peak)},steps={steps},warmup={warmup},decay={length},final={_text(final)}"
    return _finish(name, rise * (final + (peak - final) * shape(u)))


def wsd(peak: float, steps: int, warmup: int = 0, decay: float = 0.2, final: float = 0.0) -> Schedule:
    """Return warmup, a stable rate, and a linear decay over the last `decay` steps (or fraction).

    Parameters
    ----------
    peak, steps, warmup, final : float
        As for `warmup_cosine`.
    decay : float
        Steps of the decay, which must fit behind the warmup; below 1, their share of the run.

    Returns
    -------
    Schedule
    """
    return _stable_decay("wsd", lambda u: 1.0 - u, peak, steps, warmup, decay, final)


def one_minus_sqrt(
    peak: float, steps: int, warmup: int = 0, decay: float = 0.2, final: float = 0.0
) -> Schedule:
    """Return warmup, a stable rate, and a decay as 1 - √u over the last `decay` steps (or fraction).

    Parameters
    ----------
    peak, steps, warmup, decay, final : float
        As for `wsd`.

    Returns
    -------
    Schedule
    """
    return _stable_decay("1-sqrt", lambda u: 1.0 - np.sqrt(u), peak, steps, warmup, decay, final)


def hyperbolic(peak: float, steps: int, half: float = 0.01) -> Schedule:
    """Return η_t = peak/(1 + u/half), u the fraction of the run that is over: the shape of long anneals.

    Parameters
    ----------
    peak, steps, half : float
        Rate at u = 0, length of the run, and the u at which the rate is half of `peak`.

    Returns
    -------
    Schedule
    """
    peak, steps, half = _rate(peak, "peak"), number_of_steps(steps), _rate(half, "half")
    u = (np.arange(1, steps + 1) - 0.5) / steps
    return _finish(f"hyperbolic:peak={_text(peak)},steps={steps},half={_text(half)}", peak / (1.0 + u / half))


def step_list(boundaries: Sequence[tuple[int, float]], steps: int) -> Schedule:
    """Return piecewise constant rates from pairs (first step, rate).

    Parameters
    ----------
    boundaries : sequence of (int, float)
        First step, counted from 0, and rate (at least 0) of each piece, in order; the first starts at 0.
    steps : int
        Length of the run.

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError
        If the first steps do not ascend from 0 inside the run, or no rate is positive.

    Examples
    --------
    >>> step_list([(0, 1.0), (2, 0.1)], 4).rates.tolist()
    [1.0, 1.0, 0.1, 0.1]
    """
    steps = number_of_steps(steps)
    pairs = [(int(a), _rate(b, "schedule", zero=True)) for a, b in boundaries]
    starts = [a for a, _ in pairs]
    if not pairs or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= steps:
        fail(
            "schedule",
            "must list ascending first steps from 0, inside the run",
            f"{starts}",
            "write (0, rate), …",
        )
    which = np.searchsorted(starts, np.arange(steps), side="right") - 1
    name = "steps:" + ",".join(f"{a}={_text(b)}" for a, b in pairs) + f",steps={steps}"
    return _finish(name, np.array([b for _, b in pairs])[which])


#: What texts stand for: a function, and the names it takes.
BUILDERS: dict[str, tuple[Callable[..., Schedule], set[str]]] = {
    "constant": (constant, {"peak", "steps", "warmup"}),
    "linear": (power_decay, {"peak", "steps", "warmup", "final"}),
    "power": (power_decay, {"peak", "steps", "power", "warmup", "final"}),
    "square": (functools.partial(power_decay, power=2.0), {"peak", "steps", "warmup", "final"}),
    "quartic": (functools.partial(power_decay, power=4.0), {"peak", "steps", "warmup", "final"}),
    "cosine": (warmup_cosine, {"peak", "steps", "warmup", "final"}),
    "wsd": (wsd, {"peak", "steps", "warmup", "decay", "final"}),
    "1-sqrt": (one_minus_sqrt, {"peak", "steps", "warmup", "decay", "final"}),
    "hyperbolic": (hyperbolic, {"peak", "steps", "half"}),
}


def parse_schedule(text: str, steps: int | None = None) -> Schedule:
    """Return the schedule that `text` names.

    Parameters
    ----------
    text : str
        `constant`, `linear`, `square`, `quartic`, `power`, `cosine`, `wsd`, `1-sqrt` or `hyperbolic` with
        `name=value` parameters after a colon, or `steps:0=1e-3,800=1e-4,steps=1000`.
    steps : int, optional
        Length of the run where the text does not give it.

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError
        If the family or a parameter is unknown, or the length is missing.

    Examples
    --------
    >>> parse_schedule("cosine:peak=3e-4,warmup=2160,steps=72000,final=3e-5").steps
    72000
    """
    head, _, tail = text.strip().partition(":")
    values: dict[str, float] = {}
    for item in filter(None, (part.strip() for part in tail.split(","))):
        key, _, number = item.partition("=")
        try:
            values[key.strip()] = float(number)
        except ValueError:
            fail("schedule", "must list parameters as name=number", repr(item), "write for example peak=3e-4")
    if head not in (*BUILDERS, "steps"):
        fail("schedule", f"must be one of {', '.join(BUILDERS)}, steps", repr(head), "name a family")
    if steps is not None:
        values.setdefault("steps", steps)
    if "steps" not in values:
        fail("schedule", "must say how many steps", repr(text), "add steps=…")
    if head == "steps":
        length = values.pop("steps")
        if not all(key.isdigit() for key in values):
            fail(
                "schedule",
                "steps takes step=rate pairs",
                repr(text),
                "write steps:0=1e-3,800=1e-4,steps=1000",
            )
        return step_list([(int(k), v) for k, v in values.items()], number_of_steps(length))
    family, known = BUILDERS[head]
    unknown = set(values) - known
    if unknown or "peak" not in values:
        problem = f"{text!r}" + (f" ({', '.join(sorted(unknown))})" if unknown else " (no peak)")
        fail("schedule", f"{head} takes {', '.join(sorted(known))}", problem, "correct the parameters")
    return family(**values)


def as_schedule(schedule: Any, steps: int | None = None) -> Schedule:
    """Return the schedule meant by a `Schedule`, a text, an array of rates, (step, rate) pairs or a callable.

    Parameters
    ----------
    schedule : Schedule, str, array_like, sequence of pairs or callable
        A callable takes the step, counted from 0, and returns its rate; it and pairs need `steps`.
    steps : int, optional
        Length of the run; must agree with schedules that have one.

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError
        If the lengths differ, rates are negative, or `steps` is missing.
    """
    if isinstance(schedule, str):
        result = parse_schedule(schedule, steps)
    elif isinstance(schedule, Schedule):
        result = schedule
    elif callable(schedule):
        if steps is None:
            fail("steps", "must be given with a callable schedule", "None", "say how long the run is")
        result = _finish("callable", np.array([float(schedule(t)) for t in range(number_of_steps(steps))]))
    elif isinstance(schedule, (list, tuple)) and schedule and isinstance(schedule[0], (list, tuple)):
        if steps is None:
            fail("steps", "must be given with a list of steps", "None", "say how long the run is")
        result = step_list(schedule, steps)
    else:
        rates = real_array("schedule", schedule)
        if rates.ndim != 1:
            fail("schedule", "must be one-dimensional", f"shape {rates.shape}", "give one rate per step")
        result = _finish("array", rates)
    if steps is not None and result.steps != number_of_steps(steps):
        fail("schedule", f"must have {steps} steps", f"{result.steps}", "make the lengths agree")
    return result


def dynamic_time(schedule: Any, steps: int | None = None) -> np.ndarray:
    """Return τ = Σ η after 0, 1, …, T steps (Liu et al. 2026, Eq. 22).

    Parameters
    ----------
    schedule : Schedule, str, array_like, sequence of pairs or callable
        As `as_schedule` takes it.
    steps : int, optional
        Length of the run T.

    Returns
    -------
    ndarray, shape (T + 1,)

    Examples
    --------
    >>> dynamic_time("constant:peak=0.5", 4).tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0]
    """
    return as_schedule(schedule, steps).tau
