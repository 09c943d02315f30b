"""Figures of tuned losses against budgets, for every family of schedules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

from peakedtheory._common.style import EXACT, GUIDE, new_figure, shades
from peakedtheory.validation.experiments.drawing import columns_for, guide, keyed
from peakedtheory.validation.experiments.schedules import analysis as study

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

_NAMES = {"sgd": "SGD", "adam": "Adam"}


def _title(optimizer: str, star: float) -> str:
    return f"{_NAMES[optimizer]}, " + ("hard labels" if math.isinf(star) else f"β* = {star:g}")


def _colours() -> dict[str, object]:
    return dict(zip(study.TRAINED, shades(len(study.TRAINED)), strict=True))


def budgets(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw one panel per optimizer and teacher."""
    groups = study.groups(data)
    columns = columns_for(len(groups))
    figure, axes = new_figure(columns, math.ceil(len(groups) / columns), width=3.8, height=3.9)
    colours = _colours()
    for place, (optimizer, star) in zip(axes.ravel(), groups, strict=False):
        for family in study.families_of(data, optimizer, star):
            found = study.tuned(data, prediction, optimizer, star, family)
            mean = found.trained.mean(axis=0)
            error = found.trained.std(axis=0, ddof=1) / math.sqrt(len(found.trained))
            fit = study.exponents(data, prediction, optimizer, star, family)
            label = f"{family}: {-fit.trained.value:.2f} ± {fit.trained.error:.2f}" if fit else family
            place.errorbar(found.budgets, mean, error, fmt="o", ms=3.5, color=colours[family], label=label)
            place.plot(found.budgets, found.flow, "-", lw=1.2, color=colours[family])
            if family == "constant":
                anchor = (float(found.budgets[0]), 1.25 * float(mean[0]))
                guide(place, found.budgets.astype(float), anchor, -1 / 3)
        place.set(xscale="log", yscale="log", title=_title(optimizer, star))
        place.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)
    for place in axes.ravel()[len(groups) :]:
        place.set_axis_off()
    for place in axes[-1]:
        place.set_xlabel("budget T (steps)")
    for place in axes[:, 0]:
        place.set_ylabel("tuned final loss (nats)")
    _style_key(figure)
    return figure


def _style_key(figure: Figure) -> None:
    """Say what points, lines and dashes are, once for all panels that key their families themselves."""
    kinds = (("o", "training, tuned"), ("-", "flow, tuned alike"))
    handles = [
        Line2D([], [], color=EXACT, marker=m if m == "o" else "", ls="" if m == "o" else m) for m, _ in kinds
    ]
    handles.append(Line2D([], [], color=GUIDE, ls="--"))
    labels = [*(label for _, label in kinds), "slope -1/3"]
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)


def exponents(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw the exponents of all families beside those of the flow."""
    groups = study.groups(data)
    columns = columns_for(len(groups))
    figure, axes = new_figure(columns, math.ceil(len(groups) / columns), width=3.8, height=2.8)
    colours = _colours()
    for place, (optimizer, star) in zip(axes.ravel(), groups, strict=False):
        names = study.families_of(data, optimizer, star)
        for k, family in enumerate(names):
            fit = study.exponents(data, prediction, optimizer, star, family)
            if fit is None:
                continue
            value, error, expected = -fit.trained.value, fit.trained.error, -fit.predicted.value
            place.errorbar([k], [value], [error], fmt="o", color=colours[family], capsize=3, label="training")
            place.plot([k - 0.3, k + 0.3], [expected, expected], color=EXACT, lw=1.5, label="flow")
            if optimizer == "sgd" and math.isinf(star):
                place.plot([k], [study.asymptotic(family)], "x", color=EXACT, label="limit of long budgets")
        place.axhline(1 / 3, color=GUIDE, ls="--", lw=1, label="1/3")
        if not place.containers:
            place.text(0.5, 0.6, "teacher reached: no power law", ha="center", transform=place.transAxes)
        place.set_xticks(range(len(names)), names, rotation=30)
        place.set_xlim(-0.6, len(names) - 0.4)
        place.set(title=_title(optimizer, star))
    for place in axes.ravel()[len(groups) :]:
        place.set_axis_off()
    for place in axes[:, 0]:
        place.set_ylabel("exponent α of T^-α")
    keyed(figure, points="", lines="")
    return figure


def heights(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw for every soft teacher how far apart heights of training and flow lie that end with one β."""
    groups = [pair for pair in study.groups(data) if math.isfinite(pair[1])]
    count = max(len(groups), 1)
    columns = columns_for(count)
    figure, axes = new_figure(columns, math.ceil(count / columns), width=3.8, height=3.2)
    colours = _colours()
    for place, (optimizer, star) in zip(axes.ravel(), groups, strict=False):
        place.axhline(1.0, color=EXACT, lw=1)
        for one in study.matched_heights(data, prediction, optimizer, star):
            mean, error = study.ratio(one.log_ratios)
            shift = 1.06 ** (study.TRAINED.index(one.family) - 2.5)  # families side by side
            place.errorbar(
                [one.budget * shift], [mean], [error], fmt="o", ms=4, color=colours[one.family],
                mfc=colours[one.family] if one.reached else "white",
            )  # fmt: skip
        place.set(xscale="log", title=_title(optimizer, star), xlabel="budget T (steps)")
        for family in study.families_of(data, optimizer, star):
            place.plot([], [], "o", color=colours[family], label=family)
    for place in axes.ravel()[len(groups) :]:
        place.set_axis_off()
    for place in axes[:, 0]:
        place.set_ylabel("height of training / of the flow")
        place.plot([], [], "o", color=EXACT, label="teacher reached")
        place.plot([], [], "o", color=EXACT, mfc="white", label="not reached")
    keyed(figure, points="", lines="", columns=4)
    return figure
