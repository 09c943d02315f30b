"""Monte Carlo results: estimates with standard errors, read from merged moments.

F, U, S, L(β, β*) and dL/dβ (Liu et al. 2026, Eqs. 5-10 and 44) are linear in per-sample quantities, whose
moments are kept; here they are moved and stretched to the actual energies, merged, and presented.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.drawing import draw
from peakedtheory._common.results import to_dataset
from peakedtheory._common.types import Reals, Values
from peakedtheory.energies.base import Energies
from peakedtheory.sampling.cautions import cautions
from peakedtheory.sampling.estimates import Estimate, estimates_by_name
from peakedtheory.sampling.moments import Layout, Moments
from peakedtheory.sampling.samplers import Seed

if TYPE_CHECKING:
    import matplotlib.axes
    import xarray


@dataclass(frozen=True)
class Provenance:
    """What a Monte Carlo result was made of, enough to repeat it and to merge it with another.

    Attributes
    ----------
    method, precision : str
    seeds : tuple of Seed
        One for each of the runs merged.
    identity : dict
        Everything that two mergeable runs share.
    layout : Layout
    beta_index : ndarray of int
        Position of each requested β in the layout.
    pair_shape : tuple of int
    bias : ndarray
        Bounds on the bias, laid out as the moments are.
    points : int
        Samples that one row of the moments stands for: the points of a scrambling, otherwise 1.
    """

    method: str
    precision: str
    seeds: tuple[Seed, ...]
    identity: dict[str, Any]
    layout: Layout
    beta_index: np.ndarray
    pair_shape: tuple[int, ...]
    bias: np.ndarray
    points: int


@dataclass(frozen=True, repr=False)
class MonteCarloResult:
    """Monte Carlo averages over n energies; every estimate has the shape of `beta`.

    Attributes
    ----------
    log_partition, free_energy, internal_energy, entropy, energy_variance : Estimate
        ⟨ln Z⟩ in nats, F = -⟨ln Z⟩/β, U, S in nats, and the energy variance within a sample.
    participation : Estimate
        ⟨Σ p_i²⟩.
    ground_state_energy : Estimate
        ⟨min ε⟩, which is -c_0 of the low-temperature expansion.
    loss, loss_gradient : Estimate or None
        L(β, β*) and dL/dβ, of the shape that `beta` and `beta_star` broadcast to.
    beta, beta_star : float or ndarray
        As given; `beta_star` may be None.
    n : int
        Number of energies.
    energies : Energies or None
        Their distribution; None where a function or given logits stand for it.
    samples : int
        Number of samples.
    degrees_of_freedom : int
        Independent rows that the standard errors rest on, less one. Quasi-Monte Carlo has few: then
        (mean - truth)/standard_error follows Student's t.
    log_partition_covariance : ndarray or None
        Covariance of the estimates of ⟨ln Z⟩ at all pairs of β (flattened), if asked for.
    log_partition_samples : ndarray or None
        ln Z of each sample, shape ``(samples, *beta.shape)``, if asked for.
    interrupted, converged : bool
        Whether the run was stopped before its end; whether it met the tolerance (or had none).
    provenance : Provenance
    moments : Moments
        What everything above was computed from.
    """

    log_partition: Estimate
    free_energy: Estimate
    internal_energy: Estimate
    entropy: Estimate
    energy_variance: Estimate
    participation: Estimate
    ground_state_energy: Estimate
    beta: Values
    beta_star: Values | None
    n: int
    energies: Energies | None
    samples: int
    degrees_of_freedom: int
    log_partition_covariance: np.ndarray | None
    log_partition_samples: np.ndarray | None
    interrupted: bool
    converged: bool
    provenance: Provenance
    moments: Moments
    loss: Estimate | None = None
    loss_gradient: Estimate | None = None

    @property
    def name(self) -> str:
        """What the energies are called."""
        return str(self.provenance.identity["energies"])

    @property
    def seed(self) -> Seed:
        """The seed of the first run."""
        return self.provenance.seeds[0]

    @property
    def cautions(self) -> tuple[str, ...]:
        """Why standard errors may be too small: a line for each reason, none where nothing speaks for it."""
        made = self.provenance
        return cautions(made.method, made.layout, self.moments, self.energies, self.n, made.points)

    def estimates(self) -> dict[str, Estimate]:
        """Return all estimates by name."""
        named = {name: getattr(self, name) for name in ESTIMATES}
        return {name: value for name, value in named.items() if value is not None}

    def __repr__(self) -> str:
        shown = np.asarray(self.beta)
        at = f"{shown:g}" if shown.ndim == 0 else f"{shown.flat[0]:g}…{shown.flat[-1]:g}"
        state = ", interrupted" if self.interrupted else ("" if self.converged else ", tolerance not met")
        lines = [
            f"Monte Carlo of n={self.n} {self.name} energies at beta={at}:"
            f" {self.samples} samples, {self.provenance.method}{state}"
        ]
        lines += [f"  {name:<20}{value!r}" for name, value in self.estimates().items()]
        lines += [f"  caution: {line}" for line in self.cautions]
        return "\n".join(lines)

    def merge(self, other: MonteCarloResult) -> MonteCarloResult:
        """Return the result of both runs together.

        Raises
        ------
        ValueError
            If they are not the same problem, or share a seed and so are not independent.
        """
        mine, theirs = self.provenance, other.provenance
        for key in mine.identity.keys() | theirs.identity.keys():
            if mine.identity.get(key) != theirs.identity.get(key):
                fail(
                    "other",
                    f"must have the same {key} to be merged",
                    f"{theirs.identity.get(key)} and {mine.identity.get(key)}",
                    "estimate the same problem twice",
                )
        if set(mine.seeds) & set(theirs.seeds):
            shared = next(iter(set(mine.seeds) & set(theirs.seeds)))
            fail(
                "other", "must have another seed, or the runs are not independent", str(shared), "change rng"
            )
        kept = None
        if self.log_partition_samples is not None and other.log_partition_samples is not None:
            kept = np.concatenate([self.log_partition_samples, other.log_partition_samples])
        return assemble(
            replace(mine, seeds=mine.seeds + theirs.seeds),
            self.moments + other.moments,
            beta=self.beta,
            beta_star=self.beta_star,
            n=self.n,
            energies=self.energies,
            kept=kept,
            interrupted=self.interrupted or other.interrupted,
            converged=self.converged and other.converged,
        )

    def quantiles(self, levels: Reals) -> np.ndarray:
        """Return quantiles of ln Z over the samples, shape ``(*levels.shape, *beta.shape)``."""
        return np.quantile(self._kept(), np.asarray(levels), axis=0)

    def histogram(self, bins: Any = 50) -> tuple[np.ndarray, np.ndarray]:
        """Return (density, edges) of the distribution of ln Z at a single β, as numpy.histogram does."""
        kept = self._kept()
        if kept.ndim > 1:
            fail(
                "histogram",
                "needs a single beta",
                f"shape {kept.shape[1:]}",
                "estimate at one inverse temperature",
            )
        return np.histogram(kept, bins=bins, density=True)

    def _kept(self) -> np.ndarray:
        if self.log_partition_samples is None:
            fail("log_partition_samples", "must have been kept", "none", "estimate with keep_samples=True")
        return self.log_partition_samples

    def to_xarray(self) -> xarray.Dataset:
        """Return the estimates and their standard errors on the labelled grid of `beta` and `beta_star`."""
        coordinates = {"beta": self.beta}
        if self.beta_star is not None:
            coordinates["beta_star"] = self.beta_star
        shape = np.broadcast_shapes(*(np.shape(c) for c in coordinates.values()))
        variables = {}
        for name, value in self.estimates().items():
            variables[name] = np.broadcast_to(value.mean, shape)
            variables[f"{name}_standard_error"] = np.broadcast_to(value.standard_error, shape)
        units = dict.fromkeys(("log_partition", "entropy", "loss"), "nat")
        units |= dict.fromkeys([f"{name}_standard_error" for name in units], "nat")
        return to_dataset(variables, coordinates, units, self.attributes())

    def attributes(self) -> dict[str, Any]:
        """Return what a file should record beside the numbers."""
        made = self.provenance
        return {
            "description": "Monte Carlo averages with standard errors, k_B = 1",
            "n": self.n,
            "energies": self.name,
            "method": made.method,
            "precision": made.precision,
            "samples": self.samples,
            "degrees_of_freedom": self.degrees_of_freedom,
            "seed": "; ".join(map(str, made.seeds)),
            "interrupted": int(self.interrupted),
            "converged": int(self.converged),
            "cautions": "; ".join(self.cautions),
        }

    def plot(self, axes: matplotlib.axes.Axes | None = None) -> matplotlib.axes.Axes:
        """Draw F with its standard errors against the exact curve; needs a one-dimensional `beta`."""
        return draw(self, axes)


ESTIMATES = (
    "log_partition",
    "free_energy",
    "internal_energy",
    "entropy",
    "energy_variance",
    "participation",
    "ground_state_energy",
    "loss",
    "loss_gradient",
)


def assemble(
    made: Provenance,
    moments: Moments,
    *,
    beta: Values,
    beta_star: Values | None,
    n: int,
    energies: Energies | None,
    kept: np.ndarray | None,
    interrupted: bool,
    converged: bool,
) -> MonteCarloResult:
    """Build a result from its moments; `kept` holds ln Z of the actual energies."""
    location, scale = (energies.location, energies.scale) if energies is not None else (0.0, 1.0)
    samples = moments.count * made.points
    estimates = estimates_by_name(
        made.layout,
        moments,
        made.bias,
        n=n,
        location=location,
        scale=scale,
        beta_index=made.beta_index,
        pair_shape=made.pair_shape,
        samples=samples,
    )
    covariance = None
    if moments.products.size:
        index = made.beta_index.ravel()
        covariance = moments.covariance[np.ix_(index, index)]
    return MonteCarloResult(
        **estimates,
        beta=beta,
        beta_star=beta_star,
        n=n,
        energies=energies,
        samples=samples,
        degrees_of_freedom=moments.count - 1,
        log_partition_covariance=covariance,
        log_partition_samples=kept,
        interrupted=interrupted,
        converged=converged,
        provenance=made,
        moments=moments,
    )
