"""Draw images/theory_and_training.png, the figure of the README, from the committed results.

Run as `python docs/front_figure.py`; about a minute.
"""

import math
from pathlib import Path

import numpy as np

from peakedtheory import SGD, student_flow
from peakedtheory._common.style import COLORS, GUIDE, legend_below, new_figure, shades
from peakedtheory.validation.experiments.registry import experiment
from peakedtheory.validation.experiments.schedules.analysis import tuned

ROOT = Path(__file__).resolve().parent
DATA = ROOT.parent / "validation" / "data"
FAMILIES = {
    "constant": "constant rate",
    "linear": "linear decay",
    "square": "square decay",
    "optimal": "computed optimum",
}


def draw_scan(axes) -> None:
    """Draw the loss of 96 runs of SGD against τ, under the flow."""
    data = experiment("sgd-scan").load(DATA, "paper")
    stars = np.unique(data["beta_star"].values)[::-1]
    colours = shades(stars.size)
    for star, colour in zip(stars, colours, strict=True):
        cases = np.flatnonzero((data["beta_star"].values == star) & (data["teacher"].values == 0))
        tau, loss = data["tau"].values[cases][:, 1:], data["loss"].values[cases][:, 1:]
        seen = loss > 1e-4
        axes.loglog(tau[seen], loss[seen], ".", ms=3, color=colour)
        rate = float(data["learning_rate"].values[cases].max())
        grid = np.geomspace(0.01, tau.max(), 120)
        flow = student_flow(grid, float(star), 128, optimizer=SGD(rate, 1024, 32))
        axes.loglog(grid, flow.loss, color=colour, lw=1.2, label=f"β* = {star:.3g}")
    guide = np.array([600.0, 2e4])
    axes.loglog(guide, 1.1 * (guide / guide[0]) ** (-1 / 3), "--", color=GUIDE, lw=1)
    axes.text(3e3, 0.8, "τ^(-1/3)", color=GUIDE)
    axes.set(ylim=(1e-3, 8), xlabel="dynamic time τ = Σ η", ylabel="loss (nats)")
    axes.set_title("96 runs of SGD (points) and their theory (lines)")
    legend_below(axes, columns=4)


def draw_schedules(axes) -> None:
    """Draw the tuned loss against the budget for families of schedules, trained and predicted."""
    study = experiment("schedules")
    data = study.load(DATA, "paper")
    kept = (data["optimizer"].values == "sgd") & np.isinf(data["beta_star"].values)
    data = data.isel(case=np.flatnonzero(kept & np.isin(data["family"].values, list(FAMILIES))))
    predicted = study.predict(data)
    for i, (family, label) in enumerate(FAMILIES.items()):
        found = tuned(data, predicted, "sgd", math.inf, family)
        losses = found.trained
        error = losses.std(axis=0, ddof=1) / math.sqrt(len(losses))
        axes.errorbar(found.budgets, losses.mean(axis=0), error, fmt="o", ms=4, color=COLORS[i], label=label)
        axes.plot(found.budgets, found.flow, color=COLORS[i], lw=1.2)
    axes.set(xscale="log", yscale="log", xlabel="steps T", ylabel="final loss at the best height (nats)")
    axes.set_title("Schedules that beat the one-third law")
    legend_below(axes, columns=2)


def main() -> None:
    """Write the figure."""
    figure, ((left, right),) = new_figure(2, width=5.2, height=4.0)
    draw_scan(left)
    draw_schedules(right)
    figure.savefig(ROOT / "images" / "theory_and_training.png", dpi=130)


if __name__ == "__main__":
    main()
