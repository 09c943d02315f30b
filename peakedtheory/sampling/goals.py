"""When a Monte Carlo run stops: at a number of samples, or where standard errors meet a tolerance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail, positive_number, whole_number
from peakedtheory.sampling.blocks import BlockRun, WorkerError
from peakedtheory.sampling.lowest_energies import ScrambledSampler
from peakedtheory.sampling.moments import Moments
from peakedtheory.sampling.samplers import Sampler

_DEFAULT_SECONDS = 2.0
#: Means over a scrambling have heavy tails: with fewer of them Student's t promises too much.
_SCRAMBLINGS = 64
_POINTS = 1024
#: Points of a scrambling where a tolerance is to be met; the number of scramblings then grows.
_POINTS_FOR_TOLERANCE = 1 << 12
_FIRST_ROUND = 512
_MOST_SAMPLES = 10**12


class Goal:
    """When to stop: at a number of samples, or at a standard error."""

    def __init__(self, samples: int | None = None, rtol: float = 0.0, atol: float = 0.0) -> None:
        self.samples, self.rtol, self.atol = samples, rtol, atol

    @classmethod
    def of(cls, samples: Any, rtol: Any, atol: Any) -> Goal:
        """Check the arguments of `estimate`."""
        if samples is not None:
            if rtol is not None or atol is not None:
                fail(
                    "samples",
                    "excludes rtol and atol",
                    f"samples={samples}, rtol={rtol}, atol={atol}",
                    "give one of them",
                )
            number = whole_number("samples", samples, 2, remedy="one sample has no standard error")
            if number > _MOST_SAMPLES:
                fail("samples", f"must be at most {_MOST_SAMPLES:g}", f"{number:g}", "that takes a year")
            return cls(number)
        goals = (("rtol", rtol), ("atol", atol))
        return cls(None, *(0.0 if value is None else positive_number(name, value) for name, value in goals))

    @property
    def by_tolerance(self) -> bool:
        return self.samples is None and (self.rtol > 0 or self.atol > 0)

    def points(self) -> int:
        """Points of each scrambling, such that at least 64 scramblings make up the samples."""
        if self.samples is None:
            return _POINTS_FOR_TOLERANCE if self.by_tolerance else _POINTS
        if self.samples < 2 * _SCRAMBLINGS:
            fail("samples", f"must be at least {2 * _SCRAMBLINGS} for qmc", str(self.samples), "take 65536")
        points = self.samples & -self.samples
        while self.samples // points < _SCRAMBLINGS:
            points //= 2
        if self.samples // points > 16 * _SCRAMBLINGS:
            better = _SCRAMBLINGS << max(int(np.log2(self.samples / _SCRAMBLINGS)), 1)
            fail(
                "samples",
                "must be 64 to 1024 times a power of two for qmc",
                str(self.samples),
                f"take {better}",
            )
        return points

    def rows(self, sampler: Sampler) -> int:
        """Rows of the first round."""
        if isinstance(sampler, ScrambledSampler):
            return _SCRAMBLINGS if self.samples is None else self.samples // sampler.points
        if self.samples is not None:
            return self.samples
        if self.by_tolerance:
            return max(_FIRST_ROUND, sampler.block)
        return int(np.clip(2.0 ** np.floor(np.log2(_DEFAULT_SECONDS / sampler.seconds)), 64, 1 << 16))

    def excess(self, moments: Moments, size: int, shift: np.ndarray | float) -> float:
        """Largest (standard error / tolerance)² of the first `size` means, less `shift`."""
        error = moments.standard_error[:size]
        target = np.maximum(self.atol, self.rtol * np.abs(moments.mean[:size] - shift))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(error > 0, error / target, 0.0)
        return float(ratio.max() ** 2)

    def next_rows(self, moments: Moments, excess: float, block: int) -> int:
        """Rows of the next round: what the present error suggests, grown with care."""
        wanted = moments.count * float(np.clip(1.1 * excess, 1.3, 8.0))
        return int(np.ceil(wanted / block)) * block


@dataclass(frozen=True)
class Outcome:
    """What a run has found when it stops.

    Attributes
    ----------
    moments : Moments
    kept : ndarray
        What the sampler keeps of each sample.
    interrupted, converged : bool
        Whether it was stopped before its end; whether it met the tolerance (or had none).
    """

    moments: Moments
    kept: np.ndarray
    interrupted: bool = False
    converged: bool = True


def pursue(
    run: BlockRun,
    goal: Goal,
    result: Callable[[Outcome], Any],
    *,
    size: int,
    shift: np.ndarray | float = 0.0,
    points: int = 1,
    report: Callable[[int, int], None],
    check: Callable[[Moments], None] = lambda moments: None,
) -> Any:
    """Run blocks until the goal is reached, or Ctrl-C, and return the result of the outcome.

    Parameters
    ----------
    result : callable
        Makes a result; a WorkerError carries that of the finished tasks.
    size : int
        How many means the tolerance refers to.
    shift : ndarray or float
        What to take off them first.
    points : int
        Samples in a row of the moments.
    report : callable
        Told how many samples are done, of how many planned.
    check : callable
        May refuse a tolerance that cannot be met.
    """
    planned = goal.rows(run.sampler)
    target = max(planned, run.target) if goal.by_tolerance else planned
    try:
        while True:
            aim = target
            run.report = lambda done, aim=aim: report(done * points, aim * points)  # type: ignore[misc]
            moments, kept = run.advance(target)
            if not goal.by_tolerance:
                break
            check(moments)
            excess = goal.excess(moments, size, shift)
            if excess <= 1.0:
                break
            target = goal.next_rows(moments, excess, run.sampler.block)
    except KeyboardInterrupt:
        so_far = run.so_far()
        if so_far is None:
            raise
        converged = not goal.by_tolerance or goal.excess(so_far[0], size, shift) <= 1.0
        return result(Outcome(*so_far, interrupted=True, converged=converged))
    except WorkerError as error:
        so_far = run.so_far()
        if so_far is not None:
            error.result = result(Outcome(*so_far, interrupted=True, converged=False))
        raise
    return result(Outcome(moments, kept))
