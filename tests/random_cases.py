"""Random laws × n × β, and two oracles for them that share no code with the engine.

Laws with densities: panels between quantiles of every part and of the kernel, with a fixed rule, of which two
resolutions say how far it can be trusted. Atoms: every way to share n energies among them.
"""

import csv
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from scipy import special, stats

_V_TOP = 4.0
_TAILS = 10.0 ** -np.arange(1.0, 41.0, 1.0)
_MIDDLE = np.linspace(0.1, 0.9, 17)

QUANTITIES = ("log_partition", "internal_energy", "entropy", "energy_variance")
#: Answers of the oracle for the first cases, made by running this file.
KNOWN = Path(__file__).with_suffix(".csv")
_KNOWN_CASES = 24

FAMILIES = {
    "norm": lambda rng: (),
    "laplace": lambda rng: (),
    "logistic": lambda rng: (),
    "gumbel_r": lambda rng: (),
    "gumbel_l": lambda rng: (),
    "uniform": lambda rng: (),
    "expon": lambda rng: (),
    "triang": lambda rng: (rng.uniform(0.05, 0.95),),
    "gamma": lambda rng: (rng.uniform(1.0, 6.0),),
    "beta": lambda rng: (rng.uniform(1.0, 4.0), rng.uniform(1.0, 4.0)),
    "weibull_min": lambda rng: (rng.uniform(1.0, 4.0),),
    "t": lambda rng: (rng.uniform(4.0, 30.0),),
    "lognorm": lambda rng: (rng.uniform(0.2, 1.0),),
    "genlogistic": lambda rng: (rng.uniform(0.5, 3.0),),
    "hypsecant": lambda rng: (),
    "cosine": lambda rng: (),
    "norminvgauss": lambda rng: (rng.uniform(1.0, 3.0), rng.uniform(-0.8, 0.8)),
    "skewnorm": lambda rng: (rng.uniform(-6.0, 6.0),),
    "argus": lambda rng: (rng.uniform(0.5, 4.0),),
    "moyal": lambda rng: (),
}
#: Laws whose probabilities SciPy integrates numerically: the oracle sums its own panels instead.
INTEGRATED = {"norminvgauss", "skewnorm"}
#: Singular edges and heavy tails: alone, as panels of others would have to close in on them.
SINGULAR = {
    "gamma": lambda rng: (rng.uniform(0.3, 1.0),),
    "weibull_min": lambda rng: (rng.uniform(0.3, 1.0),),
    "beta": lambda rng: (rng.uniform(0.4, 1.0), rng.uniform(1.0, 3.0)),
    "t": lambda rng: (rng.uniform(1.3, 4.0),),
    "lomax": lambda rng: (rng.uniform(1.2, 4.0),),
    "lognorm": lambda rng: (rng.uniform(1.0, 2.0),),
    "powerlaw": lambda rng: (rng.uniform(0.4, 1.0),),
}


@dataclass(frozen=True)
class Case:
    """Weights and frozen laws of the parts, n and β."""

    parts: tuple
    n: int
    beta: float
    text: str


def random_case(rng):
    """A law of one to three parts whose widths spread over six decades, at any n and β that its scale sees."""
    n = int(rng.choice([2, 3, 7, 30, 100, 1000, 50304, 10**6, 10**9, 10**12]))
    beta = float(10.0 ** rng.uniform(-4, 4))
    if rng.random() < 0.2:
        name = str(rng.choice(list(SINGULAR)))
        shapes = SINGULAR[name](rng)
        parts, texts = [(1.0, getattr(stats, name)(*shapes))], [f"{name}{shapes}"]
        return Case(tuple(parts), n, beta, f"n={n} beta={beta:.6g}: {texts[0]}")
    count = rng.choice([1, 2, 3], p=[0.4, 0.35, 0.25])
    weights = rng.dirichlet(np.ones(count)) if rng.random() < 0.5 else 10.0 ** rng.uniform(-6, 0, count)
    parts, texts = [], []
    for weight in weights / weights.sum():
        name = str(rng.choice(list(FAMILIES)))
        shapes = FAMILIES[name](rng)
        scale = float(10.0 ** (rng.uniform(-5, 1) if count > 1 else rng.uniform(-1, 1)))
        loc = float(rng.normal())
        parts.append((float(weight), getattr(stats, name)(*shapes, loc=loc, scale=scale)))
        texts.append(f"{weight:.6g} {name}{shapes} loc={loc:.6g} scale={scale:.6g}")
    return Case(tuple(parts), n, beta, f"n={n} beta={beta:.6g}: " + " + ".join(texts))


