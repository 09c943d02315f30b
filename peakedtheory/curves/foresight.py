"""The loss ahead of some runs by the annealed power law, with what public runs taught of its errors.

All runs share the law, up to their levels and how much of the loss still falls, by which those of another
size, data or seed differ: how much, the runs at hand decide. Records far before the forecast say little of it
and weigh little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.curves.annealed import PARAMETERS, Courses, Records, warm_step
from peakedtheory.curves.curve import LossCurve, Times
from peakedtheory.curves.learned import Ahead, learned
from peakedtheory.curves.posterior import Model, Posterior, Prior, most_likely
from peakedtheory.schedules.clock import Clock

#: Fewest records of a forecast, and how many of them a test on the past keeps at least.
FEWEST, _KEPT = 5, 4
#: By how much runs may differ in ln of level and reducible share: the best of these is taken. One run alone:
#: as seeds do.
_DIFFERENCES = (0.001, 0.003, 0.01, 0.1, 0.5)
_SEEDS = _DIFFERENCES[0]
#: Part of the seen steps from which the rest is forecast as a test, and largest ratio of miss to error that
#: counts.
_PAST, _RATIO = 0.65, 20.0
#: Where no test was possible, the misses that a tenth of the tests on public runs exceed.
_UNTESTED = (3.1, 0.015)


@dataclass(frozen=True, eq=False)
class Foresight:
    """Predicted ln L with its errors.

    Attributes
    ----------
    log_loss : ndarray
    parts : dict of str to ndarray
        Standard errors of ln L by what they come from.
    parameters : dict of str to float
        The law's parameters.
    differences : float or None
        By how much the runs differ in ln L; None for one run.
    tested : bool
        Whether a forecast of the past could be made.
    past_miss : float
        Root mean square miss of that forecast in ln L.
    """

    log_loss: np.ndarray
    parts: dict[str, np.ndarray]
    parameters: dict[str, float]
    differences: float | None
    tested: bool
    past_miss: float

    @property
    def error(self) -> np.ndarray:
        """Standard error of ln L."""
        return learned().bounded(np.sqrt(sum(part**2 for part in self.parts.values())))


@dataclass(frozen=True, eq=False)
class _Run:
    """The records of one run that a fit may use, and the clock behind them."""

    step: np.ndarray
    log_loss: np.ndarray
    clock: Clock

    def until(self, last: float) -> _Run:
        kept = self.step <= last
        return _Run(self.step[kept], self.log_loss[kept], self.clock)


def foresee(curves: tuple[LossCurve, ...], target: Times, continued: bool) -> Foresight:
    """Predict ln L at the target's steps.

    Parameters
    ----------
    curves : tuple of LossCurve
        What was seen.
    target : Times
        Steps to predict, and the clock of that run to its end.
    continued : bool
        Whether the target is the rest of the first curve, or a run of its own.

    Raises
    ------
    ValueError
        If the curves hold fewer than five records after their warmups.
    """
    clock = _clock(target.clock, target.step[-1])
    runs = [_run(curve, target.clock is None) for curve in curves]
    if max(run.step.size for run in runs) < FEWEST:
        found = f"{max(run.step.size for run in runs)} of {sum(len(curve) for curve in curves)}"
        fail(
            "curves", f"must hold at least {FEWEST} records after the warmup", found, "log on, or more often"
        )
    runs = [run for run in runs if run.step.size]
    end = float(runs[0].step[-1]) if continued else float(min(target.step[0], max(r.step[-1] for r in runs)))
    fitted = _Fit.to(runs, clock, end, continued)
    value, slopes = fitted.at(target.step)
    ratio, miss, tested = _past(runs, clock, end, continued)
    ahead = _ahead(fitted, target.step, slopes, (ratio, miss))
    parts = {name: np.sqrt(part) for name, part in learned().parts(ahead).items()}
    if not continued:
        parts["run"] = np.full(target.step.size, fitted.apart)
    return Foresight(
        log_loss=value,
        parts=parts,
        parameters=dict(zip(PARAMETERS, np.exp(fitted.posterior.theta[0]).tolist(), strict=False)),
        differences=fitted.apart if len(runs) > 1 else None,
        tested=tested,
        past_miss=miss,
    )


def _clock(clock: Clock | None, last: float) -> Clock:
    """Return the target's clock; rates that are not known are taken as constant."""
    return Clock(np.ones(math.ceil(last))) if clock is None else clock


