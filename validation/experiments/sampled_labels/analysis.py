"""Means over teachers of runs on sampled labels, their floors and cuts, and how much of the data they use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.dynamics.force import student_force

if TYPE_CHECKING:
    import xarray

#: What the settings of a group of cases are, teachers apart.
_NAMES = ("optimizer", "beta_star", "ratio", "family", "n", "width", "batch")


@dataclass(frozen=True)
class Group:
    """Cases that differ in their teachers alone: what was recorded, and what the flow says.

    `losses` and `betas` are (teachers, times), `loss` and `beta` their means, beside `predicted_loss` and
    `predicted_beta` of the flow.
    """

    optimizer: str
    beta_star: float
    ratio: float
    family: str
    n: int
    width: int
    batch: int
    step: np.ndarray
    losses: np.ndarray
    betas: np.ndarray
    predicted_loss: np.ndarray
    predicted_beta: np.ndarray

    @property
    def loss(self) -> np.ndarray:
        return self.losses.mean(axis=0)

    @property
    def beta(self) -> np.ndarray:
        return self.betas.mean(axis=0)

    @property
    def first_order(self) -> float:
        """(ηm/4B) Φ'(β*)/β*, the floor to first order."""
        return 0.25 * self.ratio * student_force(self.beta_star, self.n, self.width).label_noise

    @property
    def settled(self) -> bool:
        """Whether the flow's loss at a constant rate no longer changes."""
        before, last = self.predicted_loss[-2:]
        return self.family == "constant" and abs(before / last - 1.0) < 0.02

    def efficiency(self, loss: np.ndarray) -> np.ndarray:
        """(n-1)m/(2NL) at the last record, N the examples seen by then."""
        return (self.n - 1) * self.width / (2.0 * self.batch * self.step[-1] * loss[..., -1])

    def ratio_error(self, name: str) -> tuple[float, float]:
        """Return the largest relative error of the flow over all times, and its standard error."""
        measured = self.losses if name == "loss" else self.betas
        mean, predicted = measured.mean(axis=0), getattr(self, f"predicted_{name}")
        worst = int(np.argmax(np.abs(predicted / mean - 1.0)))
        error = measured[:, worst].std(ddof=1) / np.sqrt(measured.shape[0]) / mean[worst]
        return float(abs(predicted[worst] / mean[worst] - 1.0)), float(error)


def groups(data: xarray.Dataset, prediction: xarray.Dataset) -> Iterator[Group]:
    """Yield all groups in the order of their first case."""
    columns = [data[name].values for name in _NAMES]
    keys = list(zip(*(column.tolist() for column in columns), strict=True))
    for key in dict.fromkeys(keys):
        cases = np.flatnonzero([other == key for other in keys])
        first = cases[0]
        yield Group(  # type: ignore[call-arg]  # the key has the first seven
            *key, data["step"].values[first], data["loss"].values[cases].astype(float),
            data["beta"].values[cases].astype(float), prediction["loss"].values[first],
            prediction["beta"].values[first],
        )  # fmt: skip


def share_of_drop(group: Group, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return steps after the cut half way, and the share of the drop that is done by then, one at the end."""
    cut = group.step[-1] // 2
    at = int(np.flatnonzero(group.step == cut)[0])
    drop = (loss[at] - loss[at:]) / (loss[at] - loss[-1])
    return group.step[at:] - cut, drop


def half_time(group: Group, loss: np.ndarray) -> float:
    """Return the steps after a cut by which half of the drop is done."""
    after, share = share_of_drop(group, loss)
    share = np.maximum.accumulate(share)
    return float(np.interp(0.5, share, after))
