"""What a fit chooses before it fits: its records, where time starts, and the function of the residuals.

Window: a law in one time uses the records from twice the warmup on (2 % of the run where there is none), a
law of the whole schedule those from the end of the warmup on; no more than a third of the records is ever
dropped. Origin: time is counted from the first step. How much a result owes to these choices is found by
making others (`curves.fits`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

import numpy as np

from peakedtheory._common.checks import fail, positive_number, real_number, shown
from peakedtheory.curves.curve import LossCurve, Times
from peakedtheory.curves.law import Law
from peakedtheory.curves.solver import Problem

#: By rule, everything after the warmup, or from a first to a last step.
WindowChoice = Literal["auto"] | tuple[float, float] | None
#: At the first step, fitted, or known.
OriginChoice = Literal["auto", "fit"] | float
LossFunction = Literal["huber", "squares"]

#: Records of one curve that a fit sees; longer logs are averaged in groups.
MOST_RECORDS = 400
#: Least delta of a Huber loss, and one over the greatest.
_LEAST_DELTA = 1e-12
_LARGEST_DROP = 1.0 / 3.0
_WITHOUT_WARMUP = 0.02


class Options(TypedDict, total=False):
    """The choices as keywords of `fit_loss_curve`, `compare_laws` and `forecast`."""

    window: WindowChoice
    origin: OriginChoice
    loss: LossFunction
    delta: float


@dataclass(frozen=True)
class Choices:
    """The choices of one fit, as `fit_loss_curve` describes them.

    Attributes
    ----------
    window : "auto", None or (float, float)
    origin : "auto", "fit" or float
    loss : "huber" or "squares"
    delta : float

    Raises
    ------
    ValueError
        If one of them is none of that.
    """

    window: WindowChoice = "auto"
    origin: OriginChoice = "auto"
    loss: LossFunction = "huber"
    delta: float = 1e-3

    def __post_init__(self) -> None:
        if not isinstance(self.loss, str) or self.loss not in ("huber", "squares"):
            fail("loss", 'must be "huber" or "squares"', shown(self.loss), "choose one")
        object.__setattr__(self, "delta", positive_number("delta", self.delta))
        if not _LEAST_DELTA <= self.delta <= 1.0 / _LEAST_DELTA:
            rule = f"must lie between {_LEAST_DELTA:g} and {1.0 / _LEAST_DELTA:g}"
            fail("delta", rule, f"{self.delta:g}", "1e-3 is common")
        if not isinstance(self.origin, str):
            object.__setattr__(self, "origin", real_number("origin", self.origin))
            if not math.isfinite(self.origin):
                fail("origin", "must be finite", f"{self.origin:g}", "correct it")
        elif self.origin not in ("auto", "fit"):
            fail("origin", 'must be "auto", "fit" or a number', shown(self.origin), "correct it")
        if not (self.window is None or (isinstance(self.window, str) and self.window == "auto")):
            object.__setattr__(self, "window", _limits(self.window))

    @property
    def options(self) -> Options:
        """The choices as keywords."""
        return Options(window=self.window, origin=self.origin, loss=self.loss, delta=self.delta)

    @property
    def start(self) -> float:
        """Where time starts unless it is fitted."""
        return 0.0 if isinstance(self.origin, str) else self.origin

    def parts(
        self, curves: Sequence[LossCurve], law: Law
    ) -> tuple[tuple[LossCurve, ...], tuple[float, float]]:
        """Return each curve's records inside the window, and its first and last step over all curves.

        Raises
        ------
        ValueError
            If a curve ends inside its warmup, lacks the rates its law needs, or the window cannot hold the
            law.
        """
        parts = [self._part(curve, law) for curve in curves]
        parts = [part.window(np.nextafter(0.0, 1.0)) if part.step[0] == 0 else part for part in parts]
        _refuse_unfit(parts, law)
        first, last = min(part.step[0] for part in parts), max(part.step[-1] for part in parts)
        return tuple(thinned(part) for part in parts), (float(first), float(last))

    def _part(self, curve: LossCurve, law: Law) -> LossCurve:
        if isinstance(self.window, tuple):
            return curve.window(*self.window)
        if curve.step[-1] <= curve.warmup:
            found = f"{curve.name or 'a curve'} of {curve.step[-1]:g} steps with {curve.warmup} of warmup"
            remedy = "give a longer run, or the window to be used"
            fail("curves", "must go beyond their warmup", found, remedy)
        return curve.window(automatic_start(curve, law) if self.window == "auto" else max(curve.warmup, 1.0))

    def problem(self, parts: Sequence[LossCurve], law: Law, shift: float = 0.0) -> Problem:
        """Return the problem of fitting `law` to the records that `parts` returned.

        Parameters
        ----------
        parts, law
            As in `parts`.
        shift : float
            Added to the origin, in units of each curve's `warmup_time`.

        Raises
        ------
        ValueError
            If time starts within the window.
        """
        origins = tuple(self.start + shift * warmup_time(one, law) for one in parts)
        for one, origin in zip(parts, origins, strict=True):
            first = law.elapsed(one)[0]
            if first <= origin:
                unit = "τ" if law.time == "tau" else "step"
                rule = f"must lie before the window, which begins at {unit} = {first:g}"
                fail("origin", rule, f"{origin:g}", "choose a smaller origin or a later window")
        log_loss = np.log(np.concatenate([part.loss for part in parts]))
        huber = math.inf if self.loss == "squares" else float(self.delta)
        return Problem(law, tuple(parts), log_loss, origins, huber, self.origin == "fit")


def automatic_start(curve: LossCurve, law: Law) -> float:
    """Return the first step of the automatic window."""
    begin = float(max(curve.warmup, curve.step[0], 1.0))
    after = curve.step[curve.step >= begin]
    if law.needs_annealing or after.size < 3:
        return begin
    wanted = 2.0 * curve.warmup if curve.warmup else max(begin, _WITHOUT_WARMUP * curve.step[-1])
    latest = after[int(_LARGEST_DROP * after.size)]
    return float(min(max(wanted, begin), latest))


def _limits(window: object) -> tuple[float, float]:
    try:
        first, last = (float(limit) for limit in window)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        fail("window", 'must be "auto", None or (first step, last step)', repr(window)[:40], "correct it")
    if not first < last:
        fail("window", "must end after it begins", f"({first:g}, {last:g})", "exchange its limits")
    return first, last


def _refuse_unfit(parts: Sequence[LossCurve], law: Law) -> None:
    """Raise ValueError where the records cannot hold the law."""
    count = sum(len(part) for part in parts)
    if count < law.minimal_points:
        rule = f"must hold {law.minimal_points} records for the {len(law.free)} parameters of {law.name}"
        remedy = "widen it, log more often, or hold parameters, as in power:alpha=1/3"
        fail("window", rule, f"{count}", remedy)
    if law.needs_schedule and any(part.clock is None for part in parts):
        remedy = "give rates, or use power-steps"
        fail("law", f"{law.name} needs the learning rates", "curves without", remedy)
    if law.needs_annealing and not any(part.is_annealed for part in parts):
        rule = f"must contain falling learning rates for the parameters of {law.name}"
        remedy = "add an annealed curve, or use a law of τ alone such as power"
        fail("window", rule, "a constant rate", remedy)


def thinned(curve: LossCurve, most: int = MOST_RECORDS) -> LossCurve:
    """Return the curve with neighbouring records averaged, in the logarithm of the loss, to at most `most`.

    Groups have an odd number of records and the step of their middle one.
    """
    if len(curve) <= most:
        return curve
    size = -(-len(curve) // most)
    size += 1 - size % 2
    groups = len(curve) // size
    kept = slice(len(curve) - groups * size, None)
    loss = np.exp(np.log(curve.loss[kept]).reshape(groups, size).mean(axis=1))
    step = curve.step[kept].reshape(groups, size)[:, size // 2]
    return LossCurve(step, loss, curve.clock, name=curve.name, metadata=curve.metadata)


def warmup_time(times: Times, law: Law) -> float:
    """Return what the origin may be off by: the time of the warmup, or 1 % of the run where there is none."""
    step = float(times.warmup) if times.warmup else 0.01 * float(times.step[-1])
    return float(times.known_clock.time_at(step)) if law.time == "tau" else step
