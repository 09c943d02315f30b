"""Analysis of language-model curves: peakedness, growth of the logit scale, laws of the loss, collapse in τ.

A table of curves has the dimensions (run, record): step, τ, loss, statistics of the logits, β*. It comes
from training runs (`combine_runs`; committed ones by `load_runs`) or from checkpoints (`from_evaluations`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.slopes import loglog_slope
from peakedtheory.curves.choices import WindowChoice
from peakedtheory.curves.collapse import CollapseComparison, compare_collapse
from peakedtheory.curves.comparison import LawComparison, compare_laws
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.fits import fit_loss_curve
from peakedtheory.curves.results import LossCurveFit
from peakedtheory.dynamics.regimes import regime
from peakedtheory.exact.entropy import match_entropy
from peakedtheory.exact.expansions import low_temperature_expansion
from peakedtheory.exact.thermodynamics import thermodynamics
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.reading import parse_schedule
from peakedtheory.validation.language.totals import HISTOGRAM_BINS, STATISTICS

if TYPE_CHECKING:
    import xarray

#: The runs that come with the package.
COMMITTED = Path(__file__).parent.parent / "data" / "language" / "small_runs.nc"
#: Shortest stretch of ln τ over which an exponent is measured: half a decade.
SHORTEST = 0.5 * np.log(10.0)
#: Published checkpoints are too few to leave out the warmup: Liu et al. 2026 fitted the last 11 of 13.
FIRST_FITTED_STEP = 512
#: Laws that the curves are compared with, the exponent of the paper among them.
LAWS = ("power", "power:alpha=1/3", "power-steps", "finite-beta-star")


@dataclass(frozen=True)
class Growth:
    """Exponent γ of a quantity that grows as τ^γ.

    Attributes
    ----------
    exponent : float
        Median of the least-squares slopes of its logarithm over all windows.
    standard_error : float
        Half the range of the middle 68 % of those slopes, and the median error of one slope, in quadrature.
    low, high : float
        The smallest and the largest slope of a window.
    tau : tuple of float
        First and last τ that were used.
    """

    exponent: float
    standard_error: float
    low: float
    high: float
    tau: tuple[float, float]

    def __str__(self) -> str:
        return f"{self.exponent:.3f} ± {self.standard_error:.3f} (windows {self.low:.2f} to {self.high:.2f})"


def combine_runs(curves: Mapping[str, xarray.Dataset]) -> xarray.Dataset:
    """Return training curves of one corpus and vocabulary as one table, padded with NaN.

    Parameters
    ----------
    curves : mapping of str to Dataset
        By name, as `training.train` returns them.
    """
    import xarray

    size = max(curve.step.size for curve in curves.values())
    names = [
        "tau",
        "learning_rate",
        "head_norm",
        *STATISTICS,
        *(f"{name}_standard_error" for name in STATISTICS),
    ]
    variables: dict[str, Any] = {
        name: (("run", "record"), np.stack([_padded(curve[name].values, size) for curve in curves.values()]))
        for name in ("step", *names)
    }
    first = next(iter(curves.values()))
    last = np.stack([curve.entropy_histogram.values[-1] for curve in curves.values()])
    variables["final_entropy_histogram"] = (("run", "entropy_bin"), last.astype(np.int32))
    n = int(first.attrs["vocabulary"])
    variables["beta_star"] = (("run", "record"), _beta_star(variables["entropy"][1], n))
    settings = [
        json.dumps(
            {
                k.removeprefix("setting_"): _plain(v)
                for k, v in curve.attrs.items()
                if k.startswith("setting_")
            }
        )
        for curve in curves.values()
    ]
    edges = np.linspace(0.0, np.log(n), HISTOGRAM_BINS + 1)
    keep = ("vocabulary", "parameters", "device", "torch_version", "transformers_version", "corpus")
    return xarray.Dataset(
        variables,
        {"run": list(curves), "settings": ("run", settings), "entropy_bin": 0.5 * (edges[1:] + edges[:-1])},
        {name: first.attrs[name] for name in keep},
    )


def from_evaluations(
    evaluated: Mapping[str, tuple[xarray.Dataset, Clock]], first_fitted_step: int = FIRST_FITTED_STEP
) -> xarray.Dataset:
    """Return evaluated checkpoints of several models as one table.

    Parameters
    ----------
    evaluated : mapping of str to (Dataset, Clock)
        By name: what `evaluate_revisions` returns, and the learning rates of the run.
    first_fitted_step : int
        First step of fits.
    """
    import xarray

    tables = {name: data.sortby("step") for name, (data, _) in evaluated.items()}
    size = max(table.revision.size for table in tables.values())
    names = ["step", "tau", "beta_star", *STATISTICS, *(f"{name}_standard_error" for name in STATISTICS)]
    variables: dict[str, Any] = {
        name: (("run", "record"), np.stack([_padded(table[name].values, size) for table in tables.values()]))
        for name in names
    }
    histograms = np.stack([table.entropy_histogram.values[-1] for table in tables.values()])
    variables["final_entropy_histogram"] = (("run", "entropy_bin"), histograms.astype(np.int32))
    first = next(iter(tables.values()))
    settings = [json.dumps({"schedule": schedule.name}) for _, schedule in evaluated.values()]
    attributes = {"vocabulary": first.attrs["vocabulary"], "first_fitted_step": first_fitted_step}
    return xarray.Dataset(
        variables,
        {"run": list(tables), "settings": ("run", settings), "entropy_bin": first.entropy_bin.values},
        attributes,
    )


def load_runs(path: Path = COMMITTED) -> xarray.Dataset:
    """Return the committed training runs.

    Raises
    ------
    ValueError
        If the file is missing.
    """
    import xarray

    if not Path(path).is_file():
        fail("path", "must be the file of committed runs", str(path), "install the package with its data")
    with xarray.open_dataset(path, engine="h5netcdf") as stored:
        return stored.load()


def loss_curves(table: xarray.Dataset) -> dict[str, LossCurve]:
    """Return each run as a curve with its rates, from the first step on."""
    result = {}
    for run in table.run.values:
        one = table.sel(run=run)
        step = one.step.values
        kept = np.isfinite(step) & (step > 0)
        columns = {name: one[name].values[kept] for name in ("loss", "logit_std", "entropy")}
        rates = parse_schedule(json.loads(str(one.settings.values))["schedule"]).rates
        result[str(run)] = LossCurve(step[kept], columns.pop("loss"), rates, **columns, name=str(run))
    return result


def growth(curve: LossCurve, quantity: np.ndarray | None = None) -> Growth:
    """Return the exponent with which the logit scale of a run grows in τ, after its warmup.

    Parameters
    ----------
    curve : LossCurve
    quantity : ndarray, shape (records,), optional
        What grows; the standard deviation of the logits by default.

    Raises
    ------
    ValueError
        If the curve has no logit scale or its records span less than half a decade of τ after the warmup.
    """
    values = curve.logit_std if quantity is None else np.asarray(quantity, dtype=float)
    if values is None:
        fail("curve", "must have the standard deviation of the logits", "None", "log it with the loss")
    kept = curve.step > max(2 * curve.warmup, 1)
    x, y = curve.tau[kept], values[kept]
    slopes, errors = [], []
    for i in range(x.size):
        for j in range(i + 4, x.size + 1):
            if np.log(x[j - 1]) - np.log(x[i]) >= SHORTEST:
                slope, error = loglog_slope(x[i:j], y[i:j])
                slopes.append(slope)
                errors.append(error)
    if not slopes:
        span = f"{np.log10(x[-1] / x[0]):.2f} decades" if x.size else "no record"
        fail("curve", "must span half a decade of τ after its warmup", span, "log a longer run")
    low, high = np.quantile(slopes, [0.16, 0.84])
    error = float(np.hypot(0.5 * (high - low), np.median(errors)))
    ends = (float(x[0]), float(x[-1]))
    return Growth(float(np.median(slopes)), error, min(slopes), max(slopes), ends)


def summarise(table: xarray.Dataset) -> xarray.Dataset:
    """Return what the curves of a table show, over `run`, each number with its error.

    `alpha` and `floor` belong to L = L∞ + c τ^(-α) (Liu et al. 2026, Eq. 20) fitted to each run alone;
    `growth` is the exponent of the logit scale, `peakedness` the last β*/c0; `expected` the local exponent
    that `regime` gives an aligned student of that β*.
    """
    import xarray

    n = int(table.attrs["vocabulary"])
    c0 = float(low_temperature_expansion(n, order=1).coefficients[0])
    first = table.attrs.get("first_fitted_step")
    rows: dict[str, list[float]] = {}
    for name, curve in loss_curves(table).items():
        window: WindowChoice = "auto" if first is None else (float(first), float(curve.step[-1]))
        fit, grown = fit_loss_curve(curve, "power", window=window), growth(curve)
        last = table.sel(run=name).isel(record=len(curve) - 1 + int(table.sel(run=name).step[0] == 0))
        star = float(last.beta_star)
        slope = star * float(thermodynamics(star, n).energy_variance)
        values = {
            "alpha": fit.parameters["alpha"],
            "alpha_error": fit.uncertainty["alpha"].total,
            "floor": fit.parameters["loss_floor"],
            "floor_error": fit.uncertainty["loss_floor"].total,
            "growth": grown.exponent,
            "growth_error": grown.standard_error,
            "loss": float(last.loss),
            "peakedness": star / c0,
            "peakedness_error": float(last.entropy_standard_error) / slope / c0,
            "peaked_fraction": float(last.peaked_fraction),
            "expected": regime(star, n).exponent,
        }
        for key, value in values.items():
            rows.setdefault(key, []).append(float(value))
    result = xarray.Dataset({key: ("run", values) for key, values in rows.items()}, {"run": table.run.values})
    return result.assign(c0=c0, entropy_at_c0=float(thermodynamics(c0, n).entropy))


def fits(table: xarray.Dataset) -> dict[str, LossCurveFit]:
    """Return L = L∞ + c τ^(-α) (Liu et al. 2026, Eq. 20) fitted to each run alone, nothing held."""
    return {name: fit_loss_curve(curve, "power") for name, curve in loss_curves(table).items()}


def collapse(
    curves: list[LossCurve], quantity: str = "loss", first: float | None = None
) -> CollapseComparison:
    """Return how well τ and steps bring the curves together.

    Parameters
    ----------
    curves : list of LossCurve
    quantity : {"loss", "logit_std"}
        What is compared; the measure is unchanged under any monotone function, so the growing logit scale
        enters as its inverse.
    first : float, optional
        First step that counts; twice each curve's warmup by default.
    """
    parts = [curve.window(max(2 * curve.warmup, 1) if first is None else first) for curve in curves]
    if quantity == "logit_std":
        parts = [replace(part, loss=1.0 / np.asarray(part.logit_std)) for part in parts]
    elif quantity != "loss":
        fail("quantity", "must be loss or logit_std", repr(quantity), "choose one")
    return compare_collapse(parts)


def law_comparison(curves: list[LossCurve]) -> LawComparison:
    """Return `LAWS` fitted to the earlier part of the curves together and scored on their later part."""
    return compare_laws(curves, LAWS)


@lru_cache(maxsize=4096)
def _star(entropy: float, n: int) -> float:
    return float(match_entropy(entropy, n).beta_star)


def _beta_star(entropy: np.ndarray, n: int) -> np.ndarray:
    top = np.log(n) * (1.0 - 1e-9)
    return np.array([[np.nan if np.isnan(h) else _star(min(h, top), n) for h in row] for row in entropy])


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([np.asarray(values, dtype=float), np.full(size - len(values), np.nan)])


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
