"""Language models as the paper shows them: Pythia's published points (Liu et al. 2026, Figs. 6b, 6c, 25-27).

Nothing is trained or evaluated: the points were read off the published plots and come with the package.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import peakedtheory.validation
from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.pythia import figures as draw
from peakedtheory.validation.experiments.pythia.analysis import (
    COLLAPSES,
    LAWS,
    collapses,
    curves,
    exponent,
    growth,
    law_scores,
)
from peakedtheory.validation.experiments.pythia.claims import claims

if TYPE_CHECKING:
    import xarray

_POINTS = Path(peakedtheory.validation.__path__[0]) / "data" / "language" / "pythia_points.csv"


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Return the published points as a table of models and checkpoints."""
    import xarray

    with _POINTS.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    points = {name: [r for r in rows if r["model"] == name] for name in settings["models"]}
    table = {
        key: np.array([[float(r[key] or "nan") for r in points[name]] for name in points])
        for key in ("step", "loss", "logit_std")
    }
    return xarray.Dataset(
        {key: (("run", "record"), values) for key, values in table.items()}, {"run": list(points)}
    )


def predict(data: xarray.Dataset) -> xarray.Dataset:
    """Return fits, laws and collapses of the points; the theory itself enters as the exponent 1/3 alone."""
    import xarray

    data = data.astype({"step": "float64", "loss": "float64", "logit_std": "float64"})
    runs = curves(data)
    fits = [exponent(run) for run in runs]
    tau = np.array([run.tau for run in runs])
    grown = [growth(run.tau, run.step, data["logit_std"].sel(run=run.name).values) for run in runs]
    compared = collapses(runs, data).values()
    per_run = {
        "alpha": [f.alpha for f in fits],
        "floor": [f.floor for f in fits],
        "reading": [f.reading for f in fits],
        "noise": [float(np.hypot(f.statistical, f.reading)) for f in fits],
        "window": [f.window for f in fits],
        "origin": [f.origin for f in fits],
        "total": [f.total for f in fits],
        "growth": [g for g, _ in grown],
        "growth_error": [e for _, e in grown],
    }
    per_collapse = {
        "models": [len(c.tau.names) for c in compared],
        "spread_tau": [c.tau.spread for c in compared],
        "spread_step": [c.step.spread for c in compared],
        "difference": [c.difference for c in compared],
        "difference_error": [c.standard_error for c in compared],
    }
    return xarray.Dataset(
        {"tau": (("run", "record"), tau)}
        | {name: (("run",), values) for name, values in per_run.items()}
        | {name: (("run", "law"), values) for name, values in law_scores(runs).items()}
        | {name: (("collapse",), values) for name, values in per_collapse.items()},
        {"run": data["run"].values, "law": list(LAWS), "collapse": list(COLLAPSES)},
    )


_SETTINGS = {"models": ["70M", "410M", "2.8B", "12B"]}

EXPERIMENTS = (
    Experiment(
        name="pythia",
        title="Pythia's published points: loss and logit scale against τ",
        source="Liu et al. 2026, Section 4 and Appendix D.7",
        settings=dict.fromkeys(("paper", "quick", "tiny"), _SETTINGS),
        simulate=simulate,
        predict=predict,
        claims=claims,
        figures=(
            FigureSpec(
                "6bc",
                "Pythia: loss less its floor, and logit scale, against τ",
                "Points: read off the published plots; lines: the authors' fit. Published: α = 0.34 ± 0.03 "
                "(70M), 0.37 ± 0.01 (410M), 0.34 ± 0.01 (2.8B), 0.31 ± 0.02 (12B); logits grow as about "
                "τ^(1/3), then saturate.",
                draw.scaling,
            ),
            FigureSpec(
                "25-27",
                "Pythia: loss and logit scale against steps and against τ",
                "Published: against τ more of the curves lies on one line than against steps.",
                draw.against_both,
            ),
            FigureSpec(
                "pythia-laws",
                "Pythia: laws side by side",
                "Mean error on the checkpoints after step 71,500, of laws fitted to those before. Hollow: "
                "told from the best by more than two errors.",
                draw.laws,
            ),
        ),
        notes=(
            "One verdict on a universal 1/3 in τ: α = 1/3 describes the points where τ is counted from step "
            "zero, but neither the origin of τ nor the law is fixed by thirteen checkpoints."
        ),
        differences=(
            "Points are read off the published plots (loss to 0.5 %, logit scale to 3 %), not evaluated.",
            "The authors' error of α is the regression's; ours adds window, origin of τ and reading.",
            "Fits leave out the authors' checkpoints: 70M on steps 256 to 48,000, the others from 512 on.",
        ),
    ),
)
