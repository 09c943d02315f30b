"""Averages of a run's weights, step by step: w̄ ← w̄ + a_t (w - w̄)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from peakedtheory._common.checks import fail, real_number
from peakedtheory._common.texts import named_values


@dataclass(frozen=True)
class MovingAverage:
    """Exponential moving average of the weights, corrected for its start.

    Parameters
    ----------
    steps : float
        Steps that it remembers, at least 1: each step's share is 1/steps, that of the one before less by 1 -
        1/steps.

    Raises
    ------
    ValueError
        For fewer than one step.
    """

    steps: float

    def __post_init__(self) -> None:
        if not 1.0 <= real_number("steps", self.steps) < math.inf:
            fail(
                "steps", "must be a finite number >= 1", f"{self.steps:g}", "an average remembers some steps"
            )

    def mixing(self, steps: int) -> np.ndarray:
        """Return a_t of the steps 1 … T of a run."""
        return (1.0 / self.steps) / -np.expm1(np.arange(1, steps + 1) * np.log1p(-1.0 / (self.steps + 1e-9)))


@dataclass(frozen=True)
class TailAverage:
    """Plain mean of the weights over the last part of a run; until then the weights themselves.

    Parameters
    ----------
    share : float
        Share of the run's steps, above 0 and at most 1.

    Raises
    ------
    ValueError
        For a share outside this range.
    """

    share: float

    def __post_init__(self) -> None:
        if not 0.0 < real_number("share", self.share) <= 1.0:
            fail("share", "must be above 0 and at most 1", f"{self.share:g}", "give a part of the run")

    def mixing(self, steps: int) -> np.ndarray:
        """Return a_t of the steps 1 … T of a run."""
        first = steps - max(1, round(self.share * steps))
        return 1.0 / np.maximum(np.arange(1, steps + 1) - first, 1)


#: Averages that flows follow and engines keep.
Average = MovingAverage | TailAverage

#: What texts stand for.
_AVERAGES: dict[str, type[MovingAverage | TailAverage]] = {"ema": MovingAverage, "tail": TailAverage}


def parse_average(text: str) -> Average:
    """Return the average that a text names.

    Parameters
    ----------
    text : str
        ``ema:steps=200``, a moving average, or ``tail:share=0.5``, the mean of the last part of a run.

    Returns
    -------
    MovingAverage or TailAverage

    Raises
    ------
    ValueError
        For another name or parameter, and for impossible values.

    Examples
    --------
    >>> parse_average("tail:share=0.5")
    TailAverage(share=0.5)
    """
    head, values = named_values("average", text, "ema:steps=200")
    if head not in _AVERAGES:
        fail(
            "average",
            f"must be {' or '.join(_AVERAGES)}",
            repr(head),
            "write ema:steps=200 or tail:share=0.5",
        )
    (name,) = (field.name for field in fields(_AVERAGES[head]))
    if set(values) != {name}:
        fail("average", f"{head} takes {name}", repr(text), f"write {head}:{name}=…")
    return _AVERAGES[head](values[name])
