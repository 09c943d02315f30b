"""Negative controls: neither a quadratic loss nor a high temperature shows a power law."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.dynamics.optimizers import SGD
from peakedtheory.figures.exact import COLD, EXTRA, WARM, new_figure
from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import mean_and_error, steepest_slope
from peakedtheory.validation.experiments.drawing import curve, guide
from peakedtheory.validation.experiments.flows import predict_cases, train_cases
from peakedtheory.validation.experiments.selection import CLASSES, WIDTH
from peakedtheory.validation.training.cases import Case

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

#: Kinds of run: cross-entropy at low and high temperature, quadratic loss at low temperature.
KINDS = ("cross-entropy, low temperature", "cross-entropy, high temperature", "quadratic, low temperature")


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Train the three kinds by SGD, several teachers each."""
    parts = [(settings["low"], "kl"), (settings["high"], "kl"), (settings["low"], "mse")]
    cases = [
        Case(
            beta_star=star,
            optimizer=SGD(settings["rate"], settings["batch"], WIDTH),
            teacher=teacher,
            seed=teacher,
            loss=loss,
        )
        for star, loss in parts
        for teacher in range(settings["teachers"])
    ]
    kinds = np.repeat(np.arange(3), settings["teachers"])
    return train_cases(context, settings, cases, from_zero=True).assign_coords(kind=("case", kinds))


def predict(data: xarray.Dataset) -> xarray.Dataset:
    """Return the flow of SGD, and L = β*² exp(-2τ/n)/2 for the quadratic loss.

    The quadratic loss Σ(y - y*)²/2n has the gradient (y - y*)xᵀ/n, so that W* - W decays at rate 1/n.
    """
    prediction = predict_cases(data)
    loss = prediction["loss"].values.copy()
    square = data["kind"].values == 2
    star = data["beta_star"].values[square, None].astype(float)
    left = star * np.exp(-data["tau"].values[square] / CLASSES)
    loss[square] = 0.5 * left**2
    beta = prediction["beta"].values.copy()
    beta[square] = star - left
    return prediction.assign(loss=(("case", "time"), loss), beta=(("case", "time"), beta))


def claims(data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
    """Judge how steep each kind becomes, and the rate of the quadratic loss."""
    steps = data["step"].values.astype(float)
    out = []
    for kind, name in enumerate(KINDS):
        cases = np.flatnonzero(data["kind"].values == kind)
        value, error = mean_and_error([steepest_slope(steps, data["loss"].values[i], 0.02) for i in cases])
        theory, _ = mean_and_error([steepest_slope(steps, prediction["loss"].values[i], 0.02) for i in cases])
        power = kind == 0
        out.append(
            Claim(
                f"{name[0].upper()}{name[1:]}: {'a power law' if power else 'no power law'} (steepest slope "
                "of ln L against ln t over a factor of two, above 2 % of the start)",
                value,
                error,
                0.0 if power else 2.0,
                1.0 if power else math.inf,
                "at most 1" if power else "above 2, as exponentials are",
                predicted=theory,
            )
        )
    quadratic = np.flatnonzero(data["kind"].values == 2)
    rates = []
    for i in quadratic:
        loss, tau = data["loss"].values[i].astype(float), data["tau"].values[i] / CLASSES
        use = (loss > 1e-4 * loss[0]) & (tau > 0)
        rates.append(-float(np.polyfit(tau[use], np.log(loss[use]), 1)[0]) if use.sum() > 2 else math.nan)
    value, error = mean_and_error(rates)
    out.append(
        near(
            "Quadratic loss decays as exp(-2τ/n): its rate", value, error, 2.0, 0.2, "2 ± 0.2", predicted=2.0
        )
    )
    return out


def draw(data: xarray.Dataset, prediction: xarray.Dataset) -> Figure:
    """Draw L over its start against t, on two logarithmic axes."""
    figure, ((axes,),) = new_figure(1, width=6.0, height=4.2)
    steps = data["step"].values.astype(float)
    for kind, color in enumerate((COLD, WARM, EXTRA)):
        for i in np.flatnonzero(data["kind"].values == kind):
            loss, theory = data["loss"].values[i], prediction["loss"].values[i]
            first = int(i) == int(np.flatnonzero(data["kind"].values == kind)[0])
            star = float(data["beta_star"].values[i])
            label = f"{KINDS[kind]} (β* = {star:.3g})" if first else ""
            curve(axes, steps, loss / loss[0], theory / theory[0] if first else None, color, label)
            if kind == 0 and first:
                guide(axes, steps[steps > steps[-1] / 30], (steps[-1], 1.4 * loss[-1] / loss[0]), -1 / 3)
    axes.set(
        xscale="log", yscale="log", ylim=(1e-5, 2), xlabel="training step t", ylabel="loss over its start"
    )
    axes.legend(fontsize=8, loc="lower left")
    return figure


EXPERIMENTS = (
    Experiment(
        name="controls",
        title="Negative controls: quadratic loss and high temperature",
        source="beyond the papers",
        settings={
            "paper": {
                "low": 577.35, "high": 0.57735, "rate": 1.0, "batch": 1024, "steps": 2000, "teachers": 4,
                "records": 60, "test_samples": 8192,
            },
            "quick": {
                "low": 577.35, "high": 0.57735, "rate": 1.0, "batch": 256, "steps": 1000, "teachers": 3,
                "records": 60, "test_samples": 4096,
            },
            "tiny": {
                "low": 577.35, "high": 0.57735, "rate": 20.0, "batch": 64, "steps": 60, "teachers": 2,
                "records": 40, "test_samples": 512,
            },
        },
        simulate=simulate,
        predict=predict,
        claims=claims,
        figures=(
            FigureSpec(
                "controls",
                "A quadratic loss and a flat teacher show no power law",
                "Points: training; lines: theory, nothing fitted. Published: softmax with cross-entropy at "
                "low "
                "temperature is what makes the power law.",
                draw,
            ),
        ),
    ),
)  # fmt: skip
