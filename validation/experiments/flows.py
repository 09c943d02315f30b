"""What the training experiments share: grids, runs, the flow predicted for every case, and its error.

Predictions are `peakedtheory.student_flow` at the times of the records, with nothing fitted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory.dynamics.aligned_path import aligned_path
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.dynamics.optimizers import SGD, Adam, SignGD
from peakedtheory.dynamics.student import student_flow
from peakedtheory.validation.experiments.base import RunContext, Settings
from peakedtheory.validation.experiments.claims import Claim
from peakedtheory.validation.experiments.comparison import agreement, small_sample
from peakedtheory.validation.experiments.selection import CLASSES, WIDTH
from peakedtheory.validation.training.cases import Case

if TYPE_CHECKING:
    import xarray

FIELDS = ("loss", "radial_loss", "tangential_loss", "beta", "alignment", "residual", "local_exponent")
_ASKED = ("learning_rate", "beta_star", "optimizer", "batch", "start_ratio", "weight_decay")


def logspace(start: float, stop: float, count: int) -> list[float]:
    """Return 10^start … 10^stop, evenly in the exponent, as plain numbers."""
    return [float(f"{v:.8g}") for v in np.logspace(start, stop, count)]


def beta_star_of(temperature: float) -> float:
    """Return β* = 1/(√3 T), the logit scale of a teacher U(±1/√m)/T (Liu et al. 2026, Appendix B.2)."""
    return 1.0 / (math.sqrt(3.0) * temperature)


def optimizer_of(name: str, rate: float, batch: float) -> SGD | Adam | SignGD:
    """Return the optimizer that settings and results call so, at the toy model's width."""
    kind = {"sgd": SGD, "adam": Adam, "adamw": Adam, "signgd": SignGD}[name]
    return kind(rate, batch, WIDTH)


def record_steps(steps: int, count: int) -> np.ndarray:
    """Return about `count` steps from 1 to `steps`, evenly in their logarithm."""
    return np.unique(np.round(np.geomspace(1, steps, count)).astype(int))


def predict_cases(data: xarray.Dataset, schedule_of: Callable[[int], Any] | None = None) -> xarray.Dataset:
    """Return the predicted run of every case of `data`, at its own τ: variables of `FIELDS`.

    Parameters
    ----------
    data : Dataset
        Results of the training engine, with dimensions case and time.
    schedule_of : callable, optional
        Clock of a case by its index; constant rates without it.

    Notes
    -----
    Cases that differ only in teacher or seed share one prediction. A student that starts at ratio r is
    independent of its teacher: D = 0, ρ = rβ*.
    """
    import xarray

    tau = np.asarray(data["tau"], dtype=float)
    out = {name: np.full(tau.shape, np.nan) for name in FIELDS}
    known: dict[Any, Any] = {}
    columns = {name: data[name].values for name in _ASKED} | {"labels": _labels(data)}
    for i in range(data.sizes["case"]):
        rate, star, kind, batch, ratio, decay, labels = (column[i] for column in columns.values())
        plan = None if schedule_of is None else schedule_of(i)
        key = (rate, star, kind, batch, ratio, decay, labels, None if plan is None else plan.name)
        if key not in known:
            peak = float(rate) if plan is None else float(plan.rates.max())
            known[key] = student_flow(
                np.minimum(tau[i], plan.tau[-1]) if plan is not None else tau[i],
                math.inf if labels == "hard" else float(star),
                CLASSES,
                optimizer=optimizer_of(str(kind), peak, float(batch)),
                residual0=float(ratio) * float(star) if ratio else 0.0,
                weight_decay=float(decay),
                schedule=plan,
                labels=str(labels),
            )
        for name in FIELDS:
            out[name][i] = getattr(known[key], name)
    return xarray.Dataset({name: (("case", "time"), values) for name, values in out.items()})


def _labels(data: xarray.Dataset) -> np.ndarray:
    """Return the labels of each case; older results, without sampled ones, say whether they are hard."""
    if "labels" in data:
        return data["labels"].values
    return np.where(data["hard_labels"].values, "hard", "soft")


@dataclass(frozen=True)
class AlignedFlow:
    """L(τ) of an aligned student under gradient flow, read either way on logarithmic axes."""

    tau: np.ndarray
    loss: np.ndarray

    def loss_at(self, tau: np.ndarray) -> np.ndarray:
        """Return L at these times."""
        return np.exp(np.interp(np.log(tau), np.log(self.tau), np.log(self.loss)))

    def time_of(self, loss: np.ndarray) -> np.ndarray:
        """Return the times at which the flow has these losses."""
        return np.exp(np.interp(-np.log(loss), -np.log(self.loss), np.log(self.tau)))


def aligned_flow(beta_star: float) -> AlignedFlow:
    """Return the aligned flow of the toy model towards a teacher."""
    path = aligned_path(interpolant(CLASSES), beta_star)
    return AlignedFlow(path.tau, path.loss)


def train_cases(
    context: RunContext, settings: Settings, cases: Sequence[Case], *, from_zero: bool = False
) -> xarray.Dataset:
    """Train the cases of an experiment and return the curves that the experiments use.

    Parameters
    ----------
    context : RunContext
    settings : mapping
        `steps`, `records` (logarithmic times) and `test_samples`.
    cases : sequence of Case
    from_zero : bool
        Record the start as well.
    """
    record = record_steps(settings["steps"], settings["records"])
    data = context.train(
        cases,
        settings["steps"],
        record=np.append(0, record) if from_zero else record,
        test_samples=settings["test_samples"],
    )
    return trimmed(data)


def trimmed(data: xarray.Dataset, *, keep: Sequence[str] = ()) -> xarray.Dataset:
    """Return the curves of a training run that the experiments use, leaving out anything else."""
    wanted = (
        "step", "tau", "loss", "loss_standard_error", "radial_loss", "tangential_loss", "alignment", "beta",
        "weight_norm", "gradient_norm", "diverged", *keep,
    )  # fmt: skip
    return data[[name for name in wanted if name in data]]


def per_case_error(measured: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Return the median over cases of each case's typical relative error, and its standard error.

    The standard error is that of a median over independent cases, 1.25 σ/√K.
    """
    values = np.array([agreement(a, b).typical for a, b in zip(measured, predicted, strict=True)])
    values = values[np.isfinite(values)]
    if not values.size:
        return math.nan, math.nan
    if values.size < 2:
        return float(np.median(values)), math.nan
    error = 1.25 * small_sample(values.size) * float(values.std(ddof=1)) / math.sqrt(values.size)
    return float(np.median(values)), error


def flow_claim(text: str, measured: np.ndarray, predicted: np.ndarray, bar: float, note: str = "") -> Claim:
    """Return the claim that curves are those of the theory, to a typical relative error of at most `bar`."""
    typical, error = per_case_error(measured, predicted)
    rule = f"at most {100 * bar:.0f} %{note}"
    return Claim(text, typical, error, -math.inf, bar, rule, predicted=0.0)
