"""Numerical theory of learning peaked distributions: exact free energies, expansions, losses, entropies."""

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
from peakedtheory.thermodynamics import Thermodynamics, thermodynamics

__version__ = "0.1.0"

__all__ = [
    "Discrete",
    "Energies",
    "FiniteWidth",
    "Gaussian",
    "Mixture",
    "Sample",
    "Thermodynamics",
    "as_energies",
    "parse_energies",
    "thermodynamics",
]
