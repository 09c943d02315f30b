"""Loss curves made by known laws, with correlated noise."""

import numpy as np

from peakedtheory import schedules
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.law_registry import parse_law

STEPS = 12000
PLANS = {
    "constant": schedules.constant(1e-3, STEPS, 400).rates,
    "cosine": schedules.warmup_cosine(1e-3, STEPS, 400, 1e-4).rates,
    "wsd": schedules.wsd(1e-3, STEPS, 400, 0.3).rates,
    "drop": np.where(np.arange(STEPS) < 6000, PEAK := 1e-3, 3e-4)
    * np.minimum(np.arange(1, STEPS + 1) / 400, 1.0),
}
TRUE = {
    "power": {"loss_floor": 2.5, "amplitude": 0.8, "alpha": 0.4},
    "power-steps": {"loss_floor": 2.5, "amplitude": 30.0, "alpha": 0.5},
    "finite-beta-star": {"loss_floor": 2.5, "amplitude": 0.3, "span": 20.0},
    "two-channel": {
        "loss_floor": 2.3,
        "radial_amplitude": 0.8,
        "tangential_amplitude": 90.0,
        "radial_exponent": 0.4,
        "tangential_exponent": 0.2,
    },
    "s1-s2": {"loss_floor": 2.5, "amplitude": 0.8, "annealing_amplitude": 0.3, "alpha": 0.4, "memory": 0.998},
    "multi-power": {
        "loss_floor": 2.4,
        "amplitude": 0.8,
        "annealing_amplitude": 150.0,
        "alpha": 0.4,
        "annealing_speed": 1.0,
        "annealing_exponent": 0.6,
        "rate_exponent": 0.5,
    },
}


def autoregressive(size, phi, sigma, rng):
    noise = rng.standard_normal(size + 200)
    for i in range(1, noise.size):
        noise[i] = phi * noise[i - 1] + np.sqrt(1 - phi**2) * noise[i]
    return sigma * noise[200:]


def curve(law="power", plan="constant", noise=None, count=150, name="run"):
    rates = PLANS[plan]
    step = np.unique(np.linspace(450, STEPS, count).round())
    loss = parse_law(law).predict(LossCurve(step, np.ones(step.size), rates), TRUE[parse_law(law).name])
    return LossCurve(step, loss if noise is None else loss * np.exp(noise[: step.size]), rates, name=name)
