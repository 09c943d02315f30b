"""One training run's loss against its optimizer steps, with the learning rates that lie behind it.

The rates of every step are the truth; the dynamic time τ = Σ η (Liu et al. 2026, Eq. 22) follows from them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail, real_array
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.reading import as_schedule

_PEAK = 1.0 - 1e-6


@dataclass(frozen=True, eq=False)
class LossCurve:
    """Losses recorded along one run.

    Attributes
    ----------
    step : ndarray, shape (records,)
        Optimizer steps taken when the loss was recorded, increasing, at least 0.
    loss : ndarray, shape (records,)
        Loss in nats, positive.
    rates : ndarray, shape (steps,), or None
        Learning rate of every optimizer step 1 … T, T at least the last recorded step; what lies beyond is
        the planned rest of the run. None where it is unknown: then only laws in the step count can be fitted.
    logit_std, entropy : ndarray, shape (records,), or None
        Standard deviation of the logits, and entropy of the predictions in nats, where they were logged.
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

    step: np.ndarray
    loss: np.ndarray
    rates: np.ndarray | None = None
    logit_std: np.ndarray | None = None
    entropy: np.ndarray | None = None
    name: str = ""
    metadata: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        step = _column("step", self.step)
        if (step < 0).any() or np.isinf(step).any():
            fail("step", "must be finite and >= 0", f"{step.min():g}", "count the steps from the start")
        if (np.diff(step) <= 0).any():
            at = int(np.argmax(np.diff(step) <= 0))
            fail(
                "step",
                "must increase from record to record",
                f"{step[at + 1]:g} after {step[at]:g}",
                "sort the records and keep one of each step",
            )
        loss = _column("loss", self.loss, step.size)
        if (loss <= 0).any() or np.isinf(loss).any():
            bad = np.flatnonzero((loss <= 0) | np.isinf(loss))[0]
            fail(
                "loss",
                "must be finite and > 0",
                f"{loss[bad]:g} at step {step[bad]:g}",
                "drop the record, or the constant that was subtracted",
            )
        columns: dict[str, Any] = {"step": step, "loss": loss}
        for extra in ("logit_std", "entropy"):
            value = getattr(self, extra)
            columns[extra] = None if value is None else _column(extra, value, step.size)
        if self.rates is not None:
            rates = as_schedule(self.rates).rates
            if rates.size < step[-1]:
                fail(
                    "rates",
                    f"must cover every step up to {step[-1]:g}",
                    f"{rates.size} rates",
                    "give the rate of each step, or use LossCurve.from_records",
                )
            columns["rates"] = rates
        for key, value in columns.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, key, value)

    @classmethod
    def from_records(
        cls,
        step: Any,
        loss: Any,
        *,
        learning_rate: Any = None,
        schedule: Any = None,
        logit_std: Any = None,
        entropy: Any = None,
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
        rates = None
        if schedule is not None:
            rates = schedule_behind(schedule, steps[-1]).rates
        elif learning_rate is not None:
            rates = _column("learning_rate", learning_rate)
            if rates.size == steps.size and rates.size < steps[-1]:
                rates = between_records(steps, rates)
            elif rates.size < steps[-1]:
                fail(
                    "learning_rate",
                    f"must have one value per record ({steps.size}) or per step (at least {steps[-1]:g})",
                    f"{rates.size} values",
                    "make the lengths agree",
                )
        return cls(steps, loss, rates, logit_std, entropy, name, dict(metadata or {}))

    def __len__(self) -> int:
        """Return the number of records."""
        return int(self.step.size)

    @cached_property
    def tau(self) -> np.ndarray:
        """Dynamic time Σ_{t ≤ step} η_t at the records, shape (records,)."""
        return self.time_at(self.step)

    @cached_property
    def learning_rate(self) -> np.ndarray:
        """Rate of the step just taken at each record, shape (records,)."""
        return self.rate_at(self.step)

    @cached_property
    def warmup(self) -> int:
        """First step that has the largest rate of the run; 0 if it is the first one or rates are unknown."""
        if self.rates is None:
            return 0
        first = int(np.argmax(self.rates >= _PEAK * self.rates.max()))
        return first + 1 if first else 0

    def time_at(self, step: Any) -> np.ndarray:
        """Return τ after `step` steps (array_like, any shape), linear between whole steps."""
        times = np.concatenate([[0.0], np.cumsum(self._known_rates())])
        return np.interp(np.asarray(step, dtype=float), np.arange(times.size), times)

    def rate_at(self, step: Any) -> np.ndarray:
        """Return the rate of the step that ends at `step` (array_like, any shape)."""
        index = np.ceil(np.asarray(step, dtype=float)).astype(int) - 1
        return self._known_rates()[np.clip(index, 0, None)]

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
        return dataclasses.replace(
            self,
            step=self.step[inside],
            loss=self.loss[inside],
            logit_std=None if self.logit_std is None else self.logit_std[inside],
            entropy=None if self.entropy is None else self.entropy[inside],
        )

    def annealing(self, fraction: float = 0.01) -> np.ndarray:
        """Return which records come after the peak and more than `fraction` below it, shape (records,)."""
        rates = self._known_rates()
        return (self.step > self.warmup) & (self.learning_rate < (1.0 - fraction) * rates.max())

    @property
    def is_annealed(self) -> bool:
        """Whether any record lies where the rate has come down from its peak."""
        return self.rates is not None and bool(self.annealing().any())

    def _known_rates(self) -> np.ndarray:
        if self.rates is None:
            label = f" of {self.name}" if self.name else ""
            fail(
                "rates", f"are needed for the dynamic time{label}", "None", "give learning_rate or a schedule"
            )
        return self.rates


def as_curves(curves: Any) -> tuple[LossCurve, ...]:
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
        fail("curves", "must be one LossCurve or several", repr(curves)[:60], "build them with LossCurve")
    return several


def _column(name: str, value: Any, size: int | None = None) -> np.ndarray:
    column = real_array(name, value)
    if column.ndim != 1 or (size is not None and column.size != size):
        expected = "must be one-dimensional" if size is None else f"must have one value per record ({size})"
        fail(name, expected, f"shape {column.shape}", "make the lengths agree")
    return np.array(column)


def schedule_behind(schedule: Any, last: float) -> Clock:
    """Return the schedule of a curve whose last record is at this step, which ends there if it has no end."""
    pairs = isinstance(schedule, (list, tuple)) and schedule and isinstance(schedule[0], (list, tuple))
    endless = pairs or callable(schedule) or (isinstance(schedule, str) and "steps=" not in schedule)
    return as_schedule(schedule, math.ceil(last) if endless else None)


def between_records(step: np.ndarray, logged: np.ndarray) -> np.ndarray:
    """Rate of every step from the logged ones: linear in between, by the rule of `from_records` before."""
    rises = logged.size > 1 and logged[1] > logged[0]
    before = 0.0 if rises else logged[0]
    nodes = np.concatenate([[min(0.0, step[0] - 1.0)], step])
    return np.interp(np.arange(1.0, np.ceil(step[-1]) + 1.0), nodes, np.concatenate([[before], logged]))