def random_atoms(rng):
    """A few levels with gaps over six decades, and few enough energies to list what they can be."""
    count = int(rng.integers(2, 6))
    values = np.cumsum(10.0 ** rng.uniform(-4, 2, count))
    weights = 10.0 ** rng.uniform(-3, 0, count)
    return values, weights / weights.sum(), int(rng.integers(2, 7)), float(10.0 ** rng.uniform(-3, 5))


def enumerated(values, weights, n, beta):
    """Φ, U, S and Φ'' of n energies at these levels: sums over all numbers of them at each."""
    totals = np.zeros(4)
    for marks in itertools.combinations(range(n + values.size - 1), values.size - 1):
        ends = np.array([-1, *marks, n + values.size - 1])
        counts = np.diff(ends) - 1
        chance = math.factorial(n) / math.prod(math.factorial(c) for c in counts) * np.prod(weights**counts)
        here = counts > 0
        lowest = values[here].min()
        boltzmann = np.exp(-beta * (values[here] - lowest))
        z = counts[here] @ boltzmann
        p = counts[here] * boltzmann / z
        away = p @ (values[here] - lowest)
        variance = p @ (values[here] - lowest - away) ** 2
        phi = math.log(z) - beta * lowest
        totals += chance * np.array([phi, lowest + away, math.log(z) + beta * away, variance])
    return dict(zip(QUANTITIES, totals, strict=True))


@njit
def _averages(s, beta, lows, highs, x, weight, above, below, entropy, bulk, out):
    """g, φ, m, mean and variance of x under m, and w: sums over the panels inside the kernel's window."""
    per = 1.0 / (entropy[1, 0] - entropy[0, 0])
    for i in range(s.size):
        first, last = lows[i], highs[i]
        g, phi, m, moment, square, w = above[last], below[first], 0.0, 0.0, 0.0, 0.0
        middle = min(max(-(s[i] + 0.5772156649) / beta, bulk[0]), bulk[1])  # near the mean few digits cancel
        if last > first:
            middle = min(max(middle, x[first, 0]), x[last - 1, -1])
        for k in range(first, last):
            for j in range(x.shape[1]):
                v = s[i] + beta * x[k, j]
                t = np.exp(v)
                gone = -np.expm1(-t)
                g += weight[k, j] * gone
                phi += weight[k, j] * (1.0 - gone)
                kernel = weight[k, j] * t * (1.0 - gone)
                away = x[k, j] - middle
                m += kernel
                moment += kernel * away
                square += kernel * away * away
                at = (v - entropy[0, 0]) * per
                cell = int(at)
                w += weight[k, j] * _cubic(entropy, cell, at - cell)
        mean = moment / m if m > 0.0 else 0.0
        out[i] = g, phi, m, middle + mean, square / m - mean * mean if m > 0.0 else 0.0, w


@njit
def _cubic(table, i, t):
    """Quintic Hermite interpolation of W, tabulated with two derivatives."""
    h = table[1, 0] - table[0, 0]
    a, b = table[i, 1], table[i + 1, 1]
    p, q = h * table[i, 2], h * table[i + 1, 2]
    c, d = h * h * table[i, 3], h * h * table[i + 1, 3]
    jump = b - a
    return a + t * (
        p
        + t
        * (
            c / 2
            + t
            * (
                10 * jump
                - 6 * p
                - 4 * q
                - 1.5 * c
                + 0.5 * d
                + t
                * (
                    -15 * jump
                    + 8 * p
                    + 7 * q
                    + 1.5 * c
                    - d
                    + t * (6 * jump - 3 * p - 3 * q - 0.5 * c + 0.5 * d)
                )
            )
        )
    )


def _entropy_table(v_min):
    """W = e^-t (v + γ) + E1(t), t = e^v, with W' = -e^(v-t)(v + γ) and W''."""
    v = np.arange(np.floor(v_min) - 3.0, _V_TOP + 3.0, 1.0 / 256)
    t, shifted = np.exp(v), v + np.euler_gamma
    small = t * (1 - shifted) - t**2 * (0.25 - 0.5 * shifted) + t**3 * (1 / 18 - shifted / 6)
    small -= t**4 * (1 / 96 - shifted / 24)
    large = np.exp(-t) * shifted + special.exp1(np.maximum(t, 1e-4))
    density = np.exp(v - t)
    second = -density * ((1.0 - t) * shifted + 1.0)
    return np.stack([v, np.where(t < 1e-3, small, large), -density * shifted, second], axis=1)


