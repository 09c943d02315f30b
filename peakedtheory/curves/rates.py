"""The rate of every optimizer step behind a curve, from a schedule, from what was logged, or from both."""

from __future__ import annotations

import math
import warnings

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.reading import ScheduleLike, as_schedule

#: A schedule that is further than this fraction of the peak from the logged rates deserves a word.
_DISAGREEMENT = 0.05
#: Logged rates count up to so many times the last record.
_BEYOND = 2.0


def scheduled(schedule: ScheduleLike, last: float) -> Clock:
    """Return the schedule of a curve whose last record is at this step, which ends there if it has no end."""
    pairs = isinstance(schedule, (list, tuple)) and schedule and isinstance(schedule[0], (list, tuple))
    endless = pairs or callable(schedule) or (isinstance(schedule, str) and "steps=" not in schedule)
    return as_schedule(schedule, math.ceil(last) if endless else None)


def between_records(step: np.ndarray, logged: np.ndarray) -> Clock:
    """Return rates linear between logged ones, and before by the rule of `LossCurve.from_records`."""
    rises = logged.size > 1 and logged[1] > logged[0]
    before = 0.0 if rises else logged[0]
    nodes = np.concatenate([[min(0.0, step[0] - 1.0)], step])
    return Clock(
        np.interp(np.arange(1.0, np.ceil(step[-1]) + 1.0), nodes, np.concatenate([[before], logged]))
    )


def recorded(step: np.ndarray, rates: np.ndarray) -> Clock:
    """Return rates given for every step, or with every record."""
    if rates.size == step.size and rates.size < step[-1]:
        return between_records(step, rates)
    if rates.size < step[-1]:
        rule = f"must have one value per record ({step.size}) or per step (at least {step[-1]:g})"
        fail("learning_rate", rule, f"{rates.size} values", "make the lengths agree")
    return Clock(rates)


def planned(
    schedule: ScheduleLike,
    last: float,
    logged: tuple[np.ndarray, np.ndarray] | None,
    label: str,
    relative: bool = False,
) -> Clock:
    """Return the schedule behind a log up to step `last`, with a warning where logged rates differ.

    Rates logged in units of the peak are `relative`.
    """
    plan = scheduled(schedule, last)
    if plan.steps < last:
        rule = f"must cover the {last:g} steps of {label}"
        fail("schedule", rule, f"{plan.steps} steps", "correct its length")
    if logged is not None:
        at, rate = logged
        _compare(plan.rates, at, plan.peak * rate / rate.max() if relative else rate, label)
    return plan


def _compare(plan: np.ndarray, at: np.ndarray, rate: np.ndarray, label: str) -> None:
    """Warn where the schedule is not what was logged; one step to either side is a matter of counting."""
    index = np.clip(np.ceil(at).astype(int) - 1, 0, plan.size - 1)
    near = np.stack([plan[np.clip(index + shift, 0, plan.size - 1)] for shift in (-1, 0, 1)])
    gap = np.abs(near - rate).min(axis=0)
    worst = int(np.argmax(gap))
    far = np.count_nonzero(gap > _DISAGREEMENT * plan.max())
    if far:
        warnings.warn(
            f"{label}: at step {at[worst]:g} the log has rate {rate[worst]:g}, the schedule"
            f" {plan[index[worst]]:g} ({far} of {at.size} logged rates differ by more than 5 % of its peak);"
            " the schedule was used",
            stacklevel=5,
        )


def logged_up_to(last: float, at: np.ndarray, rate: np.ndarray, label: str) -> Clock:
    """Return the rates behind a log up to step `last`, with a warning where the first ones are not in it."""
    near = at <= _BEYOND * last  # a rate at a step far beyond the losses is a slip of the log
    at, rate = (at[near], rate[near]) if near.any() else (np.array([last]), rate[:1])
    typical = float(np.median(np.diff(at))) if at.size > 1 else 1.0
    if at[0] > 2.0 * typical:
        warnings.warn(
            f"{label}: rates before step {at[0]:g} are not in the log and were taken as {rate[0]:g}; a"
            " schedule with the warmup would place the origin of τ",
            stacklevel=4,
        )
    if at[-1] < last:
        at, rate = np.append(at, last), np.append(rate, rate[-1])
    return between_records(at, rate)
