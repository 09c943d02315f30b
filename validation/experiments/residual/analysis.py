"""The final part of residual students' runs, and the exponents there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peakedtheory.validation.experiments.comparison import FittedExponent, fit_exponent, late_window
from peakedtheory.validation.experiments.selection import select

if TYPE_CHECKING:
    import xarray


#: How much of the run its final part is, by a factor in t.
FINAL = 5.0


def final_window(data: xarray.Dataset, factor: float = FINAL) -> tuple[float, float]:
    """Return the final part of the run, by default the last factor of five."""
    return late_window(data["step"].values, factor)


def final_exponent(data: xarray.Dataset, star: float, depth: int, factor: float = FINAL) -> FittedExponent:
    """Return the exponent of the loss over the final part, over the teachers."""
    cases = select(data, beta_star=star, depth=depth)
    return fit_exponent(data["step"].values, data["loss"].values[cases], final_window(data, factor))
