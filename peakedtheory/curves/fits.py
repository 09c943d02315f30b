"""Fitting a law to one or several loss curves, and refitting it under other windows and origins.

Liu et al. 2026, Eq. 20 is the first of the laws; the choices and their alternatives stand in
docs/losscurves.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail, whole_number
from peakedtheory._common.progress import Report, reporter
from peakedtheory.curves.choices import assembled, windowed
from peakedtheory.curves.curve import LossCurve, as_curves
from peakedtheory.curves.law import Law, parse_law
from peakedtheory.curves.results import Alternative, LossCurveFit
from peakedtheory.curves.solver import Problem, Solution, improve, solve
from peakedtheory.curves.uncertainty import (
    Correlation,
    correlation,
    covariance,
    free_parameters,
    resampled,
)

#: Other beginnings of the window, as multiples of the chosen one, where they keep half of the records; other
#: origins, in units of the warmup's time.
WINDOW_FACTORS = (0.7, 1.4, 2.0)
ORIGIN_SHIFTS = (-0.5, 0.5)
#: Steps and tolerance of the fits under other choices.
_ENOUGH = (50, 1e-6)


def fit_loss_curve(
    curves: LossCurve | Sequence[LossCurve],
    law: str | Law = "power",
    *,
    window: Any = "auto",
    origin: Any = "auto",
    loss: str = "huber",
    delta: float = 1e-3,
    starts: Sequence[dict[str, float]] | None = None,
    bootstrap: int = 0,
    rng: Any = None,
    progress: bool | Report | None = None,
) -> LossCurveFit:
    """Fit a law to one or several loss curves by robust least squares on ln L.

    Parameters
    ----------
    curves : LossCurve or sequence of LossCurve
        Several curves share all parameters.
    law : str or Law
        A name in `LAWS`, with held parameters after a colon ("power:alpha=1/3"), or
        "student:n=…,beta_star=…".
    window : "auto", None or (float, float)
        First and last step to fit. "auto": from twice the warmup for laws in one time, from its end for laws
        of the whole schedule, but dropping no more than a third of the records. None: everything after the
        warmup.
    origin : "auto", "fit" or float
        Where time starts, in τ (in steps for power-steps). "auto": at the first step, with other choices
        counted in the uncertainty; a number is taken as known; "fit" adds it to the parameters.
    loss : "huber" or "squares"
        Huber's function with `delta`, or plain least squares.
    delta : float
        Where Huber's function turns from a square to a line, in ln L.
    starts : sequence of dict, optional
        Values of all fitted parameters to begin from, instead of the law's own grid.
    bootstrap : int
        Resamples of the block bootstrap; 0 takes the statistical error from the sandwich covariance.
    rng : optional
        Seed or numpy Generator of the bootstrap; 0 by default, so that a fit is reproducible.
    progress : bool or callable, optional
        Show the progress of the bootstrap.

    Returns
    -------
    LossCurveFit

    Raises
    ------
    ValueError
        If the window holds too few records for the law's parameters, lacks what the law needs (rates,
        annealing), or a curve ends inside its warmup.

    Examples
    --------
    >>> step = np.arange(20.0, 2001.0, 20.0)
    >>> curve = LossCurve(step, 2.0 + 3.0 * (0.01 * step) ** -0.5, rates=np.full(2000, 0.01))
    >>> print(f"{fit_loss_curve(curve).parameters['alpha']:.4f}")
    0.5000
    """
    runs, chosen = as_curves(curves), parse_law(law)
    options = {"window": window, "origin": origin, "loss": loss, "delta": delta}
    delta = _checked_loss(loss, delta)
    bootstrap = whole_number("bootstrap", bootstrap, 0, remedy="1000 resamples are common")
    if isinstance(origin, str) and origin not in ("auto", "fit"):
        fail("origin", 'must be "auto", "fit" or a number', repr(origin), "correct it")
    parts, limits = windowed(runs, chosen, window)
    problem, base = assembled(parts, chosen, origin, delta)
    begin = None if starts is None else [problem.inner(s) for s in _complete(starts, problem)]
    solution = solve(problem, begin)
    sizes = [len(part) for part in parts]
    known = correlation(solution.residual, sizes, len(problem.unknowns))
    spread = covariance(problem, solution, known, sizes)
    samples = None
    if bootstrap:
        samples = _resampled(problem, solution, known, sizes, int(bootstrap), rng, progress)
    values = problem.values(solution.u)
    alternatives = _alternatives(parts, runs, chosen, origin, delta, problem, solution, limits)
    loose = covariance(problem, solution, known, sizes, bounded=False)
    errors = _standard_errors(problem, solution, spread, loose, samples)
    return LossCurveFit(
        chosen,
        runs,
        values,
        errors,
        limits,
        values.get("origin", 0.0) + base,
        -solution.residual,
        known.time,
        spread,
        samples,
        alternatives,
        _notes(problem, solution),
        parts,
        options,
        problem,
        solution,
    )


def _checked_loss(loss: str, delta: float) -> float:
    if loss not in ("huber", "squares"):
        fail("loss", 'must be "huber" or "squares"', repr(loss), "choose one")
    if not (math.isfinite(delta) and delta > 0):
        fail("delta", "must be a finite positive number", f"{delta}", "1e-3 is common")
    return math.inf if loss == "squares" else float(delta)


def _complete(starts: Sequence[dict[str, float]], problem: Problem) -> list[dict[str, float]]:
    needed = [p.name for p in problem.unknowns]
    for start in starts:
        missing = [name for name in needed if name not in start]
        if missing:
            fail("starts", f"must give {', '.join(needed)}", f"no {missing[0]}", "add it")
    return list(starts)


def _resampled(
    problem: Problem,
    solution: Solution,
    known: Correlation,
    sizes: list[int],
    count: int,
    rng: Any,
    progress: bool | Report | None,
) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0 if rng is None else rng)
    with reporter(progress, "bootstrap") as report:
        inner = resampled(problem, solution, known, sizes, count, generator, report)
    return {p.name: p.outer(inner[:, i]) for i, p in enumerate(problem.unknowns)}


def _alternatives(
    parts: Sequence[LossCurve],
    runs: Sequence[LossCurve],
    law: Law,
    origin: Any,
    delta: float,
    problem: Problem,
    solution: Solution,
    limits: tuple[float, float],
) -> tuple[Alternative, ...]:
    """Refit under other windows, and under other origins unless the origin is given."""
    found = []
    for factor in WINDOW_FACTORS:
        first = factor * limits[0]
        if any(first < run.warmup or first > run.step[-1] for run in runs):
            continue
        try:
            shorter, _ = windowed(runs, law, (first, limits[1]))
            other, _ = assembled(shorter, law, origin, delta)
        except ValueError:  # the other window cannot hold the law
            continue
        if other.log_loss.size < 0.5 * problem.log_loss.size:
            continue
        values = other.values(improve(other, solution.u, *_ENOUGH).u)
        found.append(Alternative("window", f"from step {first:g}", values))
    if isinstance(origin, str) and origin == "auto":
        for shift in ORIGIN_SHIFTS:
            try:
                other, _ = assembled(parts, law, origin, delta, shift)
            except ValueError:  # the window begins before that origin
                continue
            values = other.values(improve(other, solution.u, *_ENOUGH).u)
            found.append(Alternative("origin", f"shifted by {shift:+g} warmups", values, shift))
        other, _ = assembled(parts, law, "fit", delta)
        values = other.values(improve(other, np.append(solution.u, 0.0), *_ENOUGH).u)
        found.append(Alternative("origin", f"fitted, {values['origin']:.4g}", values))
    return tuple(found)


def _standard_errors(
    problem: Problem,
    solution: Solution,
    spread: np.ndarray,
    loose: np.ndarray,
    samples: dict[str, np.ndarray] | None,
) -> dict[str, float]:
    """Take errors from the resamples or the covariance, at a bound from the covariance without bounds."""
    errors = {}
    inside = free_parameters(problem, solution.u)
    for i, p in enumerate(problem.unknowns):
        if samples is None or not inside[i]:
            inner = math.sqrt(max(spread[i, i] if inside[i] else loose[i, i], 0.0))
            error = float(abs(p.slope(p.outer(solution.u[i])))) * inner
            errors[p.name] = error if inside[i] or error > 0.0 else math.inf
        else:
            low, high = np.percentile(samples[p.name], [15.865525, 84.134475])
            errors[p.name] = float(0.5 * (high - low))
    return errors


def _notes(problem: Problem, solution: Solution) -> tuple[str, ...]:
    notes = []
    for p, inside in zip(problem.unknowns, free_parameters(problem, solution.u), strict=True):
        if not inside:
            value = p.outer(solution.u[[q.name for q in problem.unknowns].index(p.name)])
            notes.append(f"{p.name} lies at its bound {value:.4g}: the window does not determine it")
    if not solution.converged:
        notes.append(f"the fit still improved after {solution.steps} steps")
    return tuple(notes)
