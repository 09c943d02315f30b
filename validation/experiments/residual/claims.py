"""Claims about residual students: the published exponents, untested, and the aligned flow of ours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import agreement, fit_exponent, mean_and_error
from peakedtheory.validation.experiments.residual.analysis import final_exponent, final_window
from peakedtheory.validation.experiments.selection import levels, select

if TYPE_CHECKING:
    import xarray


#: What a verdict on the published figures would need.
_LACKS = "the authors' teacher"

#: Steps that a student of depth 6 needs to reach the final part, at the paper's rate.
_LATE = 20_000


def claims(data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
    """Measure the published exponents, and judge the aligned flow over the final part of our students."""
    out = []
    depth = int(levels(data, "depth")[0])
    stars = levels(data, "beta_star")
    low, high = final_window(data)
    reached = high >= _LATE
    largest = final_exponent(data, float(stars[-1]), depth)
    theory = fit_exponent(
        data["step"].values,
        prediction["loss"].values[select(data, beta_star=stars[-1], depth=depth)],
        final_window(data),
    )
    out.append(
        near(
            f"Fig. 24: final exponent of the loss at β* = {stars[-1]:.3g}, depth {depth} (steps {low:.0f} "
            f"to {high:.0f}; theory with c_eff fitted)",
            -largest.value,
            largest.error,
            1.0 / 3.0,
            0.05,
            "1/3 ± 0.05",
            predicted=-theory.value,
            published=1.0 / 3.0,
            reachable=reached,
            lacks=_LACKS,
        )
    )
    if stars.size >= 3:
        middle = final_exponent(data, float(stars[-2]), depth)
        gap = abs(-middle.value - 1 / 3) - abs(-largest.value - 1 / 3)
        out.append(
            Claim(
                "Fig. 24: the exponent comes closer to 1/3 as β* grows (distance at the second largest β* "
                "less that at the largest)",
                gap,
                math.hypot(largest.error, middle.error),
                0.0,
                math.inf,
                "above 0",
                reachable=reached,
                lacks=_LACKS,
            )
        )
    cases = select(data, beta_star=stars[-1], depth=depth)
    late = data["step"].values >= low
    fits = [
        agreement(data["loss"].values[i][late], prediction["loss"].values[i][late]).typical for i in cases
    ]
    value, error = mean_and_error(fits)
    constant, _ = mean_and_error(prediction["c_eff"].values[cases])
    out.append(
        Claim(
            f"Our teacher: the aligned flow with c_eff fitted describes the final part at β* = "
            f"{stars[-1]:.3g} (typical relative error of L; c_eff = {constant:.3g})",
            value,
            error,
            -math.inf,
            0.1,
            "at most 10 %; c_eff fitted",
            predicted=0.0,
        )
    )
    return out
