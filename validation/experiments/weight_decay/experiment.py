"""Students under weight decay (Liu et al. 2026, Figs. 5cd)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peakedtheory.dynamics.optimizers import Adam
from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.flows import logspace, predict_cases, train_cases
from peakedtheory.validation.experiments.selection import WIDTH
from peakedtheory.validation.experiments.weight_decay.claims import claims
from peakedtheory.validation.experiments.weight_decay.figures import draw
from peakedtheory.validation.training.cases import Case

if TYPE_CHECKING:
    import xarray


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Train with AdamW at every rate."""
    cases = [
        Case(
            beta_star=settings["beta_star"],
            optimizer=Adam(rate, settings["batch"], WIDTH),
            weight_decay=settings["weight_decay"],
            teacher=teacher,
            seed=teacher,
        )
        for rate in settings["rates"]
        for teacher in range(settings["teachers"])
    ]
    return train_cases(context, settings, cases)


_BASE: dict[str, Any] = {"beta_star": 11.5, "weight_decay": 0.05, "rates": logspace(-3, 0, 13)}

EXPERIMENTS = (
    Experiment(
        name="weight-decay",
        title="Adam with weight decay",
        source="Liu et al. 2026, Appendix D.5",
        settings={
            "paper": {
                **_BASE, "steps": 2000, "batch": 2048, "teachers": 3, "records": 60, "test_samples": 8192,
            },
            "quick": {
                **_BASE, "rates": _BASE["rates"][::2], "steps": 1000, "batch": 1024, "teachers": 2,
                "records": 40, "test_samples": 4096,
            },
            "tiny": {
                **_BASE, "rates": _BASE["rates"][::4], "steps": 40, "batch": 32, "teachers": 2,
                "records": 14, "test_samples": 256,
            },
        },
        simulate=simulate,
        predict=predict_cases,
        claims=claims,
        figures=(
            FigureSpec(
                "5cd",
                "Weight decay",
                "Points: training; lines: theory of Adam, nothing fitted. Published: loss exponent 1/3 "
                "(dashed) at the best rate while β hardly moves.",
                draw,
            ),
        ),
        differences=(
            "Three teachers; the authors train one for each rate.",
            "60 records even in ln t; the authors' every 5 steps (both fitted).",
        ),
        notes="The paper's text says 1,000 steps, its published code 2,000; scale paper takes 2,000.",
    ),
)  # fmt: skip
