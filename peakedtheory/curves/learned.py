"""What public runs taught: the prior of the annealed power law, and how far its forecasts miss.

The numbers stand in `learned_forecasts.json` beside this file, with the command that made them and the runs
that they came from. A forecast's squared error in ln L has four parts, of which each is a sum of terms with a
learnt factor; what remains after division by their root has the quantiles of a table (docs/forecasts.md).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from peakedtheory.curves.annealed import LOWER, PARAMETERS, UPPER
from peakedtheory.curves.posterior import Prior

_FILE = Path(__file__).with_name("learned_forecasts.json")
#: No forecast is stated to be worse than this, as a standard error of ln L times the 95 % quantile: of the
#: records ahead in public runs .3 % missed by more.
_WORST = math.log(1.3)


@dataclass(frozen=True, eq=False)
class Ahead:
    """What the error of a forecast depends on, for one or many forecasts.

    Attributes
    ----------
    spread : ndarray
        Variance of ln L that the parameters' covariance brings about.
    distance : ndarray
        ln of the dynamic time over that of the last record.
    fall : ndarray
        By how much the rate over its peak has come down below the last record's.
    variance : ndarray
        Variance of the records about the fit.
    past_ratio, past_miss : ndarray
        Root mean square miss of a forecast of the last third of what was seen: over its own error, and in ln
        L.
    """

    spread: np.ndarray
    distance: np.ndarray
    fall: np.ndarray
    variance: np.ndarray
    past_ratio: np.ndarray
    past_miss: np.ndarray


@dataclass(frozen=True, eq=False)
class Learned:
    """The learnt numbers.

    Attributes
    ----------
    means, deviations : ndarray, shape (parameters - 1,)
        Prior of the logarithms of the parameters behind the level, of which nothing is known.
    correlations : tuple of float
        Of reducible share and exponent, and of annealed share and speed.
    noise : float
        Least standard deviation of a record in ln L.
    forgetting : float
        A record at step t weighs (t/t_end)^(2 forgetting).
    factors : dict of str to float
        Of the terms of the squared error.
    quantiles : ndarray, shape (levels, 2)
        Levels, and the size of the scaled errors that they hold.
    """

    means: np.ndarray
    deviations: np.ndarray
    correlations: tuple[float, float]
    noise: float
    forgetting: float
    factors: dict[str, float]
    quantiles: np.ndarray

    @property
    def prior(self) -> Prior:
        """The prior of θ, flat in the level."""
        matrix = np.eye(self.means.size)
        matrix[0, 1] = matrix[1, 0] = self.correlations[0]
        matrix[2, 3] = matrix[3, 2] = self.correlations[1]
        precision = np.zeros((len(PARAMETERS), len(PARAMETERS)))
        precision[1:, 1:] = np.linalg.inv(matrix * np.outer(self.deviations, self.deviations))
        precision[0, 0] = 1e-6
        return Prior(np.concatenate([[1.0], self.means]), precision, LOWER, UPPER)

    def weights(self, steps: np.ndarray, end: np.ndarray | float) -> np.ndarray:
        """Return the weights of records at `steps` for a forecast from the step `end` on."""
        return np.minimum(np.maximum(steps, 1e-9) / end, 1.0) ** (2.0 * self.forgetting)

    def parts(self, ahead: Ahead) -> dict[str, np.ndarray]:
        """Return the parts of the squared error of ln L."""
        f = self.factors
        near = np.minimum(ahead.distance, 1.0)
        return {
            "parameters": f["parameters"] * ahead.spread * (1.0 + f["past_ratio"] * ahead.past_ratio**2),
            "form": f["least"] + f["distance"] * ahead.distance**2 + f["fall"] * ahead.fall**2,
            "scatter": f["scatter"] * ahead.variance,
            "past": f["past_miss"] * ahead.past_miss**2 * near,
        }

    def bounded(self, error: np.ndarray) -> np.ndarray:
        """Return standard errors that leave the loss open by 30 % at most."""
        return np.minimum(error, _WORST / self.quantile(0.95))

    def quantile(self, level: float) -> float:
        """Return the size that a share `level` of the scaled errors stays within; normal beyond the table."""
        return float(np.interp(ndtri(0.5 + 0.5 * level), *self._table))

    def chance_below(self, scaled: np.ndarray) -> np.ndarray:
        """Return how probable a scaled error below `scaled` is, taken as symmetric."""
        normal, size = self._table
        return ndtr(np.sign(scaled) * np.interp(np.abs(scaled), size, normal))

    @property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        """Quantiles of a normal variable and of the scaled errors; beyond them the last ratio holds."""
        normal = np.concatenate([[0.0], ndtri(0.5 + 0.5 * self.quantiles[:, 0])])
        size = np.concatenate([[0.0], self.quantiles[:, 1]])
        return np.append(normal, 10.0 * normal[-1]), np.append(size, 10.0 * size[-1])


@cache
def learned() -> Learned:
    """Return the numbers of the file."""
    return read(json.loads(_FILE.read_text()))


def read(table: dict) -> Learned:
    """Return the numbers of a table as the file holds it."""
    prior = table["prior"]
    names = PARAMETERS[1:]
    return Learned(
        means=np.log([prior["medians"][name] for name in names]),
        deviations=np.array([prior["deviations"][name] for name in names]),
        correlations=tuple(prior["correlations"]),
        noise=table["noise"],
        forgetting=table["forgetting"],
        factors=table["factors"],
        quantiles=np.array(table["quantiles"]),
    )
