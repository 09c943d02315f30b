"""One training run's loss against its optimizer steps, with the learning rates that lie behind it.

The rates of every step are the truth; the dynamic time τ = Σ η (Liu et al. 2026, Eq. 22) follows from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from peakedtheory._common.checks import MOST_STEPS, fail, real_array, shown
from peakedtheory._common.types import Reals
from peakedtheory.curves.noise import local_noise
from peakedtheory.curves.rates import recorded, scheduled
from peakedtheory.curves.reductions import Reductions
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.reading import ScheduleLike, as_schedule

#: A schedule that ends within this of its peak may be continued.
_PEAK = 1.0 - 1e-6


#: Least step that a run is asked about.
_EARLIEST = 1e-9


@dataclass(frozen=True, eq=False)
class Times:
    """Steps of a run with the clock behind them: where a law is evaluated.

    Attributes
    ----------
    step : ndarray, shape (records,)
        Optimizer steps, increasing, at least 0.
    clock : Clock or None
        Learning rates of the run and the times they keep; None where they are unknown.
    name : str
        What messages call the run.
    """

    step: np.ndarray
    clock: Clock | None
    name: str

    @property
    def known_clock(self) -> Clock:
        """The clock, refused with one line where the rates are unknown."""
        if self.clock is None:
            rule = f"are needed for the dynamic time{f' of {self.name}' if self.name else ''}"
            fail(
                "rates",
                rule,
                "None",
                "give learning_rate or a schedule (--schedule; of a log to forecast --log-schedule)",
            )
        return self.clock

    @property
    def rates(self) -> np.ndarray | None:
        """Learning rate of every optimizer step 1 … T, shape (steps,); None where they are unknown."""
        return None if self.clock is None else self.clock.rates

    @property
    def warmup(self) -> int:
        """Step at which the rates have risen to their peak; 0 if they begin there or are unknown."""
        return 0 if self.clock is None else self.clock.warmup

    @cached_property
    def tau(self) -> np.ndarray:
        """Dynamic time Σ_{t ≤ step} η_t at the records, shape (records,)."""
        return self.time_at(self.step)

    @cached_property
    def learning_rate(self) -> np.ndarray:
        """Rate of the step just taken at each record, shape (records,)."""
        return self.rate_at(self.step)

    @cached_property
    def reductions(self) -> Reductions:
        """The falls of the rate before each record, for laws that sum over them."""
        return Reductions(self.known_clock, self.step)

    def time_at(self, step: Reals) -> np.ndarray:
        """Return τ after `step` steps (array_like, any shape), linear between whole steps."""
        return self.known_clock.time_at(step)

    def rate_at(self, step: Reals) -> np.ndarray:
        """Return the rate of the step that ends at `step` (array_like, any shape)."""
        return self.known_clock.rate_at(step)


@dataclass(frozen=True, eq=False, init=False)
class LossCurve(Times):
    """Losses recorded along one run.

    Parameters
    ----------
    step, loss, logit_std, entropy : array_like, shape (records,)
        See below; the last two may be left out.
    rates : Clock, str, array_like, sequence of pairs or callable, optional
        Learning rates of the run as `as_schedule` takes them, of every optimizer step 1 … T, T at least the
        last recorded step; what lies beyond is the planned rest of the run. Where they are unknown, only laws
        in the step count can be fitted.
    name, metadata : optional
        See below.
    clock : Clock, optional
        The rates of another curve, as `dataclasses.replace` passes them on; `rates` come first.
    noise : array_like, shape (records,), optional
        See below.

    Attributes
    ----------
    step : ndarray, shape (records,)
        Optimizer steps taken when the loss was recorded, increasing, at least 0.
    loss : ndarray, shape (records,)
        Loss in nats, positive.
    clock : Clock or None
        Learning rates of the run and the times they keep; None where they are unknown.
    logit_std, entropy : ndarray, shape (records,), or None
        Standard deviation of the logits, and entropy of the predictions in nats, where they were logged.
    noise : ndarray, shape (records,), or None
        Standard deviation of each record's ln L, positive, where it is known: fits then weigh records by it.
    name : str
        What tables and legends call the run.
    metadata : dict
        Whatever else is known, kept as it is.

    Raises
    ------
    ValueError
        If the steps do not increase, a loss is not positive, or the lengths disagree.

    Examples
    --------
    >>> curve = LossCurve([10, 20, 40], [4.0, 3.5, 3.2], rates=[0.1] * 40)
    >>> curve.tau.round(12).tolist()
    [1.0, 2.0, 4.0]
    """

    loss: np.ndarray
    logit_std: np.ndarray | None
    entropy: np.ndarray | None
    metadata: dict[str, Any] = field(repr=False)
    noise: np.ndarray | None

    def __init__(
        self,
        step: Reals,
        loss: Reals,
        rates: ScheduleLike | None = None,
        logit_std: Reals | None = None,
        entropy: Reals | None = None,
        name: str = "",
        metadata: dict[str, Any] | None = None,
        *,
        clock: Clock | None = None,
        noise: Reals | None = None,
    ) -> None:
        steps = _steps(step)
        rates = clock if rates is None else rates
        fields = {
            "step": steps,
            "loss": _losses(loss, steps),
            "logit_std": None if logit_std is None else _column("logit_std", logit_std, steps.size),
            "entropy": None if entropy is None else _column("entropy", entropy, steps.size),
            "clock": None if rates is None else _covering(rates, steps[-1]),
            "name": name,
            "metadata": {} if metadata is None else metadata,
            "noise": None if noise is None else _noise(noise, steps.size),
        }
        for key, value in fields.items():
            object.__setattr__(self, key, value)

    @classmethod
    def from_records(
        cls,
        step: Reals,
        loss: Reals,
        *,
        learning_rate: Reals | None = None,
        schedule: ScheduleLike | None = None,
        logit_std: Reals | None = None,
        entropy: Reals | None = None,
        name: str = "",
        metadata: dict[str, Any] | None = None,
    ) -> LossCurve:
        """Return a curve whose rates come from the log or from a schedule.

        Parameters
        ----------
        step, loss : array_like, shape (records,)
            As in `LossCurve`.
        learning_rate : array_like, optional
            Either the rate of every step (length at least the last step), or the rate logged with each record
            (length of `step`). Rates between records are then interpolated linearly, and the steps before
            the first record rise linearly from zero to its rate if the log still rises there, and have its
            rate otherwise.
        schedule : optional
            What `as_schedule` takes, for example "cosine:peak=3e-4,warmup=2160,steps=72000,final=3e-5";
            preferred over `learning_rate`, because it is exact between the records.
        logit_std, entropy, name, metadata : optional
            As in `LossCurve`.

        Returns
        -------
        LossCurve

        Raises
        ------
        ValueError
            If the rates fit neither the records nor the steps, or the schedule is shorter than the curve.
        """
        steps = _column("step", step)
        clock = None
        if schedule is not None:
            clock = scheduled(schedule, steps[-1])
        elif learning_rate is not None:
            clock = recorded(steps, _column("learning_rate", learning_rate))
        return cls(steps, loss, clock, logit_std, entropy, name, dict(metadata or {}))

    def __len__(self) -> int:
        """Return the number of records."""
        return int(self.step.size)

    def window(self, first: float = 0.0, last: float = np.inf) -> LossCurve:
        """Return the records with first <= step <= last; rates and origin of τ stay those of the whole run.

        Raises
        ------
        ValueError
            If no record lies in the window.
        """
        inside = (self.step >= first) & (self.step <= last)
        if not inside.any():
            fail(
                "window",
                f"must hold records between steps {self.step[0]:g} and {self.step[-1]:g}",
                f"[{first:g}, {last:g}]",
                "widen it",
            )
        beside = (self.logit_std, self.entropy, self.noise)
        std, entropy, noise = (None if column is None else column[inside] for column in beside)
        step, loss = self.step[inside], self.loss[inside]
        return LossCurve(step, loss, self.clock, std, entropy, self.name, self.metadata, noise=noise)

    def with_local_noise(self) -> LossCurve:
        """Return the curve with the noise that its records show.

        Each record is compared with the line between its neighbours, and the noise is the median deviation
        around it, so spikes count for nothing. Noise that hangs together over many records is not seen.
        """
        return replace(self, noise=local_noise(np.log(np.maximum(self.step, 0.5)), np.log(self.loss)))

    def annealing(self, fraction: float = 0.01) -> np.ndarray:
        """Return which records come after the peak and more than `fraction` below it, shape (records,)."""
        below = self.learning_rate < (1.0 - fraction) * self.known_clock.peak
        return (self.step > self.warmup) & below

    @property
    def is_annealed(self) -> bool:
        """Whether any record lies where the rate has come down from its peak."""
        return self.clock is not None and bool(self.annealing().any())


def ahead(run: Times, steps: Reals | None, schedule: ScheduleLike | None) -> Times:
    """Return the times at `steps` of the run, or of one like it under another schedule.

    Rates that ended at their peak go on at that rate.

    Raises
    ------
    ValueError
        If the steps do not increase, or go beyond a schedule that has been annealed.
    """
    wanted = run.step if steps is None else np.atleast_1d(real_array("steps", steps))
    rising = wanted.ndim == 1 and (wanted >= _EARLIEST).all() and (np.diff(wanted) > 0).all()
    if not rising or not np.isfinite(wanted).all():
        fail("steps", "must be positive and increase", shown(steps), "list optimizer steps in order")
    if wanted[-1] > MOST_STEPS:
        fail("steps", f"must not exceed {MOST_STEPS:g}", f"{wanted[-1]:g}", "predict a shorter run")
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
    return Times(wanted, clock, run.name)


def as_curves(curves: LossCurve | Iterable[LossCurve]) -> tuple[LossCurve, ...]:
    """Return one or several curves as a tuple.

    Parameters
    ----------
    curves : LossCurve or iterable of LossCurve
        At least one.

    Returns
    -------
    tuple of LossCurve

    Raises
    ------
    ValueError
        For anything else.
    """
    several = tuple(curves) if isinstance(curves, Iterable) else (curves,)
    if not several or not all(isinstance(curve, LossCurve) for curve in several):
        fail("curves", "must be one LossCurve or several", shown(curves), "build them with LossCurve")
    return several


def _column(name: str, value: Reals, size: int | None = None) -> np.ndarray:
    column = np.array(real_array(name, value))
    if column.ndim != 1 or (size is not None and column.size != size):
        expected = "must be one-dimensional" if size is None else f"must have one value per record ({size})"
        fail(name, expected, f"shape {column.shape}", "make the lengths agree")
    column.flags.writeable = False
    return column


def _steps(values: Reals) -> np.ndarray:
    step = _column("step", values)
    if (step < 0).any() or np.isinf(step).any():
        fail("step", "must be finite and >= 0", f"{step.min():g}", "count the steps from the start")
    if (np.diff(step) <= 0).any():
        at = int(np.argmax(np.diff(step) <= 0))
        found = f"{step[at + 1]:g} after {step[at]:g}"
        remedy = "sort the records and keep one of each step"
        fail("step", "must increase from record to record", found, remedy)
    return step


def _losses(values: Reals, step: np.ndarray) -> np.ndarray:
    loss = _column("loss", values, step.size)
    if (loss <= 0).any() or np.isinf(loss).any():
        bad = np.flatnonzero((loss <= 0) | np.isinf(loss))[0]
        found = f"{loss[bad]:g} at step {step[bad]:g}"
        fail("loss", "must be finite and > 0", found, "drop the record, or the constant that was subtracted")
    return loss


def _noise(values: Reals, size: int) -> np.ndarray:
    noise = _column("noise", values, size)
    if not ((noise > 0) & np.isfinite(noise)).all():
        worst = noise[~((noise > 0) & np.isfinite(noise))][0]
        fail("noise", "must be finite and > 0", f"{worst:g}", "give standard deviations of ln L")
    return noise


def _covering(rates: ScheduleLike, last: float) -> Clock:
    """Return the clock of rates that reach the last record."""
    clock = as_schedule(rates)
    if clock.steps < last:
        remedy = "give the rate of each step, or use LossCurve.from_records"
        fail("rates", f"must cover every step up to {last:g}", f"{clock.steps} rates", remedy)
    return clock
