"""Claims about weight decay: the one-third law at the best of the rates shown and of all, and the flow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import (
    FittedExponent,
    fit_exponent,
    fit_on_even_records,
)
from peakedtheory.validation.experiments.flows import flow_claim
from peakedtheory.validation.experiments.selection import select
from peakedtheory.validation.experiments.weight_decay.analysis import (
    best_decay_rate,
    decay_window,
    shown_decay_rates,
)

if TYPE_CHECKING:
    import xarray


#: Distance of the records that the paper fits, and where its fits may begin.
_EVERY, _FIRST = 5.0, (30.0, 100.0, 200.0)


def _authors(data: xarray.Dataset, prediction: xarray.Dataset, rate: float, last: float) -> Claim:
    """Judge Fig. 5c on evenly spaced records; the start of the window is in the error."""
    cases, steps = select(data, learning_rate=rate), data["step"].values
    first = [start for start in _FIRST if start < 0.5 * last] or [0.1 * last]

    def fit(curves: np.ndarray, start: float) -> FittedExponent:
        return fit_on_even_records(steps, curves, (start, last), _EVERY)

    fits = [fit(data["loss"].values[cases], start) for start in first]
    middle = fits[len(fits) // 2]
    values = [one.value for one in fits]
    return near(
        f"Fig. 5c, by the authors' records: the loss falls as t^-1/3 (one every 5 steps, from step "
        f"{' / '.join(f'{start:.0f}' for start in first)} to {last:.0f}: "
        f"{' / '.join(f'{-value:.3f}' for value in values)}; η = {rate:.3g})",
        -middle.value,
        math.hypot(middle.seed_error, 0.5 * (max(values) - min(values))),
        1.0 / 3.0,
        0.08,
        "1/3 ± 0.08 (the published window is not stated)",
        predicted=-fit(prediction["loss"].values[cases[:1]], first[len(first) // 2]).value,
        published=1.0 / 3.0,
    )


def _law(
    data: xarray.Dataset, prediction: xarray.Dataset, rate: float, window: tuple[float, float], which: str
) -> list[Claim]:
    """Judge the exponents of L and β at one rate."""
    cases, steps = select(data, learning_rate=rate), data["step"].values
    where = f"{which}, η = {rate:.3g}, steps {window[0]:.0f} to {window[1]:.0f}"
    fits = {name: fit_exponent(steps, data[name].values[cases], window) for name in ("loss", "beta")}
    theory = {
        name: fit_exponent(steps, prediction[name].values[cases[:1]], window).value
        for name in ("loss", "beta")
    }
    return [
        near(
            f"Fig. 5c: with weight decay the loss falls as t^-1/3 ({where})",
            -fits["loss"].value,
            fits["loss"].error,
            1.0 / 3.0,
            0.08,
            "1/3 ± 0.08 (the published window is not stated)",
            predicted=-theory["loss"],
            published=1.0 / 3.0,
        ),
        near(
            f"Fig. 5d: β is almost non-increasing meanwhile (its exponent; {where})",
            fits["beta"].value,
            fits["beta"].error,
            0.0,
            0.15,
            "0 ± 0.15",
            predicted=theory["beta"],
            published=0.0,
        ),
    ]


def claims(data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
    """Judge the one-third law at the best of the paper's four rates, at the best of all, and the flow."""
    steps, window = data["step"].values, decay_window(data)
    shown, best = best_decay_rate(data, shown_decay_rates(data)), best_decay_rate(data)
    out = _law(data, prediction, shown, window, "best of the four rates shown")
    out.insert(1, _authors(data, prediction, shown, window[1]))
    if not np.isclose(shown, best):
        out.append(_law(data, prediction, best, window, "best of all rates")[0])
    running = steps >= 10
    for name, label, bar in (("loss", "L", 0.15), ("beta", "β", 0.05)):
        out.append(
            flow_claim(
                f"Theory of Adam with decay, nothing fitted: typical relative error of {label}, all rates",
                data[name].values[:, running].astype(float),
                prediction[name].values[:, running],
                bar,
            )
        )
    return out
