"""Schedules from what people give: rates, pairs, a callable, text such as `cosine:peak=3e-4,steps=72000`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from peakedtheory._common.checks import fail, number_of_steps, real_array
from peakedtheory._common.texts import did_you_mean, named_values
from peakedtheory._common.types import Reals
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.families import BUILDERS, step_list

#: What `as_schedule` takes.
ScheduleLike = Clock | str | Callable[[int], float] | Sequence[tuple[int, float]] | Reals


def parse_schedule(text: str, steps: int | None = None) -> Clock:
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
    Clock

    Raises
    ------
    ValueError
        If the family or a parameter is unknown, or the length is missing.

    Examples
    --------
    >>> parse_schedule("cosine:peak=3e-4,warmup=2160,steps=72000,final=3e-5").steps
    72000
    """
    head, values = named_values("schedule", text, "peak=3e-4")
    if head not in (*BUILDERS, "steps"):
        names = (*BUILDERS, "steps")
        remedy = did_you_mean(head, names, "name a family")
        fail("schedule", f"must be one of {', '.join(names)}", repr(head), remedy)
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
    strange = set(values).difference(known)
    if strange or "peak" not in values:
        problem = f"{text!r}" + (f" ({', '.join(sorted(strange))})" if strange else " (no peak)")
        fail("schedule", f"{head} takes {', '.join(sorted(known))}", problem, "correct the parameters")
    return family(**values)


def as_schedule(schedule: ScheduleLike, steps: int | None = None) -> Clock:
    """Return the schedule meant by a `Clock`, a text, an array of rates, (step, rate) pairs or a callable.

    Parameters
    ----------
    schedule : Clock, str, array_like, sequence of pairs or callable
        A callable takes the step, counted from 0, and returns its rate; it and pairs need `steps`.
    steps : int, optional
        Length of the run; must agree with schedules that have one.

    Returns
    -------
    Clock

    Raises
    ------
    ValueError
        If the lengths differ, rates are negative, or `steps` is missing.
    """
    if isinstance(schedule, str):
        result = parse_schedule(schedule, steps)
    elif isinstance(schedule, Clock):
        result = schedule
    elif callable(schedule):
        if steps is None:
            fail("steps", "must be given with a callable schedule", "None", "say how long the run is")
        result = Clock(np.array([float(schedule(t)) for t in range(number_of_steps(steps))]), "callable")
    elif isinstance(schedule, (list, tuple)) and schedule and isinstance(schedule[0], (list, tuple)):
        if steps is None:
            fail("steps", "must be given with a list of steps", "None", "say how long the run is")
        result = step_list(cast("Sequence[tuple[int, float]]", schedule), steps)
    else:
        result = Clock(real_array("schedule", schedule))
    if steps is not None and result.steps != number_of_steps(steps):
        fail("schedule", f"must have {steps} steps", f"{result.steps}", "make the lengths agree")
    return result


def as_rates(schedule: ScheduleLike, steps: int | None = None) -> Clock:
    """Return the schedule of a run whose batch is the optimizer's: as `as_schedule`, but with rates alone."""
    clock = as_schedule(schedule, steps)
    if clock.batches is not None:
        fail("schedule", "must leave the batch to the optimizer", "a Clock with batches", "drop its batches")
    return clock


def dynamic_time(schedule: ScheduleLike, steps: int | None = None) -> np.ndarray:
    """Return τ = Σ η after 0, 1, …, T steps (Liu et al. 2026, Eq. 22).

    Parameters
    ----------
    schedule : Clock, str, array_like, sequence of pairs or callable
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
