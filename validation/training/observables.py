"""What is recorded of a run, and the dataset it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory._common.checks import fail, real_array, whole_number
from peakedtheory.dynamics.labels import data_efficiency
from peakedtheory.schedules.clock import Clock
from peakedtheory.validation.training.cases import Case
from peakedtheory.validation.training.stacks import DIVERGED, Stack

if TYPE_CHECKING:
    import xarray

SCALARS = (
    "loss", "loss_standard_error", "radial_loss", "tangential_loss", "alignment", "residual", "beta",
    "beta_weights", "weight_norm", "gradient_norm",
)  # fmt: skip
HESSIAN = ("hessian_eigenvalue", "hessian_error", "hessian_trace", "hessian_trace_standard_error")
OBSERVABLES = ("weights", "hessian", "cross_entropy")
_COORDINATES = {
    "beta_star": "teacher's inverse temperature",
    "learning_rate": "learning rate η, the largest of a schedule",
    "optimizer": "optimizer",
    "batch": "examples per step",
    "start_ratio": "β at the start over β*",
    "weight_decay": "decoupled weight decay",
    "teacher": "seed of the teacher",
    "seed": "seed of the data and of the start",
    "average": "average of the weights that is recorded",
    "labels": "what examples tell of the teacher: soft, hard or sampled",
}
_LONG_NAMES = {
    "loss": "test loss (nats), the excess of the cross-entropy over the labels' entropy",
    "efficiency": "share of the examples that the loss has used, (n - 1)m/(2NL)",
    "cross_entropy": "loss plus the entropy of the labels (nats)",
    "label_entropy": "mean entropy of the labels over the test inputs (nats)",
    "loss_standard_error": "standard error of the loss over the test inputs",
    "radial_loss": "loss of the teacher rescaled to the student's norm",
    "tangential_loss": "loss minus radial loss",
    "alignment": "D, component of the student along the teacher",
    "residual": "ρ, component of the student across the teacher, less the common shift of all rows",
    "beta": "root mean square over the test inputs of the logits' standard deviation over the classes",
    "beta_weights": "Frobenius norm of the weights over √n",
    "weight_norm": "Frobenius norm of the weights",
    "gradient_norm": "Frobenius norm of the mean gradient over the test inputs",
    "hessian_eigenvalue": "leading eigenvalues of the loss's Hessian over the first test inputs",
    "hessian_error": "bound of the eigenvalue's numerical error",
    "hessian_trace": "trace of that Hessian",
    "hessian_trace_standard_error": "standard error of the trace over the test inputs",
}


def recorded_steps(record: Any, steps: int) -> np.ndarray:
    """Return the steps after which a run is recorded, from 0 to the last.

    Parameters
    ----------
    record : None, int, str or array_like
        Number of logarithmic times (None: 60), ``linear:every``, or the steps themselves.
    steps : int
        Length of the run.

    Raises
    ------
    ValueError
        If `record` is none of these, or a step lies outside the run.

    Examples
    --------
    >>> recorded_steps(5, 1000).tolist()
    [0, 1, 10, 100, 1000]
    >>> recorded_steps("linear:400", 1000).tolist()
    [0, 400, 800, 1000]
    """
    remedy = "give a number of times, an array of steps, or linear:every"
    if isinstance(record, str):
        kind, _, every = record.partition(":")
        if kind != "linear" or not every.isdigit() or int(every) < 1:
            fail("record", "must read linear:every as text", repr(record), remedy)
        return np.unique([*range(0, steps, int(every)), steps])
    if record is None or np.ndim(record) == 0:
        count = 60 if record is None else whole_number("record", record, 2, remedy=remedy)
        times = np.geomspace(1, steps, count - 1) if steps > 1 else np.ones(1)
        return np.unique([0, *np.round(times).astype(int), steps])
    array = real_array("record", record)
    if array.ndim != 1 or (array != np.round(array)).any() or array.min() < 0 or array.max() > steps:
        fail("record", f"must be whole steps from 0 to {steps}", repr(record)[:60], remedy)
    return np.unique(array.astype(int))


def _across(weights: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """Part of weights (C, n, m) across the teacher, without the shift of all rows that no softmax sees."""
    w, star = (v - v.mean(axis=1, keepdims=True) for v in (weights, teacher))
    along = (w * star).sum(axis=(1, 2)) / (star**2).sum(axis=(1, 2))
    return w - along[:, None, None] * star


class Recorder:
    """Arrays of everything recorded, filled time by time."""

    def __init__(
        self,
        stacks: Sequence[Stack],
        times: np.ndarray,
        observe: Sequence[str],
        test_samples: int,
        dtype: str,
    ) -> None:
        cases = sum(s.size for s in stacks)
        n, m = stacks[0].shape
        self.times = times
        self.test_samples = test_samples
        self.diverged = np.zeros(cases, bool)
        self.values = {name: np.full((cases, times.size), np.nan) for name in SCALARS}
        if "weights" in observe:
            self.values["weights"] = np.full((cases, times.size, n, m), np.nan, dtype)
        if "hessian" in observe:
            for name in HESSIAN:
                shape = (3,) if name in ("hessian_eigenvalue", "hessian_error") else ()
                self.values[name] = np.full((cases, times.size, *shape), np.nan)

    def add(self, time: int, stack: Stack, weights: np.ndarray, sums: dict[str, np.ndarray]) -> None:
        """Enter what an engine observed of one stack: weights (C, n, m), and sums over the test inputs.

        The sums: loss, loss_squares, radial_loss, variance (of the logits over the classes), all (C,), and
        gradient (C, n, m); with them the Hessian's values, if they are asked for.
        """
        count, n = self.test_samples, stack.shape[0]
        largest = np.abs(weights).max(axis=(1, 2))
        bad = ~(largest < DIVERGED) | ~np.isfinite(sums["loss"])
        self.diverged[stack.members[bad]] = True
        good = ~self.diverged[stack.members]
        rows = stack.members[good]
        w = weights[good].astype(float)
        teacher = stack.teachers[stack.teacher_of[good]]
        star = np.sqrt((teacher**2).sum(axis=(1, 2)) / n)
        beta = np.sqrt((w**2).sum(axis=(1, 2)) / n)
        alignment = (w * teacher).sum(axis=(1, 2)) / (n * star)
        # from the remainder itself: β² - D² would lose the digits of a small residual
        across = _across(w, teacher)
        loss = sums["loss"][good] / count
        spread = np.maximum(sums["loss_squares"][good] / count - loss**2, 0.0)
        radial = sums["radial_loss"][good] / count
        new = {
            "loss": loss,
            "loss_standard_error": np.sqrt(spread / max(count - 1, 1)),
            "radial_loss": radial,
            "tangential_loss": loss - radial,
            "alignment": alignment,
            "residual": np.sqrt((across**2).sum(axis=(1, 2)) / n),
            "beta": np.sqrt(sums["variance"][good] / count),
            "beta_weights": beta,
            "weight_norm": beta * np.sqrt(n),
            "gradient_norm": np.sqrt((sums["gradient"][good] ** 2).sum(axis=(1, 2))) / count,
        }
        for name, value in new.items():
            self.values[name][rows, time] = value
        if "weights" in self.values:
            self.values["weights"][rows, time] = w
        for name in set(HESSIAN) & set(self.values):
            self.values[name][rows, time] = sums[name][good]

    def merge(self, rows: Sequence[int], part: Recorder) -> None:
        """Enter the records of some of the cases."""
        index = np.asarray(rows)
        self.diverged[index] = part.diverged
        for name, value in part.values.items():
            self.values[name][index] = value


def to_dataset(
    cases: Sequence[Case],
    records: Recorder,
    stacks: Sequence[Stack],
    attributes: dict[str, Any],
    entropies: np.ndarray | None = None,
) -> xarray.Dataset:
    """Return the records as a dataset, with cross-entropies where the labels' entropies are given."""
    import xarray

    times = records.times
    clocks = [case.clock(stacks[0].rates.shape[1]) for case in cases]
    tau = np.array([clock.tau[times] for clock in clocks])
    teacher_weights = np.zeros((len(cases), *stacks[0].shape))
    for stack in stacks:
        teacher_weights[stack.members] = stack.teachers[stack.teacher_of]
    dims = {
        "weights": ("case", "time", "n", "m"),
        "hessian_eigenvalue": ("case", "time", "eigenvalue"),
        "hessian_error": ("case", "time", "eigenvalue"),
    }
    variables: dict[str, Any] = {
        "step": ("time", times, {"long_name": "steps done"}),
        "tau": (("case", "time"), tau, {"long_name": "dynamic time τ = Σ η"}),
        "diverged": ("case", records.diverged, {"long_name": "weights are not finite or beyond 1e15"}),
    }
    values = dict(records.values)
    seen = times * np.array([[case.batch] for case in cases])
    values["efficiency"] = np.asarray(data_efficiency(values["loss"], seen, *stacks[0].shape))
    if entropies is not None:
        variables["label_entropy"] = ("case", entropies, {"long_name": _LONG_NAMES["label_entropy"]})
        values["cross_entropy"] = values["loss"] + entropies[:, None]
    for name, value in values.items():
        long_name = {"long_name": _LONG_NAMES[name]} if name in _LONG_NAMES else {}
        variables[name] = (dims.get(name, ("case", "time")), value, long_name)
    if "weights" in records.values:
        variables["teacher_weights"] = (("case", "n", "m"), teacher_weights, {"long_name": "W*"})
    coordinates: dict[str, Any] = {}
    for name, meaning in _COORDINATES.items():
        column = [_setting(name, case, clock) for case, clock in zip(cases, clocks, strict=True)]
        coordinates[name] = ("case", np.array(column), {"long_name": meaning})
    return xarray.Dataset(variables, coordinates, attributes)


def _setting(name: str, case: Case, clock: Clock) -> Any:
    if name == "learning_rate":
        return clock.peak
    if name == "average":
        return "none" if case.average is None else str(case.average)
    return getattr(case, "name" if name == "optimizer" else name)
