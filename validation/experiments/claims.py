"""Claims of a paper or of the theory, beside what was measured, and the verdict that follows.

A claim is a band for one number. The measured value with two standard errors lies inside the band (holds),
outside it (fails), or neither (cannot be told): an equivalence test, so that large errors never confirm.
Where the value differs by more than two of its errors from what it is compared with, the statement of a claim
that holds says so: a wide band confirms nothing in silence.
A smaller setting than the paper's cannot refute it where the theory itself, evaluated there, lies outside.
A set-up that is not the paper's judges no claim of the paper, however long it runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["FAILS", "HOLDS", "OPEN", "Claim", "near"]

HOLDS, FAILS, OPEN = "holds", "fails", "cannot be told at this scale"


@dataclass(frozen=True)
class Claim:
    """One statement about one number.

    Attributes
    ----------
    text : str
        What is claimed, and by whom.
    measured : float
        The number found here; NaN where the run does not reach that far.
    error : float
        Its standard error, over seeds, windows and sampling.
    low, high : float
        The band in which the claim is true.
    rule : str
        Where the band comes from.
    predicted : float or None
        The theory's own value of the same number, evaluated as it was measured.
    published : float or None
        The value in the paper.
    published_error : float or None
        Its error, as the paper states it.
    reachable : bool
        Whether the run is long enough for the claim to apply.
    lacks : str
        Part of the claim's own set-up that the run replaces by another: the claim is not tested then.
    target : float or None
        The value that the claim is about, inside the band, where it is about one.
    """

    text: str
    measured: float
    error: float
    low: float
    high: float
    rule: str
    predicted: float | None = None
    published: float | None = None
    published_error: float | None = None
    reachable: bool = True
    lacks: str = ""
    target: float | None = None

    @property
    def apart(self) -> float:
        """How many of its errors the measured value lies from the target; NaN where there is none."""
        if self.target is None or not self.error > 0:
            return math.nan
        return abs(self.measured - self.target) / self.error

    @property
    def statement(self) -> str:
        """The verdict, and beside one that holds how far from its target a wide band lets the value be."""
        if self.verdict == HOLDS and self.apart > 2:
            return f"{HOLDS} within the band, {self.apart:.1f} errors from {self.target:.4g}"
        return self.verdict

    @property
    def verdict(self) -> str:
        """Whether the number, with two standard errors, lies inside, outside or across the band."""
        if self.lacks:
            return f"not tested with {self.lacks}"
        if not (self.reachable and math.isfinite(self.measured) and math.isfinite(self.error)):
            return OPEN
        low, high = self.measured - 2 * self.error, self.measured + 2 * self.error
        if self.low <= low and high <= self.high:
            return HOLDS
        if high < self.low or low > self.high:
            return FAILS
        return OPEN

    def at_scale(self, scale: str) -> Claim:
        """Return the claim as a run at this scale can judge it.

        The papers' own parameters, of all runs or of some, judge everything, the tiniest nothing. In between
        a claim whose band the theory misses at this scale as well is out of reach, and a failure says nothing
        about it.
        """
        if scale in ("paper", "part"):
            return self
        known = self.predicted is not None and math.isfinite(self.predicted)
        missed = known and not self.low <= self.predicted <= self.high  # type: ignore[operator]
        reachable = self.reachable and scale != "tiny" and not (missed and self.verdict == FAILS)
        return replace(self, reachable=reachable)

    def as_dict(self) -> dict[str, Any]:
        """Return all fields and the verdict, with None for what is not finite."""
        values = {
            "text": self.text,
            "measured": self.measured,
            "error": self.error,
            "predicted": self.predicted,
            "published": self.published,
            "published_error": self.published_error,
            "low": self.low,
            "high": self.high,
            "rule": self.rule,
            "target": self.target,
            "verdict": self.verdict,
            "statement": self.statement,
        }
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def near(
    text: str,
    measured: float,
    error: float,
    target: float,
    allowance: float,
    rule: str,
    *,
    predicted: float | None = None,
    published: float | None = None,
    published_error: float | None = None,
    reachable: bool = True,
    lacks: str = "",
) -> Claim:
    """Return the claim that a number is `target` within `allowance`."""
    return Claim(
        text,
        float(measured),
        float(error),
        target - allowance,
        target + allowance,
        rule,
        None if predicted is None else float(predicted),
        published,
        published_error,
        reachable,
        lacks,
        target,
    )
