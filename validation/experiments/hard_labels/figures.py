"""Figures of hard labels: both parts of the loss, envelopes over rates and batches, best rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import COLD, EXACT, EXTRA, FAINT, WARM, new_figure, shades
from peakedtheory.validation.experiments.drawing import guide, keyed, shown
from peakedtheory.validation.experiments.hard_labels.analysis import (
    best_rates,
    envelope,
    middle_run,
    optimizers_of,
)
from peakedtheory.validation.experiments.selection import levels, select

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

_NAMES = {"sgd": "SGD", "adam": "Adam", "signgd": "sign descent"}


def split(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw L, L_r and L_t at the middle batch and its best rate."""
    names = optimizers_of(data)
    figure, axes = new_figure(len(names))
    steps = data["step"].values.astype(float)
    for place, optimizer in zip(axes[0], names, strict=True):
        cases = middle_run(data, optimizer)
        seen = []
        for color, (name, label) in zip(
            (EXACT, COLD, WARM),
            (("loss", "L"), ("radial_loss", "L_r"), ("tangential_loss", "L_t")),
            strict=True,
        ):
            mean = data[name].values[cases].mean(axis=0)
            good = shown(steps, mean) & (steps >= 3)
            place.plot(steps[good], mean[good], "o", ms=3, color=color, label=label)
            theory = prediction[name].values[cases[0]]
            good = good & (theory > 0)
            place.plot(steps[good], theory[good], "-", lw=1.2, color=color)
            seen.append(mean[good])
        guide(place, steps[steps >= steps[-1] / 30], (steps[-1], 0.75 * float(seen[1][-1])), -1 / 3)
        batch, rate = float(data["batch"].values[cases[0]]), float(data["learning_rate"].values[cases[0]])
        place.set(
            xscale="log",
            yscale="log",
            xlabel="training step t",
            title=f"{_NAMES[optimizer]}, B = {batch:g}, η = {rate:.3g}",
            ylim=(0.3 * min(float(v[-1]) for v in seen), 1.5 * float(seen[0].max())),
        )
    axes[0, 0].set_ylabel("loss on hard labels (nats)")
    keyed(figure)
    return figure


def sweep(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw all runs against D = Bt, their envelope and the theory's."""
    names = optimizers_of(data)
    figure, axes = new_figure(len(names))
    steps = data["step"].values.astype(float)
    for place, optimizer in zip(axes[0], names, strict=True):
        for i in select(data, optimizer=optimizer, teacher=0):
            loss = data["loss"].values[i]
            good = shown(steps, loss)
            place.plot(
                float(data["batch"].values[i]) * steps[good], loss[good], color=FAINT, lw=0.7, zorder=0
            )
        grid, lowest = envelope(data, data["loss"].values, optimizer)
        mean = lowest.mean(axis=0)
        place.plot(grid, mean, "o", ms=3.5, color=COLD, label="envelope, training")
        _, theory = envelope(data, prediction["loss"].values, optimizer)
        place.plot(grid, theory[0], "-", color=EXACT, lw=1.2, label="envelope, theory")
        guide(place, grid, (grid[-1], 0.85 * float(mean[-1])), -1 / 3)
        place.set(
            xscale="log",
            yscale="log",
            xlim=(grid[0] / 4, grid[-1] * 1.3),
            ylim=(0.6 * float(np.nanmin(mean)), 6),
            xlabel="examples D = Bt",
            title=_NAMES[optimizer],
        )
        place.plot([], [], color=FAINT, lw=0.7, label="single runs")
    axes[0, 0].set_ylabel("loss on hard labels (nats)")
    keyed(figure, points="", lines="")
    return figure


def best(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw η* against D, one colour per batch."""
    names = optimizers_of(data)
    figure, axes = new_figure(len(names))
    batches = levels(data, "batch")
    for place, optimizer in zip(axes[0], names, strict=True):
        drawn = False  # by theory or training
        for source, style in ((data, "o"), (prediction, "-")):
            rows = best_rates(data, source["loss"].values, optimizer)
            for color, batch in zip(shades(len(batches)), batches, strict=True):
                mine = rows[rows[:, 1] == batch]
                if len(mine):
                    label = f"B = {batch:g}" if style == "o" else None
                    place.plot(mine[:, 0], mine[:, 2], style, ms=3.5, color=color, lw=1.2, label=label)
                    drawn = True
        if drawn:
            place.set(xscale="log", yscale="log")
        else:
            place.text(
                0.5, 0.5, "no best rate inside the scan", ha="center", transform=place.transAxes, color=EXTRA
            )
        place.set(xlabel="examples D = Bt", title=_NAMES[optimizer])
    axes[0, 0].set_ylabel("best learning rate η*")
    keyed(figure, columns=7)
    return figure
