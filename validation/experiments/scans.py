"""Scans of β* and learning rate by Adam and by SGD (Liu et al. 2026, Figs. 1, 4, 7, 8, 10, 11 and 13-18).

Students start at zero, on inputs of fixed norm. The largest β* is repeated over several teachers, which the
exponents' errors come from; everything else is one teacher, as in the paper.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory.validation.claims import Claim, near
from peakedtheory.validation.comparison import (
    collapse,
    collapse_error,
    fit_exponent,
    mean_and_error,
    steepest_slope,
)
from peakedtheory.validation.experiments.base import Experiment, RunContext, Settings
from peakedtheory.validation.experiments.flows import (
    CLASSES,
    beta_star_of,
    calm_rates,
    levels,
    logspace,
    per_case_error,
    predict_cases,
    record_steps,
    select,
    trimmed,
)

if TYPE_CHECKING:
    import xarray

#: √(2 ln 128), below which the papers call β* a high temperature.
HIGH = math.sqrt(2.0 * math.log(128))


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Train every combination of β* and learning rate, and the largest β* with more teachers."""
    from peakedtheory.validation import Case

    stars = sorted(beta_star_of(t) for t in settings["temperatures"])
    cases = [
        Case(
            beta_star=star,
            learning_rate=rate,
            optimizer=settings["optimizer"],
            batch=settings["batch"],
            teacher=teacher,
            seed=teacher,
        )
        for star in stars
        for teacher in range(settings["teachers"] if star == stars[-1] else 1)
        for rate in settings["rates"]
    ]
    steps = settings["steps"]
    data = context.train(
        cases,
        steps,
        record=record_steps(steps, settings["records"]),
        test_samples=settings["test_samples"],
    )
    return trimmed(data)


def best_rate(data: xarray.Dataset) -> tuple[float, np.ndarray]:
    """Return the rate of lowest final loss at the largest β*, averaged over teachers, and its cases."""
    star = float(data["beta_star"].max())
    rates = levels(data, "learning_rate")
    final = []
    for rate in rates:
        cases = select(data, beta_star=star, learning_rate=rate)
        values = data["loss"].values[cases, -1]
        final.append(float(values.mean()) if np.isfinite(values).all() else math.inf)
    rate = float(rates[int(np.argmin(final))])
    return rate, select(data, beta_star=star, learning_rate=rate)


def _window(data: xarray.Dataset) -> tuple[float, float]:
    """Return the last decade of steps."""
    last = float(data["step"].values[-1])
    return last / 10.0, last


def _low_temperature(data: xarray.Dataset, rates: np.ndarray | None = None) -> np.ndarray:
    """Return the cases of the first teacher at β* > √(2 ln n)."""
    keep = (data["beta_star"].values > HIGH) & (data["teacher"].values == 0) & ~data["diverged"].values
    if rates is not None:
        keep &= np.isin(data["learning_rate"].values, rates)
    return np.flatnonzero(keep)


def _resolved(data: xarray.Dataset, cases: np.ndarray, after: float = 10.0) -> np.ndarray:
    """Return losses, with NaN where they are early, or near the noise of the test set or of rounding."""
    loss = data["loss"].values[cases].astype(float).copy()
    unsure = (loss < 5 * data["loss_se"].values[cases]) | (
        loss < 1e-4 * np.nanmax(loss, axis=1, keepdims=True)
    )
    loss[unsure | (data["step"].values < after)[None, :]] = np.nan
    return loss


def _agreements(data: xarray.Dataset, prediction: xarray.Dataset, cases: np.ndarray, who: str) -> list[Claim]:
    out = []
    measured = _resolved(data, cases)
    for name, label, bar in (("loss", "L", 0.10), ("beta", "β", 0.05)):
        values = np.where(np.isfinite(measured), data[name].values[cases].astype(float), np.nan)
        typical, error = per_case_error(values, prediction[name].values[cases])
        out.append(
            Claim(
                f"Theory of {who}, nothing fitted: typical relative error of {label} over {cases.size} "
                "low-temperature runs",
                typical,
                error,
                -math.inf,
                bar,
                f"at most {bar:.0%} (median over runs and times from step 10)",
                predicted=0.0,
            )
        )
    return out


def _exponents(data: xarray.Dataset, prediction: xarray.Dataset, name: str) -> list[Claim]:
    """Judge the one-third law at the best rate, and the growth of β."""
    rate, cases = best_rate(data)
    star = float(data["beta_star"].max())
    steps, window = data["step"].values, _window(data)
    where = f"best rate η = {rate:.3g}, β* = {star:.0f}, steps {window[0]:.0f} to {window[1]:.0f}"
    loss = fit_exponent(steps, data["loss"].values[cases], window)
    theory = fit_exponent(steps, prediction["loss"].values[cases[:1]], window)
    figures = {"adam": ("Fig. 4a", "Fig. 4b"), "sgd": ("Fig. 13", "Fig. 15")}[name]
    beta = fit_exponent(steps, data["beta"].values[cases], window)
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
    ]


