"""Estimates with standard errors, from moments of standardised energies to those of the actual ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from peakedtheory._common.results import scalar_or_array
from peakedtheory._common.types import Values
from peakedtheory.sampling.moments import DIGITS, Layout, Moments


@dataclass(frozen=True, repr=False)
class Estimate:
    """Mean of a Monte Carlo sample with its standard error.

    Attributes
    ----------
    mean : float or ndarray
        Estimate of the average.
    standard_error : float or ndarray
        Its standard error, enlarged by up to a fifth where samples are skewed and few. With few independent
        replicates, as in quasi-Monte Carlo, the deviation from the truth follows Student's t with the
        result's `degrees_of_freedom`.
    bias_bound : float or ndarray
        Bound on what the method neglects; zero where it neglects nothing.
    samples : int
        Number of samples.
    """

    mean: Values
    standard_error: Values
    bias_bound: Values
    samples: int

    @property
    def variance(self) -> Values:
        """Variance that one sample of this method contributes: standard_error² · samples."""
        return self.standard_error**2 * self.samples

    def __repr__(self) -> str:
        mean, error = np.asarray(self.mean), np.asarray(self.standard_error)
        if mean.ndim == 0:
            return with_error(float(mean), float(error))
        first, last = (with_error(float(mean.flat[i]), float(error.flat[i])) for i in (0, -1))
        return f"{mean.shape} from {first} to {last}"


def with_error(mean: float, error: float) -> str:
    """Return `13.5057 ± 0.0012`: two digits of the error, and the mean to the same place."""
    if not (np.isfinite(error) and np.isfinite(mean) and error > 0):
        return f"{mean:.10g} ± {error:.2g}"
    places = 1 - int(np.floor(np.log10(error)))
    if places < -15:
        return f"{mean:.10g} ± {error:.1e}"
    if places < 0:
        return f"{mean:.0f} ± {error:.0f}"
    if places > 15:
        return f"{mean:.15g} ± {error:.1e}"
    return f"{mean:.{places}f} ± {error:.{places}f}"


def estimates_by_name(
    layout: Layout,
    moments: Moments,
    bias: np.ndarray,
    *,
    n: float,
    location: float,
    scale: float,
    beta_index: np.ndarray,
    pair_shape: tuple[int, ...],
    samples: int,
) -> dict[str, Estimate]:
    """Turn moments of the standardised energies into estimates of the quantities of the actual ones.

    With energies location + scale ε₀ everything follows from ε₀ at scale·β: ln Z loses β·location.
    """
    mean, error, bound = (layout.split(row) for row in (moments.mean, moments.standard_error, bias))

    def at_beta(values: np.ndarray) -> np.ndarray:
        return values[beta_index]

    def make(center: np.ndarray, spread: np.ndarray, limit: np.ndarray) -> Estimate:
        value, error, bound = (scalar_or_array(np.array(v, dtype=float)) for v in (center, spread, limit))
        return Estimate(value, error, bound, samples)

    def simple(name: str, factor: float = 1.0, shift: float = 0.0) -> Estimate:
        size = abs(factor)
        value = shift + factor * mean[name]
        return make(at_beta(value), size * at_beta(error[name]), size * at_beta(bound[name]))

    beta = layout.beta[beta_index] / scale
    moved = DIGITS * abs(location)  # rounding, where the location is large
    bound["ln_z"] = bound["ln_z"] + layout.beta / scale * moved
    bound["mean"], bound["maximum"] = (bound[name] + moved / scale for name in ("mean", "maximum"))
    log_partition = at_beta(mean["ln_z"]) - beta * location
    hot = beta == 0.0
    safe = np.where(hot, 1.0, beta)
    # F at β = 0: the energy itself where there is one only
    at_zero = location - scale * at_beta(mean["mean"]) if n == 1 else np.full(beta.shape, -np.inf)
    result = {
        "log_partition": make(log_partition, at_beta(error["ln_z"]), at_beta(bound["ln_z"])),
        "free_energy": make(
            np.where(hot, at_zero, -log_partition / safe),
            np.where(hot, scale * at_beta(error["mean"]) if n == 1 else 0.0, at_beta(error["ln_z"]) / safe),
            np.where(hot, 0.0, at_beta(bound["ln_z"]) / safe),
        ),
        "internal_energy": simple("mean", -scale, location),
        "entropy": simple("entropy"),
        "energy_variance": simple("variance", scale**2),
        "participation": simple("squares"),
        "ground_state_energy": make(
            location - scale * mean["maximum"][0], scale * error["maximum"][0], scale * bound["maximum"][0]
        ),
    }
    if len(layout.pairs):
        for name, key, factor in (("loss", "loss", 1.0), ("loss_gradient", "gradient", scale)):
            center, spread, limit = (factor * part[key].reshape(pair_shape) for part in (mean, error, bound))
            result[name] = make(center, spread, limit)
    return result
