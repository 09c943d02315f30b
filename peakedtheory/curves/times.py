"""Steps of one run with the clock behind them: all that a law of loss curves asks of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.types import Reals
from peakedtheory.curves.reductions import Reductions
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.reading import ScheduleLike, as_schedule

#: A schedule that ends within this of its peak may be continued.
_PEAK = 1.0 - 1e-6


@dataclass(frozen=True, eq=False)
class Times:
    """Where a law is evaluated.

    Attributes
    ----------
    step : ndarray, shape (records,)
        Optimizer steps, increasing.
    clock : Clock or None
        Rates of the run; None where they are unknown.
    run : str
        What messages call the run.
    """

    step: np.ndarray
    clock: Clock | None
    run: str = ""

    @property
    def known_clock(self) -> Clock:
        """The clock, refused with one line where the rates are unknown."""
        if self.clock is None:
            rule = f"are needed for the dynamic time{f' of {self.run}' if self.run else ''}"
            fail("rates", rule, "None", "give learning_rate or a schedule")
        return self.clock

    @property
    def warmup(self) -> int:
        """First step that has the largest rate of the run; 0 if it is the first one or rates are unknown."""
        return 0 if self.clock is None else self.clock.warmup

    @cached_property
    def tau(self) -> np.ndarray:
        """Dynamic time at the steps."""
        return self.known_clock.time_at(self.step)

    @cached_property
    def eta(self) -> np.ndarray:
        """Rate of the step just taken."""
        return self.known_clock.rate_at(self.step)

    @cached_property
    def reductions(self) -> Reductions:
        """The falls of the rate before each step, for laws that sum over them."""
        return Reductions(self.known_clock, self.step)


def ahead(run: Times, steps: Reals | None, schedule: ScheduleLike | None) -> Times:
    """Return the times at `steps` of the run, or of one like it under another schedule.

    Rates that ended at their peak go on at that rate.

    Raises
    ------
    ValueError
        If the steps do not increase, or go beyond a schedule that has been annealed.
    """
    wanted = run.step if steps is None else np.atleast_1d(np.array(steps, dtype=float))
    rising = wanted.ndim == 1 and (wanted > 0).all() and (np.diff(wanted) > 0).all()
    if not rising or not np.isfinite(wanted).all():
        fail("steps", "must be positive and increase", repr(steps)[:50], "list optimizer steps in order")
    clock = run.clock
    if schedule is not None:
        clock = as_schedule(schedule)
        if steps is None:
            wanted = run.step[run.step <= clock.steps]
            wanted = np.append(wanted, clock.steps) if not wanted.size or wanted[-1] < clock.steps else wanted
    if clock is not None and wanted[-1] > clock.steps:
        last = clock.rates[-1]
        if last < _PEAK * clock.peak or schedule is not None:
            rule = f"must not go beyond the schedule's {clock.steps} steps"
            fail("steps", rule, f"{wanted[-1]:g}", "give the schedule of the longer run")
        rest = np.full(math.ceil(wanted[-1]) - clock.steps, last)
        clock = Clock(np.concatenate([clock.rates, rest]))
    return Times(wanted, clock, run.run)
