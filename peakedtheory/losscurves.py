"""Real loss curves: laws side by side, robust fits, honest uncertainty, forecasts (docs/losscurves.md).

L = L∞ + c τ^(-α) (Liu et al. 2026, Eq. 20) is one hypothesis among the `LAWS`.
"""

from peakedtheory._losscurves.curve_comparison import LawComparison, LawScore, compare_laws
from peakedtheory._losscurves.curves import LossCurve, as_curves
from peakedtheory._losscurves.fit_results import LossCurveFit, Uncertainty
from peakedtheory._losscurves.forecasts import Forecast, forecast
from peakedtheory._losscurves.law_registry import LAWS, student_law
from peakedtheory._losscurves.laws import Law, Parameter, parse_law
from peakedtheory._losscurves.loss_fits import fit_loss_curve

__all__ = [
    "LAWS",
    "Forecast",
    "Law",
    "LawComparison",
    "LawScore",
    "LossCurve",
    "LossCurveFit",
    "Parameter",
    "Uncertainty",
    "as_curves",
    "compare_laws",
    "fit_loss_curve",
    "forecast",
    "parse_law",
    "student_law",
]