def _run(curve: LossCurve, without_rates: bool) -> _Run:
    clock = _clock(None if without_rates else curve.clock, curve.step[-1])
    usable = curve.step >= max(warm_step(clock), 1e-9)
    return _Run(curve.step[usable], np.log(curve.loss[usable]), clock)


@dataclass(frozen=True, eq=False)
class _Fit:
    """A fit to some runs in the target's units."""

    runs: list[_Run]
    clock: Clock
    posterior: Posterior

    @classmethod
    def to(cls, runs: list[_Run], clock: Clock, end: float, continued: bool) -> _Fit:
        """Fit the runs for a forecast from `end` on."""
        target, weight, model = _problem(runs, clock, end)
        choices = _DIFFERENCES if len(runs) > 1 else (_SEEDS,)
        fits = [
            most_likely(model, target, weight, _prior(len(runs), size), learned().noise) for size in choices
        ]
        best = int(np.argmax([fit.evidence[0] for fit in fits]))
        return cls(runs, clock, fits[best])

    @property
    def apart(self) -> float:
        """By how much the levels of the runs differ in ln L, root mean square; at least as seeds do."""
        levels = self.posterior.theta[0, len(PARAMETERS) :: 2]
        return math.hypot(_SEEDS, *(levels / math.sqrt(max(levels.size, 1))))

    def at(self, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ln L of the target at `steps` and its derivatives, shape (steps, parameters)."""
        value, slopes = Records.at(self._course, steps[None]).log_loss(
            self.posterior.theta[:, : len(PARAMETERS)]
        )
        more = self.posterior.theta.shape[1] - len(PARAMETERS)
        return value[0], np.pad(slopes[0], ((0, 0), (0, more)))

    @property
    def _course(self) -> Courses:
        return Courses.of([self.clock], *_units(self.clock))


def _units(clock: Clock) -> tuple[float, float]:
    """Return the peak and the dynamic time S_T that the target is measured in."""
    return clock.peak, float(clock.time_at(clock.steps))


def _problem(runs: list[_Run], clock: Clock, end: float) -> tuple[np.ndarray, np.ndarray, Model]:
    """Return all records in a row, their weights, and the model: θ, then each further run's differences."""
    longest = max(run.step.size for run in runs)
    steps = np.array([np.pad(run.step, (0, longest - run.step.size), mode="edge") for run in runs])
    seen = np.arange(longest) < np.array([[run.step.size] for run in runs])
    records = Records.at(Courses.of([run.clock for run in runs], *_units(clock)), steps)
    target = np.concatenate([run.log_loss for run in runs])
    weight = learned().weights(np.concatenate([run.step for run in runs]), end)
    own = np.nonzero(seen)[0]
    width = len(PARAMETERS) + 2 * (len(runs) - 1)

    def model(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shared = np.tile(theta[0, : len(PARAMETERS)], (len(runs), 1))
        shared[1:, :2] += theta[0, len(PARAMETERS) :].reshape(-1, 2)
        value, slopes = records.log_loss(shared)
        columns = np.zeros((own.size, width))
        columns[:, : len(PARAMETERS)] = slopes[seen]
        for further in range(1, len(runs)):
            rows = own == further
            first = len(PARAMETERS) + 2 * (further - 1)
            columns[rows, first : first + 2] = slopes[seen][rows][:, :2]
        return value[seen][None], columns[None]

    return target[None], weight[None], model


def _prior(runs: int, difference: float) -> Prior:
    """Return the learnt prior, with differences of the given size for each further run."""
    learnt = learned().prior
    more = 2 * (runs - 1)
    wide = 3.0 * np.ones(more)
    precision = np.pad(learnt.precision, (0, more))
    precision[len(PARAMETERS) :, len(PARAMETERS) :] = np.eye(more) / difference**2
    return Prior(
        np.pad(learnt.mean, (0, more)),
        precision,
        np.concatenate([learnt.lower, -wide]),
        np.concatenate([learnt.upper, wide]),
    )


def _ahead(fit: _Fit, steps: np.ndarray, slopes: np.ndarray, past: tuple[float, float]) -> Ahead:
    """Return what the errors at `steps` depend on."""
    peak, _ = _units(fit.clock)
    seen = max(float(run.clock.time_at(run.step[-1])) for run in fit.runs)
    lowest = min(float(run.clock.rate_at(run.step[-1])) for run in fit.runs) / peak
    time = np.maximum(fit.clock.time_at(steps), 1e-300)
    return Ahead(
        spread=fit.posterior.spread(slopes[None])[0],
        distance=np.maximum(np.log(time / seen), 0.0),
        fall=lowest - fit.clock.rate_at(steps) / peak,
        variance=fit.posterior.variance,
        past_ratio=np.array(past[0]),
        past_miss=np.array(past[1]),
    )


def _past(runs: list[_Run], clock: Clock, end: float, continued: bool) -> tuple[float, float, bool]:
    """Forecast what is known from less: the end of a run from its beginning, or each run from the others."""
    found = _left_out(runs, clock, end) if len(runs) > 2 and not continued else _cut(runs, clock)
    if not found:
        return *_UNTESTED, False
    ratios, misses = np.array(found).T
    return math.sqrt(np.mean(np.minimum(ratios**2, _RATIO**2))), math.sqrt(np.mean(misses**2)), True


def _cut(runs: list[_Run], clock: Clock) -> list[tuple[float, float]]:
    """Forecast the last third of the first run's steps, from all that was known before."""
    first = runs[0]
    if first.step.size <= _KEPT:
        return []
    count = int(np.searchsorted(first.step, _PAST * first.step[-1], "right"))
    last = first.step[min(max(count, _KEPT), first.step.size - 1) - 1]
    early = [run for run in (first.until(last), *runs[1:]) if run.step.size]
    late = first.step > last
    return _misses(_Fit.to(early, clock, last, True), first.step[late], first.log_loss[late])


def _left_out(runs: list[_Run], clock: Clock, end: float) -> list[tuple[float, float]]:
    """Forecast each run from the others."""
    found = []
    for i, run in enumerate(runs):
        fit = _Fit.to(runs[:i] + runs[i + 1 :], clock, end, False)
        late = run.step >= end
        course = _Fit(fit.runs, run.clock, fit.posterior)
        found += _misses(course, run.step[late], run.log_loss[late], _units(clock))
    return found


def _misses(
    fit: _Fit, steps: np.ndarray, log_loss: np.ndarray, units: tuple[float, float] | None = None
) -> list[tuple[float, float]]:
    """Return misses over their errors, and misses."""
    course = Courses.of([fit.clock], *(_units(fit.clock) if units is None else units))
    value, slopes = Records.at(course, steps[None]).log_loss(fit.posterior.theta[:, : len(PARAMETERS)])
    shared = fit.posterior.covariance[:, : len(PARAMETERS), : len(PARAMETERS)]
    spread = np.maximum(np.einsum("nki,nij,nkj->nk", slopes, shared, slopes), 0.0)[0]
    miss = log_loss - value[0]
    error = np.sqrt(spread + fit.posterior.variance + 1e-6)
    return list(zip(np.abs(miss) / error, miss, strict=True))
