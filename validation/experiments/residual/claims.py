"""Claims about residual students: the published exponents, whether they settle, and the aligned flow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import agreement, fit_exponent, mean_and_error
from peakedtheory.validation.experiments.residual.analysis import FINAL, final_exponent, final_window
from peakedtheory.validation.experiments.selection import levels, select

if TYPE_CHECKING:
    import xarray

#: Steps that a student of depth 6 needs to reach the final part, at the paper's rate.
_LATE = 20_000
#: Final parts that are judged, and the last of them that says where the local slope is going.
_FACTORS, _LAST = (FINAL, 3.0), 1.5


def _exponent(data: xarray.Dataset, prediction: xarray.Dataset, factor: float, lacks: str) -> Claim:
    """Judge the exponent over a final part at the largest β*."""
    depth, star = int(levels(data, "depth")[0]), float(levels(data, "beta_star")[-1])
    low, high = window = final_window(data, factor)
    cases = select(data, beta_star=star, depth=depth)
    found = final_exponent(data, star, depth, factor)
    theory = fit_exponent(data["step"].values, prediction["loss"].values[cases], window)
    return near(
        f"Fig. 24: final exponent of the loss at β* = {star:.3g}, depth {depth} (last factor of {factor:g}, "
        f"steps {low:.0f} to {high:.0f}; theory with c_eff fitted)",
        -found.value,
        found.error,
        1.0 / 3.0,
        0.05,
        "1/3 ± 0.05; final parts chosen before the runs were seen",
        predicted=-theory.value,
        published=1.0 / 3.0,
        reachable=high >= _LATE,
        lacks=lacks,
    )


def _drift(data: xarray.Dataset, prediction: xarray.Dataset, lacks: str) -> Claim:
    """Judge whether the local slope has settled: its last value beside that of the whole final part."""
    depth, star = int(levels(data, "depth")[0]), float(levels(data, "beta_star")[-1])
    last, whole = (final_exponent(data, star, depth, factor) for factor in (_LAST, FINAL))
    return near(
        f"Fig. 24: the exponent has settled at β* = {star:.3g} (that of the last factor of {_LAST:g} less "
        f"that of the last factor of {FINAL:g})",
        whole.value - last.value,
        math.hypot(last.error, whole.error),
        0.0,
        0.05,
        "0 ± 0.05",
        reachable=final_window(data)[1] >= _LATE,
        lacks=lacks,
    )


def _approach(data: xarray.Dataset, lacks: str) -> Claim:
    """Judge whether the exponent comes closer to 1/3 as β* grows."""
    depth, stars = int(levels(data, "depth")[0]), levels(data, "beta_star")
    largest, middle = (final_exponent(data, float(star), depth) for star in (stars[-1], stars[-2]))
    return Claim(
        f"Fig. 24: the exponent comes closer to 1/3 as β* grows (distance at β* = {stars[-2]:.3g} less that "
        f"at {stars[-1]:.3g})",
        abs(-middle.value - 1 / 3) - abs(-largest.value - 1 / 3),
        math.hypot(largest.error, middle.error),
        0.0,
        math.inf,
        "above 0",
        reachable=final_window(data)[1] >= _LATE,
        lacks=lacks,
    )


def _aligned(data: xarray.Dataset, prediction: xarray.Dataset, who: str) -> Claim:
    """Judge the aligned flow, with its c_eff fitted, over the final part at the largest β*."""
    depth, star = int(levels(data, "depth")[0]), float(levels(data, "beta_star")[-1])
    cases = select(data, beta_star=star, depth=depth)
    late = data["step"].values >= final_window(data)[0]
    fits = [
        agreement(data["loss"].values[i][late], prediction["loss"].values[i][late]).typical for i in cases
    ]
    constant, _ = mean_and_error(prediction["c_eff"].values[cases])
    value, error = mean_and_error(fits)  # of one teacher the error is not known
    return Claim(
        f"{who}: the aligned flow with c_eff fitted describes the final part at β* = {star:.3g} (typical "
        f"relative error of L; c_eff = {constant:.3g})",
        value,
        error,
        -math.inf,
        0.1,
        "at most 10 %; c_eff fitted",
        predicted=0.0,
    )


def claims(data: xarray.Dataset, prediction: xarray.Dataset, *, published: bool) -> list[Claim]:
    """Judge the published exponents, of the authors' starts alone, and the aligned flow."""
    lacks = "" if published else "the authors' starts"
    out = [_exponent(data, prediction, factor, lacks) for factor in _FACTORS]
    out.append(_drift(data, prediction, lacks))
    if levels(data, "beta_star").size >= 3:
        out.append(_approach(data, lacks))
    return [*out, _aligned(data, prediction, "The authors' starts" if published else "Uniform starts")]
