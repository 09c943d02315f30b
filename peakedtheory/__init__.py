"""Numerical theory of learning peaked distributions.

Exact free energies of n i.i.d. energies at any finite n, their expansions, the losses and entropies that
follow, Monte Carlo where no closed form exists, scaling regimes, training dynamics and schedules.
"""

import importlib
from typing import TYPE_CHECKING, Any

from peakedtheory.energies.laws import (
    Discrete,
    Energies,
    Gaussian,
    Sample,
)
from peakedtheory.energies.mixtures import (
    FiniteWidth,
    Mixture,
)
from peakedtheory.energies.reading import (
    as_energies,
    parse_energies,
)
from peakedtheory.exact.entropy import EntropyMatch, match_entropy
from peakedtheory.exact.expansions import (
    high_temperature_expansion,
    low_temperature_expansion,
)
from peakedtheory.exact.losses import (
    MisalignedLoss,
    loss,
    loss_gradient,
    loss_with_error,
    misaligned_loss,
)
from peakedtheory.exact.series import (
    HighTemperatureExpansion,
    LowTemperatureExpansion,
)
from peakedtheory.exact.thermodynamics import Thermodynamics, thermodynamics

if TYPE_CHECKING:
    from peakedtheory.curves.collapse import compare_collapse, measure_collapse
    from peakedtheory.curves.comparison import (
        LawComparison,
        compare_laws,
    )
    from peakedtheory.curves.curve import (
        LossCurve,
    )
    from peakedtheory.curves.fits import (
        fit_loss_curve,
    )
    from peakedtheory.curves.forecasts import (
        Forecast,
        forecast,
    )
    from peakedtheory.curves.readers import read_loss_curve
    from peakedtheory.curves.regime import curve_regime
    from peakedtheory.curves.results import (
        LossCurveFit,
    )
    from peakedtheory.dynamics.gap_law import predict_exponent
    from peakedtheory.dynamics.regimes import phase_diagram, regime
    from peakedtheory.dynamics.student import (
        SGD,
        Adam,
        GradientFlow,
        SignGD,
        StudentFlow,
        student_flow,
    )
    from peakedtheory.dynamics.tuning import optimal_learning_rate, optimal_schedule
    from peakedtheory.sampling.expansion_fits import (
        ExpansionFit,
        fit_high_temperature,
        fit_low_temperature,
    )
    from peakedtheory.sampling.misaligned import (
        MisalignedEstimates,
        estimate_misaligned,
    )
    from peakedtheory.sampling.montecarlo import (
        estimate,
        estimate_from_logits,
    )
    from peakedtheory.sampling.results import (
        Estimate,
        MonteCarloResult,
    )
    from peakedtheory.schedules import dynamic_time, parse_schedule

__version__ = "0.1.0"

#: Names whose modules are loaded when first asked for.
_LAZY = {
    "Adam": "dynamics.student",
    "Estimate": "sampling.results",
    "ExpansionFit": "sampling.expansion_fits",
    "Forecast": "curves.forecasts",
    "GradientFlow": "dynamics.student",
    "LawComparison": "curves.comparison",
    "LossCurve": "curves.curve",
    "LossCurveFit": "curves.results",
    "MisalignedEstimates": "sampling.misaligned",
    "MonteCarloResult": "sampling.results",
    "SGD": "dynamics.student",
    "SignGD": "dynamics.student",
    "StudentFlow": "dynamics.student",
    "compare_collapse": "curves.collapse",
    "compare_laws": "curves.comparison",
    "curve_regime": "curves.regime",
    "dynamic_time": "schedules",
    "estimate": "sampling.montecarlo",
    "estimate_from_logits": "sampling.montecarlo",
    "estimate_misaligned": "sampling.misaligned",
    "fit_high_temperature": "sampling.expansion_fits",
    "fit_loss_curve": "curves.fits",
    "fit_low_temperature": "sampling.expansion_fits",
    "forecast": "curves.forecasts",
    "measure_collapse": "curves.collapse",
    "optimal_learning_rate": "dynamics.tuning",
    "optimal_schedule": "dynamics.tuning",
    "parse_schedule": "schedules",
    "phase_diagram": "dynamics.regimes",
    "predict_exponent": "dynamics.gap_law",
    "read_loss_curve": "curves.readers",
    "regime": "dynamics.regimes",
    "student_flow": "dynamics.student",
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
