"""Claims about power-law spectra: the exponent of the loss at each, its spread, and the flow without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import FittedExponent, fit_exponent, late_window
from peakedtheory.validation.experiments.flows import flow_claim
from peakedtheory.validation.experiments.selection import levels, select

if TYPE_CHECKING:
    import xarray


def exponents(data: xarray.Dataset, name: str) -> list[FittedExponent]:
    """Return the exponents of loss or β in t over the last decade, one for each spectrum."""
    steps, window = data["step"].values, late_window(data["step"].values)
    return [
        fit_exponent(steps, data[name].values[select(data, exponent=a)], window)
        for a in levels(data, "exponent")
    ]


def claims(data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
    """Judge the exponents at the ends and the middle of the spectra, and the flow at the ends."""
    values = levels(data, "exponent")
    chosen = sorted({0, len(values) // 2, len(values) - 1})
    steps, window = data["step"].values, late_window(data["step"].values)
    theory = {
        name: fit_exponent(steps, prediction[name].values[:1], window).value for name in ("loss", "beta")
    }
    loss, beta = exponents(data, "loss"), exponents(data, "beta")
    out = [
        near(
            f"D.6: L falls as t^-1/3 at spectrum i^-{values[k]:.2f} (steps {window[0]:.0f} to "
            f"{window[1]:.0f})",
            -loss[k].value,
            loss[k].error,
            1.0 / 3.0,
            0.05,
            "1/3 ± 0.05",
            predicted=-theory["loss"],
            published=1.0 / 3.0,
        )
        for k in chosen
    ]
    out += [
        near(
            f"β grows at spectrum i^-{values[k]:.2f} as in the flow without a spectrum",
            beta[k].value,
            beta[k].error,
            theory["beta"],
            0.05,
            "the flow's own exponent ± 0.05",
            predicted=theory["beta"],
        )
        for k in chosen
    ]
    running = steps >= 10
    for k in (chosen[0], chosen[-1]):
        cases = select(data, exponent=values[k])
        for name, label, bar in (("loss", "L", 0.10), ("beta", "β", 0.05)):
            out.append(
                flow_claim(
                    f"Theory of Adam for independent logits: typical relative error of {label} at spectrum "
                    f"i^-{values[k]:.2f}",
                    data[name].values[cases][:, running].astype(float),
                    prediction[name].values[cases][:, running],
                    bar,
                )
            )
    return out
