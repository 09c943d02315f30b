"""All experiments by name, and what a figure's number or name on the command line means."""

from __future__ import annotations

import re
from collections.abc import Sequence

from peakedtheory._common.checks import fail
from peakedtheory.validation.experiments.base import Experiment
from peakedtheory.validation.experiments.controls import experiment as controls
from peakedtheory.validation.experiments.entropy import experiment as entropy
from peakedtheory.validation.experiments.hard_labels import experiment as hard_labels
from peakedtheory.validation.experiments.language_models import experiment as language_models
from peakedtheory.validation.experiments.numerics import experiment as numerics
from peakedtheory.validation.experiments.other_energies import experiment as other_energies
from peakedtheory.validation.experiments.pythia import experiment as pythia
from peakedtheory.validation.experiments.residual import experiment as residual
from peakedtheory.validation.experiments.sampled_labels import experiment as sampled_labels
from peakedtheory.validation.experiments.scans import experiment as scans
from peakedtheory.validation.experiments.schedules import experiment as schedules
from peakedtheory.validation.experiments.spectrum import experiment as spectrum
from peakedtheory.validation.experiments.starts import experiment as starts
from peakedtheory.validation.experiments.weight_decay import experiment as weight_decay
from peakedtheory.validation.experiments.weights import experiment as weights

#: One line an experiment, in the order of the report.
_MODULES = (
    scans,
    weights,
    numerics,
    entropy,
    starts,
    weight_decay,
    spectrum,
    residual,
    pythia,
    language_models,
    hard_labels,
    other_energies,
    schedules,
    sampled_labels,
    controls,
)

#: Every experiment by name, in the order of the report.
EXPERIMENTS: dict[str, Experiment] = {e.name: e for module in _MODULES for e in module.EXPERIMENTS}


def experiment(name: str) -> Experiment:
    """Return the experiment of this name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in EXPERIMENTS:
        fail("experiment", f"must be one of {', '.join(EXPERIMENTS)}", repr(name), "choose one of them")
    return EXPERIMENTS[name]


def find(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return experiments and the figures wanted of each, from names such as `4`, `Fig. 5a` or `sgd-scan`.

    Raises
    ------
    ValueError
        For a name that is neither.
    """
    wanted: dict[str, list[str]] = {}
    for given in names:
        key = given.strip().lower().removeprefix("figure").removeprefix("fig").lstrip(".- ")
        matches = []
        for candidate in EXPERIMENTS.values():
            if key == candidate.name:
                matches += [(candidate.name, figure.key) for figure in candidate.figures]
            matches += [(candidate.name, f.key) for f in candidate.figures if key in _aliases(f.key)]
        if not matches:
            known = ", ".join(f.key for e in EXPERIMENTS.values() for f in e.figures)
            fail(
                "figure",
                f"must be an experiment ({', '.join(EXPERIMENTS)}) or a figure ({known})",
                repr(given),
                "see `peakedtheory reproduce --list`",
            )
        for name, figure in matches:
            keys = wanted.setdefault(name, [])
            if figure not in keys:
                keys.append(figure)
    return {name: tuple(wanted[name]) for name in EXPERIMENTS if name in wanted}


def _aliases(key: str) -> set[str]:
    """`5ab` is also 5, 5a and 5b; `25-27` is also 25, 26 and 27."""
    if re.fullmatch(r"\d+-\d+", key):
        first, last = map(int, key.split("-"))
        return {key, *(str(number) for number in range(first, last + 1))}
    digits = key.rstrip("abcdefgh") if key[:1].isdigit() else key
    letters = key[len(digits) :]
    return {key, digits, *(digits + letter for letter in letters)} if letters else {key}
