"""Claims about schedules: tuned exponents beside the flow's, the one-third law, and where β meets β*."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.schedules.analysis import (
    asymptotic,
    exponents,
    families_of,
    groups,
    matched_heights,
    ratio,
)

if TYPE_CHECKING:
    import xarray


def claims(data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
    """Judge the exponents of all families beside the flow's, and the one-third law."""
    out: list[Claim] = []
    for optimizer, star in groups(data):
        labels = "hard labels" if math.isinf(star) else f"β* = {star:g}"
        every = {
            f: exponents(data, prediction, optimizer, star, f) for f in families_of(data, optimizer, star)
        }
        found = {family: one for family, one in every.items() if one is not None}
        for family, one in found.items():
            limit = f", limit {asymptotic(family):.2f}" if optimizer == "sgd" and math.isinf(star) else ""
            edge = "" if one.inside else "; a best height lies at the edge of the scan"
            span = f"T = {one.span[0]} … {one.span[1]}{limit}{edge}"
            out.append(
                near(
                    f"{optimizer}, {labels}, {family}: tuned L ~ T^-α, α of the flow ({span})",
                    -one.trained.value,
                    one.trained.seed_error,  # where no power law is left, both slopes depend on the window
                    -one.predicted.value,
                    0.08,
                    "the flow's own slope, tuned alike over the same budgets, ± 0.08; error over teachers",
                    predicted=-one.predicted.value,
                )
            )
        if "constant" in found and len(found) > 1:
            constant = found.pop("constant")
            best = max(found, key=lambda family: -found[family].trained.value)
            out.append(
                Claim(
                    f"{optimizer}, {labels}: a schedule breaks the one-third law (α of {best} less α of "
                    "constant rates)",
                    constant.trained.value - found[best].trained.value,
                    math.hypot(constant.trained.error, found[best].trained.error),
                    0.1,
                    math.inf,
                    "above 0.1; Lee et al. 2026 expected 0",
                    predicted=constant.predicted.value - found[best].predicted.value,
                    published=0.0,
                )
            )
        out += _meeting(data, prediction, optimizer, star)
    return out


def _meeting(data: xarray.Dataset, prediction: xarray.Dataset, optimizer: str, star: float) -> list[Claim]:
    """Judge the heights at which β meets the β* of a soft teacher, where budgets suffice for that."""
    places = [one for one in matched_heights(data, prediction, optimizer, star) if one.reached]
    if not places:
        return []
    ratios = np.average([p.log_ratios for p in places], axis=0, weights=[p.sensitivity**2 for p in places])
    height, error = ratio(ratios)
    return [
        near(
            f"{optimizer}, β* = {star:g}: β meets β* at the flow's height (height of training over the "
            f"flow's; {len(places)} pairs of family and budget)",
            height,
            error,
            1.0,
            0.05,
            "within 5 %; weighted by how much β depends on the height; error over teachers",
            predicted=1.0,
        )
    ]
