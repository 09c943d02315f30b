"""Claims about aligned students without training: the exponents of Fig. 3, and Fig. 9."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.slopes import loglog_slope
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import mean_and_error, small_sample
from peakedtheory.validation.experiments.selection import CLASSES, NOMINAL_C0

if TYPE_CHECKING:
    import xarray


#: Grid points of the published fits, as the authors' notebook has them.
LOSS_WINDOW, GRADIENT_WINDOW = slice(1, 10), slice(2, 60)


def _jackknife(beta: np.ndarray, curves: np.ndarray, window: slice) -> tuple[float, float]:
    """Return the slope of the mean curve and its jackknife error over teachers, widened for their number."""

    def slope(y: np.ndarray) -> float:
        return loglog_slope(beta[window], y[window])[0]

    count = len(curves)
    left_out = [slope(np.delete(curves, k, axis=0).mean(axis=0)) for k in range(count)]
    error = small_sample(count) * math.sqrt((count - 1) * float(np.var(left_out)))
    return slope(curves.mean(axis=0)), error


def claims(data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
    """Judge the exponents of Fig. 3, and Fig. 9."""
    i = int(np.argmax(data["beta_star"].values))
    star = float(data["beta_star"][i])
    beta = np.asarray(data["beta"][i], dtype=float)
    out = []
    for name, window, published, error, ideal in (
        ("loss", LOSS_WINDOW, 1.15, 0.04, 1.0),
        ("drive", GRADIENT_WINDOW, 2.26, 0.01, 2.0),
    ):
        slope, spread = _jackknife(beta, np.asarray(data[name][i], dtype=float), window)
        exact = np.asarray(prediction[name][i], dtype=float)
        label = {"loss": "loss L ~ β^-κ", "drive": "gradient -dL/dβ ~ β^-(κ+1)"}[name]
        span = f"β from {beta[window][0]:.2f} to {beta[window][-1]:.1f}, β* = {star:g}"
        predicted = -loglog_slope(beta[window], exact[window])[0]
        fresh = loglog_slope(beta[window], np.asarray(data[f"fresh_{name}"], dtype=float)[window])
        out.append(
            near(
                f"Fig. 3: exponent of the {label} ({span})",
                -slope,
                spread,
                published,
                3 * error + 0.01,
                "published value ± three of its errors",
                predicted=predicted,
                published=published,
                published_error=error,
            )
        )
        out.append(
            near(
                f"Fig. 3, sampled as the authors do: exponent of the {label.split(' ')[0]} with other "
                "teachers at every β",
                -fresh[0],
                fresh[1] * small_sample(beta[window].size - 1),
                published,
                3 * error + 0.01,
                "published value ± three of its errors",
                predicted=predicted,
                published=published,
                published_error=error,
            )
        )
        out.append(
            near(
                f"Sampling agrees with the exact {label.split(' ')[0]} exponent",
                -slope - predicted,
                spread,
                0.0,
                0.1 * ideal,
                "exact value ± 0.1 per power",
                predicted=0.0,
            )
        )
    low = np.asarray(data["energy_beta"], dtype=float)
    inside = (low > 0) & (low <= 0.5)
    ratio = -np.asarray(data["energy"], dtype=float)[:, inside] / low[inside]
    exact_ratio = float((-prediction["energy"].values[inside] / low[inside]).mean())
    out.append(
        near(
            "Fig. 9: U = -β at high temperature (mean of -U/β over β ≤ 1/2)",
            *mean_and_error(ratio.mean(axis=1)),
            1.0,
            0.1,
            "1 ± 0.1",
            predicted=exact_ratio,
            published=1.0,
        )
    )
    c0 = float(interpolant(CLASSES).slope)
    out.append(
        near(
            "c0 = √(2 ln n), as the dashed lines of the figures have it (ratio of the exact ⟨max⟩ to it)",
            c0 / NOMINAL_C0,
            1e-9,
            1.0,
            0.05,
            "within 5 %",
            predicted=c0 / NOMINAL_C0,
            published=1.0,
        )
    )
    return out
