"""Monte Carlo averages of ln Z, F, U, S, the energy variance, the loss and its gradient, on whole grids of β.

`estimate` serves any distribution of the energies, Python samplers and compiled functions, by plain sampling,
order statistics or randomised quasi-Monte Carlo; `estimate_from_logits` serves logits that are given;
`estimate_misaligned` serves students that are not aligned with their teacher.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from peakedtheory._common.checks import fail, path_of, single_number
from peakedtheory._common.progress import Report, reporter
from peakedtheory._common.results import scalar_or_array
from peakedtheory._common.types import RNG, Executor, Reals
from peakedtheory.energies.base import Energies
from peakedtheory.energies.reading import EnergiesLike, as_energies
from peakedtheory.sampling.arguments import (
    layout_of,
    one_of,
    open_logits,
    require_moments,
    resolve_seed,
)
from peakedtheory.sampling.blocks import BlockRun
from peakedtheory.sampling.goals import Goal, Outcome, pursue
from peakedtheory.sampling.lowest_energies import OrderStatisticsSampler, ScrambledSampler
from peakedtheory.sampling.moments import Layout, Moments
from peakedtheory.sampling.results import MonteCarloResult, Provenance, assemble
from peakedtheory.sampling.samplers import EnergySampler, Seed
from peakedtheory.sampling.sources import (
    METHODS,
    Request,
    digest,
    from_distribution,
    from_function,
    from_rows,
    is_callable_source,
)

#: Relative error of the weights in each arithmetic. In single precision ⟨ln Z⟩ was seen to err by up to
#: 2.4e-7 and S by 4.6e-7 (normal energies, n = 128 and 50304, β from 0.1 to 1000, the same logits in both).
PRECISIONS = {"single": 3e-7, "double": 4e-15}
_MOST_KEPT = 1 << 24
_VERSION = 2


def estimate(
    beta: Reals,
    n: float,
    energies: EnergiesLike | Callable[..., Any] = None,
    *,
    beta_star: Reals | None = None,
    samples: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    rng: RNG = None,
    method: str = "auto",
    executor: Executor | None = None,
    progress: bool | Report | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    precision: str = "single",
    covariance: bool = False,
    keep_samples: bool = False,
) -> MonteCarloResult:
    """Estimate averages over n energies by Monte Carlo, with standard errors.

    Parameters
    ----------
    beta : array_like
        Inverse temperatures β >= 0. All of them use the same samples; evenly spaced ones are cheapest.
    n : int
        Number of energies (classes, vocabulary size).
    energies : optional
        Distribution of one energy ε, as `as_energies` takes it (standard normal by default); a Python
        function (rng, size) -> energies with size = (samples, n), whose rows may be correlated; or a
        function compiled with Numba that maps u, uniform on (0, 1), to an energy.
    beta_star : array_like, optional
        Teacher's inverse temperatures, broadcast against `beta`; asks for the loss and its gradient.
    samples : int, optional
        Number of samples, exactly. By default as many as take about two seconds on one core.
    rtol, atol : float, optional
        Sample until the standard error of ⟨ln Z⟩ is at most ``max(atol, rtol |⟨ln Z⟩|)`` at every β.
    rng : None, int, SeedSequence, Generator or BitGenerator, optional
        Source of the seed (SPEC 7). The seed itself is recorded in the result; the same one gives the
        same bits with any number of threads and any executor.
    method : {"auto", "plain", "order-statistics", "qmc"}, optional
        "plain" draws all energies; "order-statistics" draws the lowest 16 and averages over the others,
        at a cost that hardly depends on n, and the first two by importance, so that errors hold where
        rare samples decide; "qmc" does so at scrambled Sobol points. "auto" takes order statistics for
        finitely many energies, and for smooth distributions where n > 64, tails are heavy or β > 50.
    executor : optional
        Anything with ``submit(function, *arguments)`` that returns something with result(): an executor of
        concurrent.futures (start processes by the spawn method), or dask's Client.get_executor().
    progress : bool or callable, optional
        True shows a bar on a terminal; a function is called with (samples done, samples planned).
    checkpoint : path, optional
        Resume file. An interrupted run that is called again in the same way goes on from there.
    precision : {"single", "double"}, optional
        Arithmetic of the plain method's inner loops; sums are in double precision either way. Single
        precision adds at most 3e-7 to ⟨ln Z⟩; each estimate's `bias_bound` contains what it may add.
    covariance : bool, optional
        Keep the covariance of ⟨ln Z⟩ between all β, which the fits need.
    keep_samples : bool, optional
        Keep ln Z of each sample, for quantiles and histograms; plain method only.

    Returns
    -------
    MonteCarloResult
        After Ctrl-C: what is known by then, with `interrupted` true. Its `cautions` say where errors may be
        too small. The `variance` of an estimate is what
        one sample of the method contributes to it: with "plain" that of ln Z (or U, S, ...) itself; with
        "order-statistics" and "qmc", which average over most of the energies, far less than that.

    Raises
    ------
    ValueError
        For bad arguments, energies without a mean lowest value or without a finite variance of it,
        samplers that return a wrong shape or NaN, and resume files of another estimate.
    WorkerError
        If a task failed three times; its `result` holds what the finished tasks give.

    Examples
    --------
    >>> result = estimate([1.0, 5.0], 50304, beta_star=5.0, samples=20_000, rng=1)
    >>> error = result.log_partition.standard_error
    >>> bool(abs(result.log_partition.mean[1] - 22.3126269139) < 5 * error[1])
    True
    """
    count = single_number(n)
    distribution = None if is_callable_source(energies) else as_energies(cast(EnergiesLike, energies))
    if distribution is not None:
        require_moments(distribution, count)
    one_of("method", method, METHODS)
    one_of("precision", precision, tuple(PRECISIONS))
    goal = Goal.of(samples, rtol, atol)
    scale = 1.0 if distribution is None else distribution.scale
    beta_array, star, layout, index, pair_shape = layout_of(beta, beta_star, scale)
    request = Request(
        layout,
        np.unique(index),
        count,
        resolve_seed(rng),
        method,
        precision,
        bool(covariance),
        bool(keep_samples),
    )
    if method == "qmc":
        request = replace(request, points=goal.points())
    if distribution is None:
        sampler, source = from_function(request, energies)
    else:
        sampler, source = from_distribution(request, distribution)
    if keep_samples:
        _check_kept(sampler, goal, layout)
    made = Provenance(
        method=sampler.method,
        precision="double" if isinstance(sampler, OrderStatisticsSampler) else precision,
        seeds=(request.seed,),
        identity=_identity(
            sampler, layout, source, source if distribution is None else distribution.name, precision
        ),
        layout=layout,
        beta_index=index,
        pair_shape=pair_shape,
        bias=sampler.bias_bound() if isinstance(sampler, OrderStatisticsSampler) else np.zeros(layout.size),
        points=sampler.points if isinstance(sampler, ScrambledSampler) else 1,
    )
    problem = _Problem(sampler, made, goal, beta_array, star, distribution)
    return problem.solve(executor, progress, checkpoint)


def estimate_from_logits(
    logits: Reals | str | os.PathLike[str],
    beta: Reals = 1.0,
    *,
    beta_star: Reals | None = None,
    precision: str = "double",
    executor: Executor | None = None,
    progress: bool | Report | None = None,
    covariance: bool = False,
    keep_samples: bool = False,
) -> MonteCarloResult:
    """Average over given logits, whose rows are independent samples: Z(β) = Σ_i exp(β y_i).

    Parameters
    ----------
    logits : array_like, shape (samples, n), or path
        Logits y = -ε, or a .npy file (read in pieces, never as a whole) or an .npz file with one array.
        Minus infinity, and what lies 1e29 below the largest of its row, rules a class out; so does a mask.
    beta : array_like, optional
        Factors on the logits; 1 for the logits as they are.
    beta_star, precision, executor, progress, covariance, keep_samples : optional
        As in `estimate`.

    Returns
    -------
    MonteCarloResult
        Standard errors hold for independent rows.

    Raises
    ------
    ValueError
        If the file or array is not two-dimensional and real, or holds NaN or plus infinity.

    Examples
    --------
    >>> result = estimate_from_logits([[0.0, 0.0], [1.0, 1.0]])
    >>> round(result.entropy.mean, 12) == round(float(np.log(2)), 12)
    True
    """
    one_of("precision", precision, tuple(PRECISIONS))
    rows, name = open_logits(logits)
    source = str(logits) if isinstance(logits, (str, os.PathLike)) and isinstance(rows, np.memmap) else rows
    beta_array, star, layout, index, pair_shape = layout_of(beta, beta_star, 1.0)
    seed = Seed(int.from_bytes(digest(rows[: 1 + 1000000 // rows.shape[1]]).encode()[:8], "big"))
    request = Request(
        layout,
        np.unique(index),
        rows.shape[1],
        seed,
        "plain",
        precision,
        bool(covariance),
        bool(keep_samples),
    )
    sampler = from_rows(request, source)
    goal = Goal(samples=rows.shape[0])
    if keep_samples:
        _check_kept(sampler, goal, layout)
    made = Provenance(
        method="given",
        precision=precision,
        seeds=(seed,),
        identity=_identity(sampler, layout, "logits", name, precision),
        layout=layout,
        beta_index=index,
        pair_shape=pair_shape,
        bias=np.zeros(layout.size),
        points=1,
    )
    return _Problem(sampler, made, goal, beta_array, star, None).solve(executor, progress, None)


@dataclass(frozen=True)
class _Problem:
    """What is to be averaged, at which β, and until when.

    Attributes
    ----------
    sampler : EnergySampler
    made : Provenance
    goal : Goal
    beta : ndarray
    star : ndarray or None
        As given.
    energies : Energies or None
        None where a function or given logits stand for their distribution.
    """

    sampler: EnergySampler
    made: Provenance
    goal: Goal
    beta: np.ndarray
    star: np.ndarray | None
    energies: Energies | None

    @property
    def shift(self) -> np.ndarray:
        """What the location of the energies takes off ln Z at every β of the layout."""
        energies = self.energies
        return self.made.layout.beta * (energies.location / energies.scale if energies is not None else 0.0)

    def solve(
        self,
        executor: Executor | None,
        progress: bool | Report | None,
        checkpoint: str | os.PathLike[str] | None,
    ) -> MonteCarloResult:
        """Run blocks until the goal is reached, and assemble the result."""
        made = self.made
        identity = made.identity | {"seed": [str(made.seeds[0].entropy), list(made.seeds[0].spawn_key)]}
        run = BlockRun(
            self.sampler,
            identity,
            executor,
            path_of("checkpoint", checkpoint),
        )
        with reporter(progress) as report:
            return pursue(
                run,
                self.goal,
                self._assembled,
                size=made.layout.beta.size,
                shift=self.shift,
                points=made.points,
                report=report,
                check=self._require_reachable,
            )

    def _assembled(self, outcome: Outcome) -> MonteCarloResult:
        made, moments, values = self.made, outcome.moments, None
        if len(outcome.kept):
            shifted = (outcome.kept - self.shift)[:, made.beta_index.ravel()]
            values = shifted.reshape(-1, *self.beta.shape)
            values.flags.writeable = False
        rounding = made.layout.rounding(moments.mean, PRECISIONS[made.precision])
        return assemble(
            replace(made, bias=made.bias + rounding),
            moments,
            beta=scalar_or_array(self.beta.copy()),
            beta_star=None if self.star is None else scalar_or_array(self.star.copy()),
            n=self.sampler.n,
            energies=self.energies,
            kept=values,
            interrupted=outcome.interrupted,
            converged=outcome.converged,
        )

    def _require_reachable(self, moments: Moments) -> None:
        """Refuse tolerances below what the method itself neglects."""
        goal, made, size = self.goal, self.made, self.made.layout.beta.size
        target = np.maximum(goal.atol, goal.rtol * np.abs(moments.mean[:size] - self.shift))
        bound = made.bias[:size] + PRECISIONS[made.precision]
        if (bound > target).any():
            worst = int(np.argmax(bound - target))
            fail(
                "rtol, atol",
                f"must exceed the bias bound of {made.method}, {bound[worst]:.1e}",
                f"a tolerance of {target[worst]:.1e}",
                "use thermodynamics, which is exact",
            )


def _identity(
    sampler: EnergySampler, layout: Layout, source: str, name: str, precision: str
) -> dict[str, Any]:
    """Return what two runs must share to be merged or resumed."""
    return {
        "version": _VERSION,
        "energies": name,
        "n": sampler.n,
        "method": sampler.method,
        "source": source,
        "beta": [float(b) for b in layout.beta],
        "pairs": layout.pairs.tolist(),
        "precision": precision,
        "block": sampler.block,
        "points": sampler.points if isinstance(sampler, ScrambledSampler) else 1,
        "covariance": sampler.joint,
        "keep_samples": sampler.keep,
    }


def _check_kept(sampler: EnergySampler, goal: Goal, layout: Layout) -> None:
    if sampler.method != "plain":
        fail(
            "keep_samples",
            "needs the plain method, as others average within a sample",
            sampler.method,
            "use method='plain'",
        )
    if goal.by_tolerance:
        fail("keep_samples", "needs a fixed number of samples", "a tolerance", "give samples")
    if goal.rows(sampler) * layout.beta.size > _MOST_KEPT:
        fail(
            "keep_samples",
            f"may keep at most {_MOST_KEPT} numbers",
            str(goal.rows(sampler) * layout.beta.size),
            "take fewer samples or fewer beta",
        )
