"""Figure of power-law spectra: loss and β against t, and their exponents against that of the spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peakedtheory._common.style import COLD, EXACT, GUIDE, WARM, legend_below, new_figure, shades
from peakedtheory.validation.experiments.drawing import LABELS, curve, guide
from peakedtheory.validation.experiments.selection import levels, select
from peakedtheory.validation.experiments.spectrum.claims import exponents

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def curves(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw loss and β against t for some spectra, and the exponents of all."""
    figure, ((left, middle, right),) = new_figure(3, height=4.0)
    steps, values = data["step"].values.astype(float), levels(data, "exponent")
    shown = values[:: max(1, (len(values) - 1) // 5)]
    for axes, name in ((left, "loss"), (middle, "beta")):
        for color, a in zip(shades(len(shown)), shown, strict=True):
            mean = data[name].values[select(data, exponent=a)].mean(axis=0)
            curve(axes, steps, mean, None, color, f"spectrum i^-{a:.2f}")
        axes.plot(steps, prediction[name].values[0], color=EXACT, lw=1, label="theory, no spectrum")
        axes.set(xscale="log", yscale="log", xlabel=LABELS["step"], ylabel=LABELS[name])
        legend_below(axes, columns=2)
    late = steps[steps > steps[-1] / 30]
    end = float(data["loss"].values[select(data, exponent=shown[0]), -1].mean())
    guide(left, late, (steps[-1], 0.7 * end), -1 / 3)
    legend_below(left, columns=2)
    for name, color, marker, sign in (("loss", COLD, "o", -1), ("beta", WARM, "s", 1)):
        fits = exponents(data, name)
        label = "loss, falling" if name == "loss" else "β, growing"
        right.errorbar(
            values,
            [sign * f.value for f in fits],
            [f.error for f in fits],
            fmt=marker,
            ms=4,
            color=color,
            label=label,
        )
    right.axhline(1 / 3, color=GUIDE, ls="--", lw=1, label="1/3")
    right.set(xlabel="exponent a of the spectrum i^-a", ylabel="exponent in t, last decade")
    legend_below(right, columns=3)
    return figure
