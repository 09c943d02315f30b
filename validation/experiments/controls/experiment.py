"""Negative controls: neither a quadratic loss nor a high temperature shows a power law."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.dynamics.optimizers import SGD
from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.controls.claims import claims
from peakedtheory.validation.experiments.controls.figures import draw
from peakedtheory.validation.experiments.flows import predict_cases, train_cases
from peakedtheory.validation.experiments.selection import CLASSES, WIDTH
from peakedtheory.validation.training.cases import Case

if TYPE_CHECKING:
    import xarray


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
                "Points: training; lines: theory, nothing fitted. Published: softmax with cross-entropy "
                "at low temperature is what makes the power law.",
                draw,
            ),
        ),
    ),
)  # fmt: skip
