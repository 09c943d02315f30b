"""Theory without training: loss, gradient and energy of aligned students (Liu et al. 2026, Figs. 3, 9).

The papers sample; here the sampling is repeated in their way and set beside the exact averages.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.energies.finite_width import FiniteWidth
from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.numerics import figures as draw
from peakedtheory.validation.experiments.numerics.claims import claims
from peakedtheory.validation.experiments.selection import CLASSES, WIDTH

if TYPE_CHECKING:
    import xarray


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Sample L, -dL/dβ and U of aligned students: teachers Ŵ of n × m normals, inputs not normalised."""
    import xarray

    stars, points = settings["beta_star"], settings["points"]
    fresh = _fresh(settings)
    shape = (len(stars), settings["teachers"], points)
    loss, drive = np.empty(shape), np.empty(shape)
    energy = np.empty((settings["teachers"], points))
    fraction = np.linspace(0.0, 1.0, points)
    low = settings["energy_beta"]
    for k in range(settings["teachers"]):
        x = _logits(np.random.default_rng([settings["seed"], k]), settings["inputs"])
        for i, star in enumerate(stars):
            log_z_star, mean_star = _softmax_average(star, x)
            for j, beta in enumerate(fraction * star):
                log_z, mean = _softmax_average(beta, x)
                loss[i, k, j] = (log_z - log_z_star - (beta - star) * mean_star).mean()
                drive[i, k, j] = (mean_star - mean).mean()
        x -= x.mean(axis=1, keepdims=True)  # energies about their mean, whose average is zero
        energy[k] = [-_softmax_average(beta, x)[1].mean() for beta in np.linspace(0, low, points)]
    return xarray.Dataset(
        {
            "loss": (("beta_star", "teacher", "point"), loss),
            "drive": (("beta_star", "teacher", "point"), drive),
            "energy": (("teacher", "point"), energy),
            "fresh_loss": (("point",), fresh[0]),
            "fresh_drive": (("point",), fresh[1]),
            "beta": (("beta_star", "point"), fraction * np.array(stars)[:, None]),
            "energy_beta": (("point",), np.linspace(0.0, low, points)),
        },
        coords={"beta_star": np.array(stars, dtype=float)},
    )


def _logits(rng: np.random.Generator, inputs: int) -> np.ndarray:
    """Draw a teacher and inputs, and return the logits at β = 1 less the largest of each example.

    A common shift of the logits changes neither L nor dL/dβ.
    """
    weights = rng.standard_normal((CLASSES, WIDTH))
    x = rng.standard_normal((inputs, WIDTH)) @ weights.T / math.sqrt(WIDTH)
    return x - x.max(axis=1, keepdims=True)


def _fresh(settings: Settings) -> np.ndarray:
    """Sample L and -dL/dβ at the largest β* as the authors do, with teachers of its own for every β."""
    star, points = max(settings["beta_star"]), settings["points"]
    out = np.zeros((2, points))
    for j, beta in enumerate(np.linspace(0.0, star, points)):
        for k in range(settings["teachers"]):
            x = _logits(np.random.default_rng([settings["seed"], k, j + 1]), settings["inputs"])
            (log_z_star, mean_star), (log_z, mean) = (_softmax_average(b, x) for b in (star, beta))
            out[:, j] += (log_z - log_z_star - (beta - star) * mean_star).mean(), (mean_star - mean).mean()
    return out / settings["teachers"]


def _softmax_average(beta: float, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ln Σ exp(βx) and Σ p x of every row."""
    weight = np.exp(beta * x)
    z = weight.sum(axis=1)
    return np.log(z), np.einsum("si,si->s", weight, x) / z


def predict(data: xarray.Dataset) -> xarray.Dataset:
    """Return the exact averages: Gaussian logits of scale β|x|/√m, mixed over |x|."""
    import xarray

    scales, weights = FiniteWidth(WIDTH).scales
    table = interpolant(CLASSES)
    loss, drive = np.empty(data["beta"].shape), np.empty(data["beta"].shape)
    for i, star in enumerate(data["beta_star"].values):
        beta = np.asarray(data["beta"][i], dtype=float)
        parts = [table.aligned_loss(beta * s, star * s) for s in scales]
        loss[i] = weights @ np.array(parts)
        drive[i] = weights @ np.array(
            [s * (table.drives(beta * s) - table.drives(np.array(star * s))) for s in scales]
        )
    low = np.asarray(data["energy_beta"], dtype=float)
    energy = -(weights @ np.array([s * (table.slope - table.drives(low * s)) for s in scales]))
    return xarray.Dataset(
        {
            "loss": (("beta_star", "point"), loss),
            "drive": (("beta_star", "point"), drive),
            "energy": (("point",), energy),
        }
    )


_PAPER = {
    "beta_star": [1.0, 3.0, 10.0, 30.0, 100.0], "points": 100, "teachers": 10, "inputs": 1024, "seed": 0,
    "energy_beta": 10.0, "fresh_teachers": True,
}  # fmt: skip

EXPERIMENTS = (
    Experiment(
        name="numerics",
        title="Loss, gradient and energy of aligned students",
        source="Liu et al. 2026, Appendix B.1",
        settings={
            "paper": _PAPER,
            "quick": _PAPER,
            "tiny": {**_PAPER, "beta_star": [10.0, 100.0], "teachers": 3, "inputs": 32},
        },
        simulate=simulate,
        predict=predict,
        claims=claims,
        differences=(
            "Curves are those of ten teachers, each at all β; the authors draw ten at every β (both fitted).",
            "The error of a slope is the jackknife over teachers; theirs is the regression's.",
        ),
        figures=(
            FigureSpec(
                "3",
                "Loss and gradient of an aligned student",
                "Points: averages over Ŵ and unnormalised inputs; lines: exact, nothing fitted. Published: "
                "loss exponent 1.15 ± 0.04, gradient exponent 2.26 ± 0.01 at β* = 100.",
                draw.loss_and_gradient,
            ),
            FigureSpec(
                "9",
                "Internal energy at high temperature",
                "Points: sampled; teachers, and so errors, are those of all β: neighbours move together; "
                "line: exact; dashed: U = -β. Published: agreement at small β, read off the figure.",
                draw.energy,
            ),
        ),
    ),
)  # fmt: skip