def oracle(case, points=16, cuts=1):
    """Φ, U, S and Φ'' of a case by brute force."""
    n, beta = case.n, case.beta
    nodes, weights = np.polynomial.legendre.leggauss(points)
    parts = [_edges(law, cuts) for _, law in case.parts]
    edges = np.unique(np.concatenate(parts))
    v_min = -50.0 - np.log(n)
    # only where the law can be the highest of n, and as far below as the kernels reach
    above, below = _tails(case, edges, nodes, weights)
    with np.errstate(divide="ignore"):
        gone = n * np.where(above < 0.5, np.log1p(-np.minimum(above, 0.5)), np.log(below)) < -60.0
    start = int(np.nonzero(gone)[0][-1]) if gone.any() else 0
    bottom = edges[start] + (v_min - _V_TOP) / beta
    edges = np.unique(np.concatenate([[max(bottom, edges[0])], edges[edges > bottom]]))
    split = np.maximum(np.ceil(np.diff(edges) * beta * cuts), 1).astype(int)
    if split.sum() > 3_000_000:
        raise MemoryError("too many panels: a law this wide at this temperature")
    step = np.repeat(np.diff(edges) / split, split)
    offset = np.arange(step.size) - np.repeat(np.cumsum(split) - split, split)
    edges = np.append(np.repeat(edges[:-1], split) + step * offset, edges[-1])
    half = 0.5 * np.diff(edges)
    x = edges[:-1, None] + half[:, None] * (1.0 + nodes)
    weight = sum(w * law.pdf(-x) for w, law in case.parts) * half[:, None] * weights
    above, below = _tails(case, edges, nodes, weights)
    bulk = edges[[np.argmax(above < 1.0 - 1e-3), np.argmax(above < 1e-3)]]
    table = _entropy_table(v_min)

    def columns(s):
        out = np.empty((s.size, 6))
        lows = np.clip(np.searchsorted(edges, (v_min - s) / beta), 0, half.size)
        highs = np.clip(np.searchsorted(edges, (_V_TOP - s) / beta), 0, half.size)
        _averages(s, beta, lows, np.maximum(highs, lows), x, weight, above, below, table, bulk, out)
        return out

    return _outer(case, np.concatenate([_landmarks(law) for _, law in case.parts]), columns, points, cuts)


def _tails(case, edges, nodes, weights):
    """P(X > x) and P(X < x) at the edges."""
    above, below = np.zeros(edges.size), np.zeros(edges.size)
    for weight, law in case.parts:
        if law.dist.name not in INTEGRATED:
            above += weight * law.cdf(-edges)
            below += weight * law.sf(-edges)
            continue
        whole = np.union1d(edges, _edges(law, 2))
        half = 0.5 * np.diff(whole)
        mass = weight * (law.pdf(-(whole[:-1, None] + half[:, None] * (1.0 + nodes))) @ weights) * half
        here = np.searchsorted(whole, edges)
        above += np.append(np.cumsum(mass[::-1])[::-1], 0.0)[here]
        below += np.append(0.0, np.cumsum(mass))[here]
    return above, below


def _edges(law, cuts):
    """Panel edges in x = -ε between quantiles of the law."""
    tails = np.unique(np.concatenate([_TAILS, _TAILS * 3.0]))
    energy = np.concatenate([*_quantiles(law, tails), *_quantiles(law, _MIDDLE), law.support()])
    energy = np.unique(energy[np.isfinite(energy)])
    energy = np.union1d(energy, _kinks(law))
    low, high = law.support()
    closing = np.ptp(energy) * 0.5 ** np.arange(2.0, 120.0)
    energy = np.concatenate(
        [
            energy,
            *([low + closing] if np.isfinite(low) else []),
            *([high - closing] if np.isfinite(high) else []),
        ]
    )
    energy = np.unique(energy[(energy >= low) & (energy <= high)])
    fine = np.linspace(0.0, 1.0, 2 * cuts + 1)[:-1]
    return np.append((-energy[::-1][:-1, None] - np.diff(energy)[::-1, None] * -fine).ravel(), -energy[0])


