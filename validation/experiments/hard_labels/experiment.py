"""Hard labels: radial and tangential loss, and sweeps of learning rate and batch (Lee et al. 2026).

The loss against the teacher's most likely class splits into L_r, what the teacher scaled to the student's
norm would lose, and L_t, the rest. At constant rates L_r ~ t^-α_r and L_t ~ t^-α_t with 2α_r + α_t = 1; tuned
over rate and batch the loss falls as D^-1/3 with the number of examples D = Bt.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import fit_exponent, mean_and_error
from peakedtheory.validation.experiments.flows import flow_claim, optimizer_of, predict_cases, train_cases
from peakedtheory.validation.experiments.hard_labels import figures as draw
from peakedtheory.validation.experiments.hard_labels.analysis import (
    EARLIEST,
    OPTIMIZERS,
    best_rates,
    envelope,
    middle_run,
    optimizers_of,
    rate_exponents,
    split_exponents,
)
from peakedtheory.validation.experiments.selection import WIDTH, select
from peakedtheory.validation.training.cases import Case

if TYPE_CHECKING:
    import xarray

#: α_r, α_t and the exponents of the best rate in D and B, with their published errors (Lee et al. 2026).
PUBLISHED: dict[str, dict[str, Any]] = {
    "sgd": {"radial": (0.35, 0.01), "tangential": (0.33, 0.02), "data": -0.04, "batch": 1.01},
    "adam": {"radial": (0.48, 0.03), "tangential": (0.08, 0.01), "data": -0.35, "batch": 0.76},
}  # fmt: skip


def middle_rate(optimizer: str, batch: int, steps: int) -> float:
    """Return a rate near the best, from which the scan goes both ways: 2B/m (SGD), (B^0.76 T^-0.35) else."""
    if optimizer == "sgd":
        return 2.0 * batch / WIDTH
    return 0.03 * (batch / 64.0) ** 0.76 * (steps / 1000.0) ** -0.35


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Train every optimizer at every batch, rate and teacher on hard labels."""
    steps = settings["steps"]
    cases = [
        Case(
            beta_star=math.inf,
            hard_labels=True,
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


def _split_claims(data: xarray.Dataset, prediction: xarray.Dataset, optimizer: str) -> list[Claim]:
    cases = middle_run(data, optimizer)
    batch, rate = float(data["batch"].values[cases[0]]), float(data["learning_rate"].values[cases[0]])
    where = f"{optimizer}, B = {batch:g}, best η = {rate:.3g}, last decade of steps"
    measured = split_exponents(data, data, cases)
    theory = split_exponents(data, prediction, cases[:1])
    nominal = (
        {"radial": 1.0 / 3.0, "tangential": 1.0 / 3.0}
        if optimizer == "sgd"
        else {"radial": 0.5, "tangential": 0.0}
    )
    out = []
    for part, symbol in (("radial", "α_r"), ("tangential", "α_t")):
        fit = measured[part]
        published = PUBLISHED.get(optimizer, {}).get(part)
        target, spread = published if published else (nominal[part], 0.02)
        out.append(
            near(
                f"{symbol} of hard labels ({where})",
                -fit.value,
                fit.error,
                target,
                0.05 + spread,
                ("published" if published else "nominal law") + f" ± {0.05 + spread:.2f}",
                predicted=-theory[part].value,
                published=published[0] if published else None,
                published_error=published[1] if published else None,
            )
        )
    total = -2 * measured["radial"].value - measured["tangential"].value
    error = math.hypot(2 * measured["radial"].error, measured["tangential"].error)
    out.append(
        near(
            f"Sum rule 2α_r + α_t = 1 ({where})",
            total,
            error,
            1.0,
            0.1,
            "1 ± 0.1",
            predicted=-2 * theory["radial"].value - theory["tangential"].value,
            published=1.0,
        )
    )
    share, spread = mean_and_error(data["tangential_loss"].values[cases, -1] / data["loss"].values[cases, -1])
    out.append(
        near(
            f"L_t/L = 1/3 at the best rate ({optimizer}, B = {batch:g}, end of the run)",
            share,
            spread,
            1.0 / 3.0,
            0.1,
            "1/3 ± 0.1",
            predicted=float(
                prediction["tangential_loss"].values[cases[0], -1] / prediction["loss"].values[cases[0], -1]
            ),
            published=1.0 / 3.0,
        )
    )
    return out


def _sweep_claims(data: xarray.Dataset, prediction: xarray.Dataset, optimizer: str) -> list[Claim]:
    known = PUBLISHED.get(optimizer, {})
    grid, lowest = envelope(data, data["loss"].values, optimizer)
    fit = fit_exponent(grid, lowest, (grid[0], grid[-1]))
    _, theory_lowest = envelope(data, prediction["loss"].values, optimizer)
    theory = fit_exponent(grid, theory_lowest[:1], (grid[0], grid[-1]))
    out = [
        near(
            f"Envelope of {optimizer} over rates and batches falls as D^-1/3 (D = {grid[0]:.0f} … "
            f"{grid[-1]:.0f})",
            -fit.value,
            fit.error,
            1.0 / 3.0,
            0.05,
            "1/3 ± 0.05",
            predicted=-theory.value,
            published=0.341 if known else None,
        )
    ]
    found = rate_exponents(best_rates(data, data["loss"].values, optimizer))
    expected = rate_exponents(best_rates(data, prediction["loss"].values, optimizer))
    for name, symbol in (("data", "D"), ("batch", "B")):
        target = known.get(name, {"data": -1.0 / 3.0, "batch": 0.76}[name])
        out.append(
            near(
                f"Best rate of {optimizer} scales as {symbol}^{target:.2f}",
                *found[name],
                target,
                0.15,
                ("published" if known else "as Adam") + " ± 0.15",
                predicted=expected[name][0],
                published=known.get(name),
            )
        )
    return out


def claims(data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
    """Judge exponents of both parts, sum rule, envelope, best rates and the flow, for every optimizer."""
    out: list[Claim] = []
    for optimizer in optimizers_of(data):
        out += _split_claims(data, prediction, optimizer) + _sweep_claims(data, prediction, optimizer)
        cases = select(data, optimizer=optimizer)
        late = data["step"].values >= EARLIEST
        out.append(
            flow_claim(
                f"Theory of {optimizer}, nothing fitted: typical relative error of L over {cases.size} runs",
                data["loss"].values[cases][:, late].astype(float),
                prediction["loss"].values[cases][:, late],
                0.12,
            )
        )
    return out


def _figures() -> tuple[FigureSpec, ...]:
    return (
        FigureSpec(
            "hard-labels",
            "Radial and tangential loss against hard labels",
            "Points: training, mean over teachers; lines: theory, nothing fitted. Published (Lee et al. "
            "2026): α_r, α_t "
            "= 0.35 ± 0.01, 0.33 ± 0.02 (SGD), 0.48 ± 0.03, 0.08 ± 0.01 (Adam).",
            draw.split,
        ),
        FigureSpec(
            "batch-sweep",
            "Loss against the number of examples: rates, batches and their envelope",
            "Grey: single runs; points: envelope, mean over teachers; line: envelope of the theory on the "
            "same rates "
            "and batches; dashed: D^-1/3. Published: D^-0.341 for SGD and Adam.",
            draw.sweep,
        ),
        FigureSpec(
            "best-rates",
            "Best learning rate against examples and batch",
            "Points: training; lines: theory. Published: η* ~ D^-0.04 B^1.01 (SGD), D^-0.35 B^0.76 (Adam).",
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
        notes="Sign descent's theory assumes Gaussian gradients, which batches below n do not give.",
    ),
)
