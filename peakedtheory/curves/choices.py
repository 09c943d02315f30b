"""Which records a fit uses and where its time starts, by stated rules, and the alternatives to them.

Window: a law in one time uses the records from twice the warmup on (2 % of the run where there is none), a
law of the whole schedule those from the end of the warmup on; no more than a third of the records is ever
dropped. Origin: time is counted from the first step. How much a result owes to these choices is found by
making others (`curves.uncertainty`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.law import Law, Records
from peakedtheory.curves.solver import Problem

#: Records of one curve that a fit sees; longer logs are averaged in groups.
MOST_RECORDS = 400
_LARGEST_DROP = 1.0 / 3.0
_WITHOUT_WARMUP = 0.02


def automatic_start(curve: LossCurve, law: Law) -> float:
    """Return the first step of the automatic window."""
    begin = float(max(curve.warmup, curve.step[0], 1.0))
    after = curve.step[curve.step >= begin]
    if law.needs_annealing or after.size < 3:
        return begin
    wanted = 2.0 * curve.warmup if curve.warmup else max(begin, _WITHOUT_WARMUP * curve.step[-1])
    latest = after[int(_LARGEST_DROP * after.size)]
    return float(min(max(wanted, begin), latest))


def windowed(
    curves: Sequence[LossCurve], law: Law, window: Any = "auto"
) -> tuple[tuple[LossCurve, ...], tuple[float, float]]:
    """Return each curve's records inside the window, and its first and last step over all curves.

    Raises
    ------
    ValueError
        If a curve ends inside its warmup, lacks the rates its law needs, or the window cannot hold the law.
    """
    if not (window is None or (isinstance(window, str) and window == "auto")):
        first, last = _limits(window)
        parts = [curve.window(first, last) for curve in curves]
    else:
        parts = []
        for curve in curves:
            if curve.step[-1] <= curve.warmup:
                fail(
                    "curves",
                    "must go beyond their warmup",
                    f"{curve.name or 'a curve'} of {curve.step[-1]:g} steps with {curve.warmup} of warmup",
                    "give a longer run, or the window to be used",
                )
            begin = automatic_start(curve, law) if window == "auto" else max(curve.warmup, 1.0)
            parts.append(curve.window(begin))
    parts = [part.window(np.nextafter(0.0, 1.0)) if part.step[0] == 0 else part for part in parts]
    count = sum(len(part) for part in parts)
    if count < law.minimal_points:
        fail(
            "window",
            f"must hold {law.minimal_points} records for the {len(law.free)} parameters of {law.name}",
            f"{count}",
            "widen it, log more often, or hold parameters, as in power:alpha=1/3",
        )
    if law.needs_schedule and any(part.rates is None for part in parts):
        fail(
            "law", f"{law.name} needs the learning rates", "curves without", "give rates, or use power-steps"
        )
    if law.needs_annealing and not any(part.is_annealed for part in parts):
        fail(
            "window",
            f"must contain falling learning rates for the parameters of {law.name}",
            "a constant rate",
            "add an annealed curve, or use a law of τ alone such as power",
        )
    first, last = min(part.step[0] for part in parts), max(part.step[-1] for part in parts)
    return tuple(thinned(part) for part in parts), (float(first), float(last))


def _limits(window: Any) -> tuple[float, float]:
    try:
        first, last = (float(limit) for limit in window)
    except (TypeError, ValueError):
        fail("window", 'must be "auto", None or (first step, last step)', repr(window)[:40], "correct it")
    if not first < last:
        fail("window", "must end after it begins", f"({first:g}, {last:g})", "exchange its limits")
    return first, last


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
    return dataclasses.replace(curve, step=step, loss=loss, logit_std=None, entropy=None)


def warmup_time(curve: LossCurve, law: Law) -> float:
    """Return what the origin may be off by: the time of the warmup, or 1 % of the run where there is none."""
    step = float(curve.warmup) if curve.warmup else 0.01 * float(curve.step[-1])
    return float(curve.time_at(step)) if law.time == "tau" else step


def assembled(
    parts: Sequence[LossCurve], law: Law, origin: Any, delta: float, shift: float = 0.0
) -> tuple[Problem, float]:
    """Return the problem of fitting `law` to the windowed curves, and the origin it starts from.

    Parameters
    ----------
    parts : sequence of LossCurve
        As `windowed` returns them.
    origin : "auto", "fit" or float
        0 for "auto"; fitted for "fit"; otherwise where time starts, in the law's unit.
    delta : float
        Huber's δ.
    shift : float
        Added to the origin, in units of each curve's `warmup_time`.
    """
    fitted = isinstance(origin, str) and origin == "fit"
    base = 0.0 if isinstance(origin, str) else float(origin)
    records = tuple(Records.of(part) for part in parts)
    origins = tuple(base + shift * warmup_time(part, law) for part in parts)
    for record, start in zip(records, origins, strict=True):
        first = law.times(record)[0]
        if first <= start:
            unit = "τ" if law.time == "tau" else "step"
            fail(
                "origin",
                f"must lie before the window, which begins at {unit} = {first:g}",
                f"{start:g}",
                "choose a smaller origin or a later window",
            )
    log_loss = np.log(np.concatenate([part.loss for part in parts]))
    return Problem(law, records, log_loss, origins, delta, fitted), base
