"""Claims about scans of β* and learning rate: exponents, collapse, the aligned flow, high temperature."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import (
    fit_exponent,
    fit_on_even_records,
    late_window,
    mean_and_error,
    relative_spread,
    relative_spread_error,
    steepest_slope,
)
from peakedtheory.validation.experiments.flows import aligned_flow, flow_claim
from peakedtheory.validation.experiments.selection import (
    CLASSES,
    NOMINAL_C0,
    best_rate,
    calm_rates,
    levels,
    select,
)

if TYPE_CHECKING:
    import xarray


def _coldest(data: xarray.Dataset) -> tuple[float, float, np.ndarray]:
    """Return the largest β*, its best rate, and the cases of both, one per teacher."""
    star = float(data["beta_star"].max())
    return star, *best_rate(data, beta_star=star)


def _low_temperature(data: xarray.Dataset, rates: np.ndarray | None = None) -> np.ndarray:
    """Return the cases of the first teacher at β* > √(2 ln n)."""
    keep = (data["beta_star"].values > NOMINAL_C0) & (data["teacher"].values == 0) & ~data["diverged"].values
    if rates is not None:
        keep &= np.isin(data["learning_rate"].values, rates)
    return np.flatnonzero(keep)


def _resolved(data: xarray.Dataset, cases: np.ndarray, after: float = 10.0) -> np.ndarray:
    """Return losses, with NaN where they are early, or near the noise of the test set or of rounding."""
    loss = data["loss"].values[cases].astype(float).copy()
    unsure = (loss < 5 * data["loss_standard_error"].values[cases]) | (
        loss < 1e-4 * np.nanmax(loss, axis=1, keepdims=True)
    )
    loss[unsure | (data["step"].values < after)[None, :]] = np.nan
    return loss


def _agreements(data: xarray.Dataset, prediction: xarray.Dataset, cases: np.ndarray, who: str) -> list[Claim]:
    out = []
    measured = _resolved(data, cases)
    for name, label, bar in (("loss", "L", 0.10), ("beta", "β", 0.05)):
        values = np.where(np.isfinite(measured), data[name].values[cases].astype(float), np.nan)
        out.append(
            flow_claim(
                f"Theory of {who}, nothing fitted: typical relative error of {label} over {cases.size} "
                "low-temperature runs",
                values,
                prediction[name].values[cases],
                bar,
                " (median over runs and times from step 10)",
            )
        )
    return out


def _exponents(data: xarray.Dataset, prediction: xarray.Dataset, name: str) -> list[Claim]:
    """Judge the one-third law at the best rate, and the growth of β."""
    star, rate, cases = _coldest(data)
    steps = data["step"].values
    window = late_window(steps)
    where = f"best rate η = {rate:.3g}, β* = {star:.0f}, steps {window[0]:.0f} to {window[1]:.0f}"
    loss = fit_exponent(steps, data["loss"].values[cases], window)
    theory = fit_exponent(steps, prediction["loss"].values[cases[:1]], window)
    figures = {"adam": ("Fig. 4a", "Fig. 4b"), "sgd": ("Fig. 13", "Fig. 15")}[name]
    beta = fit_exponent(steps, data["beta"].values[cases], window)
    own = (20.0 if steps[-1] > 400 else window[0], float(steps[-1]))
    even = fit_on_even_records(steps, data["beta"].values[cases], own, 5.0)
    even_theory = fit_on_even_records(steps, prediction["beta"].values[cases[:1]], own, 5.0)
    theory_beta = fit_exponent(steps, prediction["beta"].values[cases[:1]], window)
    published = {"adam": 0.38, "sgd": 1.0 / 3.0}[name]
    return [
        near(
            f"{figures[0]}: L falls as t^-1/3 ({where})",
            -loss.value,
            loss.error,
            1.0 / 3.0,
            0.05,
            "1/3 ± 0.05",
            predicted=-theory.value,
            published=1.0 / 3.0,
        ),
        near(
            f"The exponent of L is the theory's at this β* and time ({where})",
            -loss.value + theory.value,
            loss.error,
            0.0,
            0.06,
            "theory ± 0.06",
            predicted=0.0,
        ),
        near(
            f"{figures[1]}: β grows as t^{published:.2f} ({where})",
            beta.value,
            beta.error,
            published,
            0.05,
            "published ± 0.05 (its window is not stated)",
            predicted=theory_beta.value,
            published=published,
        ),
        near(
            f"{figures[1]}, by the authors' records: β grows as t^{published:.2f} (one every 5 steps, steps "
            f"{own[0]:.0f} to {own[1]:.0f})",
            even.value,
            even.error,
            published,
            0.05,
            "published ± 0.05",
            predicted=even_theory.value,
            published=published,
        ),
    ]


def _collapses(data: xarray.Dataset, prediction: xarray.Dataset, name: str) -> list[Claim]:
    """Judge the collapse in τ at the largest β*: all rates (SGD), the best rate and those below it (Adam)."""
    star, best, _ = _coldest(data)
    cases = select(data, beta_star=star, teacher=0)
    if name == "adam":
        cases = cases[data["learning_rate"].values[cases] <= best * 1.001]
    late = data["step"].values >= 5
    tau, loss = data["tau"].values[cases][:, late], data["loss"].values[cases][:, late]
    in_tau = relative_spread(list(tau), list(loss))
    steps = np.broadcast_to(data["step"].values[late].astype(float), loss.shape)
    in_steps = relative_spread(list(steps), list(loss))
    error = relative_spread_error(list(tau), list(loss))
    figure = {"adam": "Figs. 4c, 7", "sgd": "Fig. 14"}[name]
    which = "all rates" if name == "sgd" else f"rates up to the best, η ≤ {best:.3g}"
    return [
        Claim(
            f"{figure}: losses collapse in τ ({which}, β* = {star:.0f}; the spread in t is {in_steps:.2f})",
            in_tau,
            error,
            -math.inf,
            0.10,
            "spread of ln L at equal τ at most 0.10",
            predicted=relative_spread(list(tau), list(prediction["loss"].values[cases][:, late])),
        )
    ]


def _aligned(data: xarray.Dataset, name: str) -> Claim:
    """Judge the aligned student: one curve L(c_eff τ), with c_eff = 1 for SGD and fitted for Adam."""
    star, best, _ = _coldest(data)
    cases = select(data, beta_star=star, teacher=0)
    cases = cases[data["learning_rate"].values[cases] <= best * 1.001]
    flow = aligned_flow(star)
    late = data["step"].values >= 10
    tau, loss = data["tau"].values[cases][:, late], data["loss"].values[cases][:, late].astype(float)
    scale = 1.0
    if name == "adam":
        below = loss < 0.95 * float(flow.loss.max())
        ratios = flow.time_of(loss[below]) / tau[below]
        scale = float(np.exp(np.median(np.log(ratios)))) if below.any() else math.nan
    how = "c_eff = 1, nothing fitted" if name == "sgd" else f"c_eff = {scale:.3g} fitted"
    return flow_claim(
        f"Aligned gradient flow ({how}): typical relative error of L, β* = {star:.0f}, rates up to the best",
        loss,
        flow.loss_at(scale * tau),
        0.1,
    )


def relaxation(data: xarray.Dataset, values: np.ndarray, case: int) -> float:
    """Return c_eff from the decay of (β* - β)/β* from 0.8 to 0.05 against τ/n, NaN without it."""
    star = float(data["beta_star"].values[case])
    left = (star - values) / star
    tau = data["tau"].values[case] / CLASSES
    inside = (left < 0.8) & (left > 0.05) & (tau > 0)
    if inside.sum() < 3:
        return math.nan
    return -float(np.polyfit(tau[inside], np.log(left[inside]), 1)[0])


def _high_temperature(data: xarray.Dataset, prediction: xarray.Dataset, name: str) -> list[Claim]:
    """Judge the exponential approach at rate c_eff/n, and L = (β* - β)²/2, at the smallest β*."""
    star = float(data["beta_star"].min())
    cases = select(data, beta_star=star)
    cases = cases[calm_rates(data, cases)]
    found = np.array([relaxation(data, data["beta"].values[i].astype(float), i) for i in cases])
    theory = np.array([relaxation(data, prediction["beta"].values[i], i) for i in cases])
    good = np.isfinite(found) & np.isfinite(theory)
    out = []
    figure = {"adam": "Fig. 10", "sgd": "Fig. 17"}[name]
    if good.any():
        average, spread = mean_and_error(found[good])
        if name == "sgd":
            out.append(
                near(
                    f"{figure}: (β* - β)/β* decays at rate c_eff/n with c_eff = 1 (β* = {star:.2f})",
                    average,
                    spread,
                    1.0,
                    0.1,
                    "1 ± 0.1",
                    predicted=float(theory[good].mean()),
                    published=1.0,
                )
            )
        else:
            ratio, error = mean_and_error(found[good] / theory[good])
            out.append(
                near(
                    f"{figure}: rate of the exponential approach over the theory's (β* = {star:.2f}, "
                    f"c_eff = {average:.3g} measured)",
                    ratio,
                    error,
                    1.0,
                    0.15,
                    "1 ± 0.15",
                    predicted=1.0,
                )
            )
    figure = {"adam": "Fig. 11", "sgd": "Fig. 18"}[name]
    means = []
    for i in cases:
        if data["diverged"].values[i]:
            continue
        beta, loss = data["beta"].values[i].astype(float), data["loss"].values[i].astype(float)
        # Near the end the residual, not β* - β, is the loss: compare where β* - β dominates.
        use = ((star - beta) > 0.3 * star) & (loss > 0)
        if use.any():
            means.append(float((loss[use] / (0.5 * (star - beta[use]) ** 2)).mean()))
    if means:
        ratio, error = mean_and_error(means)
        out.append(
            near(
                f"{figure}: L = (β* - β)²/2 while β < 0.7 β* (mean ratio, β* = {star:.2f})",
                ratio,
                error,
                1.0,
                0.1,
                "1 ± 0.1",
                published=1.0,
            )
        )
    return out


def claims(data: xarray.Dataset, prediction: xarray.Dataset, name: str) -> list[Claim]:
    """Judge all claims of a scan."""
    _, best, _ = _coldest(data)
    rates = levels(data, "learning_rate")
    calm = rates if name == "sgd" else rates[rates <= best * 1.001]
    who = "SGD" if name == "sgd" else "Adam (rates up to the best)"
    out = _agreements(data, prediction, _low_temperature(data, calm), who)
    out += _exponents(data, prediction, name)
    out += [*_collapses(data, prediction, name), _aligned(data, name)]
    out += _high_temperature(data, prediction, name)
    if name == "adam":
        out.append(_no_power_law(data, prediction))
    return out


def _no_power_law(data: xarray.Dataset, prediction: xarray.Dataset) -> Claim:
    """Judge Fig. 1: at high temperature the loss is concave on log-log axes, not a power law."""
    star = float(data["beta_star"].min())
    cases = select(data, beta_star=star)
    cases = cases[calm_rates(data, cases)]
    steps = data["step"].values.astype(float)
    ratios = [
        steepest_slope(steps, data["loss"].values[i], 0.02) for i in cases if not data["diverged"].values[i]
    ]
    theory = [steepest_slope(steps, prediction["loss"].values[i], 0.02) for i in cases]
    average, error = mean_and_error(ratios)
    return Claim(
        f"Fig. 1: at β* = {star:.2f} the loss is no power law (steepest slope over a factor of two in t, "
        "above 2 % of the start)",
        average,
        error,
        2.0,
        math.inf,
        "above 2, as exponentials are",
        predicted=mean_and_error(theory)[0],
    )
