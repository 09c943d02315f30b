"""Figures of teacher and student rows on a random plane, and of the curvature (Figs. 2, 12)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory._common.style import GUIDE, new_figure, shades
from peakedtheory.validation.experiments.drawing import columns_for, keyed, shown

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROWS, _TIMES = 24, 8


def _plane(axes: Axes, data: xarray.Dataset, case: int, arrows: bool) -> Any:
    teacher = data["projected_teacher"].values[case]
    student = data["projected"].values[case]
    times = np.unique(np.linspace(1, student.shape[0] - 1, _TIMES).astype(int))
    rows = np.arange(min(_ROWS if arrows else teacher.shape[0], teacher.shape[0]))
    for row in rows if arrows else []:
        axes.annotate(
            "",
            xy=teacher[row],
            xytext=(0, 0),
            arrowprops={"arrowstyle": "->", "color": GUIDE, "lw": 0.8, "alpha": 0.8},
        )
    if not arrows:
        axes.plot(teacher[:, 0], teacher[:, 1], "+", color=GUIDE, ms=4, label="teacher")
    steps = np.broadcast_to(data["step"].values[times][:, None], (times.size, rows.size))
    dots = axes.scatter(
        student[times][:, rows, 0],
        student[times][:, rows, 1],
        c=steps,
        s=6 if arrows else 3,
        cmap="viridis",
        lw=0,
    )
    reach = 1.1 * float(np.abs(teacher[rows]).max())
    axes.set(
        xlim=(-reach, reach),
        ylim=(-reach, reach),
        aspect="equal",
        title=f"β* = {float(data['beta_star'].values[case]):.3g}",
        xlabel="projection 1",
    )
    return dots


def one_plane(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw 24 rows at the β* closest to 34.1, as Fig. 2 does."""
    figure, ((axes,),) = new_figure(1, width=5.4, height=4.6)
    case = int(np.argmin(np.abs(np.log(data["beta_star"].values / 34.1))))
    dots = _plane(axes, data, case, arrows=True)
    axes.set_ylabel("projection 2")
    figure.colorbar(dots, ax=axes, label="training step t")
    return figure


def planes(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw all rows for every β*."""
    count = data.sizes["case"]
    columns = columns_for(count)
    figure, axes = new_figure(columns, math.ceil(count / columns), width=3.0, height=3.0)
    for case, place in zip(range(count), axes.ravel(), strict=False):
        dots = _plane(place, data, case, arrows=False)
    for place in axes[:, 0]:
        place.set_ylabel("projection 2")
    for place in axes.ravel()[count:]:
        place.set_axis_off()
    keyed(figure, points="student, coloured by step", lines="")
    figure.colorbar(dots, ax=axes, label="training step t", fraction=0.05, pad=0.01)
    return figure


def curvature(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw trace, leading eigenvalues and gradient norm of the loss against the step."""
    figure, ((left, middle, right),) = new_figure(3)
    steps = data["step"].values.astype(float)
    for color, case in zip(shades(data.sizes["case"]), range(data.sizes["case"]), strict=True):
        label = f"β* = {float(data['beta_star'].values[case]):.3g}"
        trace, theory = data["hessian_trace"].values[case], prediction["hessian_trace"].values[case]
        good = shown(steps, trace)
        left.plot(steps[good], trace[good], "o", ms=3, color=color, label=label)
        left.plot(steps[good], theory[good], "-", lw=1, color=color)
        for rank, style in zip(range(data.sizes["eigenvalue"]), ("o", "s", "^"), strict=True):
            value = data["hessian_eigenvalue"].values[case, :, rank]
            good = shown(steps, value)
            name = label if rank == 0 else None
            middle.plot(steps[good], value[good], style, ms=2.5, color=color, label=name)
        gradient = data["gradient_norm"].values[case]
        good = shown(steps, gradient)
        right.plot(steps[good], gradient[good], "o", ms=3, color=color, label=label)
    left.set(ylabel="trace of the Hessian", title="Trace (lines: m Φ'(β)/β)")
    middle.set(ylabel="eigenvalue", title="Three leading eigenvalues")
    right.set(ylabel="‖∇L‖ (Frobenius)", title="Gradient norm")
    for axes in (left, middle, right):
        scale = "log" if any(line.get_xdata().size for line in axes.lines) else "linear"
        axes.set(xscale=scale, yscale=scale, xlabel="training step t")
    keyed(figure, lines="m Φ'(β)/β at the measured β", columns=6)
    return figure
