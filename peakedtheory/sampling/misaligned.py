"""Monte Carlo averages over a student that is not aligned with its teacher."""

from __future__ import annotations

import functools
import operator
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.checks import fail, inverse_temperature, path_of, real_array, single_number
from peakedtheory._common.progress import Report, reporter
from peakedtheory._common.results import scalar_or_array, to_dataset
from peakedtheory._common.threads import share
from peakedtheory._common.types import RNG, Executor, Reals, Values
from peakedtheory.sampling.arguments import resolve_seed
from peakedtheory.sampling.blocks import BlockRun
from peakedtheory.sampling.estimates import Estimate
from peakedtheory.sampling.goals import Goal, Outcome, pursue
from peakedtheory.sampling.moments import Moments
from peakedtheory.sampling.samplers import Sampler, Seed

if TYPE_CHECKING:
    import xarray

#: The loss first: tolerances refer to it. Then the kernel's other outputs.
_NAMES = (
    "loss",
    "squared_difference",
    "participation",
    "overlap",
    "teacher_participation",
    "scale_gradient",
)
_FROM_KERNEL = (4, 0, 1, 2, 3, 5)
#: Hard labels are those of a teacher colder than the student by this factor.
_HARD = 1e6


@dataclass(frozen=True, kw_only=True)
class MisalignedSampler(Sampler):
    """Draws z and w of y = D z + ρ w, y* = β* z and evaluates every (D, ρ, β*), a row of `triples`."""

    triples: np.ndarray

    @property
    def seconds(self) -> float:
        return 1e-6 + 1e-9 * self.n * (6.0 + 3.0 * len(self.triples))

    @property
    def held(self) -> int:
        return 12 * len(self.triples)

    @property
    def chunk(self) -> int:
        """Samples evaluated at a time."""
        return min(64, self.block)

    def moments(self, first: int, count: int) -> tuple[Moments, np.ndarray]:
        from peakedtheory.kernels.misaligned import MISALIGNED_QUANTITIES, sample_misaligned  # loads Numba

        key, stream = self.seed.counter_key
        chunks = -(-count // self.chunk)
        parts: dict[int, Moments] = {}

        def work(start: int, stop: int) -> None:
            for i in range(start, stop):
                size = min(self.chunk, count - i * self.chunk)
                out = np.empty((size, len(self.triples), MISALIGNED_QUANTITIES))
                sample = np.uint64(first + i * self.chunk)
                sample_misaligned(key, stream, sample, 0, size, self.n, self.triples, np.empty(0), out)
                out[..., -1] *= -1.0
                parts[i] = Moments.of_rows(out[..., _FROM_KERNEL].reshape(size, -1, order="F").T)

        share(chunks, 1, count * self.seconds, work)
        return functools.reduce(operator.add, (parts[i] for i in range(chunks))), np.empty((0, 0))


@dataclass(frozen=True, repr=False)
class MisalignedEstimates:
    """Monte Carlo averages over n Gaussian logits; every estimate has the common shape of the arguments.

    With p the student's and q the teacher's softmax output:

    Attributes
    ----------
    loss : Estimate
        ⟨KL(q‖p)⟩ in nats.
    squared_difference : Estimate
        V = ⟨Σ (p_i - q_i)²⟩, the strength of the noise of mini-batches.
    participation, teacher_participation, overlap : Estimate
        ⟨Σ p_i²⟩, ⟨Σ q_i²⟩, ⟨Σ p_i q_i⟩.
    scale_gradient : Estimate
        ⟨Σ (p_i - q_i) y_i⟩ = dL/d ln β, where β scales the student's logits y.
    alignment, residual, beta_star : float or ndarray
    n, samples : int
    seed : Seed
    interrupted, converged : bool
        Whether the run was stopped before its end; whether it met the tolerance (or had none).
    """

    loss: Estimate
    squared_difference: Estimate
    participation: Estimate
    overlap: Estimate
    teacher_participation: Estimate
    scale_gradient: Estimate
    alignment: Values
    residual: Values
    beta_star: Values
    n: int
    samples: int
    seed: Seed
    interrupted: bool
    converged: bool

    def __repr__(self) -> str:
        state = ", interrupted" if self.interrupted else ("" if self.converged else ", tolerance not met")
        lines = [f"Monte Carlo of a misaligned student of n={self.n} classes: {self.samples} samples{state}"]
        lines += [f"  {name:<22}{getattr(self, name)!r}" for name in _NAMES]
        return "\n".join(lines)

    def to_xarray(self) -> xarray.Dataset:
        """Return the estimates and their standard errors over the points, with their coordinates."""
        coordinates = {"alignment": self.alignment, "residual": self.residual, "beta_star": self.beta_star}
        variables = {}
        for name in _NAMES:
            value = getattr(self, name)
            variables[name], variables[f"{name}_standard_error"] = value.mean, value.standard_error
        flat = {name: np.ravel(value) for name, value in (variables | coordinates).items()}
        attributes = {
            "description": "Monte Carlo averages over a misaligned student, with standard errors",
            "n": self.n,
            "samples": self.samples,
            "seed": str(self.seed),
            "interrupted": int(self.interrupted),
            "converged": int(self.converged),
        }
        points = np.arange(flat["loss"].size)
        units = {"loss": "nat", "loss_standard_error": "nat"}
        return to_dataset(flat, {"point": points}, units, attributes)


def estimate_misaligned(
    alignment: Reals,
    residual: Reals,
    beta_star: Reals,
    n: float,
    *,
    samples: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    rng: RNG = None,
    executor: Executor | None = None,
    progress: bool | Report | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> MisalignedEstimates:
    """Estimate loss, noise and overlaps of a student D z + ρ w against a Gaussian teacher β* z.

    Parameters
    ----------
    alignment : array_like
        D, the component of the student's logits along the teacher's, any sign.
    residual : array_like
        ρ >= 0, the scale of the independent component.
    beta_star : array_like
        Teacher's inverse temperature; infinite for hard labels (a teacher 10⁶ times colder than the student,
        which changes averages by about one part in 10⁶). The three are broadcast; all points use the same
        samples.
    n : int
        Number of classes.
    samples, rtol, atol, rng, executor, progress, checkpoint : optional
        As in `estimate`; tolerances refer to the loss.

    Returns
    -------
    MisalignedEstimates
        In double precision throughout.

    Raises
    ------
    ValueError
        For ρ < 0 and other invalid arguments.
    WorkerError
        If a task failed three times.

    Notes
    -----
    Loss and gradient have closed forms (`misaligned_loss`); V away from ρ = 0 has none (docs/dynamics.md,
    Eqs. 9-14).

    Examples
    --------
    >>> from peakedtheory import misaligned_loss
    >>> found = estimate_misaligned(3.0, 1.0, 10.0, 128, samples=4000, rng=1).loss
    >>> bool(abs(found.mean - misaligned_loss(3.0, 1.0, 10.0, 128).total) < 5 * found.standard_error)
    True
    """
    count = single_number(n)
    d, r = real_array("alignment", alignment), real_array("residual", residual)
    star = inverse_temperature(beta_star, "beta_star", allow_infinite=True)
    for name, values in (("alignment", d), ("residual", r)):
        if not np.isfinite(values).all():
            fail(name, "must be finite", f"{values[~np.isfinite(values)].flat[0]}", "correct it")
    if (r < 0).any():
        fail("residual", "must be >= 0", f"{r.min():g}", "its sign has no meaning")
    try:
        d, r, star = np.broadcast_arrays(d, r, star)
    except ValueError:
        shapes = f"shapes {d.shape}, {r.shape} and {star.shape}"
        fail("alignment, residual, beta_star", "must broadcast", shapes, "add axes, alignment[:, None]")
    cold = np.where(np.isinf(star), _HARD * (1.0 + np.hypot(d, r)), star)
    triples = np.stack([np.ravel(v) for v in (d, r, cold)], axis=1)
    goal = Goal.of(samples, rtol, atol)
    sampler = MisalignedSampler(n=count, seed=resolve_seed(rng), triples=triples)
    identity = {
        "n": count,
        "triples": triples.tolist(),
        "block": sampler.block,
        "seed": [str(sampler.seed.entropy), list(sampler.seed.spawn_key)],
    }
    run = BlockRun(sampler, identity, executor, path_of("checkpoint", checkpoint))

    def result(outcome: Outcome) -> MisalignedEstimates:
        moments = outcome.moments
        rows = zip(
            moments.mean.reshape(len(_NAMES), -1),
            moments.standard_error.reshape(len(_NAMES), -1),
            strict=True,
        )
        estimates = {}
        for name, (mean, error) in zip(_NAMES, rows, strict=True):
            values = [scalar_or_array(v.reshape(d.shape)) for v in (mean, error, np.zeros_like(error))]
            estimates[name] = Estimate(values[0], values[1], values[2], moments.count)
        return MisalignedEstimates(
            **estimates,
            alignment=scalar_or_array(d.copy()),
            residual=scalar_or_array(r.copy()),
            beta_star=scalar_or_array(star.copy()),
            n=count,
            samples=moments.count,
            seed=sampler.seed,
            interrupted=outcome.interrupted,
            converged=outcome.converged,
        )

    with reporter(progress) as report:
        return pursue(run, goal, result, size=len(triples), report=report)
