"""Fits to the published points of Pythia: the authors' own, ours with its uncertainty, laws, collapses.

The authors fit L = L∞ + c τ^(-α) (Eq. 20) by least squares of ln L with 0 ≤ L∞ ≤ the last loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.slopes import loglog_slope
from peakedtheory.curves.collapse import CollapseComparison, compare_collapse
from peakedtheory.curves.comparison import compare_laws
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.fits import fit_loss_curve
from peakedtheory.validation.language.published import named_schedule

if TYPE_CHECKING:
    import xarray

#: First and last step of the authors' fits; 70M's last two checkpoints rise and are left out.
AUTHORS_WINDOW = {"70M": (256.0, 48_000.0)}
_USUAL_WINDOW = (512.0, 143_000.0)
#: Other windows that are as reasonable: all combinations that leave nine checkpoints, three a parameter.
_FIRST, _LAST = (256.0, 512.0, 1000.0, 2000.0), (48_000.0, 79_000.0, 143_000.0)
_FEWEST = 9
#: Checkpoints whose logit scale must be visible for a model to enter the collapse.
_FEWEST_SCALES = 8
#: Relative errors of the points as they are read off, of the loss and of the logits' standard deviation.
READING_LOSS, READING_STD = 0.005, 0.03
_READINGS = 40
#: Laws side by side; those of more parameters need more checkpoints than there are.
LAWS = ("power", "power:alpha=1/3", "power-steps", "power-steps:alpha=1/3", "finite-beta-star")
#: Share of the steps that the laws are fitted to; they are scored on the checkpoints after it.
_SEEN = 0.5
#: Steps over which the logit scale is said to grow as τ^(1/3), before it saturates.
GROWTH_WINDOW = (128.0, 1000.0)
#: What is collapsed: the loss, the loss less L∞ of each model's own fit in τ or in steps, the logit scale.
COLLAPSES = ("loss", "loss less L∞ fitted in τ", "loss less L∞ fitted in steps", "logit scale")


@dataclass(frozen=True)
class Exponent:
    """α of one model: as the authors fit it, what reading the plots leaves open, and our uncertainty.

    Attributes
    ----------
    alpha, floor : float
        Least squares over the authors' window: α and L∞ in nats.
    reading : float
        Standard deviation of α as the points move by what reading them leaves open.
    statistical, window, origin : float
        From the scatter about the fit; half the range of α over other windows; over other origins of τ.
    """

    alpha: float
    floor: float
    reading: float
    statistical: float
    window: float
    origin: float

    @property
    def from_zero(self) -> float:
        """Error where τ is known to begin at step zero."""
        return math.hypot(self.statistical, self.window, self.reading)

    @property
    def total(self) -> float:
        """Error with every part."""
        return math.hypot(self.from_zero, self.origin)


def window_of(name: str) -> tuple[float, float]:
    """Return the first and last step of the authors' fit."""
    return AUTHORS_WINDOW.get(name, _USUAL_WINDOW)


def curves(data: xarray.Dataset) -> list[LossCurve]:
    """Return the models' curves with their published rates."""
    found = []
    for run in data["run"].values:
        one = data.sel(run=run)
        schedule = named_schedule(f"pythia-{str(run).lower()}")
        assert schedule is not None
        found.append(LossCurve(one["step"].values, one["loss"].values, schedule.rates, name=str(run)))
    return found


def _alpha(curve: LossCurve, window: tuple[float, float]) -> float:
    fit = fit_loss_curve(curve, "power", window=window, origin=0.0, loss="squares")
    return fit.parameters["alpha"]


def exponent(curve: LossCurve) -> Exponent:
    """Return the authors' fit of one model with its uncertainty."""
    window = window_of(curve.name)
    fit = fit_loss_curve(curve, "power", window=window, loss="squares")
    others = [
        _alpha(curve, (first, last))
        for first in _FIRST
        for last in _LAST
        if np.count_nonzero((curve.step >= first) & (curve.step <= last)) >= _FEWEST
    ]
    rng = np.random.default_rng(0)
    moved = [
        _alpha(
            replace(curve, loss=curve.loss * np.exp(READING_LOSS * rng.standard_normal(len(curve)))), window
        )
        for _ in range(_READINGS)
    ]
    uncertainty = fit.uncertainty["alpha"]
    return Exponent(
        fit.parameters["alpha"],
        fit.parameters["loss_floor"],
        float(np.std(moved, ddof=1)),
        uncertainty.statistical,
        0.5 * (max(others) - min(others)),
        uncertainty.origin,
    )


def growth(tau: np.ndarray, step: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return the exponent with which the logit scale grows in τ, and its error from reading and window."""
    inside = (step >= GROWTH_WINDOW[0]) & (step <= GROWTH_WINDOW[1]) & np.isfinite(values)
    x, y = tau[inside], values[inside]
    slopes = [loglog_slope(x[a:b], y[a:b])[0] for a, b in ((0, None), (1, None), (0, -1))]
    reading = READING_STD / math.sqrt(float(((np.log(x) - np.log(x).mean()) ** 2).sum()))
    return slopes[0], math.hypot(reading, 0.5 * (max(slopes) - min(slopes)))


def collapses(runs: Sequence[LossCurve], data: xarray.Dataset) -> dict[str, CollapseComparison]:
    """Return τ against steps for everything in `COLLAPSES`, over the steps of the authors' fits."""
    parts = [run.window(*window_of(run.name)) for run in runs]
    floors = {law: [_floor(run, law) for run in runs] for law in ("power", "power-steps")}
    scale = []
    for run in runs:
        std = data["logit_std"].sel(run=run.name).values
        seen = np.isfinite(std)
        if seen.sum() >= _FEWEST_SCALES:
            scale.append(replace(run, step=run.step[seen], loss=1.0 / std[seen]))
    sets = (
        parts,
        *(_less(parts, floors[law]) for law in ("power", "power-steps")),
        scale,
    )
    return dict(zip(COLLAPSES, map(compare_collapse, sets), strict=True))


def _floor(run: LossCurve, law: str) -> float:
    fit = fit_loss_curve(run, law, window=window_of(run.name), origin=0.0, loss="squares")
    return fit.parameters["loss_floor"]


def _less(parts: Sequence[LossCurve], floors: Sequence[float]) -> list[LossCurve]:
    """Return curves less their floors; checkpoints that a fit leaves below its floor are left out."""
    found = []
    for part, floor in zip(parts, floors, strict=True):
        above = part.loss > floor
        found.append(replace(part, step=part.step[above], loss=part.loss[above] - floor))
    return found


def law_scores(runs: Sequence[LossCurve]) -> dict[str, np.ndarray]:
    """Return held-out and fitted errors of `LAWS` per model (nats), and which are told from the best."""
    held, fitted, apart = (np.full((len(runs), len(LAWS)), np.nan) for _ in range(3))
    for i, run in enumerate(runs):
        window = (window_of(run.name)[0], float(run.step[-1]))
        by_name = compare_laws(run, LAWS, held_out=_SEEN, window=window, loss="squares").scores
        for score in by_name:
            k = [law.replace("1/3", f"{1 / 3:.6f}") for law in LAWS].index(score.name)
            held[i, k], fitted[i, k], apart[i, k] = score.error, score.in_sample, score.told_apart
    return {"held_out_error": held, "in_sample_error": fitted, "told_apart": apart}
