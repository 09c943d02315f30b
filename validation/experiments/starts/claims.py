"""Claims about other starts: sharp drop, dip of β, late collapse, the one-third law after it, the flow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import (
    fit_exponent,
    mean_and_error,
    relative_spread,
    relative_spread_error,
    steepest_slope,
)
from peakedtheory.validation.experiments.flows import flow_claim
from peakedtheory.validation.experiments.selection import levels, select
from peakedtheory.validation.experiments.starts.analysis import shown_rate

if TYPE_CHECKING:
    import xarray


def claims(data: xarray.Dataset, prediction: xarray.Dataset, figure: str) -> list[Claim]:
    """Sharp drop, dip of β, collapse at late times, the one-third law after it, and the flow."""
    rate = shown_rate(data)
    ratios = levels(data, "start_ratio")
    far = ratios[(ratios >= 0.25) & (ratios < 1.0)]
    steps = data["step"].values.astype(float)
    dip, dip_theory, steepest, steepest_theory = [], [], [], []
    for ratio in far:
        for i in select(data, start_ratio=ratio, learning_rate=rate):
            beta = data["beta"].values[i].astype(float)
            dip.append(beta.min() / beta[0])
            dip_theory.append(prediction["beta"].values[i].min() / prediction["beta"].values[i][0])
            steepest.append(steepest_slope(steps, data["loss"].values[i].astype(float)))
            steepest_theory.append(steepest_slope(steps, prediction["loss"].values[i]))
    out = []
    value, error = mean_and_error(dip)
    out.append(
        Claim(
            f"{figure}: β first falls, then grows, from large starts (its minimum over its start; ratios "
            "0.25 to 1)",
            value,
            error,
            -math.inf,
            0.9,
            "below 0.9",
            predicted=mean_and_error(dip_theory)[0],
        )
    )
    value, error = mean_and_error(steepest)
    out.append(
        Claim(
            f"{figure}: the loss has a drop sharper than t^-1/3 from large starts (steepest slope over a "
            "factor of 2 in t)",
            value,
            error,
            0.5,
            np.inf,
            "steeper than 1/2",
            predicted=mean_and_error(steepest_theory)[0],
        )
    )
    out += _late(data, prediction, rate, figure)
    cases = select(data, learning_rate=rate)
    for group, label in ((ratios[:1], "from zero"), (ratios[1:], "from other starts")):
        chosen = cases[np.isin(data["start_ratio"].values[cases], group)]
        if not chosen.size:
            continue
        measured = np.where(steps >= 10, data["loss"].values[chosen].astype(float), np.nan)
        out.append(
            flow_claim(
                f"Theory of Adam, nothing fitted: typical relative error of L {label} (η = {rate:.3g})",
                measured,
                prediction["loss"].values[chosen],
                0.15,
            )
        )
    return out


def _before_the_floor(data: xarray.Dataset, prediction: xarray.Dataset, rate: float, figure: str) -> Claim:
    """Judge the exponent where the paper sees its law: from an eighth to half of τ, over all starts.

    That is τ = 1,000 to 4,000 in the paper's runs: after the drop, before noise or the final decay sets in.
    """
    cases, tau = select(data, learning_rate=rate), data["tau"].values
    last = float(tau[cases[0], -1])
    window = (last / 8.0, last / 2.0)
    fits = [-fit_exponent(tau[i], data["loss"].values[i], window).value for i in cases]
    theory = [-fit_exponent(tau[i], prediction["loss"].values[i], window).value for i in cases]
    value, error = mean_and_error(fits)
    return near(
        f"{figure}, where the paper sets its law: L ~ τ^-1/3 for τ = {window[0]:.0f} to {window[1]:.0f}, "
        f"mean over {cases.size} runs ({np.nanmin(fits):.2f} to {np.nanmax(fits):.2f})",
        value,
        error,
        1.0 / 3.0,
        0.05,
        "1/3 ± 0.05",
        predicted=mean_and_error(theory)[0],
        published=1.0 / 3.0,
    )


def _late(data: xarray.Dataset, prediction: xarray.Dataset, rate: float, figure: str) -> list[Claim]:
    """Collapse over the last third of a decade, and the exponent of the run from zero in the last decade."""
    cases = select(data, learning_rate=rate)
    ratios = levels(data, "start_ratio")
    tau = data["tau"].values
    last = tau[cases[0], -1]
    late = [tau[i] >= 0.5 * last for i in cases]
    xs = [tau[i][keep] for i, keep in zip(cases, late, strict=True)]
    ys = [data["loss"].values[i][keep] for i, keep in zip(cases, late, strict=True)]
    out = [
        Claim(
            f"{figure}: runs from all {ratios.size} starts collapse late (spread of L in the last half of τ, "
            f"η = {rate:.3g})",
            relative_spread(xs, ys),
            relative_spread_error(xs, ys),
            -math.inf,
            0.10,
            "spread of ln L at most 0.10",
            predicted=relative_spread(
                xs, [prediction["loss"].values[i][keep] for i, keep in zip(cases, late, strict=True)]
            ),
        )
    ]
    out.append(_before_the_floor(data, prediction, rate, figure))
    aligned = select(data, learning_rate=rate, start_ratio=ratios[0])
    window = (last / 10, last)
    loss = fit_exponent(tau[aligned[0]], data["loss"].values[aligned], window)
    theory = fit_exponent(tau[aligned[0]], prediction["loss"].values[aligned[:1]], window)
    out.append(
        near(
            f"{figure}: L ~ τ^-1/3 in the last decade, from the smallest start",
            -loss.value,
            loss.error,
            1.0 / 3.0,
            0.05,
            "1/3 ± 0.05",
            predicted=-theory.value,
            published=1.0 / 3.0,
        )
    )
    return out
