"""Adam with its weights kept: alignment of teacher and student, and the curvature of the loss (Figs. 2, 12).

The trace of the Hessian of an aligned student is m Φ'(β)/β: it is ⟨|x|²(1 - Σp²)⟩, and ⟨Σp²⟩ = 1 - Φ'(β)/β
(docs/dynamics.md, Eq. 10).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.dynamics.optimizers import Adam
from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import mean_and_error
from peakedtheory.validation.experiments.flows import (
    beta_star_of,
    flow_claim,
    logspace,
    predict_cases,
    trimmed,
)
from peakedtheory.validation.experiments.selection import CLASSES, WIDTH
from peakedtheory.validation.experiments.weights import figures as draw
from peakedtheory.validation.training.cases import Case

if TYPE_CHECKING:
    import xarray


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Train one student per β* and project teacher and student rows on a random plane."""
    stars = sorted(beta_star_of(t) for t in settings["temperatures"])
    cases = [
        Case(beta_star=star, optimizer=Adam(settings["rate"], settings["batch"], WIDTH)) for star in stars
    ]
    data = context.train(
        cases,
        settings["steps"],
        record=f"linear:{settings['every']}",
        test_samples=settings["test_samples"],
        observe=("weights", "hessian"),
    )
    plane = np.random.default_rng(settings["plane_seed"]).standard_normal((WIDTH, 2)) / np.sqrt(WIDTH)
    weights = data["weights"].values.astype(float)
    teacher = data["teacher_weights"].values.astype(float)
    inner = np.einsum("ctnm,cnm->ct", weights, teacher)
    norms = np.linalg.norm(weights, axis=(2, 3)) * np.linalg.norm(teacher, axis=(1, 2))[:, None]
    out = trimmed(data, keep=("hessian_eigenvalue", "hessian_trace"))
    # The cosine of the whole matrices, and of every pair of rows.
    rows = np.einsum("ctnm,cnm->ctn", weights, teacher) / np.maximum(
        np.linalg.norm(weights, axis=3) * np.linalg.norm(teacher, axis=2)[:, None], 1e-300
    )
    return out.assign(
        projected=(("case", "time", "row", "axis"), weights @ plane),
        projected_teacher=(("case", "row", "axis"), teacher @ plane),
        cosine=(("case", "time"), inner / np.maximum(norms, 1e-300)),
        row_cosine=(("case", "time"), np.median(rows, axis=2)),
    )


def predict(data: xarray.Dataset) -> xarray.Dataset:
    """Return the flow, and the trace of the Hessian at the measured β."""
    import xarray

    flow = predict_cases(data)
    beta = data["beta"].values.astype(float)
    table = interpolant(CLASSES)
    safe = np.maximum(beta, 1e-6)
    trace = WIDTH * (table.slope - table.drives(safe)) / safe
    cosine = flow["alignment"].values / np.maximum(flow["beta"].values, 1e-300)
    extra = {"hessian_trace": (("case", "time"), trace), "cosine": (("case", "time"), cosine)}
    return xarray.merge([flow, xarray.Dataset(extra)])


def claims(data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
    """Alignment at all temperatures, curvature, and the flow."""
    late = data["step"].values > data["step"].values[-1] / 2
    cosine = data["cosine"].values[:, late].astype(float)
    value, error = mean_and_error(cosine.mean(axis=1))
    theory = float(prediction["cosine"].values[:, late].mean())
    out = [
        Claim(
            "Figs. 2, 12: student and teacher are aligned at all temperatures (cosine of W and W*, second "
            "half of the run)",
            value,
            error,
            0.9,
            math.inf,
            "above 0.9 (published in pictures only)",
            predicted=theory,
        )
    ]
    measured = data["hessian_trace"].values[:, late].astype(float)
    ratio, error = mean_and_error((measured / prediction["hessian_trace"].values[:, late]).mean(axis=1))
    out.append(
        near(
            "Trace of the Hessian over m Φ'(β)/β at the measured β",
            ratio,
            error,
            1.0,
            0.1,
            "1 ± 0.1",
            predicted=1.0,
        )
    )
    running = data["step"].values >= 10
    for name, label, bar in (("loss", "L", 0.15), ("beta", "β", 0.05)):
        loss = data["loss"].values[:, running].astype(float)
        enough = loss > 5 * data["loss_standard_error"].values[:, running]
        values = np.where(enough, data[name].values[:, running].astype(float), np.nan)
        out.append(
            flow_claim(
                f"Theory of Adam, nothing fitted: typical relative error of {label}",
                values,
                prediction[name].values[:, running],
                bar,
            )
        )
    return out


def _figures() -> tuple[FigureSpec, ...]:
    text = (
        "Arrows: rows of the teacher on a random plane; dots: rows of the student, coloured by step. "
        "Published: aligned at every temperature, shown as pictures."
    )
    return (
        FigureSpec("2", "Student rows on a random plane", text, draw.one_plane),
        FigureSpec("12", "Student rows on a random plane, every β*", text, draw.planes),
        FigureSpec(
            "hessian",
            "Curvature along the run",
            "Points: training; lines: m Φ'(β)/β at the measured β. The paper shows no spectrum.",
            draw.curvature,
        ),
    )


_TEMPERATURES = logspace(-2, -1.2, 8)

EXPERIMENTS = (
    Experiment(
        name="adam-weights",
        title="Adam with weights kept",
        source="Liu et al. 2026, Appendix D.1",
        settings={
            "paper": {
                "temperatures": _TEMPERATURES, "rate": 3e-3, "steps": 50000, "every": 200, "batch": 1024,
                "test_samples": 8192, "plane_seed": 0,
            },
            "quick": {
                "temperatures": _TEMPERATURES[::2], "rate": 3e-3, "steps": 3000, "every": 150, "batch": 256,
                "test_samples": 4096, "plane_seed": 0,
            },
            "tiny": {
                "temperatures": _TEMPERATURES[::4], "rate": 3e-2, "steps": 40, "every": 10, "batch": 32,
                "test_samples": 256, "plane_seed": 0,
            },
        },
        simulate=simulate,
        predict=predict,
        claims=claims,
        figures=_figures(),
        differences=(
            "All β* share one teacher and its inputs, but for the scale; the authors draw one for each.",
            "The Hessian's trace and leading eigenvalues are over 2,048 held-out inputs.",
        ),
        notes="quick: 3,000 steps of the same rate in batches of 256, so that β stays below β*.",
    ),
)  # fmt: skip