def _collapses(data: xarray.Dataset, prediction: xarray.Dataset, name: str) -> list[Claim]:
    """Judge the collapse in τ at the largest β*: all rates (SGD), the best rate and those below it (Adam)."""
    star = float(data["beta_star"].max())
    best, _ = best_rate(data)
    cases = select(data, beta_star=star, teacher=0)
    if name == "adam":
        cases = cases[data["learning_rate"].values[cases] <= best * 1.001]
    late = data["step"].values >= 5
    tau, loss = data["tau"].values[cases][:, late], data["loss"].values[cases][:, late]
    in_tau = collapse(list(tau), list(loss))
    steps = np.broadcast_to(data["step"].values[late].astype(float), loss.shape)
    in_steps = collapse(list(steps), list(loss))
    error = collapse_error(list(tau), list(loss))
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
            predicted=collapse(list(tau), list(prediction["loss"].values[cases][:, late])),
        )
    ]


def _aligned(data: xarray.Dataset, name: str) -> Claim:
    """Judge the aligned student: one curve L(c_eff τ), with c_eff = 1 for SGD and fitted for Adam."""
    from peakedtheory._training.interpolant import interpolant
    from peakedtheory.regimes import aligned_path

    star = float(data["beta_star"].max())
    best, _ = best_rate(data)
    cases = select(data, beta_star=star, teacher=0)
    cases = cases[data["learning_rate"].values[cases] <= best * 1.001]
    path = aligned_path(interpolant(CLASSES), star)
    curve = (np.log(path.tau), np.log(path.loss))
    late = data["step"].values >= 10
    tau, loss = data["tau"].values[cases][:, late], data["loss"].values[cases][:, late].astype(float)
    scale = 1.0
    if name == "adam":
        below = loss < 0.95 * float(path.loss.max())
        at = np.exp(np.interp(-np.log(loss[below]), -curve[1], curve[0]))
        scale = float(np.exp(np.median(np.log(at / tau[below]))))
    expected = np.exp(np.interp(np.log(scale * tau), *curve))
    typical, error = per_case_error(loss, expected)
    how = "c_eff = 1, nothing fitted" if name == "sgd" else f"c_eff = {scale:.3g} fitted"
    return Claim(
        f"Aligned gradient flow ({how}): typical relative error of L, β* = {star:.0f}, rates up to the best",
        typical,
        error,
        -math.inf,
        0.1,
        "at most 10 %",
        predicted=0.0,
    )


def relaxation(data: xarray.Dataset, values: np.ndarray, case: int) -> float:
    """Return c_eff from the decay of (β* - β)/β* from 0.8 to 0.05 against τ/n, NaN without it."""
    star = float(data["beta_star"].values[case])
    left = (star - values) / star
    tau = data["tau"].values[case] / 128.0
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
    best, _ = best_rate(data)
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


def _settings(name: str) -> dict[str, dict[str, Any]]:
    low, high = (-2, 1) if name == "sgd" else (-3, 0)
    temperatures, rates = logspace(-3, 0, 8), logspace(low, high, 12)
    base = {"optimizer": name, "temperatures": temperatures, "rates": rates}
    return {
        "paper": {**base, "steps": 2000, "batch": 1024, "teachers": 4, "records": 60, "test_samples": 8192},
        "quick": {
            **base, "temperatures": [temperatures[i] for i in (0, 2, 4, 6, 7)], "rates": rates[1::2],
            "steps": 1000, "batch": 256, "teachers": 3, "records": 40, "test_samples": 4096,
        },
        "tiny": {
            **base, "temperatures": temperatures[::7], "rates": rates[3::4], "steps": 40, "batch": 32,
            "teachers": 2, "records": 12, "test_samples": 256,
        },
    }  # fmt: skip


def _experiment(name: str, title: str, source: str) -> Experiment:
    from peakedtheory.validation.figures_scans import specs

    return Experiment(
        name=f"{name}-scan",
        title=title,
        source=source,
        settings=_settings(name),
        simulate=simulate,
        predict=predict_cases,
        claims=functools.partial(claims, name=name),
        figures=specs(name),
    )


EXPERIMENTS = (
    _experiment("adam", "Adam over temperatures and learning rates", "Liu et al. 2026, Appendix D.1"),
    _experiment("sgd", "SGD over temperatures and learning rates", "Liu et al. 2026, Appendix D.2"),
)
