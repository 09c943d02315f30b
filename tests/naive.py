"""Slow, obvious twins of the engine, with no attempt to be fast."""

import math

import mpmath as mp
import numpy as np
from scipy.special import gammaln, logsumexp


def sampled(beta, n, draw, samples, seed):
    """⟨ln Z⟩, U, S and Φ'' with standard errors from plain sampling; `draw(rng, size)` gives energies."""
    rng = np.random.default_rng(seed)
    energies = draw(rng, (samples, n))
    log_z = logsumexp(-beta * energies, axis=1)
    p = np.exp(-beta * energies - log_z[:, None])
    u = (p * energies).sum(axis=1)
    quantities = {
        "log_partition": log_z,
        "internal_energy": u,
        "entropy": log_z + beta * u,
        "energy_variance": (p * energies**2).sum(axis=1) - u**2,
    }
    return {k: (v.mean(), v.std(ddof=1) / math.sqrt(samples)) for k, v in quantities.items()}


def gaussian_in_mpmath(beta, n, digits=20):
    """(Φ, Φ', Φ'', S) of standard normal energies, by two nested trapezoidal sums over the energy itself.

    φ(s) = ⟨exp(-e^(s - βε))⟩ and its companions are summed over ε with a step that resolves both the
    density and the kernel; nothing is shared with the engine but the formula of the outer integral.
    """
    with mp.workdps(digits + 8 + int(math.log10(n))):  # 1 - g is raised to the power n
        beta, n = mp.mpf(beta), mp.mpf(n)
        size = digits * math.log(10)
        step = mp.mpf(math.pi**2 / size) * mp.mpf("0.9")
        x_step = min(mp.mpf("0.3"), step / beta)
        reach = math.sqrt(2 * (size + math.log(n))) + 1
        x = [x_step * j for j in range(int(-reach / x_step), int(reach / x_step) + 1)]
        weight = [mp.exp(-v * v / 2) / mp.sqrt(2 * mp.pi) * x_step for v in x]
        b, theta = float(beta), np.geomspace(1e-5, 0.99, 400)
        low = np.max((-size - math.log(n) - theta**2 * b * b / 2 - gammaln(1 - theta)) / theta)
        theta = np.geomspace(1e-3, 1e3, 400)
        high = np.min((size / float(n) + theta**2 * b * b / 2 + gammaln(1 + theta)) / theta)
        total = [mp.mpf(0)] * 4
        count = int((high - low) / float(step)) + 2
        for i in range(count):
            s = mp.mpf(low) + step * i
            g = m = first = second = w = mp.mpf(0)
            for value, mass in zip(x, weight, strict=True):
                v = s + beta * value
                if v > 5:
                    g += mass
                    continue
                t = mp.exp(v)
                kernel = mass * t * mp.exp(-t)
                g -= mass * mp.expm1(-t)
                m += kernel
                first += kernel * value
                second += kernel * value * value
                w += mass * (mp.exp(-t) * (v + mp.euler) + mp.e1(t)) if v > -3 else mass * _small_w(t, v)
            phi = 1 - g
            pair = phi ** (n - 2) * n * (n - 1) * m if phi > 0 else mp.mpf(0)
            rise = 1 - phi**n if phi > 0 else mp.mpf(1)
            total[0] += step * rise * (mp.mpf("0.5") if i == count - 1 else 1)
            total[1] += step * n * (phi ** (n - 1) if phi > 0 else 0) * first
            total[2] += step * pair * (second - first * first / m if m else 0)
            total[3] += step * pair * w
        total[0] -= mp.mpf(low) + step * (count - 1) + mp.euler
        return total


def _small_w(t, v):
    """The entropy kernel by its series, where its closed form would cancel."""
    ein = mp.nsum(lambda k: (-1) ** (int(k) + 1) * t**k / (k * mp.factorial(k)), [1, 24], method="d")
    return ein + (v + mp.euler) * mp.expm1(-t)