def _quantiles(law, q):
    """Energies below and above which these fractions lie, or a grid that is dense enough in their place."""
    if law.dist.name in INTEGRATED:
        return [law.kwds["loc"] + law.kwds["scale"] * 0.5 * np.sinh(np.linspace(-6.0, 6.0, 2 * q.size + 41))]
    return [law.ppf(q), law.isf(q)]


def _landmarks(law):
    """Places in x between which powers of φ may change, ends and kinks among them."""
    q = np.array([1e-30, 1e-18, 1e-12, 1e-8, 1e-5, 1e-3, 0.03, 0.2, 0.5])
    energy = np.concatenate([*_quantiles(law, q), law.support(), _kinks(law)])
    return -energy[np.isfinite(energy)]


def _kinks(law):
    if law.dist.name not in {"laplace", "triang"}:
        return np.empty(0)
    return np.array([law.kwds["loc"] + law.kwds["scale"] * (law.args[0] if law.args else 0.0)])


def _outer(case, edges, columns, points, cuts):
    """Integrate over s on panels on which φⁿ changes little."""
    n, beta = case.n, case.beta
    nodes, weights = np.polynomial.legendre.leggauss(points)

    def log_phi(rows):
        g, phi = rows[:, 0], rows[:, 1]
        return np.where(g < 0.5, np.log1p(-np.minimum(g, 0.5)), np.log(np.maximum(phi, 1e-300)))

    images = -beta * edges
    low, high = images.min() - 60.0 - np.log(n), images.max() + 10.0
    around = np.array([0.0, 2.0, 6.0, 15.0, 35.0])
    grid = np.unique(np.concatenate([[low, high], *(images + a for a in np.append(around, -around[1:]))]))
    inside = n * -log_phi(columns(grid))
    first, last = np.nonzero(inside > 1e-20)[0], np.nonzero(inside < 45.0)[0]
    low, high = grid[max(first[0] - 1, 0)], grid[min(last[-1] + 1, grid.size - 1)]
    centre = 0.5 * (low + high)
    grid = np.unique(np.concatenate([[low, centre, high], grid[(grid > low) & (grid < high)]]))
    # where φⁿ changes at all, two panels or more between any of these; where it changes by much, halve
    for k in range(60):
        change = np.abs(np.diff(np.exp(-np.minimum(n * -log_phi(columns(grid)), 60.0))))
        wide = (np.diff(grid) > 1.0 / cuts) & (change > (1e-11 if k < cuts else 0.03 / cuts))
        if not wide.any():
            break
        grid = np.unique(np.append(grid, 0.5 * (grid[1:] + grid[:-1])[wide]))
    half = 0.5 * np.diff(grid)
    s = (grid[:-1, None] + half[:, None] * (1.0 + nodes)).ravel()
    step = (half[:, None] * weights).ravel()
    rows = columns(s)
    log = log_phi(rows)
    m, mean, variance, w = rows[:, 2:].T
    single = n * np.exp((n - 1.0) * log) * m
    pair = n * (n - 1.0) * np.exp((n - 2.0) * log) * m
    transition = np.where(s < centre, -np.expm1(n * log), -np.exp(n * log))
    return {
        "log_partition": float(step @ transition) - centre - np.euler_gamma,
        "internal_energy": -float(step @ (single * mean)),
        "entropy": float(step @ (pair * w)),
        "energy_variance": float(step @ (pair * m * variance)),
        "norm": float(step @ single),
    }


def answer(case):
    """What the oracle says, and how far that is known.

    It is known by two resolutions, by the defect of its norm and, for Φ, by what Φ = S - βU misses.
    """
    coarse, fine = oracle(case), oracle(case, 20)
    defect = abs(fine["norm"] - 1.0)
    known = {
        name: abs(coarse[name] - fine[name])
        + defect * (abs(fine[name]) + (case.beta if name == "log_partition" else 1.0))
        for name in QUANTITIES
    }
    known["log_partition"] += abs(
        fine["entropy"] - case.beta * fine["internal_energy"] - fine["log_partition"]
    )
    return fine, known


if __name__ == "__main__":
    with KNOWN.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["seed", *QUANTITIES, *(f"{name}_known" for name in QUANTITIES), "case"])
        for seed in range(_KNOWN_CASES):
            case = random_case(np.random.default_rng([24, seed]))
            found, known = answer(case)
            row = [found[name] for name in QUANTITIES] + [known[name] for name in QUANTITIES]
            writer.writerow([seed, *(f"{value:.17g}" for value in row), case.text])
