"""Figure of students of other energies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peakedtheory._common.style import new_figure, shades
from peakedtheory.validation.experiments.drawing import curve, keyed, limits

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def draw(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw L and β against τ for every distribution."""
    figure, ((left, right),) = new_figure(2)
    tau = data["tau"].values
    for color, (k, name) in zip(
        shades(data.sizes["energies"]), enumerate(data["energies"].values), strict=True
    ):
        limit = float(prediction["limit"].values[k])
        for axes, field in ((left, "loss"), (right, "beta")):
            mean = data[field].values[k].mean(axis=0)
            curve(axes, tau, mean, prediction[field].values[k], color, f"{name} (α = {limit:.3f})")
    limits(left, [data["loss"].values.mean(axis=1)])
    limits(right, [data["beta"].values.mean(axis=1)])
    left.set(ylabel="loss on hard labels (nats)", title="Loss")
    right.set(ylabel="inverse temperature β", title="Logit scale")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="dynamic time τ")
    keyed(figure, columns=4)
    return figure
