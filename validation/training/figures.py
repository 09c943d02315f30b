"""Figure of trained cases: loss and inverse temperature against dynamic time, beside the predicted flows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.style import GUIDE, legend_below, new_figure, plain_ticks, shades
from peakedtheory.dynamics.optimizers import Muon
from peakedtheory.dynamics.student import StudentFlow, student_flow
from peakedtheory.validation.training.cases import Case

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

_MOST_FLOWS = 8
_MOST_LABELS = 12


def predicted_flow(case: Case, tau: np.ndarray, n: int) -> StudentFlow | None:
    """Return the flow that predicts a case at times `tau`, or None where there is no theory (Muon, MSE)."""
    if isinstance(case.optimizer, Muon) or case.loss != "kl":
        return None
    return student_flow(
        tau,
        case.beta_star,
        n,
        optimizer=case.optimizer,
        residual0=0.0 if case.start_ratio == 0.0 else case.start_ratio * case.beta_star,
        weight_decay=case.weight_decay,
        schedule=case.schedule,
        labels=case.labels,
        average=case.average,
    )


def draw_training(dataset: xarray.Dataset, cases: Sequence[Case]) -> Figure:
    """Return a figure of the recorded loss and β of all cases, with the predicted flows of at most eight.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `train` returned for these cases.
    cases : sequence of Case
        Its cases; schedules resolved to the length of the run.
    """
    figure, ((left, right),) = new_figure(2, width=5.4, height=4.2)
    n, width, steps = (int(dataset.attrs[name]) for name in ("n", "width", "steps"))
    count = dataset.sizes["case"]
    colours = shades(count)
    theory = set(np.unique(np.linspace(0, count - 1, min(count, _MOST_FLOWS)).astype(int)).tolist())
    flows = 0
    varying = [
        name for name in map(str, dataset.coords)
        if dataset[name].dims == ("case",) and np.unique(dataset[name].values).size > 1
    ]  # fmt: skip
    for i in range(count):
        one = dataset.isel(case=i)
        tau, loss, beta = one["tau"].values, one["loss"].values, one["beta"].values
        show = (tau > 0) & np.isfinite(loss)
        label = ", ".join(_setting(name, one[name].item()) for name in varying) or "training"
        style = {"color": colours[i], "marker": ".", "ms": 4, "lw": 0.6}
        left.loglog(tau[show], np.where(loss[show] > 0, loss[show], np.nan), label=label, **style)
        right.loglog(tau[show], np.where(beta[show] > 0, beta[show], np.nan), **style)
        flow = None
        if i in theory and show.any():
            flow = predicted_flow(cases[i], np.unique(tau[show]), n)
        if flow is not None:
            left.loglog(flow.tau, flow.loss, color=colours[i], lw=1.6, ls="--")
            right.loglog(flow.tau, flow.beta, color=colours[i], lw=1.6, ls="--")
            flows += 1
    if flows:
        name = "predicted flow" + ("" if flows == count else f" ({flows} of {count} cases)")
        left.plot([], [], color=GUIDE, lw=1.6, ls="--", label=name)
    stars, first = dataset["beta_star"].values, True
    for star in np.unique(stars[np.isfinite(stars)]):
        right.axhline(star, color=GUIDE, lw=0.8, ls=":", label="β* of a teacher" if first else None)
        first = False
    left.set(xlabel="dynamic time τ = Σ η", ylabel="test loss (nats)", title="Loss")
    right.set(
        xlabel="dynamic time τ = Σ η",
        ylabel="inverse temperature β",
        title="Logit scale",
    )
    for axes in (left, right):
        plain_ticks(axes.yaxis)
    if not first:
        legend_below(right)
    if count <= _MOST_LABELS:
        legend_below(left, columns=2)
    elif flows:
        handles, labels = left.get_legend_handles_labels()
        left.legend(
            handles=[h for h, t in zip(handles, labels, strict=True) if "flow" in t],
            fontsize=8,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            frameon=False,
        )
    figure.suptitle(f"n = {n}, m = {width}, {steps} steps, {count} case{'s' if count > 1 else ''}")
    return figure


def _setting(name: str, value: object) -> str:
    symbol = {"beta_star": "β*", "learning_rate": "η", "batch": "B", "weight_decay": "ω"}.get(name, name)
    return f"{symbol} = {value:.3g}" if isinstance(value, float) else f"{symbol} = {value}"
