"""Teachers whose singular values fall as i^-a (Liu et al. 2026, conference version, Appendix D.6).

The matrix of a linear teacher keeps its singular vectors and Frobenius norm; students start at zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory.dynamics.optimizers import Adam
from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.flows import beta_star_of, logspace, predict_cases, train_cases
from peakedtheory.validation.experiments.selection import WIDTH
from peakedtheory.validation.experiments.spectrum import figures as draw
from peakedtheory.validation.experiments.spectrum.claims import claims
from peakedtheory.validation.training.cases import Case

if TYPE_CHECKING:
    import xarray


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Train every exponent of the spectrum, several teachers each."""
    pairs = [(a, teacher) for a in settings["exponents"] for teacher in range(settings["teachers"])]
    cases = [
        Case(
            beta_star=beta_star_of(settings["temperature"]),
            optimizer=Adam(settings["rate"], settings["batch"], WIDTH),
            spectrum=a,
            teacher=teacher,
            seed=teacher,
        )
        for a, teacher in pairs
    ]
    data = train_cases(context, settings, cases)
    return data.assign_coords(exponent=("case", np.array([a for a, _ in pairs])))


_BASE: dict[str, Any] = {
    "temperature": 1e-3, "exponents": [round(a, 6) for a in np.linspace(0, 1, 16).tolist()],
    "rate": logspace(-3, 0, 12)[7],
}  # fmt: skip

EXPERIMENTS = (
    Experiment(
        name="power-spectrum",
        title="Teachers with a power-law spectrum",
        source="Liu et al. 2026, conference version, Appendix D.6",
        settings={
            "paper": {
                **_BASE,
                "steps": 2000,
                "batch": 1024,
                "teachers": 3,
                "records": 60,
                "test_samples": 8192,
            },
            "quick": {
                **_BASE,
                "exponents": _BASE["exponents"][::5],
                "steps": 1000,
                "batch": 256,
                "teachers": 2,
                "records": 40,
                "test_samples": 4096,
            },
            "tiny": {
                **_BASE,
                "exponents": _BASE["exponents"][::15],
                "steps": 40,
                "batch": 32,
                "teachers": 2,
                "records": 12,
                "test_samples": 256,
            },
        },
        simulate=simulate,
        predict=predict_cases,
        claims=claims,
        figures=(
            FigureSpec(
                "power-spectrum",
                "Power-law spectra: loss, β and their exponents",
                "Points: training, mean over teachers; line: theory of Adam for equal singular values of "
                "random directions, nothing fitted. Published: exponent 1/3 of the loss for every spectrum.",
                draw.curves,
            ),
        ),
        notes=(
            "The flow knows nothing of a spectrum: it takes logits to be independent, which a teacher of "
            "unequal singular values does not make them."
        ),
        differences=(
            "Three teachers, each with all spectra; the authors draw one teacher for each.",
            "60 records even in ln t over 8,192 held-out inputs; the authors' every 5 steps, fresh batches.",
        ),
    ),
)
