"""Figures of runs on sampled labels: floors, cooldowns and cuts, and how much of the data is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import GUIDE, new_figure, shades
from peakedtheory.validation.experiments.drawing import LABELS, curve
from peakedtheory.validation.experiments.sampled_labels.analysis import groups, share_of_drop

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def floors(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw the loss of SGD at every constant rate, a panel for each teacher of the first part."""
    every = list(groups(data, prediction))
    mine = [g for g in every if g.family == "constant" and g.optimizer == "sgd" and g.n == every[0].n]
    stars, ratios = (sorted({getattr(g, name) for g in mine}) for name in ("beta_star", "ratio"))
    figure, panels = new_figure(len(stars), width=3.6, height=3.6)
    for axes, star in zip(np.ravel(panels), stars, strict=False):
        for color, ratio in zip(shades(len(ratios)), ratios, strict=True):
            (group,) = [g for g in mine if (g.beta_star, g.ratio) == (star, ratio)]
            curve(axes, group.step, group.loss, group.predicted_loss, color, f"ηm/B = {ratio:g}")
            axes.axhline(group.first_order, color=color, ls=":", lw=0.8)
        axes.set(xscale="log", yscale="log", xlabel=LABELS["step"], title=f"β* = {star:g}")
    np.ravel(panels)[0].set_ylabel("excess loss (nats)")
    np.ravel(panels)[0].legend(fontsize=7)
    return figure


def cooldowns(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw every family of schedules at one teacher and rate, and the drop after cuts."""
    every = list(groups(data, prediction))
    cuts = [g for g in every if g.family.startswith("cut-")]
    figure, ((left, right),) = new_figure(2, width=4.8, height=4.0)
    stars = {g.beta_star for g in every if g.n == cuts[0].n and g.family == "wsd"}
    star = min(stars, key=lambda other: abs(other - cuts[0].beta_star))
    ratio = max(g.ratio for g in every if g.family == "wsd" and g.beta_star == star)
    chosen = [
        g for g in every
        if (g.optimizer, g.beta_star, g.ratio, g.n) == ("sgd", star, ratio, cuts[0].n) and g not in cuts
    ]  # fmt: skip
    for color, group in zip(shades(len(chosen)), chosen, strict=True):
        curve(left, group.step, group.loss, group.predicted_loss, color, group.family)
    left.set(
        xscale="log", yscale="log", xlabel=LABELS["step"], ylabel="excess loss (nats)",
        title=f"SGD, β* = {star:g}, peak ηm/B = {ratio:g}",
    )  # fmt: skip
    for color, group in zip(shades(len(cuts)), cuts, strict=True):
        label = f"{ {'sgd': 'SGD', 'adam': 'Adam'}[group.optimizer] }, cut by {group.family[4:]}"
        after, share = share_of_drop(group, group.loss)
        right.plot(after[1:], share[1:], "o", ms=3, color=color, label=label)
        after, share = share_of_drop(group, group.predicted_loss)
        right.plot(after[1:], share[1:], "-", lw=1.1, color=color)
    right.axhline(0.5, color=GUIDE, ls=":", lw=0.8)
    right.set(
        xscale="log", xlabel="steps after the cut", ylabel="share of the drop", title="Memory of the noise"
    )
    for axes in (left, right):
        axes.legend(fontsize=7)
    return figure


def efficiencies(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw the N-efficiency at the end of every schedule of the first part, a panel for each optimizer."""
    every = [g for g in groups(data, prediction) if not g.family.startswith("cut-")]
    figure, ((left, right),) = new_figure(2, width=6.0, height=4.0)
    for axes, optimizer, title in ((left, "sgd", "SGD"), (right, "adam", "Adam")):
        mine = [g for g in every if g.optimizer == optimizer and g.n == every[0].n]
        families = list(dict.fromkeys(g.family for g in mine))
        settings = sorted({(g.beta_star, g.ratio) for g in mine})
        width = 0.8 / len(families)
        for k, (color, family) in enumerate(zip(shades(len(families)), families, strict=True)):
            row = sorted((g for g in mine if g.family == family), key=lambda g: (g.beta_star, g.ratio))
            places = np.arange(len(row)) + (k - 0.5 * (len(families) - 1)) * width
            axes.bar(places, [g.efficiency(g.predicted_loss) for g in row], width, color=color, label=family)
            measured = [g.efficiency(g.losses) for g in row]
            errors = [m.std(ddof=1) / np.sqrt(m.size) for m in measured]
            axes.errorbar(
                places,
                [m.mean() for m in measured],
                errors,
                fmt="o",
                ms=2.5,
                color="black",
                elinewidth=0.8,
                capsize=1,
            )
        axes.set_xticks(
            range(len(settings)), [f"{star:g}\n{ratio:g}" for star, ratio in settings], fontsize=7
        )
        axes.set(xlabel="β* (above) and peak ηm/B", ylabel="N-efficiency (n-1)m/(2NL)", title=title)
        axes.axhline(1.0, color=GUIDE, ls=":", lw=0.8)
        axes.legend(fontsize=7)
    return figure
