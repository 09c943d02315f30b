"""The laws that are offered, by name."""

from __future__ import annotations

from types import MappingProxyType

from peakedtheory.curves.law_annealing import MOMENTUM, MULTI_POWER, MULTI_POWER_HELD
from peakedtheory.curves.law_powers import FINITE_BETA_STAR, POWER, POWER_STEPS, TWO_CHANNEL

#: Laws that need nothing but a curve, by name; the aligned student also needs n and β*: `student_law`.
LAWS = MappingProxyType(
    {
        law.name: law
        for law in (
            POWER,
            POWER_STEPS,
            FINITE_BETA_STAR,
            TWO_CHANNEL,
            MOMENTUM,
            MULTI_POWER,
            MULTI_POWER_HELD,
        )
    }
)

NAMES_OF_LAWS = (*LAWS, "student:n=…,beta_star=…")
