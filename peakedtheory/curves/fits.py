"""Fitting a law to one or several loss curves, and refitting it under other windows and origins.

Liu et al. 2026, Eq. 20 is the first of the laws; the choices and their alternatives stand in
docs/losscurves.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from peakedtheory._common.checks import fail, generator_of, whole_number
from peakedtheory._common.progress import Report, reporter
from peakedtheory.curves.choices import Choices, LossFunction, OriginChoice, WindowChoice
from peakedtheory.curves.curve import LossCurve, as_curves
from peakedtheory.curves.law import Law
from peakedtheory.curves.law_registry import parse_law
from peakedtheory.curves.results import Alternative, LossCurveFit
from peakedtheory.curves.solver import Problem, Solution, improve, solve
from peakedtheory.curves.uncertainty import statistics

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
    window: WindowChoice = "auto",
    origin: OriginChoice = "auto",
    loss: LossFunction = "huber",
    delta: float = 1e-3,
    starts: Sequence[dict[str, float]] | None = None,
    bootstrap: int = 0,
    rng: int | np.random.Generator | None = None,
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
    choices = Choices(window, origin, loss, delta)
    resamples = whole_number("bootstrap", bootstrap, 0, remedy="1000 resamples are common")
    parts, limits = choices.parts(runs, chosen)
    problem = choices.problem(parts, chosen)
    solution = solve(problem, None if starts is None else _complete(starts, problem))
    generator = generator_of("rng", 0 if rng is None else rng)
    with reporter(progress if resamples else False, "bootstrap") as report:
        noise = statistics(problem, solution, resamples, generator, report)
    return LossCurveFit(
        curves=runs,
        choices=choices,
        window=limits,
        parts=parts,
        problem=problem,
        solution=solution,
        statistics=noise,
        alternatives=_alternatives(runs, choices, parts, limits, problem, solution),
    )


def _complete(starts: Sequence[dict[str, float]], problem: Problem) -> list[np.ndarray]:
    """Return the unknowns at starts that must give all of them."""
    needed = [p.name for p in problem.unknowns]
    for start in starts:
        missing = [name for name in needed if name not in start]
        if missing:
            fail("starts", f"must give {', '.join(needed)}", f"no {missing[0]}", "add it")
    return [problem.inner(start) for start in starts]


def _alternatives(
    runs: Sequence[LossCurve],
    choices: Choices,
    parts: Sequence[LossCurve],
    limits: tuple[float, float],
    problem: Problem,
    solution: Solution,
) -> tuple[Alternative, ...]:
    """Refit under other windows, and under other origins unless the origin is given."""
    found = _other_windows(runs, choices, limits, problem, solution)
    if choices.origin == "auto":
        found += _other_origins(choices, parts, problem, solution)
    return tuple(found)


def _other_windows(
    runs: Sequence[LossCurve],
    choices: Choices,
    limits: tuple[float, float],
    problem: Problem,
    solution: Solution,
) -> list[Alternative]:
    found = []
    for factor in WINDOW_FACTORS:
        first = factor * limits[0]
        if any(first < run.warmup or first > run.step[-1] for run in runs):
            continue
        try:
            elsewhere = dataclasses.replace(choices, window=(first, limits[1]))
            other = elsewhere.problem(elsewhere.parts(runs, problem.law)[0], problem.law)
        except ValueError:  # the other window cannot hold the law
            continue
        if other.log_loss.size < 0.5 * problem.log_loss.size:
            continue
        values = other.values(improve(other, solution.u, *_ENOUGH).u)
        found.append(Alternative("window", f"from step {first:g}", values))
    return found


def _other_origins(
    choices: Choices, parts: Sequence[LossCurve], problem: Problem, solution: Solution
) -> list[Alternative]:
    found = []
    for shift in ORIGIN_SHIFTS:
        try:
            other = choices.problem(parts, problem.law, shift)
        except ValueError:  # the window begins before that origin
            continue
        values = other.values(improve(other, solution.u, *_ENOUGH).u)
        found.append(Alternative("origin", f"shifted by {shift:+g} warmups", values, shift))
    other = dataclasses.replace(choices, origin="fit").problem(parts, problem.law)
    values = other.values(improve(other, np.append(solution.u, 0.0), *_ENOUGH).u)
    return [*found, Alternative("origin", f"fitted, {values['origin']:.4g}", values)]
