"""Catalogue of cases with answers known independently of the engine; each is tried for value and for honesty.

An answer gives ⟨ln Z⟩ at one (n, beta); `rtol` is the accuracy this kind of energies must reach.
"""

from dataclasses import dataclass
from math import comb, log

import mpmath as mp
import numpy as np

mp.mp.dps = 30


@dataclass(frozen=True)
class Problem:
    name: str
    energies: object
    n: int
    beta: float
    log_partition: float
    rtol: float
    tags: tuple[str, ...] = ()


def gaussian_pair(beta):
    """Two standard normal energies: ⟨ln 2 cosh(β d/2)⟩ with d ~ N(0, 2), a single integral."""
    beta = mp.mpf(beta)

    def integrand(d):
        return (
            mp.exp(-d * d / 4) / mp.sqrt(4 * mp.pi) * (beta * abs(d) / 2 + mp.log1p(mp.exp(-beta * abs(d))))
        )

    knots = [mp.mpf(0), *(min(mp.mpf(2) ** k / max(beta, 1), 24) for k in range(-2, 20)), mp.mpf(24)]
    return 2 * mp.quad(integrand, sorted(set(knots)))


def atoms(values, weights, n, beta):
    """Every composition of n energies over at most three atoms."""
    total = mp.mpf(0)
    for i in range(n + 1):
        for j in range(n - i + 1):
            k = n - i - j
            counts = [i, j, k][: len(values)]
            if sum(counts) != n or any([i, j, k][len(values) :]):
                continue
            ways = mp.mpf(comb(n, i) * comb(n - i, j))
            for w, c in zip(weights, counts, strict=True):
                ways *= mp.mpf(w) ** c
            levels = [(c, -mp.mpf(beta) * v) for c, v in zip(counts, values, strict=True) if c]
            top = max(e for _, e in levels)
            total += ways * (top + mp.log(mp.fsum(c * mp.exp(e - top) for c, e in levels)))
    return total


def exponential_minimum(n, beta):
    """Unit exponential energies as β → ∞: ln Z → -β min, so Φ + β/n → ⟨ln Σ e^(-β gaps)⟩, here for n = 2.

    The gap of two unit exponentials is again a unit exponential.
    """
    beta = mp.mpf(beta)
    return -beta / 2 + mp.quad(
        lambda d: mp.exp(-d) * mp.log1p(mp.exp(-beta * d)), [0, 1 / beta, 10 / beta, 60 / beta + 1, 60]
    )


def _problems():
    def normal(x):
        return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)

    for beta in (1e-3, 0.5, 1.0, 3.0, 30.0, 1e4):
        yield Problem("gaussian pair", None, 2, beta, gaussian_pair(beta), 1e-12, ("gaussian", "n=2"))
    for n in (2, 128, 50304, 10**12):
        yield Problem("infinite temperature", None, n, 0.0, mp.log(n), 1e-15, ("beta=0",))
        yield Problem("infinite temperature, laplace", "laplace", n, 0.0, mp.log(n), 1e-14, ("beta=0",))
    yield Problem("one energy", "expon", 1, 3.0, mp.mpf(-3), 1e-12, ("n=1",))
    yield Problem("degenerate", "atoms:2=1", 1000, 1.5, mp.log(1000) - 3, 1e-12, ("degenerate", "atoms"))
    for beta in (0.01, 1.0, 40.0, 1e4):
        yield Problem(
            "two atoms", "atoms:0=0.3,1=0.7", 20, beta, atoms([0, 1], [0.3, 0.7], 20, beta), 1e-8, ("atoms",)
        )
        yield Problem(
            "three atoms", "atoms:0=0.25,1=0.25,3=0.5", 7, beta, atoms([0, 1, 3], [0.25, 0.25, 0.5], 7, beta), 1e-8,
            ("atoms",),
        )  # fmt: skip
        yield Problem("exponential pair", "expon", 2, beta, exponential_minimum(2, beta), 1e-8, ("edge",))
    # Two uniform energies: the lower one averages 1/3 and their difference has the density 2(1 - d).
    uniform = -mp.mpf(4) / 3 + mp.quad(lambda d: 2 * (1 - d) * mp.log1p(mp.exp(-4 * d)), [0, 0.25, 1])
    yield Problem("uniform pair", "uniform", 2, 4.0, uniform, 1e-8, ("bounded",))
    yield Problem(
        "laplace pair", "laplace", 2, 2.0,
        2 * mp.quad(lambda d: (1 + d) * mp.exp(-d) / 4 * (d + mp.log1p(mp.exp(-2 * d))), [0, 1, 4, 12, 80]), 1e-10, ("kink",),
    )  # fmt: skip
    # Two energies of density 0.3 ε^(-0.7): with ε = u^(10/3) the density of u is uniform.
    power = mp.mpf(10) / 3
    with mp.workdps(15):
        singular = mp.quad(
            lambda u: (
                2 * mp.quad(lambda v: -5 * u**power + mp.log1p(mp.exp(-5 * (v**power - u**power))), [u, 1])
            ),
            [0, 0.3, 1],
        )
    yield Problem("singular edge", "beta:a=0.3,b=1", 2, 5.0, singular, 1e-8, ("edge", "singular"))
    # Mean of ln(1 + e^(-β d)) + β max for a mixture of two normals: the difference is again a mixture.
    m = mp.mpf(3)

    def mixed(d):
        def bell(c):
            return mp.exp(-((d - c) ** 2) / 4) / mp.sqrt(4 * mp.pi)

        return bell(0) / 2 + (bell(m) + bell(-m)) / 4

    value = -2 * m / 2 + mp.quad(
        lambda d: mixed(d) * (abs(d) + mp.log1p(mp.exp(-2 * abs(d)))), [-24, -4, -1, 0, 1, 4, 24]
    )
    yield Problem(
        "normal mixture", [("normal", 0.5), ("normal:loc=3,scale=1", 0.5)], 2, 2.0, value, 1e-10, ("mixture",)
    )


PROBLEMS = list(_problems())


def energies_of(problem):
    from peakedtheory import Mixture

    if isinstance(problem.energies, list):
        return Mixture([(w, e) for e, w in problem.energies])
    return problem.energies


assert np.isclose(float(atoms([0, 1], [0.5, 0.5], 1, 2.0)), -1.0)
assert abs(float(gaussian_pair(1e-9)) - log(2)) < 1e-15
