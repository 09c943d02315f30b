"""Claims about hard labels: exponents of both parts of the loss, sum rule, envelope, best rates, the flow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import fit_exponent, mean_and_error
from peakedtheory.validation.experiments.flows import flow_claim
from peakedtheory.validation.experiments.hard_labels.analysis import (
    EARLIEST,
    PUBLISHED,
    best_rates,
    envelope,
    middle_run,
    optimizers_of,
    rate_exponents,
    split_exponents,
)
from peakedtheory.validation.experiments.selection import select

if TYPE_CHECKING:
    import xarray


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
