"""Hard labels: radial and tangential loss, and sweeps of learning rate and batch (Lee et al. 2026).

The loss against the teacher's most likely class splits into L_r, what the teacher scaled to the student's
norm would lose, and L_t, the rest. At constant rates L_r ~ t^-α_r and L_t ~ t^-α_t with 2α_r + α_t = 1; tuned
over rate and batch the loss falls as D^-1/3 with the number of examples D = Bt.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.flows import optimizer_of, predict_cases, train_cases
from peakedtheory.validation.experiments.hard_labels import figures as draw
from peakedtheory.validation.experiments.hard_labels.analysis import OPTIMIZERS, PUBLISHED
from peakedtheory.validation.experiments.hard_labels.claims import claims
from peakedtheory.validation.experiments.selection import WIDTH
from peakedtheory.validation.training.cases import Case

if TYPE_CHECKING:
    import xarray


def middle_rate(optimizer: str, batch: int, steps: int) -> float:
    """Return a rate near the best, about which the scan is laid: 2B/m (SGD), else by Adam's exponents."""
    if optimizer == "sgd":
        return 2.0 * batch / WIDTH
    adam = PUBLISHED["adam"]
    return 0.03 * (batch / 64.0) ** adam["batch"] * (steps / 1000.0) ** adam["data"]


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Train every optimizer at every batch, rate and teacher on hard labels."""
    steps = settings["steps"]
    cases = [
        Case(
            beta_star=math.inf,
            optimizer=optimizer_of(optimizer, middle_rate(optimizer, batch, steps) * 2.0**shift, batch),
            teacher=teacher,
            seed=teacher,
        )
        for optimizer in settings["optimizers"]
        for batch in settings["batches"]
        for shift in settings["shifts"]
        for teacher in range(settings["teachers"])
    ]
    return train_cases(context, settings, cases)


def _figures() -> tuple[FigureSpec, ...]:
    return (
        FigureSpec(
            "hard-labels",
            "Radial and tangential loss against hard labels",
            "Points: training, mean over teachers; lines: theory, nothing fitted. Published (Lee et al. "
            "2026): α_r, α_t = 0.35 ± 0.01, 0.33 ± 0.02 (SGD), 0.48 ± 0.03, 0.08 ± 0.01 (Adam).",
            draw.split,
        ),
        FigureSpec(
            "batch-sweep",
            "Loss against the number of examples: rates, batches and their envelope",
            "Grey: single runs; points: envelope, mean over teachers; line: envelope of the theory on the "
            "same rates and batches; dashed: D^-1/3. Published: D^-0.341 for SGD and Adam.",
            draw.sweep,
        ),
        FigureSpec(
            "best-rates",
            "Best learning rate against examples and batch",
            "Points: training; lines: theory. Published: η* ~ D^-0.04 B^1.01 (SGD), D^-0.35 B^0.76 (Adam). "
            "Sign descent's theory fails where B is far below n = 128, as it takes gradients for Gaussian.",
            draw.best,
        ),
    )


def _settings() -> dict[str, dict[str, Any]]:
    base = {"optimizers": list(OPTIMIZERS)}
    return {
        "paper": {
            **base, "batches": [16, 64, 256, 1024, 2048], "shifts": [-3, -2, -1, 0, 1, 2, 3], "teachers": 4,
            "steps": 10000, "records": 60, "test_samples": 8192,
        },
        "quick": {
            **base, "batches": [16, 64, 256], "shifts": [-2, -1, 0, 1, 2], "teachers": 3, "steps": 1000,
            "records": 30, "test_samples": 4096,
        },
        "tiny": {
            **base, "batches": [16, 32], "shifts": [-1, 0, 1], "teachers": 2, "steps": 300, "records": 16,
            "test_samples": 256,
        },
    }  # fmt: skip


EXPERIMENTS = (
    Experiment(
        name="hard-labels",
        title="Hard labels: radial and tangential loss, learning rates and batches",
        source="Lee et al. 2026",
        settings=_settings(),
        simulate=simulate,
        predict=predict_cases,
        claims=claims,
        figures=_figures(),
        differences=(
            "Settings are those of the paper's text; its code was not at hand.",
            "Rates are seven about the flow's best, a factor apart; the paper's grid is not stated.",
        ),
        notes="Sign descent's theory assumes Gaussian gradients, which batches below n do not give.",
    ),
)
