"""Numerical theory of learning peaked distributions.

Exact free energies of n i.i.d. energies at any finite n, their expansions, the losses and entropies that
follow, and Monte Carlo where no closed form exists.
"""

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

__version__ = "0.1.0"

__all__ = [
    "Discrete",
    "Energies",
    "EntropyMatch",
    "FiniteWidth",
    "Gaussian",
    "HighTemperatureExpansion",
    "LowTemperatureExpansion",
    "MisalignedLoss",
    "Mixture",
    "Sample",
    "Thermodynamics",
    "as_energies",
    "high_temperature_expansion",
    "loss",
    "loss_gradient",
    "loss_with_error",
    "low_temperature_expansion",
    "match_entropy",
    "misaligned_loss",
    "parse_energies",
    "thermodynamics",
]
