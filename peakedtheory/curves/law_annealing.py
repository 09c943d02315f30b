"""Laws that know the whole schedule: the loss that each fall of the learning rate takes away, and when.

S1/S2 law: Tissue et al., arXiv 2408.11029. Multi-power law: Luo et al., arXiv 2503.12811.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from peakedtheory.curves.curve import Times
from peakedtheory.curves.law import FLOOR, Basis, Law, Parameter
from peakedtheory.curves.law_powers import POWER, power_term

_AMPLITUDE = Parameter("amplitude", "A", "loss above the floor at τ = 1 (nats)")
_ALPHA = dataclasses.replace(POWER.shape[0], starts=(0.25, 0.5, 0.8))


def _momentum(times: Times, time: np.ndarray, shape: np.ndarray) -> Basis:
    """S2 = Σ_i Σ_{k≤i} Δ_k λ^{i-k} = Σ_k Δ_k (1 - λ^{t-k+1})/(1-λ), over the falls after the peak."""
    alpha, memory = shape
    value, by_alpha, by_time = power_term(time, alpha)
    kept, kept_slope = times.reductions.remembered(memory)
    area = (times.reductions.total - memory * kept) / (1.0 - memory)
    area_slope = (area - kept - memory * kept_slope) / (1.0 - memory)
    ones, zeros = np.ones_like(time), np.zeros_like(time)
    by_shape = np.stack([np.stack([zeros, by_alpha, zeros]), np.stack([zeros, zeros, -area_slope])])
    return np.stack([ones, value, -area]), by_shape, np.stack([zeros, by_time, zeros])


def _multi_power(times: Times, time: np.ndarray, shape: np.ndarray) -> Basis:
    """LD = B Σ_k Δ_k [1 - (1 + x)^-β], x = C η_k^-γ (τ_t - τ_{k-1}), over all k with η_0 = 0.

    The warmup's rises belong to the sum, as in the authors' own code: L∞ is the floor at a vanishing rate.
    """
    alpha, speed, exponent, rate_exponent = shape
    value, by_alpha, by_time = power_term(time, alpha)
    reductions = times.reductions
    weight, rate, distance, _ = reductions.nodes
    x = np.exp(-rate_exponent * rate)
    x *= speed * distance
    grown = 1.0 + x
    logarithm = np.log(grown)
    terms = np.empty((4, x.size), x.dtype)
    left = np.multiply(weight, np.exp(-exponent * logarithm), out=terms[2])
    np.subtract(weight, left, out=terms[0])
    by_log_x = np.multiply(left, x, out=terms[1])
    by_log_x *= exponent / grown
    np.multiply(by_log_x, rate, out=terms[3])
    left *= logarithm
    sums = reductions.sum_over_nodes(terms)
    ones, zeros = np.ones_like(time), np.zeros_like(time)
    nothing = (zeros, zeros)
    by_shape = np.stack(
        [
            np.stack([zeros, by_alpha, zeros]),
            np.stack([*nothing, -sums[1] / speed]),
            np.stack([*nothing, -sums[2]]),
            np.stack([*nothing, sums[3]]),
        ]
    )
    return np.stack([ones, value, -sums[0]]), by_shape, np.stack([zeros, by_time, zeros])


MOMENTUM = Law(
    "s1-s2",
    "annealing law S1/S2",
    "L = L_\\infty + A\\,S_1^{-\\alpha} - C\\,S_2",
    "Tissue et al., arXiv 2408.11029",
    "tau",
    (
        FLOOR,
        _AMPLITUDE,
        Parameter("annealing_amplitude", "C", "loss taken away per annealing area S2 (nats)"),
    ),
    (
        _ALPHA,
        Parameter(
            "memory",
            "\\lambda",
            "what is left of a fall of the rate in the annealing momentum, from step to step",
            0.5,
            1.0 - 1e-6,
            (0.9, 0.99, 0.997, 0.999, 0.9997, 0.9999),
            "memory",
        ),
    ),
    _momentum,
    needs_annealing=True,
)

MULTI_POWER = Law(
    "multi-power",
    "multi-power law",
    "L = L_\\infty + A\\,\\tau^{-\\alpha} - B\\sum_k (\\eta_{k-1}-\\eta_k)"
    "[1-(1+C\\,\\eta_k^{-\\gamma}(\\tau-\\tau_{k-1}))^{-\\beta}]",
    "Luo et al., arXiv 2503.12811",
    "tau",
    (
        FLOOR,
        _AMPLITUDE,
        Parameter("annealing_amplitude", "B", "loss taken away at last, per fall of the rate (nats)"),
    ),
    (
        _ALPHA,
        Parameter(
            "annealing_speed", "C", "inverse time scale of the gain", 1e-8, 1e8, (0.1, 1.0, 10.0), "log"
        ),
        Parameter(
            "annealing_exponent", "\\beta", "exponent of the gain in τ", 1e-2, 20.0, (0.3, 0.6, 1.2), "log"
        ),
        Parameter(
            "rate_exponent", "\\gamma", "exponent of the rate in the time scale", -1.0, 3.0, (0.2, 0.6, 1.0)
        ),
    ),
    _multi_power,
    needs_annealing=True,
)

#: β and γ are poorly told by a few curves, and held at round values the law predicts other schedules better
#: (docs/losscurves.md).
MULTI_POWER_HELD = dataclasses.replace(
    MULTI_POWER,
    name="multi-power-held",
    title="multi-power law at β = 1, γ = 1/2",
    fixed={"annealing_exponent": 1.0, "rate_exponent": 0.5},
)
