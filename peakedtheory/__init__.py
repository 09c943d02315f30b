"""Numerical theory of learning peaked distributions.

Exact free energies of n i.i.d. energies at any finite n, their expansions, the losses and entropies that
follow, Monte Carlo where no closed form exists, scaling regimes, training dynamics and schedules.
"""

import importlib
from typing import TYPE_CHECKING, Any

from peakedtheory.energies import (
    Discrete,
    Energies,
    FiniteWidth,
    Gaussian,
    Mixture,
    Sample,
    as_energies,
    parse_energies,
)
from peakedtheory.entropy import EntropyMatch, match_entropy
from peakedtheory.expansions import (
    HighTemperatureExpansion,
    LowTemperatureExpansion,
    high_temperature_expansion,
    low_temperature_expansion,
)
from peakedtheory.losses import MisalignedLoss, loss, loss_gradient, loss_with_error, misaligned_loss
from peakedtheory.thermodynamics import Thermodynamics, thermodynamics

if TYPE_CHECKING:
    from peakedtheory.collapse import compare_collapse, measure_collapse
    from peakedtheory.curve_readers import read_loss_curve
    from peakedtheory.curve_regimes import curve_regime
    from peakedtheory.dynamics import SGD, Adam, GradientFlow, SignGD, StudentFlow, student_flow
    from peakedtheory.expansion_fits import ExpansionFit, fit_high_temperature, fit_low_temperature
    from peakedtheory.gap_law import predict_exponent
    from peakedtheory.losscurves import (
        Forecast,
        LawComparison,
        LossCurve,
        LossCurveFit,
        compare_laws,
        fit_loss_curve,
        forecast,
    )
    from peakedtheory.montecarlo import (
        Estimate,
        MisalignedEstimates,
        MonteCarloResult,
        estimate,
        estimate_from_logits,
        estimate_misaligned,
    )
    from peakedtheory.optimal_control import optimal_learning_rate, optimal_schedule
    from peakedtheory.regimes import phase_diagram, regime
    from peakedtheory.schedules import dynamic_time, parse_schedule

__version__ = "0.1.0"

#: Names whose modules are loaded when first asked for.
_LAZY = {
    "Adam": "dynamics",
    "Estimate": "montecarlo",
    "ExpansionFit": "expansion_fits",
    "Forecast": "losscurves",
    "GradientFlow": "dynamics",
    "LawComparison": "losscurves",
    "LossCurve": "losscurves",
    "LossCurveFit": "losscurves",
    "MisalignedEstimates": "montecarlo",
    "MonteCarloResult": "montecarlo",
    "SGD": "dynamics",
    "SignGD": "dynamics",
    "StudentFlow": "dynamics",
    "compare_collapse": "collapse",
    "compare_laws": "losscurves",
    "curve_regime": "curve_regimes",
    "dynamic_time": "schedules",
    "estimate": "montecarlo",
    "estimate_from_logits": "montecarlo",
    "estimate_misaligned": "montecarlo",
    "fit_high_temperature": "expansion_fits",
    "fit_loss_curve": "losscurves",
    "fit_low_temperature": "expansion_fits",
    "forecast": "losscurves",
    "measure_collapse": "collapse",
    "optimal_learning_rate": "optimal_control",
    "optimal_schedule": "optimal_control",
    "parse_schedule": "schedules",
    "phase_diagram": "regimes",
    "predict_exponent": "gap_law",
    "read_loss_curve": "curve_readers",
    "regime": "regimes",
    "student_flow": "dynamics",
}

__all__ = [
    "SGD",
    "Adam",
    "Discrete",
    "Energies",
    "EntropyMatch",
    "Estimate",
    "ExpansionFit",
    "FiniteWidth",
    "Forecast",
    "Gaussian",
    "GradientFlow",
    "HighTemperatureExpansion",
    "LawComparison",
    "LossCurve",
    "LossCurveFit",
    "LowTemperatureExpansion",
    "MisalignedEstimates",
    "MisalignedLoss",
    "Mixture",
    "MonteCarloResult",
    "Sample",
    "SignGD",
    "StudentFlow",
    "Thermodynamics",
    "as_energies",
    "compare_collapse",
    "compare_laws",
    "curve_regime",
    "dynamic_time",
    "estimate",
    "estimate_from_logits",
    "estimate_misaligned",
    "fit_high_temperature",
    "fit_loss_curve",
    "fit_low_temperature",
    "forecast",
    "high_temperature_expansion",
    "loss",
    "loss_gradient",
    "loss_with_error",
    "low_temperature_expansion",
    "match_entropy",
    "measure_collapse",
    "misaligned_loss",
    "optimal_learning_rate",
    "optimal_schedule",
    "parse_energies",
    "parse_schedule",
    "phase_diagram",
    "predict_exponent",
    "read_loss_curve",
    "regime",
    "student_flow",
    "thermodynamics",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'peakedtheory' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"peakedtheory.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
