"""Claims about the negative controls: how steep each kind of run becomes, and how fast the quadratic loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import mean_and_error, steepest_slope
from peakedtheory.validation.experiments.selection import CLASSES

if TYPE_CHECKING:
    import xarray


#: Kinds of run: cross-entropy at low and high temperature, quadratic loss at low temperature.
KINDS = ("cross-entropy, low temperature", "cross-entropy, high temperature", "quadratic, low temperature")


def claims(data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
    """Judge how steep each kind becomes, and the rate of the quadratic loss."""
    steps = data["step"].values.astype(float)
    out = []
    for kind, name in enumerate(KINDS):
        cases = np.flatnonzero(data["kind"].values == kind)
        value, error = mean_and_error([steepest_slope(steps, data["loss"].values[i], 0.02) for i in cases])
        theory, _ = mean_and_error([steepest_slope(steps, prediction["loss"].values[i], 0.02) for i in cases])
        power = kind == 0
        out.append(
            Claim(
                f"{name[0].upper()}{name[1:]}: {'a power law' if power else 'no power law'} (steepest slope "
                "of ln L against ln t over a factor of two, above 2 % of the start)",
                value,
                error,
                0.0 if power else 2.0,
                1.0 if power else math.inf,
                "at most 1" if power else "above 2, as exponentials are",
                predicted=theory,
            )
        )
    quadratic = np.flatnonzero(data["kind"].values == 2)
    rates = []
    for i in quadratic:
        loss, tau = data["loss"].values[i].astype(float), data["tau"].values[i] / CLASSES
        use = (loss > 1e-4 * loss[0]) & (tau > 0)
        rates.append(-float(np.polyfit(tau[use], np.log(loss[use]), 1)[0]) if use.sum() > 2 else math.nan)
    value, error = mean_and_error(rates)
    out.append(
        near(
            "Quadratic loss decays as exp(-2τ/n): its rate", value, error, 2.0, 0.2, "2 ± 0.2", predicted=2.0
        )
    )
    return out
