"""How far correlated noise may have moved the parameters of a fit.

Correlated residuals: block length and correlation time by Politis and White (2004, corrected 2009), or of
first-order autoregression with its bias taken out where that is longer; circular block bootstrap of the
residuals; sandwich covariance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from peakedtheory._common.progress import Report
from peakedtheory.curves.solver import Problem, Solution, improve, solved


@dataclass(frozen=True)
class Correlation:
    """How records hang together.

    Attributes
    ----------
    block : int
        Block length for the bootstrap, in records.
    time : float
        Integrated autocorrelation time, in records: so many records say as much as one independent one.
    kept : float
        Share of the residuals' slow noise that blocks of that length preserve.
    """

    block: int
    time: float
    kept: float = 1.0


@dataclass(frozen=True, eq=False)
class Statistics:
    """What the scatter of the residuals says of the fitted parameters.

    Attributes
    ----------
    correlation : Correlation
        How the residuals hang together.
    covariance : ndarray
        Of the fitted parameters in the scale they are searched in.
    standard_errors : dict of str to float
        Of each fitted parameter.
    samples : dict of str to ndarray, or None
        Bootstrap resamples of the fitted parameters.
    """

    correlation: Correlation
    covariance: np.ndarray
    standard_errors: dict[str, float]
    samples: dict[str, np.ndarray] | None


def statistics(
    problem: Problem, solution: Solution, resamples: int, rng: np.random.Generator, report: Report
) -> Statistics:
    """Return what the residuals say, with so many resamples of the block bootstrap."""
    known = correlation(solution.residual, problem.sizes, len(problem.unknowns))
    samples = None
    if resamples:
        inner = resampled(problem, solution, known, resamples, rng, report)
        samples = {p.name: p.outer(inner[:, i]) for i, p in enumerate(problem.unknowns)}
    spread = covariance(problem, solution, known)
    loose = covariance(problem, solution, known, bounded=False)
    return Statistics(known, spread, _standard_errors(problem, solution, spread, loose, samples), samples)


def _standard_errors(
    problem: Problem,
    solution: Solution,
    spread: np.ndarray,
    loose: np.ndarray,
    samples: dict[str, np.ndarray] | None,
) -> dict[str, float]:
    """Take errors from the resamples or the covariance, at a bound from the covariance without bounds."""
    errors = {}
    inside = free_parameters(problem, solution.u)
    for i, p in enumerate(problem.unknowns):
        if samples is None or not inside[i]:
            inner = math.sqrt(max(spread[i, i] if inside[i] else loose[i, i], 0.0))
            error = float(abs(p.slope(p.outer(solution.u[i])))) * inner
            errors[p.name] = error if inside[i] or error > 0.0 else math.inf
        else:
            low, high = np.percentile(samples[p.name], [15.865525, 84.134475])
            errors[p.name] = float(0.5 * (high - low))
    return errors


def correlation(residual: np.ndarray, sizes: list[int], parameters: int) -> Correlation:
    """Return block length and correlation time of the residuals of one or several curves in a row.

    Notes
    -----
    A fit of p smooth parameters lowers the lag-one autocorrelation φ of N residuals by about (p(1+φ) + 2φ)/N
    (Kendall 1954 for p = 1); that is added back before τ = (1+φ)/(1-φ).
    """
    parts = [p for p in np.split(residual, np.cumsum(sizes)[:-1]) if p.size >= 4]
    if not parts or not any(np.ptp(p) > 0 for p in parts):
        return Correlation(1, 1.0)
    n, total = max(p.size for p in parts), sum(p.size for p in parts)
    most = max(min(math.ceil(2.0 * math.sqrt(n)), n - 2), 1)
    covariance = np.zeros(2 * most + 1)
    for p in parts:
        centred = p - p.mean()
        for lag in range(min(2 * most + 1, p.size)):
            covariance[lag] += centred[: p.size - lag] @ centred[lag:]
    ratio = covariance / covariance[0]
    band = 2.0 * math.sqrt(math.log10(max(n, 10)) / total)
    patience = max(5, math.ceil(math.sqrt(math.log10(n))))
    quiet = np.abs(ratio[1:]) < band
    last = next((m for m in range(most) if quiet[m : m + patience].all()), most)
    reach = max(2 * last, 1)
    lags = np.arange(1, min(reach, covariance.size - 1) + 1)
    taper = np.clip(2.0 * (1.0 - lags / reach), 0.0, 1.0)  # the flat-top window
    spectrum = max(1.0 + 2.0 * (taper * ratio[lags]).sum(), 0.1)
    slope = 2.0 * (taper * lags * ratio[lags]).sum()
    block = (1.5 * (slope / spectrum) ** 2 * n) ** (1.0 / 3.0)
    block = int(np.clip(math.ceil(block), 1, max(n // 4, 1)))
    phi = (
        (ratio[1] + parameters / total) / (1.0 - (parameters + 2.0) / total)
        if total > parameters + 4
        else 0.9
    )
    phi = float(np.clip(phi, 0.0, 0.99)) if ratio[1] > band / 2.0 else 0.0
    time = float(np.clip(max(spectrum, (1.0 + phi) / (1.0 - phi)), 1.0, n / 4.0))
    near = np.arange(1, min(block, covariance.size))
    preserved = max(1.0 + 2.0 * ((1.0 - near / block) * ratio[near]).sum(), 0.1)
    return Correlation(block, time, min(preserved / time, 1.0))


def freedom(problem: Problem, known: Correlation) -> float:
    """Return the number of independent records beyond the parameters, at least 2."""
    return max(problem.log_loss.size / known.time - len(problem.unknowns), 2.0)


def student(level: float, freedom: float) -> float:
    """Return how many standard errors reach to both sides at `level` (Student's t)."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + 0.5 * level))


def covariance(
    problem: Problem, solution: Solution, known: Correlation, *, bounded: bool = True
) -> np.ndarray:
    """Return the sandwich covariance of u; rows of parameters at a bound are zero if `bounded`.

    The scores' covariance is taken from the scores themselves with Bartlett weights (Newey and West 1987)
    and from first-order autoregression with the correlation time; each parameter gets the larger of the two.
    """
    free = free_parameters(problem, solution.u) if bounded else np.ones(solution.u.size, dtype=bool)
    result = np.zeros((solution.u.size, solution.u.size))
    if not free.any():
        return result
    jacobian = solution.jacobian[:, free]
    weight = problem.weights(solution.residual)
    bent = np.abs(solution.residual) <= problem.delta
    # Of residuals beyond δ the objective has no curvature; a few keep the matrix regular.
    curvature = jacobian.T @ (np.where(bent, 1.0, 0.1 * weight)[:, None] * jacobian)
    inverse = np.linalg.pinv(curvature, rcond=1e-13, hermitian=True)
    scores = jacobian * (weight * solution.residual)[:, None]
    reach = max(round(2.0 * known.time), known.block)
    phi = (known.time - 1.0) / (known.time + 1.0)
    measured, modelled = np.zeros_like(curvature), np.zeros_like(curvature)
    cuts = np.cumsum(problem.sizes)[:-1]
    for part, smooth in zip(np.split(scores, cuts), np.split(jacobian, cuts), strict=True):
        measured += _summed(part, np.clip(1.0 - np.arange(len(part)) / (reach + 1.0), 0.0, 1.0))
        modelled += _summed(smooth, phi ** np.arange(len(part)))
    modelled *= float(np.mean((weight * solution.residual) ** 2))
    inner = [inverse @ meat @ inverse for meat in (measured, modelled)]
    errors = np.sqrt(np.maximum([np.diag(m) for m in inner], 0.0))
    larger = errors.max(axis=0) / np.maximum(errors[1], 1e-300)
    count = problem.log_loss.size / known.time
    correction = count / max(count - free.sum(), 0.25 * count)
    result[np.ix_(free, free)] = correction * np.outer(larger, larger) * inner[1]
    return result


def _summed(rows: np.ndarray, by_lag: np.ndarray) -> np.ndarray:
    """Return Σ_ij by_lag(|i-j|) rows_i rows_jᵀ."""
    total = rows.T @ rows
    for lag in range(1, int(np.flatnonzero(by_lag > 1e-4)[-1]) + 1):
        cross = rows[lag:].T @ rows[:-lag]
        total += by_lag[lag] * (cross + cross.T)
    return total


def free_parameters(problem: Problem, u: np.ndarray) -> np.ndarray:
    """Return which u lie away from their bounds."""
    return (u > problem.lower) & (u < problem.upper)


def resampled(
    problem: Problem,
    solution: Solution,
    known: Correlation,
    resamples: int,
    rng: np.random.Generator,
    report: Report,
) -> np.ndarray:
    """Return u refitted to the law plus blocks of its own residuals, shape (resamples, unknowns).

    Every refit starts from the answer of the law taken as linear around the fit. Laws that sum over the
    schedule are dear, and two steps from there are enough for the bootstrap's purpose (Andrews 2002).
    """
    steps = 2 if problem.law.needs_annealing else 12
    fitted = problem.log_loss + solution.residual
    noise = -solution.residual
    count = problem.log_loss.size / known.time
    # What blocks of finite length, and the fit itself, take away of slow noise.
    inflation = math.sqrt(count / max(count - len(problem.unknowns), 0.25 * count) / known.kept)
    parts = np.split(noise, np.cumsum(problem.sizes)[:-1])
    shaken = np.empty((resamples, solution.u.size))
    for i in range(resamples):
        drawn = np.concatenate([_blocks(part, known.block, rng) for part in parts])
        data = fitted + inflation * drawn
        near = _linear_answer(problem, solution, fitted - data)
        shaken[i] = improve(problem, near, steps, 0.01 / data.size, data).u
        if i % 50 == 49:
            report(i + 1, resamples)
    return shaken


def _linear_answer(problem: Problem, solution: Solution, residual: np.ndarray) -> np.ndarray:
    """Return the minimum for other residuals at the solution, with the law taken as linear around it."""
    jacobian, shift = solution.jacobian, np.zeros(solution.u.size)
    for _ in range(4):
        weighted = problem.weights(residual + jacobian @ shift)[:, None] * jacobian
        shift = solved(weighted.T @ jacobian, -(weighted.T @ residual))
    return np.clip(solution.u + shift, problem.lower, problem.upper)


def _blocks(part: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Return as many values, from circular blocks at random places."""
    starts = rng.integers(part.size, size=-(-part.size // length))
    index = (starts[:, None] + np.arange(length)).ravel()[: part.size]
    return part[index % part.size]
