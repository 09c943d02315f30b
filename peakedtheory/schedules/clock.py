"""Learning rates and batches of a run's steps, and the time they keep, τ = Σ η (Liu et al. 2026, Eq. 22)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail, real_array

#: Rates within this of the largest count as the peak.
_PEAK = 1.0 - 1e-6
#: A warmup has come near the peak here, and ends within this part of its steps after that.
_NEAR, _REST = 0.99, 0.1


@dataclass(frozen=True, eq=False)
class Clock:
    """Learning rates and batches of the steps 1 … T of one run, and the times they keep.

    Attributes
    ----------
    rates : ndarray, shape (steps,)
        Learning rate η_t of each step, at least 0 and positive somewhere.
    name : str
        The family and its parameters, from which `parse_schedule` builds the same rates; what is built
        otherwise is named after its origin.
    batches : ndarray, shape (steps,), or None
        Examples in each step, at least one; None where they are not known.

    Raises
    ------
    ValueError
        For rates that are negative, not finite or all zero, and batches below one or of another length.

    Examples
    --------
    >>> clock = Clock([0.1, 0.1, 0.05], batches=[64, 64, 128])
    >>> clock.tau.round(12).tolist(), clock.examples.tolist()
    ([0.0, 0.1, 0.2, 0.25], [0.0, 64.0, 128.0, 256.0])
    """

    rates: np.ndarray = field(repr=False)
    name: str = "array"
    batches: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        rates = np.array(real_array("schedule", self.rates), order="C")
        if rates.ndim != 1:
            fail("schedule", "must be one-dimensional", f"shape {rates.shape}", "give one rate per step")
        if not np.isfinite(rates).all() or (rates < 0).any():
            bad = rates[~np.isfinite(rates) | (rates < 0)][0]
            fail("schedule", "must consist of finite rates >= 0", f"{bad:g}", "correct the schedule")
        if not rates.any():
            fail("schedule", "must have a positive rate somewhere", "zeros only", "give a learning rate")
        rates.flags.writeable = False
        object.__setattr__(self, "rates", rates)
        if self.batches is not None:
            object.__setattr__(self, "batches", self._checked_batches(self.batches))

    def _checked_batches(self, batches: Any) -> np.ndarray:
        counts = np.array(real_array("batches", batches), order="C")
        if counts.shape != self.rates.shape:
            rule = f"must be one number for each of the {self.steps} steps"
            fail("batches", rule, f"shape {counts.shape}", "make the lengths agree")
        if not np.isfinite(counts).all() or (counts < 1).any():
            bad = counts[~np.isfinite(counts) | (counts < 1)][0]
            fail("batches", "must be finite numbers >= 1", f"{bad:g}", "a step sees at least one example")
        counts.flags.writeable = False
        return counts

    @property
    def steps(self) -> int:
        """Number of steps T."""
        return int(self.rates.size)

    @property
    def peak(self) -> float:
        """Largest rate."""
        return float(self.rates.max())

    @cached_property
    def warmup(self) -> int:
        """Step at which the rates have risen to their peak; 0 if they begin there.

        It is the highest of the first steps within 1 % of the largest rate, so that a bump far into a flat
        stretch counts for nothing.
        """
        near = int(np.argmax(self.rates >= _NEAR * self.peak))
        around = self.rates[near : near + 2 + int(_REST * near)]
        first = near + int(np.argmax(around >= _PEAK * around.max()))
        return first + 1 if first else 0

    @cached_property
    def tau(self) -> np.ndarray:
        """Dynamic time Σ η after 0, 1, …, T steps, shape (steps + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.rates)])

    @cached_property
    def examples(self) -> np.ndarray:
        """Examples seen after 0, 1, …, T steps, shape (steps + 1,).

        Raises
        ------
        ValueError
            If the batches are not known.
        """
        if self.batches is None:
            fail("batches", "must be given to count examples", "None", "pass them to Clock")
        return np.concatenate([[0.0], np.cumsum(self.batches)])

    def time_at(self, step: Any) -> np.ndarray:
        """Return τ after `step` steps (array_like, any shape), linear between whole steps."""
        return np.interp(np.asarray(step, dtype=float), np.arange(self.tau.size), self.tau)

    def step_at(self, tau: Any) -> np.ndarray:
        """Return the steps after which the dynamic times `tau` (array_like, any shape) are reached."""
        return np.interp(np.asarray(tau, dtype=float), self.tau, np.arange(self.tau.size, dtype=float))

    def rate_at(self, step: Any) -> np.ndarray:
        """Return the rate of the step that ends at `step` (array_like, any shape, at most T)."""
        index = np.ceil(np.asarray(step, dtype=float)).astype(int) - 1
        return self.rates[np.clip(index, 0, None)]
