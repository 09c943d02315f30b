__version__: str

# Exact theory
from .exact.thermodynamics import (
    thermodynamics as thermodynamics,
    Thermodynamics as Thermodynamics,
    ErrorEstimate as ErrorEstimate,
)
from .exact.expansions import (
    low_temperature_expansion as low_temperature_expansion,
    high_temperature_expansion as high_temperature_expansion,
)
from .exact.series import (
    LowTemperatureExpansion as LowTemperatureExpansion,
    HighTemperatureExpansion as HighTemperatureExpansion,
)
from .exact.losses import (
    loss as loss,
    loss_gradient as loss_gradient,
    loss_with_error as loss_with_error,
    misaligned_loss as misaligned_loss,
    MisalignedLoss as MisalignedLoss,
)
from .exact.entropy import match_entropy as match_entropy, EntropyMatch as EntropyMatch

# Energies
from .energies.base import Energies as Energies
from .energies.normal import Gaussian as Gaussian
from .energies.atoms import Discrete as Discrete, Sample as Sample
from .energies.mixtures import Mixture as Mixture
from .energies.finite_width import FiniteWidth as FiniteWidth
from .energies.reading import as_energies as as_energies, parse_energies as parse_energies

# Monte Carlo
from .sampling.montecarlo import estimate as estimate, estimate_from_logits as estimate_from_logits
from .sampling.estimates import Estimate as Estimate
from .sampling.results import MonteCarloResult as MonteCarloResult
from .sampling.misaligned import (
    estimate_misaligned as estimate_misaligned,
    MisalignedEstimates as MisalignedEstimates,
)
from .sampling.expansion_fits import (
    fit_low_temperature as fit_low_temperature,
    fit_high_temperature as fit_high_temperature,
    ExpansionFit as ExpansionFit,
)

# Schedules
from .schedules.clock import Clock as Clock
from .schedules.reading import parse_schedule as parse_schedule, dynamic_time as dynamic_time

# Regimes and dynamics
from .dynamics.gap_law import predict_exponent as predict_exponent, Exponent as Exponent
from .dynamics.regimes import (
    regime as regime,
    Regime as Regime,
    Window as Window,
    phase_diagram as phase_diagram,
    PhaseDiagram as PhaseDiagram,
)
from .dynamics.student import student_flow as student_flow, StudentFlow as StudentFlow
from .dynamics.optimizers import (
    GradientFlow as GradientFlow,
    SGD as SGD,
    Adam as Adam,
    SignGD as SignGD,
    Muon as Muon,
)
from .dynamics.tuning import (
    optimal_learning_rate as optimal_learning_rate,
    OptimalRate as OptimalRate,
    optimal_schedule as optimal_schedule,
    OptimalSchedule as OptimalSchedule,
    FamilyOptimum as FamilyOptimum,
)

# Loss curves
from .curves.readers import read_loss_curve as read_loss_curve
from .curves.curve import LossCurve as LossCurve
from .curves.fits import fit_loss_curve as fit_loss_curve
from .curves.results import LossCurveFit as LossCurveFit, Uncertainty as Uncertainty
from .curves.comparison import (
    compare_laws as compare_laws,
    LawComparison as LawComparison,
    LawScore as LawScore,
)
from .curves.forecasts import forecast as forecast, Forecast as Forecast
from .curves.standing import curve_regime as curve_regime, CurveRegime as CurveRegime
from .curves.collapse import (
    measure_collapse as measure_collapse,
    Collapse as Collapse,
    compare_collapse as compare_collapse,
    CollapseComparison as CollapseComparison,
)

# Everything else, by room
from . import (
    curves as curves,
    dynamics as dynamics,
    energies as energies,
    exact as exact,
    figures as figures,
    kernels as kernels,
    sampling as sampling,
    schedules as schedules,
    testing as testing,
    validation as validation,
)
