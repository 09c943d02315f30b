"""The most likely parameters under a prior, and their covariance, for many problems at once.

Records have weights 1/σ² up to a common factor: the scale of the residuals is found along with the
parameters, with the prior's own scale as its least value. Huber's function bounds what single records say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: Value and derivatives of the model: θ (problems, parameters) -> (problems, records), (…, parameters).
Model = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

#: Huber's bound in standard deviations, steps for each scale, scales, and how many records the prior's scale
#: counts for.
_HUBER, _STEPS, _ROUNDS, _COUNT = 2.0, 7, 4, 3.0
#: The first fit takes the scale to be this much larger, so that wild records cannot lead it astray.
_FIRST = 25.0


@dataclass(frozen=True, eq=False)
class Prior:
    """A normal prior of θ: mean (parameters,), precision (parameters, parameters), bounds."""

    mean: np.ndarray
    precision: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True, eq=False)
class Posterior:
    """What is known of each problem.

    Attributes
    ----------
    theta, covariance : ndarray, shape (problems, parameters), (problems, parameters, parameters)
    variance : ndarray, shape (problems,)
        Of a record of weight one.
    evidence : ndarray, shape (problems,)
        ln of the probability of what was seen, up to a constant, by which priors are compared.
    """

    theta: np.ndarray
    covariance: np.ndarray
    variance: np.ndarray
    evidence: np.ndarray

    def spread(self, slopes: np.ndarray) -> np.ndarray:
        """Return the variance of what has these derivatives, shape (problems, records, parameters)."""
        return np.maximum(np.einsum("nki,nij,nkj->nk", slopes, self.covariance, slopes), 0.0)


def most_likely(
    model: Model, target: np.ndarray, weight: np.ndarray, prior: Prior, noise: float
) -> Posterior:
    """Return the posterior of each problem.

    Parameters
    ----------
    model : callable
        Its first parameter adds to every value.
    target, weight : ndarray, shape (problems, records)
        What was seen, and how much of it: at most 1, and 0 where nothing was seen.
    prior : Prior
    noise : float
        Least standard deviation of a record of weight one.
    """
    theta = np.tile(prior.mean, (target.shape[0], 1))
    theta[:, 0] += ((target - model(theta)[0]) * weight).sum(1) / weight.sum(1)
    factor = np.full(target.shape[0], _FIRST)
    for turn in range(_ROUNDS):
        scaled = weight / (noise**2 * factor)[:, None]
        theta, curvature, residual, cost = _improved(model, theta, target, scaled, prior)
        if turn < _ROUNDS - 1:
            squares = np.minimum(weight * (residual / noise) ** 2, 9.0 * factor[:, None])
            factor = np.maximum((_COUNT + (weight * squares).sum(1)) / (_COUNT + weight.sum(1)), 1.0)
    records = (weight > 0).sum(1)
    known = np.linalg.slogdet(prior.precision)[1] - np.linalg.slogdet(curvature)[1]
    evidence = 0.5 * known - cost - 0.5 * records * np.log(factor)
    return Posterior(theta, np.linalg.inv(curvature), noise**2 * factor, evidence)


def _cost(residual: np.ndarray, weight: np.ndarray, away: np.ndarray, prior: Prior) -> np.ndarray:
    size = np.abs(residual) * np.sqrt(weight)
    huber = np.where(size < _HUBER, 0.5 * size**2, _HUBER * (size - 0.5 * _HUBER)).sum(1)
    return huber + 0.5 * np.einsum("ni,ij,nj->n", away, prior.precision, away)


def _improved(
    model: Model, theta: np.ndarray, target: np.ndarray, weight: np.ndarray, prior: Prior
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Take damped Gauss-Newton steps; return θ, the curvature, the residuals and the cost."""
    value, slopes = model(theta)
    cost = _cost(target - value, weight, theta - prior.mean, prior)
    damping = np.full(theta.shape[0], 1e-2)
    unit = np.eye(theta.shape[1])
    for _ in range(_STEPS):
        curvature, gradient = _normal(target - value, slopes, weight, theta - prior.mean, prior)
        damped = curvature + damping[:, None, None] * curvature * unit
        step = np.clip(np.linalg.solve(damped, gradient[..., None])[..., 0], -1.5, 1.5)
        trial = np.clip(theta + step, prior.lower, prior.upper)
        new_value, new_slopes = model(trial)
        new_cost = _cost(target - new_value, weight, trial - prior.mean, prior)
        better = new_cost <= cost
        theta = np.where(better[:, None], trial, theta)
        value = np.where(better[:, None], new_value, value)
        slopes = np.where(better[:, None, None], new_slopes, slopes)
        cost = np.where(better, new_cost, cost)
        damping = np.where(better, damping / 10.0, damping * 10.0)
    curvature, _ = _normal(target - value, slopes, weight, theta - prior.mean, prior)
    return theta, curvature, target - value, cost


def _normal(
    residual: np.ndarray, slopes: np.ndarray, weight: np.ndarray, away: np.ndarray, prior: Prior
) -> tuple[np.ndarray, np.ndarray]:
    size = np.abs(residual) * np.sqrt(weight)
    kept = weight * np.minimum(1.0, _HUBER / np.maximum(size, 1e-300))
    curvature = np.einsum("nk,nki,nkj->nij", kept, slopes, slopes) + prior.precision
    gradient = np.einsum("nk,nki,nk->ni", kept, slopes, residual) - away @ prior.precision
    return curvature, gradient
