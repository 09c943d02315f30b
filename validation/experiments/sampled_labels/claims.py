"""Claims about sampled labels: the flow at every recorded time, floors, cooldowns, memory and efficiency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import mean_and_error
from peakedtheory.validation.experiments.sampled_labels.analysis import Group, groups, half_time

if TYPE_CHECKING:
    import xarray

#: Bars of β and of the excess loss, past the first 20 steps.
_BARS = {"sgd": (0.05, 0.10), "adam": (0.10, 0.20)}
_NAMES = {"sgd": "SGD", "adam": "Adam"}


def claims(data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
    """Judge the flow at every time, then what it says of floors, cooldowns, cuts and examples."""
    every = list(groups(data, prediction))
    out = _everywhere(every)
    out += [_floor(g) for g in every if g.optimizer == "sgd" and g.settled]
    for optimizer, name in _NAMES.items():
        mine = [g for g in every if g.optimizer == optimizer]
        falling = [g for g in mine if g.family == "wsd"]
        falling = [g for g in falling if g.ratio == max(g.ratio for g in falling)]
        out.append(_drops(f"{name}: drop of the loss over the cooldown of wsd, flow over training", falling))
        for group in mine:
            if group.family.startswith("cut-"):
                out.append(
                    _memory(f"{name}: steps to half of the drop after a cut by {group.family[4:]}", group)
                )
        best = max(mine, key=lambda g: float(g.efficiency(g.predicted_loss)))
        out.append(
            _efficiency(f"{name}: highest N-efficiency, by {best.family} at β* = {best.beta_star:g}", best)
        )
    return out


def _everywhere(every: Sequence[Group]) -> list[Claim]:
    """Judge the largest error over all settings and times, for each size of model and optimizer."""
    out = []
    for size in dict.fromkeys((g.n, g.width) for g in every):
        for optimizer, bars in _BARS.items():
            mine = [g for g in every if (g.n, g.width) == size and g.optimizer == optimizer]
            for name, label, bar in zip(("beta", "loss"), ("β", "the excess loss"), bars, strict=True):
                worst, error = max(g.ratio_error(name) for g in mine)
                out.append(
                    Claim(
                        f"{_NAMES[optimizer]}, n = {size[0]}, m = {size[1]}: largest error of {label} "
                        f"over {len(mine)} settings and all recorded times",
                        worst, error, 0.0, bar, f"at most {bar:g}, nothing fitted", predicted=0.0,
                    )
                )  # fmt: skip
    return out


def _floor(group: Group) -> Claim:
    """Judge a settled loss, in units of its first order, beside the flow's."""
    value, error = mean_and_error(group.losses[:, -1] / group.first_order)
    theory = float(group.predicted_loss[-1] / group.first_order)
    return near(
        f"SGD, β* = {group.beta_star:g}, ηm/B = {group.ratio:g}: settled loss over (ηm/4B)Φ'(β*)/β*",
        value, error, theory, 0.05 * theory, "the flow's, ± 5 %", predicted=theory,
    )  # fmt: skip


def _drops(text: str, falling: Sequence[Group]) -> Claim:
    """Judge ln of the last loss over that before the cooldown begins, at 80 % of the run."""
    measured, predicted = [], []
    for group in falling:
        start = 0.8 * group.step[-1]

        def fall(loss: np.ndarray, group: Group = group, start: float = start) -> float:
            before = np.interp(math.log(start), np.log(group.step), np.log(loss))
            return float(before - math.log(loss[-1]))

        measured.append(fall(group.loss))
        predicted.append(fall(group.predicted_loss))
    value, error = mean_and_error(np.array(predicted) / np.array(measured))
    return near(text, value, error if math.isfinite(error) else 0.0, 1.0, 0.1, "1 ± 0.1", predicted=1.0)


def _memory(text: str, group: Group) -> Claim:
    """Judge the steps to half of the drop, of the mean over teachers; the error leaves one out at a time."""
    count = group.losses.shape[0]
    value = half_time(group, group.loss)
    left = np.array([half_time(group, np.delete(group.losses, k, axis=0).mean(axis=0)) for k in range(count)])
    theory = half_time(group, group.predicted_loss)
    error = math.sqrt((count - 1) * float(left.var()))
    return near(text, value, error, theory, 0.15 * theory, "the flow's, ± 15 %", predicted=theory)


def _efficiency(text: str, group: Group) -> Claim:
    value, error = mean_and_error(group.efficiency(group.losses))
    theory = float(group.efficiency(group.predicted_loss))
    return near(text, value, error, theory, 0.1 * theory, "the flow's, ± 10 %", predicted=theory)
