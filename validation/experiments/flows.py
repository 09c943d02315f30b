"""What the training experiments share: grids of cases, records, and the flow predicted for every case.

Predictions are `peakedtheory.student_flow` at the times of the records, with nothing fitted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray

#: Classes and input width of the toy model (Liu et al. 2026, Appendix B.2).
CLASSES, WIDTH = 128, 32
FIELDS = ("loss", "radial_loss", "tangential_loss", "beta", "alignment", "residual", "local_exponent")
_ASKED = ("learning_rate", "beta_star", "optimizer", "batch", "start_ratio", "weight_decay", "hard_labels")


def logspace(start: float, stop: float, count: int) -> list[float]:
    """Return 10^start … 10^stop, evenly in the exponent, as plain numbers."""
    return [float(f"{v:.8g}") for v in np.logspace(start, stop, count)]


def beta_star_of(temperature: float) -> float:
    """Return β* = 1/(√3 T), the logit scale of a teacher U(±1/√m)/T (Liu et al. 2026, Appendix B.2)."""
    return 1.0 / (math.sqrt(3.0) * temperature)


def record_steps(steps: int, count: int) -> np.ndarray:
    """Return about `count` steps from 1 to `steps`, evenly in their logarithm."""
    return np.unique(np.round(np.geomspace(1, steps, count)).astype(int))


def optimizer_of(name: str, rate: float, batch: float, width: float = WIDTH) -> Any:
    """Return the theory's optimizer for one case."""
    from peakedtheory.dynamics import SGD, Adam, SignGD

    kind = {"sgd": SGD, "adam": Adam, "adamw": Adam, "signgd": SignGD}[name]
    return kind(rate, batch, width)


def predict_cases(
    data: xarray.Dataset,
    *,
    schedule_of: Callable[[int], Any] | None = None,
    width: int = WIDTH,
    n: int = CLASSES,
) -> xarray.Dataset:
    """Return the predicted run of every case of `data`, at its own τ: variables of `FIELDS`.

    Parameters
    ----------
    data : Dataset
        Results of the training engine, with dimensions case and time.
    schedule_of : callable, optional
        Schedule of a case by its index; constant rates without it.
    width, n : int
        Input width m and classes n.

    Notes
    -----
    Cases that differ only in teacher or seed share one prediction. A student that starts at ratio r is
    independent of its teacher: D = 0, ρ = rβ*.
    """
    import xarray

    from peakedtheory.dynamics import student_flow

    tau = np.asarray(data["tau"], dtype=float)
    out = {name: np.full(tau.shape, np.nan) for name in FIELDS}
    known: dict[Any, Any] = {}
    columns = {name: data[name].values for name in _ASKED}
    for i in range(data.sizes["case"]):
        rate, star, kind, batch, ratio, decay, hard = (columns[name][i] for name in _ASKED)
        plan = None if schedule_of is None else schedule_of(i)
        key = (rate, star, kind, batch, ratio, decay, hard, None if plan is None else plan.name)
        if key not in known:
            peak = float(rate) if plan is None else float(plan.rates.max())
            known[key] = student_flow(
                np.minimum(tau[i], plan.tau[-1]) if plan is not None else tau[i],
                math.inf if hard else float(star),
                n,
                optimizer=optimizer_of(str(kind), peak, float(batch), width),
                residual0=float(ratio) * float(star) if ratio else 0.0,
                weight_decay=float(decay),
                schedule=plan,
            )
        for name in FIELDS:
            out[name][i] = getattr(known[key], name)
    return xarray.Dataset({name: (("case", "time"), values) for name, values in out.items()})


def select(data: xarray.Dataset, **wanted: Any) -> np.ndarray:
    """Return the indices of the cases whose coordinates equal the wanted values (numbers to 1e-6)."""
    keep = np.ones(data.sizes["case"], dtype=bool)
    for name, value in wanted.items():
        column = data[name].values
        if column.dtype.kind == "f":
            keep &= np.isclose(column, float(value), rtol=1e-6)
        else:
            keep &= column == value
    return np.flatnonzero(keep)


def levels(data: xarray.Dataset, name: str, among: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
    """Return the distinct values of a coordinate, ascending."""
    column = data[name].values if among is None else data[name].values[among]
    return np.unique(column)


def calm_rates(data: xarray.Dataset, cases: np.ndarray) -> np.ndarray:
    """Return which cases move by less than a tenth of β* in a step; Adam's weights move by η, β by η√m."""
    if str(data["optimizer"].values[0]) == "sgd":
        return np.ones(len(cases), dtype=bool)
    return data["learning_rate"].values[cases] * math.sqrt(WIDTH) <= 0.1 * data["beta_star"].values[cases]


def trimmed(data: xarray.Dataset, *, keep: Sequence[str] = ()) -> xarray.Dataset:
    """Return the curves of a training run that the experiments use, leaving out anything else."""
    wanted = (
        "step", "tau", "loss", "loss_se", "radial_loss", "tangential_loss", "alignment", "residual", "beta",
        "weight_norm", "gradient_norm", "diverged", *keep,
    )  # fmt: skip
    return data[[name for name in wanted if name in data]]


def per_case_error(measured: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Return the median over cases of each case's typical relative error, and its standard error.

    The standard error is that of a median over independent cases, 1.25 σ/√K.
    """
    from peakedtheory.validation.comparison import agreement

    values = np.array([agreement(a, b).typical for a, b in zip(measured, predicted, strict=True)])
    values = values[np.isfinite(values)]
    if not values.size:
        return math.nan, math.nan
    error = 1.25 * float(values.std(ddof=1)) / math.sqrt(values.size) if values.size > 1 else math.nan
    return float(np.median(values)), error
